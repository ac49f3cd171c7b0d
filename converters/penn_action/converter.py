"""Penn Action: 2,326 clips of 15 actions, 13 joints in every frame (Zhang, Zhu, Derpanis, ICCV 2013)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Bools, Floats
from har_bench.converter import Check, Converter, Reject, Shard, Tables, without
from har_bench.raw import files, home, in_any_case, nothing_found, refuse_archive
from har_bench.schema import column, poses_schema, sequences_schema, table, to_numpy, vector

from .labels import JOINTS, README_NAMES, TORSOS, Label, read_label, torsos

if TYPE_CHECKING:
    from har_bench.store import Store

DEFECTS = {
    "box-missing": "bbox has fewer rows than there are frames; bbox and box are null in the last ones",
    "box-degenerate": "boxes without width or height; bbox is null there, box has their numbers",
    "box-outside": "boxes that reach out of the picture, at most 0.34 px in the real files (a trace of rescaling)",
    "joint-never-visible": "joints that are visible in no frame",
    "no-joints": "frames without any visible joint",
    "joint-outside-box": "visible joints more than 1 px outside the box",
    "joint-outside-picture": "visible joints outside the picture (jump_rope clips labelled at another scale)",
}
"""What may be wrong with a sequence, as the labels themselves show."""

SEQUENCES = sequences_schema(
    [
        column("readme_action", pa.string(), about="the action as the README spells it"),
        column("pose", pa.string(), about="coarse viewpoint: front, back, left or right"),
        column("defects", pa.list_(pa.string()), about="; ".join(f"{code}: {text}" for code, text in DEFECTS.items())),
    ]
)
POSES = poses_schema(
    JOINTS,
    points=pa.float64(),
    extras=[
        column(
            "box",
            pa.float64(),
            "px",
            shape=(4,),
            about="x1, y1, x2, y2: the label's numbers minus 1; PCK is measured in max(x2 - x1, y2 - y1)",
        ),
        column(
            "torso", pa.float64(), "px", about="left shoulder to right hip, of the label's numbers, placeholders too"
        ),
        column("torso_middle", pa.float64(), "px", about="mid-shoulder to mid-hip, of the same numbers"),
    ],
)

PUBLISHED = {
    "sequences": 2326,
    "sequences in standard/train": 1258,
    "sequences in standard/test": 1068,
    "frames": 163_841,
    "frames in standard/train": 87_543,
    "frames in standard/test": 76_298,
    "visible joints": 1_660_432,
    "occluded joints with a place": 282_149,
    "sequences of baseball_pitch": 167,
    "sequences of baseball_swing": 173,
    "sequences of bench_press": 140,
    "sequences of bowl": 220,
    "sequences of clean_and_jerk": 88,
    "sequences of golf_swing": 166,
    "sequences of jump_rope": 82,
    "sequences of jumping_jacks": 112,
    "sequences of pullup": 199,
    "sequences of pushup": 211,
    "sequences of situp": 100,
    "sequences of squat": 231,
    "sequences of strum_guitar": 94,
    "sequences of tennis_forehand": 157,
    "sequences of tennis_serve": 186,
}
"""The README's number of sequences, the split of ICCV 2013, and counts of the 2,326 official files."""

_NAME = re.compile(r"\d{4}\.mat", re.IGNORECASE)


@dataclass(frozen=True)
class _Job:
    """The files of a shard, the raw root, and ``frames`` as a path under it; None where only ``labels`` was given."""

    raw: Path
    frames: str | None
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class PennAction(Converter):
    """The official label files: joints, boxes, action, viewpoint and split of every clip."""

    dataset = "penn_action"
    version = "3"
    summary = "Penn Action: 2,326 clips of 15 actions with 13 joints and a box per frame"
    raw = "labels/0001.mat to labels/2326.mat, as Penn_Action.tar.gz has them (frames/ is not read)"
    skeletons = ("penn13",)
    citation = (
        "Zhang, Zhu, Derpanis. From Actemes to Action: A Strongly-supervised Representation for Detailed Action "
        "Understanding. ICCV 2013"
    )
    licence = "No terms in the download; cite the ICCV 2013 paper."
    notes = (
        "Pixels are shifted from 1-based to 0-based: joints and boxes are the raw numbers minus 1 (no digit is lost).",
        "visibility is 2 for a visible joint; 1 for one that is not and was labelled where it must be (occluded); 0, "
        "without coordinates, where the label file has a placeholder: the rescaled (1, 1), both numbers below 3.",
        "torso and torso_middle are measured between the label file's own numbers, whatever their visibility, as pose "
        "papers do: where a joint has a placeholder, up to that.",
        "action is spelled as in the label files, readme_action as in the README; both spellings are read.",
        "bbox is x1, y1, x2 - x1, y2 - y1; width and height are those of `dimensions`, not read from the frames.",
        *(f"defect {code}: {text}; the sequences are kept" for code, text in DEFECTS.items()),
    )
    actions = README_NAMES

    def discover(self, raw: Path) -> Sequence[Shard]:
        """One shard per hundred numbers: 0000 to 0099, 0100 to 0199 and so on."""
        raw = raw.absolute()
        refuse_archive(raw)
        found = home(raw, _labels, "Penn Action")
        if found is None:
            raise nothing_found(raw, "Penn Action", self.raw)
        frames = (found / "frames").relative_to(raw).as_posix() if (found / "labels").is_dir() else None
        shards = []
        # label files have 3 kB each: a hundred make a shard of a few MB
        for hundred, group in groupby(_labels(found), lambda path: path.stem[:2]):
            paths = tuple(group)
            shards.append(Shard(f"{hundred}00-{hundred}99", paths, _Job(raw, frames, paths)))
        return shards

    def read(self, shard: Shard) -> Tables:
        """Every label file of the shard; an unusable one is a reject."""
        job: _Job = shard.payload
        rejects: list[Reject] = []
        read = (read_label(path, path.relative_to(job.raw).as_posix(), rejects) for path in job.paths)
        labels = [label for label in read if label is not None]
        if not labels:
            return Tables(_sequences(labels, [], job.frames), rejects=rejects)
        frames = _Frames(*(np.concatenate([getattr(label, name) for label in labels]) for name in _Frames._fields))
        return Tables(_sequences(labels, defects(labels, frames), job.frames), _poses(labels, frames), rejects=rejects)

    def check(self, store: Store) -> list[Check]:
        """The published counts; the first one names the label files that are missing."""
        sequences = store.table("sequences")
        present = set(sequences["sequence"].to_pylist())
        missing = [name for name in (f"{number:04d}" for number in range(1, 2327)) if name not in present]
        found = _counts(sequences, store.poses(columns=["visibility"]))
        return [
            Check(what + (without(missing) if what == "sequences" else ""), expected, found.get(what, 0))
            for what, expected in PUBLISHED.items()
        ]

    @classmethod
    def sample(cls, out: Path, *, seed: int = 0) -> None:
        """Write a dozen label files with a walking person and every quirk of the real ones."""
        from .sample import write_sample

        write_sample(out, seed)


def _labels(folder: Path) -> list[Path]:
    """The label files under the folder that holds ``labels``, or is it, in the order of their names."""
    inside = folder if folder.name.lower() == "labels" else in_any_case(folder, "labels")
    return [path for path in files(inside, 0, also=_NAME.fullmatch) if _NAME.fullmatch(path.name)]


class _Frames(NamedTuple):
    """The frames of several labels, one after the other: attributes of :class:`Label`."""

    box: Floats
    joints: Floats
    visible: Bools
    numbers: Floats


def _sequences(labels: list[Label], found: list[list[str]], frames: str | None) -> pa.Table:
    """A row of each label, with the codes of its defects."""
    sizes = [label.size or (None, None) for label in labels]
    return table(
        {
            "sequence": [label.sequence for label in labels],
            "action": [label.action for label in labels],
            "media": [f"{frames}/{label.sequence}" if frames else None for label in labels],
            "n_frames": [len(label.joints) for label in labels],
            "width": [width for width, _ in sizes],
            "height": [height for _, height in sizes],
            "splits": [label.splits for label in labels],
            "readme_action": [README_NAMES[label.action] if label.action else None for label in labels],
            "pose": [label.pose for label in labels],
            "defects": found,
        },
        SEQUENCES,
    )


def _poses(labels: list[Label], frames: _Frames) -> pa.Table:
    lengths = [len(label.joints) for label in labels]
    box, joints, visible, numbers = frames
    torso = torsos(numbers)
    bbox = np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], axis=1)
    return table(
        {
            "sequence": pa.array([label.sequence for label in labels]).take(np.repeat(np.arange(len(labels)), lengths)),
            "frame": np.concatenate([np.arange(length, dtype=np.int32) for length in lengths]),
            "person": np.zeros(len(box), np.int64),
            "bbox": vector(bbox.astype(np.float32), mask=_any(~(bbox[:, 2:] > 0))),
            "keypoints": joints,
            "visibility": np.isfinite(joints[..., 0]).astype(np.uint8) + visible,  # whatever is visible has a place
            "box": vector(box, mask=_any(np.isnan(box))),
            **{name: pa.array(torso[:, place], from_pandas=True) for place, name in enumerate(TORSOS)},
        },
        POSES,
    )


def _any(flags: Bools) -> Bools:
    """Which rows have a true flag."""
    return np.asarray(flags.any(axis=1))


def defects(labels: list[Label], frames: _Frames) -> list[list[str]]:
    """The codes of :data:`DEFECTS` that hold for each label."""
    lengths = np.array([len(label.joints) for label in labels])
    firsts = lengths.cumsum() - lengths
    box, joints, visible, _ = frames
    edge = np.repeat([label.size or (np.inf, np.inf) for label in labels], lengths, axis=0) - 1
    x1, y1, x2, y2 = box.T
    low, high = box[:, :2], box[:, 2:]
    seen = np.where(visible[..., None], joints, np.nan)
    # comparisons with NaN, of an unseen joint or an absent box, are false
    by_frame = {
        "box-degenerate": (x2 <= x1) | (y2 <= y1),
        "box-outside": _any_outside(box.reshape(-1, 2, 2), 0, edge),
        "no-joints": ~_any(visible),
        "joint-outside-box": _any_outside(seen, low - 1, high + 1),
        "joint-outside-picture": _any_outside(seen, 0, edge),
    }
    found: dict[str, Bools] = {code: np.logical_or.reduceat(flags, firsts) for code, flags in by_frame.items()}
    found["box-missing"] = np.array([label.box_rows for label in labels]) < lengths
    found["joint-never-visible"] = np.asarray(~np.logical_or.reduceat(visible, firsts).all(axis=1))
    return [[code for code in DEFECTS if found[code][place]] for place in range(len(labels))]


def _any_outside(points: Floats, low: Floats | int, high: Floats) -> Bools:
    """(T,) whether any of (T, N, 2) points lies beyond the bounds (T, 2); NaN does not."""
    return _any((np.fmin.reduce(points, axis=1) < low) | (np.fmax.reduce(points, axis=1) > high))


def _counts(sequences: pa.Table, poses: pa.Table) -> dict[str, int]:
    """What a store holds, by the names of :data:`PUBLISHED`."""
    visibility = to_numpy(poses["visibility"], POSES.field("visibility"))
    found = {
        "sequences": len(sequences),
        "frames": pc.sum(sequences["n_frames"]).as_py(),
        "visible joints": int((visibility == 2).sum()),
        "occluded joints with a place": int((visibility == 1).sum()),
    }
    for row in pc.value_counts(sequences["action"]).to_pylist():
        found[f"sequences of {row['values']}"] = row["counts"]
    for splits, frames in zip(sequences["splits"].to_pylist(), sequences["n_frames"].to_pylist(), strict=True):
        for split in splits:
            found[f"sequences in {split}"] = found.get(f"sequences in {split}", 0) + 1
            found[f"frames in {split}"] = found.get(f"frames in {split}", 0) + frames
    return found
