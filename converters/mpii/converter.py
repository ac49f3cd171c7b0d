"""MPII Human Pose: 24,987 images of everyday activities, 16 joints per person (Andriluka et al., CVPR 2014)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.converter import Check, Converter, Shard, Tables
from har_bench.errors import HarBenchError
from har_bench.foreign import compressed
from har_bench.foreign.mat import variable_names
from har_bench.raw import DEPTH, files, nothing_found, refuse_archive
from har_bench.schema import to_numpy

from .hourglass import read_hourglass
from .hrnet import chosen, is_hrnet, is_truth, read_hrnet, role
from .release import DETECTION_VARIABLES, read_detections, read_release
from .sample import write_sample
from .tables import POSES, Annotations, Origin, tables

if TYPE_CHECKING:
    from har_bench.store import Store

READERS: dict[Origin, Callable[[Sequence[Path], Sequence[str]], Annotations]] = {
    "release": lambda paths, sources: read_release(paths[0], sources[0]),
    "detections": lambda paths, sources: read_detections(paths[0], sources[0]),
    "hourglass": lambda paths, sources: read_hourglass(paths[0], sources[0]),
    "hrnet": read_hrnet,
}
"""The raw files that hold the annotations, the fullest first."""

PUBLISHED: dict[Origin, dict[str, int]] = {
    "release": {
        "images": 24_987,
        "images in official/train": 18_079,
        "images in official/test": 6_908,
        "train images with annotated persons": 17_408,
        "annotated persons in official/train": 28_884,
        "persons in tompson/train": 22_246,
        "images in tompson/train": 14_679,
        "persons in tompson/valid": 2_958,
        "images in tompson/valid": 2_729,
    },
    "detections": {
        "persons in tompson/valid": 2_958,
        "images in tompson/valid": 2_729,
        "annotated joints": 44_240,
    },
    "hourglass": {
        "images": 17_408,
        "annotated persons in official/train": 25_204,
        "annotated joints": 376_263,
        "persons in tompson/train": 22_246,
        "images in tompson/train": 14_679,
        "persons in tompson/valid": 2_958,
        "images in tompson/valid": 2_729,
    },
    "hrnet": {
        "persons in tompson/train": 22_246,
        "images in tompson/train": 14_679,
        "persons in tompson/valid": 2_958,
        "images in tompson/valid": 2_729,
    },
}
"""Counts of the published files; those of Tompson's split are in pose-hg-demo's lists of images too."""

CITED: dict[Origin, str] = {
    "release": "mpii_human_pose_v1_u12_1.mat",
    "detections": "Tompson's detections.mat",
    "hourglass": "the stacked-hourglass json",
    "hrnet": "HRNet's annot/train.json and valid.json",
}


@dataclass
class MPII(Converter):
    """The official RELEASE, Tompson's ``detections.mat``, the stacked-hourglass json or HRNet's; the fullest there."""

    dataset = "mpii"
    version = "2"
    summary = "MPII Human Pose: single images, 16 joints, official and Tompson's splits"
    raw = (
        "mpii_human_pose_v1_u12_1.mat (a .mat file with RELEASE), else Tompson's detections.mat, "
        "else the stacked-hourglass mpii_annotations.json or .json.gz, else HRNet's or mmpose's valid.json (with "
        "gt_valid.mat), train.json, trainval.json and test.json"
    )
    skeletons = ("mpii16", "mpii-pa16")
    citation = "Andriluka, Pishchulin, Gehler, Schiele: 2D Human Pose Estimation, CVPR 2014"
    licence = "Simplified BSD; the annotations are for research purposes"
    notes = (
        "Pixels are shifted from 1-based to 0-based: joints, head boxes and objpos are the raw numbers minus 1.",
        "An unlabelled joint (is_visible is [], as for most necks and head tops) has visibility 2.",
        "person is the 1-based position in the image's annorect (ridx of the official evaluator); from HRNet's json, "
        "which does not say it, so only in the images of Tompson's list, and elsewhere the order in the file.",
        "tompson/valid is the validation list of Tompson et al.; the others of its images are in no tompson split.",
    )

    def discover(self, raw: Path) -> Sequence[Shard]:
        """One shard: the fullest annotation file at or under ``raw``."""
        refuse_archive(raw)
        found: dict[Origin, list[Path]] = {}
        unreadable: HarBenchError | None = None
        candidates = _candidates(raw)
        for path in candidates:
            try:
                origin = _origin(path)
            except HarBenchError as error:
                unreadable = unreadable or error
            else:
                if origin:
                    found.setdefault(origin, []).append(path)
        # a file that cannot be read may be the release, which nothing else replaces
        if unreadable and "release" not in found:
            raise unreadable
        if not found:
            raise nothing_found(raw, "MPII", self.raw)
        fullest = next(each for each in READERS if each in found)
        paths = _hrnet_files(found[fullest], candidates) if fullest == "hrnet" else [_only(found[fullest])]
        sources = [path.relative_to(raw).as_posix() if raw.is_dir() else path.name for path in paths]
        return [Shard(sources[0], tuple(paths), (fullest, tuple(sources)))]

    def read(self, shard: Shard) -> Tables:
        """All images and persons of the file."""
        origin, sources = shard.payload
        return tables(READERS[origin](shard.sources, sources))

    def check(self, store: Store) -> list[Check]:
        """The counts that were published for the file that was converted."""
        sequences = store.table("sequences")
        poses = store.poses(columns=["sequence", "visibility", "splits"])
        found = _counts(sequences, poses)
        return [
            Check(f"{what} ({CITED[origin]})", count, found[what])
            for origin in sequences["origin"].unique().to_pylist()
            for what, count in PUBLISHED[origin].items()
        ]

    @classmethod
    def sample(cls, out: Path, *, seed: int = 0) -> None:
        """Write a small RELEASE with the layout and quirks of the official one, about 40 images with stick figures."""
        write_sample(out, seed)


def _candidates(raw: Path) -> list[Path]:
    """The .mat and .json files at or under ``raw``, in the order of their names."""
    endings = (".mat", ".json", ".json.gz")
    return sorted(path for path in files(raw, DEPTH + 2) if raw.is_file() or path.name.lower().endswith(endings))


def _origin(path: Path) -> Origin | None:
    """Which of the annotation files ``path`` is; None for another file."""
    if path.name.lower().endswith((".json", ".json.gz")):
        if b'"joint_self"' in compressed.beginning(path, 4096).replace(b"\0", b""):
            return "hourglass"
        return "hrnet" if is_hrnet(path) else None
    names = variable_names(path)
    if "RELEASE" in names:
        return "release"
    return "detections" if set(DETECTION_VARIABLES) <= set(names) else None


def _only(paths: list[Path]) -> Path:
    """The one file, whether or not its packed twin lies beside it.

    Raises:
        HarBenchError: there are several.
    """
    plain = [path for path in paths if path.suffix != ".gz" or path.with_suffix("") not in paths]
    if len(plain) > 1:
        raise HarBenchError(f"{plain[0]} and {plain[1]} both hold annotations of MPII; give one of these files")
    return plain[0]


def _hrnet_files(paths: list[Path], candidates: list[Path]) -> list[Path]:
    """HRNet's json files, and the head boxes that belong to ``valid.json``."""
    found = chosen([path for path in paths if path.suffix != ".gz" or path.with_suffix("") not in paths])
    if not any(role(path) == "valid" for path in found):
        return found
    boxes = [path for path in candidates if path.suffix == ".mat" and is_truth(path)]
    return [*found, _only(boxes)] if boxes else found


def _counts(sequences: pa.Table, poses: pa.Table) -> dict[str, int]:
    """What can be counted in a store, by the names of :data:`PUBLISHED`."""
    joints = to_numpy(poses["visibility"], POSES.field("visibility")) > 0
    annotated = joints.any(axis=1) & _in_split(poses, "official/train")
    found = {
        "images": len(sequences),
        "annotated joints": int(joints.sum()),
        "annotated persons in official/train": int(annotated.sum()),
        "train images with annotated persons": len(poses["sequence"].filter(pa.array(annotated)).unique()),
    }
    for split in ("official/train", "official/test", "tompson/train", "tompson/valid"):
        found[f"images in {split}"] = int(_in_split(sequences, split).sum())
        found[f"persons in {split}"] = int(_in_split(poses, split).sum())
    return found


def _in_split(rows: pa.Table, split: str) -> npt.NDArray[np.bool_]:
    """Which rows have ``split`` among their splits."""
    splits = rows["splits"].combine_chunks()
    inside = np.zeros(len(rows), bool)
    members = pc.equal(pc.list_flatten(splits), split)
    inside[pc.filter(pc.list_parent_indices(splits), members).to_numpy(zero_copy_only=False)] = True
    return inside
