"""Building the leaderboard: time grows with the number of results, and no faster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.leaderboard import build
from har_bench.results import Interval, Result, write
from tests.timing import processor_seconds

FEW, MANY = 500, 2000
ACTIONS = "ABCDEFGHIJKLMNO"


@pytest.fixture(scope="module")
def published(smaller: int, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], list[Path]]:
    """Builds the site of so many results of one recipe, each with a breakdown of 15 rows."""
    home = tmp_path_factory.mktemp("leaderboard")
    for place in range(MANY // smaller):
        length = 40 + place / 997
        result = Result(
            protocol="h36m/mpjpe",
            version="1",
            recipe="videopose3d",
            options={},
            dataset="h36m",
            primary="MPJPE",
            metrics={"MPJPE": length, "P-MPJPE": length - 9},
            units={"MPJPE": "mm", "P-MPJPE": "mm"},
            intervals={"MPJPE": Interval(low=length - 1, high=length + 1, resamples=1000)},
            tables={"action": [{"action": action, "MPJPE": length} for action in ACTIONS]},
            counts={"poses": 543_344},
            fingerprints={"store": "5a" * 32, "predictions": f"{place + 16**20:064x}"},
            versions={"har_bench": "0.1.0"},
            environment={"platform": "Linux"},
            model=f"model {place}",
        )
        for number in (FEW, MANY):
            if place < number // smaller:
                write(result, home / f"{number}" / f"{place}.json")
    return lambda number: build(home / f"{number}", home / f"site {number}", datasets=["h36m"])


@pytest.mark.benchmark(group="leaderboard, 2,000 results")
def test_building_is_linear(benchmark: BenchmarkFixture, published: Callable[[int], list[Path]]) -> None:
    benchmark.pedantic(published, (MANY,), rounds=1, warmup_rounds=0)
    if benchmark.stats:
        few, many = processor_seconds(lambda: published(FEW), lambda: published(MANY), rounds=3)
        benchmark.extra_info["times as long for four times as many"] = round(many / few, 1)
        assert many / few < 6
