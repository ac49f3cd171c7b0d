"""What every protocol promises, for every registered one and all its recipes: no order of work changes a digit.

Each dataset's sample is scored eight times over, in eight parts, with scores that tie on purpose and with sequences
that have no prediction. Equality is that of every digit of every number and of every row of the tables.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import har_bench
from har_bench import HarBenchError, Store, registry, results
from har_bench.protocol import Batch, Protocol, make_protocol
from har_bench.protocol.checking import require
from har_bench.scoring.pairing import prepared
from tests import enlarged
from tests.enlarged import predicted

PARTS = 8
PROTOCOLS = {name: registry.load("protocols", name) for name in registry.available("protocols")}
CASES = [(name, recipe) for name, found in PROTOCOLS.items() for recipe in found.recipes]
TASKS = {found.task: name for name, found in PROTOCOLS.items()}
LAYOUTS = {("coco/oks", "crowdpose"): "crowdpose14", ("coco/oks", "wholebody"): "coco-wholebody133"}
"""The joints of recipes that score others than those of the dataset's sample."""

NEEDS_ALL = {"merl/segmental"}
"""Protocols that take no sequence without predictions, as their field's tool does not."""

BY_FILE = {"coco/oks", "mpii/map", "ava/frame-map"}
"""Protocols whose tools rank equal scores of one image as the file has them, which is documented and decides digits."""

MATCHED_BY_FILE = {("mpii/map", "official"), ("ava/frame-map", "slowfast")}
"""Of these, recipes whose tools also let the file decide, whatever the scores, who is matched first."""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The enlarged sample of a protocol and recipe."""
    made = enlarged.stores(tmp_path_factory.mktemp("samples"))
    return lambda name, recipe=None: made(PROTOCOLS[name].dataset, parts=PARTS, layout=LAYOUTS.get((name, recipe), ""))


def made(protocol: Protocol, store: Store, **more: Any) -> pa.Table:
    """Predictions, of which every fifth sequence has none where that is allowed."""
    rows = predicted(protocol, store, **more)
    names = rows["sequence"].unique().to_pylist()
    return (
        rows
        if protocol.name in NEEDS_ALL
        else rows.filter(pc.invert(pc.is_in(rows["sequence"], pa.array(names[4::5]))))
    )


def batches(protocol: Protocol, store: Store, rows: pa.Table) -> list[tuple[Batch, Batch]]:
    return list(prepared(protocol, store, rows, missing="count-as-error").batches())


def scored(protocol: Protocol, pairs: Sequence[tuple[Batch, Batch]]) -> Protocol:
    """A fresh accumulator of some batches, as it comes back from another process."""
    fresh = protocol.fresh()
    for pair in pairs:
        fresh.update(*pair)
    return pickle.loads(pickle.dumps(fresh))  # type: ignore[no-any-return]


def digits(protocol: Protocol) -> dict[str, str]:
    """Everything that a protocol says, by name; as text, which no digit is lost in and NaN is equal in."""
    units, scores = protocol.units(), protocol.compute()
    weights = np.random.default_rng(len(units)).integers(0, 3, len(units)).astype(np.float64)
    said = (units, scores.metrics, scores.tables, scores.counts, protocol.metrics_of(), protocol.metrics_of(weights))
    return dict(leaves(said))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from leaves(inner, f"{path}/{key}")
    else:
        yield path, repr(value)


@pytest.fixture(scope="module")
def cases(stores: Any) -> Any:
    """A protocol, its batches and what it says of them in the order of the store."""

    @cache
    def case(name: str, recipe: str) -> tuple[Protocol, list[tuple[Batch, Batch]], dict[str, str]]:
        protocol, store = make_protocol(name, recipe), stores(name, recipe)
        pairs = batches(protocol, store, made(protocol, store))
        return protocol, pairs, digits(scored(protocol, pairs))

    return case


@pytest.mark.parametrize(("name", "recipe"), CASES)
def test_there_is_something_to_score(name: str, recipe: str, cases: Any) -> None:
    protocol, pairs, _ = cases(name, recipe)
    assert len(pairs) == PARTS
    assert scored(protocol, pairs).compute().metrics[protocol.primary.name] > 0


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_sequence_comes_once(name: str, cases: Any) -> None:
    """It is refused when it comes again, or at the latest when the numbers are asked for."""
    protocol, pairs, _ = cases(name, next(iter(PROTOCOLS[name].recipes)))

    def again(take: Callable[[Protocol], None]) -> None:
        begun = scored(protocol, pairs[:1])
        take(begun)
        begun.compute()

    for take in (lambda begun: begun.update(*pairs[0]), lambda begun: begun.merge(scored(protocol, pairs[:2]))):
        with pytest.raises(HarBenchError, match=r"'.*' was scored twice"):
            again(take)


@pytest.mark.parametrize(("name", "recipe"), CASES)
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(PARTS)), partitions=st.sampled_from([1, 3, 8]), random=st.randoms())
def test_batches_partitions_and_merges(
    name: str, recipe: str, order: list[int], partitions: int, random: Any, cases: Any
) -> None:
    protocol, pairs, expected = cases(name, recipe)
    workers = [scored(protocol, [pairs[place] for place in order[first::partitions]]) for first in range(partitions)]
    random.shuffle(workers)
    whole = protocol.fresh()
    for worker in workers:
        whole.merge(worker)
    assert digits(whole) == expected


@pytest.mark.parametrize(("name", "recipe"), CASES)
@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_rows_of_the_file(name: str, recipe: str, seed: int, cases: Any, stores: Any) -> None:
    """Rows may be in any order; where tools rank equal scores as the file has them, only those rows keep theirs."""
    protocol, _, expected = cases(name, recipe)
    store = stores(name, recipe)
    rows = made(protocol, store)
    order = np.random.default_rng(seed).permutation(len(rows))
    if name in BY_FILE:
        places = rows["sequence"].combine_chunks().dictionary_encode().indices.to_numpy()
        order[np.argsort(places[order], kind="stable")] = np.arange(len(rows))
    assert digits(scored(protocol, batches(protocol, store, rows.take(pa.array(order))))) == expected


@pytest.mark.parametrize(
    ("name", "recipe"),
    [(name, recipe) for name, recipe in CASES if name in BY_FILE and (name, recipe) not in MATCHED_BY_FILE],
)
def test_rows_of_the_file_without_ties(name: str, recipe: str, stores: Any) -> None:
    """Scores that differ leave the file's order nothing to decide."""
    protocol, store = make_protocol(name, recipe), stores(name, recipe)
    rows = made(protocol, store, ties=False)
    shuffled = rows.take(pa.array(np.random.default_rng(0).permutation(len(rows))))
    straight, other = (digits(scored(protocol, batches(protocol, store, each))) for each in (rows, shuffled))
    assert straight == other


@pytest.mark.parametrize(("name", "recipe"), CASES)
def test_its_result_can_be_read_and_published(name: str, recipe: str, stores: Any, tmp_path: Path) -> None:
    """No honest number is outside its own interval, and no identity or bound is in an honest result's way."""
    store = stores(name, recipe)
    rows = made(make_protocol(name, recipe), store)
    found = har_bench.score(f"{name}:{recipe}", store, rows, missing="count-as-error", resamples=200)
    require(results.read(results.write(found, tmp_path / "r.json")), "r.json")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A Dask cluster of two processes."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster.scheduler_address


def result(name: str, store: Store, path: Path, **how: Any) -> dict[str, str]:
    found = har_bench.score(name, store, path, missing="count-as-error", resamples=20, **how)
    said = (found.metrics, found.intervals, found.tables, found.counts, found.environment, found.fingerprints)
    return dict(leaves(said))


@pytest.fixture(scope="module")
def files(stores: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Predictions of a protocol in Parquet, in small row groups."""
    home = tmp_path_factory.mktemp("predictions")

    @cache
    def file(name: str) -> Path:
        path = home / f"{name.replace('/', ' ')}.parquet"
        pq.write_table(made(make_protocol(name), stores(name)), path, row_group_size=100)
        return path

    return file


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_cluster(name: str, stores: Any, files: Any, scheduler: str) -> None:
    straight, spread = (result(name, stores(name), files(name), scheduler=each) for each in (None, scheduler))
    assert straight == spread


@pytest.mark.parametrize("name", TASKS.values(), ids=TASKS)
def test_processes(name: str, stores: Any, files: Any) -> None:
    straight, spread = (result(name, stores(name), files(name), jobs=each) for each in (1, 2))
    assert straight == spread
