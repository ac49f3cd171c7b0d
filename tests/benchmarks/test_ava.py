"""AVA: a csv as large as AVA v2.1's train split, beside Python's csv module in the same run; tracklets and joblib."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.converters.ava import AVA
from har_bench.converters.ava.annotations import read_annotations

ROWS, VIDEOS = 837_318, 235
TRACKLETS = 6


@pytest.fixture(scope="module")
def rows(smaller: int) -> int:
    return ROWS // smaller // 2 * 2


@pytest.fixture(scope="module")
def raw(rows: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One csv of the size of the largest official one; its boxes repeat for their actions as the official ones do."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("ava")
    low, high = np.sort(rng.uniform(0, 1, (2, rows // 2, 2)), axis=0)
    boxes = [f"{x1:.3f},{y1:.3f},{x2:.3f},{y2:.3f}" for (x1, y1), (x2, y2) in zip(low, high, strict=True)]
    actions, persons = rng.integers(1, 81, rows), rng.integers(0, 500, rows // 2)
    place = np.linspace(0, VIDEOS * 897 - 1, rows // 2).astype(int)
    lines = (
        f"video{place[row // 2] // 897:06d},{902 + place[row // 2] % 897:04d},{boxes[row // 2]},{actions[row]},"
        f"{persons[row // 2]}\n"
        for row in range(rows)
    )
    (folder / "ava_train_v2.2.csv").write_text("".join(lines))
    return folder


def by_har_bench(path: Path) -> int:
    """Columns."""
    return len(read_annotations(path, path.name, range(1, 81)).video)


def by_csv_module(path: Path) -> int:
    """Rows of values, as the field's own loaders make them."""
    with path.open(encoding="utf-8") as stream:
        rows = [
            (row[0], float(row[1]), [float(side) for side in row[2:6]], int(row[6]), int(row[7]))
            for row in csv.reader(stream)
        ]
    return len(rows)


@pytest.mark.benchmark(group="ava: parse 837,318 rows")
@pytest.mark.parametrize("reader", [by_har_bench, by_csv_module])
def test_parse(benchmark: BenchmarkFixture, raw: Path, rows: int, reader: object) -> None:
    path = raw / "ava_train_v2.2.csv"
    assert benchmark.pedantic(reader, (path,), rounds=3) == rows
    report(benchmark, rows, path.stat().st_size)


@pytest.mark.benchmark(group="ava: convert 837,318 rows")
def test_tables(benchmark: BenchmarkFixture, raw: Path, rows: int) -> None:
    (shard,) = AVA().discover(raw)
    tables = benchmark.pedantic(AVA().read, (shard,), rounds=3)
    assert tables.segments is not None
    assert tables.segments.num_rows == rows
    report(benchmark, rows, shard.sources[0].stat().st_size)


@pytest.mark.benchmark(group="ava: tracklets")
def test_tracklets(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    for seed in range(TRACKLETS):
        AVA.sample(tmp_path, seed=seed)
    (shard,) = AVA().discover(tmp_path / "tracklets")
    tables = benchmark.pedantic(AVA().read, (shard,), rounds=3)
    assert tables.poses is not None
    assert len(shard.sources) == 4 * TRACKLETS + 1
    report(benchmark, tables.poses.num_rows, sum(path.stat().st_size for path in shard.sources))


def report(benchmark: BenchmarkFixture, rows: int, size: int) -> None:
    if benchmark.stats:
        seconds = benchmark.stats.stats.min
        benchmark.extra_info.update(rows_per_s=round(rows / seconds), mb_per_s=round(size / seconds / 1e6, 1))
