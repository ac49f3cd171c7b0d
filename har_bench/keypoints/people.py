"""Persons that a detector found in the frames of a video, before anybody is chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Bools, Ints, Singles


@dataclass(frozen=True)
class People:
    """Detected persons, one a row, in any order.

    Attributes:
        frame: (n,) numbers of the frames.
        points: (n, J, 2 or 3) px; the third is a confidence; NaN where the detector found no joint.
        score: (n,) how sure the detector is.
        person: (n,) the tracker's ids, when the file has some.
    """

    frame: Ints
    points: Singles
    score: npt.NDArray[np.float64]
    person: Ints | None = None

    def __len__(self) -> int:
        return len(self.frame)

    def kept(self, rows: Ints | Bools) -> People:
        """Some of the rows."""
        person = None if self.person is None else self.person[rows]
        return replace(self, frame=self.frame[rows], points=self.points[rows], score=self.score[rows], person=person)

    @property
    def seen(self) -> Bools:
        """(n,) whether a row has any joint at all."""
        there = np.isfinite(self.points[..., :2]).all(axis=-1)
        return np.asarray(there.any(axis=-1))

    def best(self) -> tuple[Ints, Singles]:
        """Frames, sorted, and points of the best person in each; of equal scores the first in the file wins."""
        rows = best_rows(self.frame, self.score)
        return self.frame[rows], self.points[rows]


def best_rows(frame: Ints, score: npt.NDArray[np.float64]) -> Ints:
    """One row for each frame, in the order of the frames: that of the best score."""
    order = np.lexsort((-score, frame))  # the last key sorts first
    _, first = np.unique(frame[order], return_index=True)
    rows: Ints = order[first]
    return rows


def unseen_as_nan(points: npt.NDArray[Any]) -> Singles:
    """(..., 2 or 3) x, y and a confidence, as float32; a joint at 0, 0 was not found, and becomes NaN, NaN, 0.

    A joint of which one coordinate is not finite was not found either.
    """
    found = np.array(points, np.float32)
    place = found[..., :2]
    missing = (place == 0).all(axis=-1) | ~np.isfinite(place).all(axis=-1)
    found[missing, :2] = np.nan
    if found.shape[-1] > 2:
        found[missing | ~np.isfinite(found[..., 2]), 2] = 0
    return found
