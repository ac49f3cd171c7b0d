"""Rows of tables by number and by what their lists hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.schema import one_array


def by_number(numbers: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Each number that there is, in rising order, with its places in their order.

    >>> [(number, places.tolist()) for number, places in by_number(np.array([7, 3, 7]))]
    [(3, [1]), (7, [0, 2])]
    """
    order = np.argsort(numbers, kind="stable")
    found, starts = np.unique(numbers[order], return_index=True)
    if len(found):
        yield from zip(found.tolist(), np.split(order, starts[1:]), strict=True)


def spanned(first: npt.NDArray[np.int64], count: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The numbers of the rows of spans, one span after the other."""
    ends = np.cumsum(count)
    return np.repeat(first - ends + count, count) + np.arange(ends[-1])


def containing(lists: pa.ChunkedArray, names: set[str]) -> pa.Array:
    """Which rows of a list column hold one of ``names``."""
    array = one_array(lists)
    hits = pc.is_in(array.flatten(), value_set=pa.array(sorted(names)))
    found = np.zeros(len(array), bool)
    found[pc.list_parent_indices(array).filter(hits).to_numpy()] = True
    return pa.array(found)
