"""Time of every protocol as its store grows: ten times the sequences take about ten times as long, by the processor.

In a plain test run, without ``--benchmark-enable``, the stores are a third of that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import har_bench
from har_bench import registry
from har_bench.protocol import make_protocol
from tests.enlarged import predicted, stores
from tests.timing import processor_seconds

COPIES = 4
"""Of a dataset's sample, in each part."""

ALLOWED = 15.0
"""What is added to a square would take a hundred times as long; the machine is never quiet."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    return stores(tmp_path_factory.mktemp("stores"))


@pytest.mark.benchmark(group="time: a store ten times as large")
@pytest.mark.parametrize("name", registry.available("protocols"))
def test_time(
    benchmark: BenchmarkFixture,
    name: str,
    store: Callable[..., Any],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    dataset, works = registry.load("protocols", name).dataset, []
    fewest, rounds = (3, 3) if request.config.getoption("benchmark_enable") else (1, 1)
    for parts in (fewest, 10 * fewest):
        opened, path = store(dataset, parts=parts, copies=COPIES), tmp_path / f"{parts}.parquet"
        pq.write_table(predicted(make_protocol(name), opened), path)
        works.append(partial(har_bench.score, make_protocol(name), opened, path, resamples=0))
    small, large = processor_seconds(*works, rounds=rounds)
    benchmark.pedantic(works[-1], rounds=1)
    benchmark.extra_info |= {"seconds": [round(small, 3), round(large, 3)], "times": round(large / small, 1)}
    assert large < ALLOWED * small
