"""AVA's keyframes as numbers: which detections and which objects are on which keyframe of which video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Anything, Ints

BEGINNING = 900
"""The second of a film that is frame 0."""

FPS = 30
"""The rate at which the field numbers the frames of AVA's films."""

TICKS = 1_000_000
"""Of a second: the official key of a keyframe has six decimals."""

SPAN = 1 << 44
"""More ticks than a video has: a keyframe's code is the number of its video times this, plus its ticks."""


@dataclass(frozen=True)
class Objects:
    """The boxes of evaluated actions in some videos, by keyframe and then by class.

    Attributes:
        codes: (G,) keyframes.
        classes: (G,) from 0.
        boxes: (G, 4) x1, y1, x2, y2 as fractions of the image.
        every: the codes of all annotated keyframes, also those without an evaluated action or without a box.
    """

    codes: Ints
    classes: npt.NDArray[np.int16]
    boxes: Anything
    every: Ints

    def on(self, keyframes: Ints) -> tuple[Anything, npt.NDArray[np.int16], Ints]:
        """Boxes and classes of what is on the keyframes, and where each keyframe's begin."""
        kept = np.isin(self.codes, keyframes)
        codes = self.codes[kept]
        return (
            self.boxes[kept],
            self.classes[kept],
            np.searchsorted(codes, np.append(keyframes, np.iinfo(np.int64).max)),
        )


def ticked(seconds: Anything) -> Ints:
    """(N,) seconds in whole ticks; -1 for what is negative, too large or no number."""
    known = (seconds >= 0) & (seconds < SPAN / TICKS)
    return np.where(known, np.rint(np.where(known, seconds, 0) * TICKS), -1).astype(np.int64)


def coded(starts: Ints, ticks: Ints) -> Ints:
    """(N,) one number for video and time together, which sorts as they do; -1 where there is no time."""
    videos = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return np.where(ticks < 0, -1, videos * SPAN + ticks)


def listed(sequences: pa.Table, column: str) -> Ints:
    """The codes of a list of keyframes that the store has for each video, sorted."""
    lists: Sequence[list[float] | None] = sequences[column].to_pylist()
    codes = [video * SPAN + round(second * TICKS) for video, listed in enumerate(lists) for second in listed or ()]
    return np.unique(np.array(codes, np.int64))


def runs(codes: Ints) -> tuple[Ints, Ints]:
    """The codes without repetitions of the one before, and (R + 1,) where each run of equal ones begins."""
    edges = np.flatnonzero(np.diff(codes)) + 1
    starts = np.concatenate([[0], edges, [len(codes)]]) if len(codes) else np.zeros(1, np.int64)
    return codes[starts[:-1]], starts


def group(codes: Ints, keyframes: Ints) -> tuple[Ints, Ints]:
    """Row numbers of detections by keyframe, in their order within each.

    Args:
        codes: (N,) what tells the keyframe of each detection.
        keyframes: (F,) ascending; detections elsewhere are left out.

    Returns:
        (R,) row numbers, and (F + 1,) where each keyframe's begin.
    """
    values, starts = runs(codes)
    frame = np.searchsorted(keyframes, values)
    known = np.flatnonzero(np.append(keyframes, -1)[frame] == values)
    known = known[np.argsort(frame[known], kind="stable")]
    lengths = (starts[1:] - starts[:-1])[known]
    ends = np.cumsum(lengths)
    rows = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts[known] - (ends - lengths), lengths)
    sizes = np.bincount(frame[known], lengths, len(keyframes)).astype(np.int64)
    return rows, np.concatenate([[0], np.cumsum(sizes)])
