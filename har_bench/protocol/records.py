"""The state of an accumulator: one record per unit that was scored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError

R = TypeVar("R")
T = TypeVar("T")


class Records(Generic[R]):
    """One record per unit, which is a sequence; whatever is made of them runs in the order of their names.

    So neither the order of batches nor the number of workers changes a digit.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, R] = {}
        self._derived: dict[Callable[..., Any], Any] = {}

    def add(self, name: str, record: R) -> None:
        """Take one unit's record; a unit comes in one piece, once.

        Raises:
            HarBenchError: it came before.
        """
        if name in self._by_name:
            raise HarBenchError(f"sequence {name!r} was scored twice; a batch must hold whole sequences")
        self._by_name[name] = record
        self._derived.clear()

    def merge(self, other: Self) -> None:
        """Take over another accumulator's records.

        Raises:
            HarBenchError: both have one of the same unit.
        """
        for name, record in other._by_name.items():
            self.add(name, record)

    def names(self) -> list[str]:
        """The units, sorted."""
        return self.derived(_sorted)

    def values(self) -> list[R]:
        """The records, in the order of :meth:`names`."""
        return [self._by_name[name] for name in self.names()]

    def derived(self, compute: Callable[[Records[R]], T]) -> T:
        """What a function makes of these records: computed when first asked, forgotten when a record is added."""
        if compute not in self._derived:
            self._derived[compute] = compute(self)
        return cast(T, self._derived[compute])

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> R:
        return self._by_name[name]

    def __getstate__(self) -> dict[str, R]:
        return self._by_name

    def __setstate__(self, state: dict[str, R]) -> None:
        self._by_name, self._derived = state, {}


def _sorted(records: Records[Any]) -> list[str]:
    return sorted(records._by_name)


def matrix(records: Records[npt.ArrayLike]) -> Floats:
    """(S, K) records that are K numbers each, in the order of the names; (0, 0) when there are none."""
    return np.stack([np.asarray(record, np.float64) for record in records.values()]) if records else np.zeros((0, 0))
