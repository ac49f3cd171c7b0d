"""Penn Action: label files to tables, one process; the official files where they are, else the sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from har_bench.converters.penn_action import PennAction
from tests.golden import REAL


@pytest.fixture(scope="module", params=["sample", pytest.param("official", marks=pytest.mark.real)])
def raw(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "official":
        return REAL / "penn_action"
    out = tmp_path_factory.mktemp("penn")
    PennAction.sample(out)
    return out


@pytest.mark.benchmark(group="penn_action: label files to tables")
def test_read(benchmark: Any, raw: Path) -> None:
    converter = PennAction()
    shards = converter.discover(raw)
    converter.read(shards[0])  # the kernels of the .mat reader are compiled before the clock starts
    tables = benchmark.pedantic(lambda: [converter.read(shard) for shard in shards], rounds=3)
    rows = sum(found.poses.num_rows for found in tables)
    size = sum(path.stat().st_size for shard in shards for path in shard.sources)
    if benchmark.stats:
        seconds = benchmark.stats["min"]
        benchmark.extra_info |= {"rows/s": round(rows / seconds), "MB/s": round(size / seconds / 1e6, 2), "rows": rows}
    assert rows
