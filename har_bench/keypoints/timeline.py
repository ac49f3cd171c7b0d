"""One person's frames as a row each: from when to when, and where too little was seen to fill the gaps.

A gap is filled from what was seen around it. One that is longer than all that was seen is no gap: the numbers are
likely those of images and not of frames. So memory depends on what is there, and not on the largest number.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from har_bench.arrays import Ints, Singles
from har_bench.errors import HarBenchError

SPARSEST = 100
"""Of so many frames at least one must have been seen."""


@dataclass(frozen=True)
class Rows:
    """A row for each frame.

    Attributes:
        start: the frame of the first row, counted from frame 0.
        points: (T, J, 2 or 3) px; NaN in frames without a detection.
    """

    start: int
    points: Singles


def in_rows(path: Path, who: str, frames: Ints, points: Singles, *, first: int, span: tuple[int, int]) -> Rows:
    """Give every frame a row.

    Args:
        path: the file, for errors.
        who: the person, for errors.
        frames: (n,) numbers of frames, sorted, each once.
        points: (n, J, 2 or 3) px.
        first: the number that is frame 0; what is before it is left out.
        span: numbers of the first and last frames that rows are wanted for. Rows before the first and after the last
            sighting are given unless they are more than what was seen.

    Raises:
        HarBenchError: nobody is seen from the first frame on, or a gap is longer than what was seen.
    """
    kept = frames >= first
    frames, points = frames[kept], points[kept]
    if not len(frames):
        raise HarBenchError(f"{path} has {who} in no frame from {first} on; give an earlier --first-frame")
    missing = np.diff(frames) - 1
    longest = int(missing.argmax()) if len(missing) else 0
    if len(missing) and missing[longest] > len(frames):
        raise HarBenchError(
            f"{path}: {who} is seen in {len(frames):,} frames and then, after frame {frames[longest]}, missing in "
            f"{missing[longest]:,}; number the frames of one video one by one, or cut the file there"
        )
    begin, end = int(frames[0]), int(frames[-1])
    if end - begin >= SPARSEST * len(frames):
        raise HarBenchError(
            f"{path}: {who} is seen in {len(frames):,} of {end - begin + 1:,} frames; number the frames one by one"
        )
    earliest, latest = max(span[0], first), span[1]
    begin = earliest if begin - earliest <= len(frames) else begin
    end = max(end, latest) if latest - end <= len(frames) else end
    every = np.full((end - begin + 1, *points.shape[1:]), np.nan, np.float32)
    every[frames - begin] = points
    return Rows(begin - first, every)
