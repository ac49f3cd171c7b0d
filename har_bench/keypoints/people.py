"""Several persons in a frame, of whom a lifting model wants one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError, unknown


@dataclass(frozen=True)
class People:
    """Detected persons, one a row, in any order.

    Attributes:
        frame: (n,) numbers of the frames.
        points: (n, J, 2 or 3) px; the third is a confidence; NaN where the detector found no joint.
        score: (n,) how sure the detector is.
        person: (n,) the tracker's ids, when the file has some.
    """

    frame: npt.NDArray[np.int64]
    points: npt.NDArray[np.float32]
    score: npt.NDArray[np.float64]
    person: npt.NDArray[np.int64] | None = None

    def one(self, path: Path, person: int | None = None) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Frames, sorted, and points of one person: the one with this id, else the best one of each frame.

        Raises:
            HarBenchError: the file tells no persons apart, or has none of this id.
        """
        chosen = np.arange(len(self.frame))
        if person is not None:
            if self.person is None:
                raise HarBenchError(f"{path} does not tell persons apart; leave the person out, or track them first")
            chosen = np.flatnonzero(self.person == person)
            if not len(chosen):
                raise unknown(f"person of {path}", person, map(str, np.unique(self.person)))
        # the last key sorts first; of equal scores the first in the file wins
        chosen = chosen[np.lexsort((-self.score[chosen], self.frame[chosen]))]
        frames, first = np.unique(self.frame[chosen], return_index=True)
        return frames, self.points[chosen[first]]


def unseen_as_nan(points: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """(..., 3) x, y, confidence; a joint at 0, 0 with confidence 0 was not found, and becomes NaN, NaN, 0."""
    points = np.array(points, np.float32)
    points[(points == 0).all(axis=-1), :2] = np.nan
    return points
