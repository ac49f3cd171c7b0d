"""MERL Shopping: label files to tables, and 5,000 records of a pose pickle, one process."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.converters.merl import MERL
from har_bench.converters.merl.sample import pose
from tests.golden import REAL


@pytest.fixture(scope="module", params=["sample", "pickle", pytest.param("official", marks=pytest.mark.real)])
def raw(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "official":
        return REAL / "merl"
    out = tmp_path_factory.mktemp("merl")
    if request.param == "sample":
        MERL.sample(out)
    else:
        random = np.random.default_rng(0)
        clips = [f"17_2_crop_{first}_{first + 49}_ReachToShelf" for first in range(1, 5001, 50)]
        records = [pose(clip, number, random) for clip in clips for number in range(1, 51)]
        (out / "train.pkl").write_bytes(pickle.dumps(records))
    return out


@pytest.mark.benchmark(group="merl: raw files to tables")
def test_read(benchmark: Any, raw: Path) -> None:
    converter = MERL()
    (shard,) = converter.discover(raw)
    converter.read(shard)  # the kernels of the .mat reader are compiled before the clock starts
    found = benchmark.pedantic(converter.read, (shard,), rounds=3)
    rows = sum(each.num_rows for each in (found.segments, found.poses) if each is not None)
    size = sum(path.stat().st_size for path in shard.sources)
    if benchmark.stats:
        seconds = benchmark.stats["min"]
        benchmark.extra_info |= {"rows/s": round(rows / seconds), "MB/s": round(size / seconds / 1e6, 2), "rows": rows}
    assert rows
