"""MPII Human Pose: 24,987 images of everyday activities, 16 joints per person (Andriluka et al., CVPR 2014)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.converter import Check, Converter, Shard, Tables
from har_bench.errors import HarBenchError
from har_bench.foreign import compressed
from har_bench.foreign.mat import variable_names
from har_bench.schema import to_numpy

from .hourglass import read_hourglass
from .release import DETECTION_VARIABLES, read_detections, read_release
from .sample import write_sample
from .tables import POSES, Annotations, Origin, tables

if TYPE_CHECKING:
    from har_bench.store import Store

READERS: dict[Origin, Callable[[Path, str], Annotations]] = {
    "release": read_release,
    "detections": read_detections,
    "hourglass": read_hourglass,
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
}
"""Counts of the published files; those of Tompson's split are in pose-hg-demo's lists of images too."""

CITED: dict[Origin, str] = {
    "release": "mpii_human_pose_v1_u12_1.mat",
    "detections": "Tompson's detections.mat",
    "hourglass": "the stacked-hourglass json",
}


@dataclass
class MPII(Converter):
    """The official RELEASE, Tompson's ``detections.mat`` or the stacked-hourglass json; the fullest that is there."""

    dataset: ClassVar[str] = "mpii"
    version: ClassVar[str] = "1"
    summary: ClassVar[str] = "MPII Human Pose: single images, 16 joints, official and Tompson's splits"
    raw: ClassVar[str] = (
        "mpii_human_pose_v1_u12_1.mat (a .mat file with RELEASE), else Tompson's detections.mat, "
        "else the stacked-hourglass mpii_annotations.json or .json.gz"
    )
    skeletons: ClassVar[tuple[str, ...]] = ("mpii16", "mpii-pa16")
    citation: ClassVar[str] = "Andriluka, Pishchulin, Gehler, Schiele: 2D Human Pose Estimation, CVPR 2014"
    licence: ClassVar[str] = "Simplified BSD; the annotations are for research purposes"
    notes: ClassVar[tuple[str, ...]] = (
        "Pixels are shifted from 1-based to 0-based: joints, head boxes and objpos are the raw numbers minus 1.",
        "An unlabelled joint (is_visible is [], as for most necks and head tops) has visibility 2.",
        "person is the 1-based position in the image's annorect (ridx of the official evaluator).",
        "tompson/valid is the validation list of Tompson et al.; the others of its images are in no tompson split.",
    )

    def discover(self, raw: Path) -> Sequence[Shard]:
        """One shard: the fullest annotation file at or under ``raw``."""
        found: dict[Origin, Path] = {}
        unreadable: HarBenchError | None = None
        for path in _candidates(raw):
            try:
                origin = _origin(path)
            except HarBenchError as error:
                unreadable = unreadable or error
            else:
                if origin:
                    found.setdefault(origin, path)
        # a file that cannot be read may be the release, which nothing else replaces
        if unreadable and "release" not in found:
            raise unreadable
        if not found:
            raise HarBenchError(f"{raw} is not MPII; expected there {self.raw}")
        chosen = next(origin for origin in READERS if origin in found)
        path = found[chosen]
        source = path.relative_to(raw).as_posix() if raw.is_dir() else path.name
        return [Shard(source, (path,), (chosen, source))]

    def read(self, shard: Shard) -> Tables:
        """All images and persons of the file."""
        origin, source = shard.payload
        reader: Callable[[Path, str], Annotations] = READERS[origin]
        return tables(reader(shard.sources[0], source))

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
    if raw.is_file():
        return [raw]
    names = ("*.mat", "*.json", "*.json.gz")
    return sorted(path for name in names for path in raw.rglob(name) if not path.name.startswith("."))


def _origin(path: Path) -> Origin | None:
    """Which of the annotation files ``path`` is; None for another file."""
    if path.name.endswith((".json", ".json.gz")):
        return "hourglass" if b'"joint_self"' in compressed.beginning(path, 4096) else None
    names = variable_names(path)
    if "RELEASE" in names:
        return "release"
    return "detections" if set(DETECTION_VARIABLES) <= set(names) else None


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
