"""Files of weights that others published: where they are, what they are, and what nothing inside them says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from har_bench.errors import HarBenchError

VIDEOPOSE3D = "https://dl.fbaipublicfiles.com/video-pose-3d/"
DEEPHAR = "https://github.com/dluvizon/deephar/releases/download/"
DRIVE = "https://drive.google.com/uc?id="


@dataclass(frozen=True)
class Published:
    """A file.

    Attributes:
        name: as it is downloaded.
        project: whose it is; for weights that a baseline here loads, the baseline's name.
        url: where from.
        about: what it is.
        md5: of its bytes, where that was published.
        joints: the skeleton that the model takes.
        target: the skeleton that it gives.
        causal: it sees no future frames.
    """

    name: str
    project: str
    url: str
    about: str
    md5: str = ""
    joints: str = ""
    target: str = ""
    causal: bool = False

    @property
    def line(self) -> str:
        """Everything of use in a line."""
        takes = f"; takes {self.joints}, gives {self.target}" if self.joints else ""
        causal = "; causal" if self.causal else ""
        return f"{self.name}: {self.about}{takes}{causal}; {self.url}; md5 {self.md5 or 'not published'}"


def _videopose3d(name: str, about: str, joints: str, target: str = "h36m17", *, causal: bool = False) -> Published:
    return Published(name, "videopose3d", VIDEOPOSE3D + name, about, "", joints, target, causal)


def _deephar(release: str, name: str, about: str, md5: str) -> Published:
    return Published(name, "deephar", f"{DEEPHAR}{release}/{name}", about, md5)


FILES = (
    _videopose3d("pretrained_h36m_cpn.bin", "243 frames, CPN fine-tuned on Human3.6M: 46.8 mm", "h36m17"),
    _videopose3d("pretrained_h36m_detectron_coco.bin", "243 frames, Mask R-CNN trained on COCO, with path", "coco17"),
    _videopose3d("pretrained_humaneva15_detectron.bin", "27 frames, HumanEva: 28.6 mm", "coco17", "humaneva15"),
    _videopose3d("cpn-pt-243.bin", "243 frames, CPN as trained on COCO", "coco17"),
    _videopose3d("d-pt-243.bin", "243 frames, Mask R-CNN as trained on COCO, with confidences", "coco17"),
    _videopose3d("cpn-ft-243-dbb-causal.bin", "243 frames, CPN fine-tuned on Human3.6M", "h36m17", causal=True),
    _deephar("v0.1", "weights_PE_MPII_cvpr18_19-09-2017.h5", "2D pose, MPII", "d6b85ba4b8a3fc9d05c8ad73f763d999"),
    _deephar("v0.2", "weights_3DPE_H36M_cvpr18_Nov-2017.h5", "3D pose, Human3.6M", "af79f83ad939117d4ccc2cf1d4bd37d2"),
    _deephar("v0.3", "weights_AR_merge_ep074_26-10-17.h5", "action, Penn Action", "f53f89257077616a79a6c1cd1702d50f"),
    _deephar("v0.4", "weights_AR_merge_NTU_v2.h5", "action, NTU RGB+D", "ff98d70a7f6bc5976cc11c7a5760e8b7"),
    _deephar("v0.1", "mpii_annotations.mat", "MPII's annotations", "cc62b1bb855bf4866d19bc0637526930"),
    _deephar("v0.2", "h36m_annotations.mat", "Human3.6M's annotations", "4067d52db61737fbebdec850238d87dd"),
    _deephar("v0.3", "penn_annotations.mat", "Penn Action's annotations", "b37a2e72c0ba308bd7ad476bc2aa4d33"),
    _deephar("v0.3", "penn_pred_bboxes_16f.json", "Penn Action's boxes", "30b124a919185cb031b928bc6154fa9b"),
    Published(
        "weights_mpii+penn_ar_028.hdf5",
        "deephar",
        f"{DRIVE}106yIhqNN-TrI34SX81q2xbU-NczcQj6I",
        "SPNet, poses and actions, Penn Action",
    ),
    Published(
        "weights_3dp+ntu_ar_062.hdf5",
        "deephar",
        f"{DRIVE}1I6GftXEkL5nohLA60Vi6faW0rvTZg6Kx",
        "SPNet, poses and actions, NTU RGB+D",
    ),
    Published(
        "lart_hiera_001.tar.gz",
        "lart",
        "https://www.dropbox.com/s/aja2sfo9ge8hqxf/lart_hiera_001.tar.gz",
        "LART, Hiera",
    ),
    Published(
        "lart_mvit.ckpt",
        "lart",
        "https://people.eecs.berkeley.edu/~jathushan/projects/phalp/ava/lart_mvit.ckpt",
        "LART, MViT",
    ),
)


def of_project(project: str) -> tuple[Published, ...]:
    """The files of a project."""
    return tuple(file for file in FILES if file.project == project)


def recognised(path: Path, among: Iterable[Published] = FILES, *, md5: str | None = None) -> Published | None:
    """Which published file a file is, by its name or its checksum.

    Args:
        path: the file.
        among: these.
        md5: of its bytes, where it is known already; else it is computed if a checksum could tell.

    Raises:
        HarBenchError: a file has a published name, and another checksum.
    """
    known = list(among)
    named = next((file for file in known if file.name == path.name), None)
    if md5 is None and any(file.md5 for file in ([named] if named else known)):
        md5 = md5_of(path)
    if named is not None and named.md5 and md5 != named.md5:
        raise HarBenchError(f"{path} has the md5 {md5} and not {named.md5}, as published; download it from {named.url}")
    return named or next((file for file in known if file.md5 and file.md5 == md5), None)


def md5_of(path: Path) -> str:
    """The checksum that publishers give, of a file of any size."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
