"""What tables of results are made of: shares, means and cells, and the rows of a breakdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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


def grouped(values: Iterable[str], rows: npt.ArrayLike) -> tuple[list[str], Floats]:
    """The distinct values, sorted, and the (G, K) sums of their (S, K) rows."""
    groups, index = np.unique(np.array(list(values), str), return_inverse=True)
    member = (index == np.arange(len(groups))[:, None]).astype(np.float64)
    return groups.tolist(), np.matmul(member, np.asarray(rows, np.float64))


def places(names: Sequence[str], wanted: Iterable[str]) -> Ints:
    """Where the wanted names are among the names."""
    return np.array([names.index(name) for name in wanted], np.int64)
