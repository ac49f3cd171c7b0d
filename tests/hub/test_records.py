"""The state of an accumulator: one record per sequence, in the order of their names, whatever the order of work."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from har_bench.errors import HarBenchError
from har_bench.protocol import Records, matrix


def recorded(*names: str) -> Records[list[float]]:
    records: Records[list[float]] = Records()
    for name in names:
        records.add(name, [float(len(name)), 1.0])
    return records


def test_records_come_in_the_order_of_their_names() -> None:
    records = recorded("bb", "a", "ccc")
    assert records.names() == ["a", "bb", "ccc"]
    assert records.derived(matrix).tolist() == [[1, 1], [2, 1], [3, 1]]
    assert recorded().derived(matrix).shape == (0, 0)


def test_a_sequence_comes_once() -> None:
    records = recorded("a")
    with pytest.raises(HarBenchError, match="sequence 'a' was scored twice; a batch must hold whole sequences"):
        records.add("a", [0.0])
    with pytest.raises(HarBenchError, match="sequence 'a' was scored twice"):
        records.merge(recorded("b", "a"))


def test_what_was_derived_is_computed_once_and_forgotten_when_a_record_is_added() -> None:
    calls: list[int] = []

    def total(records: Records[list[float]]) -> float:
        calls.append(len(records))
        return float(np.sum([row[0] for row in records.values()]))

    records = recorded("a", "bb")
    assert [records.derived(total), records.derived(total)] == [3, 3]
    records.add("ccc", [3.0, 1.0])
    assert records.derived(total) == 6
    assert calls == [2, 3]


def test_records_travel_without_what_was_derived() -> None:
    records = recorded("a", "bb")
    records.derived(matrix)
    other = pickle.loads(pickle.dumps(records))
    assert other.names() == ["a", "bb"]
    other.merge(recorded("c"))
    assert (len(other), len(records), "c" in other, other["a"]) == (3, 2, True, [1.0, 1.0])
