"""HumanEva: one take of 1,200 frames from its raw files to rows, and the C3D reader beside ezc3d in the same run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ezc3d
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.converters.humaneva import HumanEva
from har_bench.converters.humaneva import sample as humaneva_sample
from har_bench.converters.humaneva.c3d import read_c3d

ROWS = 2420  # of motion capture at 120 Hz: S1's Walking, all 1,203 frames


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("humaneva") / "raw"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(humaneva_sample, "ROWS", {("S1", "Walking_1"): ROWS})
        HumanEva.sample(out)
    return out


@pytest.mark.benchmark(group="humaneva: convert")
def test_convert(benchmark: BenchmarkFixture, raw: Path) -> None:
    converter = HumanEva()
    shards = [shard for shard in converter.discover(raw) if shard.key == "Validate/S1/Walking 1"]
    found = benchmark(lambda: [converter.read(shard) for shard in shards])
    rows = sum(tables.poses.num_rows for tables in found if tables.poses)
    read = sum(path.stat().st_size for shard in shards for path in shard.sources)
    assert rows > 3500
    if benchmark.stats:
        seconds = benchmark.stats.stats.mean
        benchmark.extra_info |= {"rows/s": round(rows / seconds), "MB/s": round(read / seconds / 1e6, 1)}


def with_ezc3d(path: Path) -> np.ndarray:
    return np.asarray(np.nan_to_num(ezc3d.c3d(str(path))["data"]["points"][:3].transpose(2, 1, 0)))


def with_numpy(path: Path) -> np.ndarray:
    return read_c3d(path).points


@pytest.mark.benchmark(group="humaneva: read a c3d file")
@pytest.mark.parametrize("reader", [with_numpy, with_ezc3d])
def test_read_c3d(benchmark: BenchmarkFixture, raw: Path, reader: Callable[[Path], np.ndarray]) -> None:
    path = raw / "S1" / "Mocap_Data" / "Walking_1.c3d"
    points = benchmark(reader, path)
    assert np.array_equal(points, with_numpy(path))
    if benchmark.stats:
        benchmark.extra_info["MB/s"] = round(path.stat().st_size / benchmark.stats.stats.mean / 1e6, 1)
