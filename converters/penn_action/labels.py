"""One label file of Penn Action, ``labels/0001.mat``, as clean arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from har_bench.arrays import Bools, Floats
from har_bench.converter import Reject
from har_bench.errors import HarBenchError
from har_bench.foreign.mat import load_mat

JOINTS = 13
README_NAMES = {
    "baseball_pitch": "baseball_pitch",
    "baseball_swing": "baseball_swing",
    "bench_press": "bench_press",
    "bowl": "bowling",
    "clean_and_jerk": "clean_and_jerk",
    "golf_swing": "golf_swing",
    "jump_rope": "jump_rope",
    "jumping_jacks": "jumping_jacks",
    "pullup": "pull_ups",
    "pushup": "push_ups",
    "situp": "sit_ups",
    "squat": "squats",
    "strum_guitar": "strumming_guitar",
    "tennis_forehand": "tennis_forehand",
    "tennis_serve": "tennis_serve",
}
"""The 15 actions in alphabetical order: their name in the label files, and in the README of the download."""

POSES = ("front", "back", "left", "right")
"""What ``pose``, the coarse viewpoint, may be."""

SPLITS = {1: "standard/train", -1: "standard/test"}
"""The values of ``train``; the test one is -1, which is true in most languages."""

TORSOS = {"torso": ([2], [7]), "torso_middle": ([1, 2], [7, 8])}
"""From which joints to which a torso reaches: left shoulder to right hip, and mid-shoulder to mid-hip."""

_OWN_NAMES = {name: own for own, readme in README_NAMES.items() for name in (own, readme)}
_FARTHEST = 1e5  # px; the frames lie within 640 x 480
_LONGEST_SIDE = 1 << 16
_PLACEHOLDER = 3.0
"""Raw px: where both coordinates of an invisible joint are less, they are the rescaled (1, 1) and no place."""


@dataclass(frozen=True)
class Label:
    """What a label file says; coordinates are 0-based pixels.

    Attributes:
        sequence: the file's name without extension.
        action: its name in the label files; None for an unknown one.
        pose: the viewpoint, one of :data:`POSES`; None for an unknown one.
        splits: the split it belongs to.
        size: width and height [px]; None where the file has no usable ones.
        joints: (T, 13, 2) [px], NaN where the joint has no place.
        visible: (T, 13); a joint that has a place and is not visible is occluded.
        numbers: (T, 13, 2) the file's own for the joints [px, 1-based], of placeholders too.
        box: (T, 4) x1, y1, x2, y2 [px], NaN where the file has no row.
        box_rows: how many rows the file has.
    """

    sequence: str
    action: str | None
    pose: str | None
    splits: list[str]
    size: tuple[int, int] | None
    joints: Floats
    visible: Bools
    numbers: Floats
    box: Floats
    box_rows: int


class _File(NamedTuple):
    """The variables of a label file, and where to say what is wrong with them."""

    source: str
    variables: dict[str, Any]
    rejects: list[Reject]

    def repaired(self, locator: str, reason: str) -> None:
        self.rejects.append(Reject(self.source, locator, reason, "repaired"))

    def matrix(self, name: str, columns: int) -> Floats:
        """A (T, columns) variable as float64: the files have unsigned integers too, whose differences would wrap."""
        found = self.variables.get(name)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "biuf" or found.shape[1:] != (columns,):
            raise HarBenchError(f"{name} is not a table of numbers with {columns} columns")
        return found.astype(np.float64, copy=False)

    def number(self, name: str) -> float:
        """A 1 x 1 variable; NaN for anything else."""
        found = self.variables.get(name)
        usable = isinstance(found, np.ndarray) and found.dtype.kind in "biuf" and found.size == 1
        return float(found.item()) if isinstance(found, np.ndarray) and usable else np.nan

    def word(self, name: str) -> str:
        """A text variable; empty for anything else."""
        found = self.variables.get(name)
        return (
            str(found.item()) if isinstance(found, np.ndarray) and found.dtype.kind == "U" and found.size == 1 else ""
        )


def read_label(path: Path, source: str, rejects: list[Reject]) -> Label | None:
    """Read a label file.

    Args:
        path: the file.
        source: its path under the raw root.
        rejects: gets what is wrong with the file.

    Returns:
        The label; None where the file is unusable, and dropped.
    """
    try:
        return _label(path.stem, _File(source, load_mat(path), rejects))
    except HarBenchError as error:
        rejects.append(Reject(source, path.stem, str(error).replace(str(path), path.name), "dropped"))
        return None


def _label(sequence: str, file: _File) -> Label:
    x, y, flags = (file.matrix(name, JOINTS) for name in ("x", "y", "visibility"))
    if not len(x) == len(y) == len(flags):
        raise HarBenchError(f"x, y and visibility have {len(x)}, {len(y)} and {len(flags)} rows; one per frame each")
    if not len(x):
        raise HarBenchError("x, y and visibility have no row; one per frame is expected")
    if file.number("nframes") != len(x):
        file.repaired("nframes", f"it is not {len(x)}, the number of rows of x; the rows count")
    placed, visible = _placed(file, x, y, flags)
    numbers = np.stack([x, y], axis=-1)
    box, rows = _boxes(file, len(x))
    train = file.number("train")
    if train not in SPLITS:
        file.repaired("train", "it is neither 1 (train) nor -1 (test); the sequence is in no split")
    action = _OWN_NAMES.get(file.word("action"))
    if action is None:
        file.repaired("action", f"{file.word('action')[:40]!r} is none of the 15 actions; it is null in the store")
    pose = file.word("pose")
    if pose not in POSES:
        file.repaired("pose", f"{pose[:40]!r} is none of {', '.join(POSES)}; it is null in the store")
    return Label(
        sequence=sequence,
        action=action,
        pose=pose if pose in POSES else None,
        splits=[SPLITS[int(train)]] if train in SPLITS else [],
        size=_size(file, len(x)),
        joints=np.where(placed[..., None], numbers - 1, np.nan),
        visible=visible,
        numbers=numbers,
        box=box,
        box_rows=rows,
    )


def _placed(file: _File, x: Floats, y: Floats, flags: Floats) -> tuple[Bools, Bools]:
    """(T, 13) which joints have a place, and which of them are visible.

    Six of ten invisible joints were labelled where they must be; the others hold a rescaled placeholder.
    """
    visible = flags == 1
    if not (known := visible | (flags == 0)).all():
        reason = f"{int((~known).sum())} values that are neither 0 nor 1; these joints count as occluded"
        file.repaired("visibility", reason)
    placed = (np.abs(x) < _FARTHEST) & (np.abs(y) < _FARTHEST)
    if not placed.all():
        for kind, lost in (("visible", visible & ~placed), ("occluded", ~visible & ~placed)):
            if lost.any():
                reason = f"{int(lost.sum())} {kind} joints without a position; they are absent in the store"
                file.repaired("x, y", reason)
    placed &= visible | (x >= _PLACEHOLDER) | (y >= _PLACEHOLDER)
    return placed, visible & placed


def torsos(numbers: Floats) -> Floats:
    """(T, 2) the lengths of :data:`TORSOS` [px], of files' own numbers (T, 13, 2); NaN where there is no number."""
    ends = ((_middle(numbers, above), _middle(numbers, below)) for above, below in TORSOS.values())
    return np.stack([np.linalg.norm(above - below, axis=0) for above, below in ends], axis=1)


def _middle(numbers: Floats, joints: list[int]) -> Floats:
    """(2, T) x and y between joints; NaN where one has no number. Along T: NumPy is slow along so short an axis."""
    places = np.ascontiguousarray(numbers[:, joints].T)
    return np.asarray(np.where((np.abs(places) < _FARTHEST).all(axis=0), places, np.nan).mean(axis=1))


def _boxes(file: _File, frames: int) -> tuple[Floats, int]:
    """(T, 4) boxes, NaN where there is none, and the number of rows in the file."""
    try:
        raw = file.matrix("bbox", 4)
    except HarBenchError as error:
        file.repaired("bbox", f"{error}; the boxes are null in the store")
        raw = np.empty((0, 4))
    if len(raw) > frames:
        file.repaired("bbox", f"{len(raw)} rows for {frames} frames; the rest is left out")
    rows = min(len(raw), frames)
    box = np.full((frames, 4), np.nan)
    box[:rows] = raw[:rows] - 1
    finite = np.abs(box[:rows]) < _FARTHEST
    if not finite.all():
        lost = ~finite.all(axis=-1)
        file.repaired("bbox", f"{int(lost.sum())} boxes that are not finite; they are null in the store")
        box[:rows][lost] = np.nan
    return box, rows


def _size(file: _File, frames: int) -> tuple[int, int] | None:
    """Width and height from ``dimensions``, which is height, width, number of frames."""
    found = file.variables.get("dimensions")
    if isinstance(found, np.ndarray) and found.dtype.kind in "iuf" and found.size == 3:
        height, width, length = found.astype(np.float64).ravel().tolist()
        if all(1 <= side < _LONGEST_SIDE and side == int(side) for side in (height, width)):
            if length != frames:
                file.repaired(
                    "dimensions", f"its third number is not {frames}, the number of rows of x; the rows count"
                )
            return int(width), int(height)
    file.repaired("dimensions", "no height, width and number of frames; width and height are null in the store")
    return None
