"""The leaderboard of thousands of rows: built in seconds, and no slower to be looked at than a short one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.leaderboard import build
from har_bench.results import Interval, Result, write
from tests import chromium
from tests.golden import ROOT
from tests.timing import processor_seconds

FEW, MANY = 1000, 5000
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


@pytest.mark.benchmark(group="leaderboard, 5,000 results")
def test_building_is_linear(benchmark: BenchmarkFixture, published: Callable[[int], list[Path]]) -> None:
    benchmark.pedantic(published, (MANY,), rounds=1, warmup_rounds=0)
    if benchmark.stats:
        few, many = processor_seconds(lambda: published(FEW), lambda: published(MANY), rounds=1)
        benchmark.extra_info["times as long for five times as many"] = round(many / few, 1)
        benchmark.extra_info["seconds of the processor"] = round(many, 1)
        assert many / few <= 6
        assert many <= 10


LOADED = """() => {
  const [loaded] = performance.getEntriesByType("navigation");
  return loaded.loadEventEnd;
}"""

WORKED = """async () => {
  const spent = async (work) => {
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const began = performance.now();
    work();
    document.body.getBoundingClientRect(); // laid out, too
    return performance.now() - began;
  };
  const words = document.querySelector("[name=q]");
  const filtered = [];
  for (const each of ["model 4", "model 49", "", "model 99", ""]) {
    filtered.push(await spent(() => {
      words.value = each;
      words.dispatchEvent(new Event("input", { bubbles: true }));
    }));
  }
  const sorted = [];
  for (const button of [...document.querySelectorAll("th button")].slice(0, 5)) {
    sorted.push(await spent(() => button.click()));
  }
  return { filtered, sorted };
}"""


@chromium.needed
@pytest.mark.benchmark(group="leaderboard, looked at")
def test_everything_that_was_scored_or_reported_is_soon_there(
    benchmark: BenchmarkFixture, browser: Any, tmp_path: Path
) -> None:
    build(ROOT / "results", tmp_path)

    def load() -> float:
        with chromium.opened(browser, tmp_path / "index.html") as (page, _):
            return float(page.evaluate(LOADED))

    benchmark.pedantic(load, rounds=1, warmup_rounds=0)
    if benchmark.stats:
        spent = median(load() for _ in range(5))
        benchmark.extra_info["milliseconds until loaded"] = round(spent)
        assert spent < 500


@chromium.needed
@pytest.mark.benchmark(group="leaderboard, looked at")
def test_thousands_of_rows_are_filtered_and_sorted_at_once(
    benchmark: BenchmarkFixture, browser: Any, published: Callable[[int], list[Path]]
) -> None:
    index = next(path for path in published(MANY) if path.name == "index.html")
    with chromium.opened(browser, index) as (page, complaints):
        spent = benchmark.pedantic(page.evaluate, (WORKED,), rounds=1, warmup_rounds=0)
        assert complaints == []
    for what, times in spent.items():
        benchmark.extra_info[f"milliseconds {what}"] = round(median(times))
        if benchmark.stats:
            assert median(times) < 100
