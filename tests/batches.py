"""Batches in parts: what an accumulator must make of them is what it makes of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st

from har_bench.protocol import Batch, Protocol

P = TypeVar("P", bound=Protocol)

SEEDS = st.integers(0, 3)


def shared_out(count: int) -> tuple[st.SearchStrategy[list[int]], st.SearchStrategy[set[int]]]:
    """So many sequences in any order, and the cuts between the workers that score them, for :func:`merged`."""
    return st.permutations(range(count)), st.sets(st.integers(1, count - 1))


def part(of: Batch, chosen: list[int], shuffle: int | None = None) -> Batch:
    """Some sequences of a batch, in the order given; their rows shuffled if ``shuffle`` is a seed."""
    rows = [np.arange(of.starts[index], of.starts[index + 1]) for index in chosen]
    if shuffle is not None:
        random = np.random.default_rng(shuffle)
        rows = [random.permutation(each) for each in rows]
    take = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    starts = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return Batch(of.sequences.take(chosen), starts, {name: values[take] for name, values in of.columns.items()})


def scored(protocol: P, truth: Batch, predictions: Batch) -> P:
    """A fresh accumulator that has scored one batch."""
    fresh = protocol.fresh()
    fresh.update(truth, predictions)
    return fresh


def merged(
    protocol: P, truth: Batch, predictions: Batch, order: list[int], cuts: Iterable[int], shuffle: int | None = None
) -> P:
    """Sequences in some order, shared out at the cuts between workers that are merged."""
    whole = protocol.fresh()
    for start, stop in pairwise([0, *sorted(cuts), len(order)]):
        chosen = order[start:stop]
        other = None if shuffle is None else shuffle + 1
        whole.merge(scored(protocol, part(truth, chosen, shuffle), part(predictions, chosen, other)))
    return whole


def repeated(protocol: P, truth: Batch, predictions: Batch, times: Sequence[int]) -> P:
    """Each sequence scored so many times under other names; a bootstrap's weights stand for nothing else."""
    whole = protocol.fresh()
    for copy in range(max(times)):
        chosen = [index for index, count in enumerate(times) if count > copy]
        names = [f"{index:04}-{copy}" for index in chosen]
        place = truth.sequences.column_names.index("sequence")
        whole.update(
            *(
                replace(side, sequences=side.sequences.set_column(place, "sequence", [names]))
                for side in (part(truth, chosen), part(predictions, chosen))
            )
        )
    return whole


def no_order_shows(protocol: Protocol, pair: tuple[Batch, Batch], order: list[int], cuts: set[int], seed: int) -> None:
    """Sequences in another order, between other workers, and rows in another order: not a digit differs.

    Raises:
        AssertionError: one does.
    """
    whole, parts = scored(protocol, *pair), merged(protocol, *pair, order, cuts, seed)
    assert parts.compute() == whole.compute()
    weights = np.resize([2.0, 0, 1, 1, 1], len(order))
    assert parts.units() == whole.units()
    assert parts.metrics_of(weights) == whole.metrics_of(weights)
    alike = whole.metrics_of(np.ones(len(order)))
    np.testing.assert_allclose(list(alike.values()), list(whole.metrics_of().values()), rtol=0, atol=1e-9)
