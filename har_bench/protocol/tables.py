"""What tables of results are made of: shares, means and cells, and the rows of a breakdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats, Ints


def share(hits: npt.ArrayLike, counted: npt.ArrayLike, *, of: float = 100) -> Floats:
    """Hits over what was counted, in percent; NaN where nothing was.

    Args:
        hits: any shape.
        counted: any shape that fits it.
        of: what a hit counts as; 1 where ``hits`` are hundredths already, so that no sum of them rounds.
    """
    above, below = np.broadcast_arrays(np.asarray(hits, np.float64), np.asarray(counted, np.float64))
    found: Floats = np.full(below.shape, np.nan)
    np.divide(of * above, below, out=found, where=below > 0)
    return found


def mean(values: npt.ArrayLike) -> float:
    """The plain mean of the numbers that there are; NaN where there is none."""
    numbers = np.asarray(values, np.float64)
    present = numbers[np.isfinite(numbers)]
    return float(present.mean()) if len(present) else float("nan")


def cell(value: float | Floats) -> float | None:
    """A table's number; None where there is none."""
    return float(value) if np.isfinite(value) else None


FEW = 128
"""Of so many groups a matrix tells the members; of a group for each sequence it would grow with their square."""


@dataclass(frozen=True)
class Members:
    """Which rows belong together.

    Attributes:
        groups: (G,) the distinct values of the rows, sorted.
        index: (S,) the group of each row.
    """

    groups: list[str]
    index: Ints

    @classmethod
    def of(cls, values: Iterable[str]) -> Members:
        """The rows that have the same value."""
        groups, index = np.unique(np.array(list(values), str), return_inverse=True)
        return cls(groups.tolist(), index)

    def sums(self, rows: npt.ArrayLike) -> Floats:
        """(G, K) sums of (S, K) rows."""
        given, numbers = np.asarray(rows, np.float64), np.arange(len(self.groups))
        if len(numbers) <= FEW:  # sums in the order of a matrix product, which the results that are out there have
            belongs = (self.index == numbers[:, None]).astype(np.float64)
            found: Floats = np.matmul(belongs, given)
        else:
            order = np.argsort(self.index, kind="stable")
            found = np.add.reduceat(given[order], np.searchsorted(self.index[order], numbers))
        return found


def grouped(values: Iterable[str], rows: npt.ArrayLike) -> tuple[list[str], Floats]:
    """The distinct values, sorted, and the (G, K) sums of their (S, K) rows."""
    members = Members.of(values)
    return members.groups, members.sums(rows)


def places(names: Sequence[str], wanted: Iterable[str]) -> Ints:
    """Where the wanted names are among the names."""
    return np.array([names.index(name) for name in wanted], np.int64)
