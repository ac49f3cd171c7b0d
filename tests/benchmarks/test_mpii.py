"""Converting MPII: rows and bytes per second, beside reading the same .mat the convenient way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import scipy.io
from pytest_benchmark.fixture import BenchmarkFixture

import har_bench
from tests.golden import REAL

pytestmark = pytest.mark.real
DETECTIONS = REAL / "mpii" / "bearpaw" / "detections.mat"


@pytest.mark.benchmark(group="mpii: 2,958 raw structs")
@pytest.mark.parametrize("raw", [DETECTIONS, REAL / "mpii" / "hg_json"], ids=lambda path: path.name)
def test_convert(benchmark: BenchmarkFixture, raw: Path, tmp_path: Path) -> None:
    def once() -> har_bench.Store:
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        return har_bench.convert("mpii", raw, tmp_path / "store", jobs=1, quiet=True)

    store = benchmark.pedantic(once, rounds=3, warmup_rounds=1)
    if benchmark.stats is not None:
        seconds = benchmark.stats.stats.median
        read = sum(source.bytes for source in store.manifest.sources)
        poses = store.manifest.rows["poses"]
        benchmark.extra_info |= {"rows_per_s": poses / seconds, "mb_per_s": read / seconds / 1e6}


@pytest.mark.benchmark(group="mpii: 2,958 raw structs")
def test_scipy_with_simplified_cells(benchmark: BenchmarkFixture) -> None:
    """The named alternative: SciPy's most convenient form of the same file, nothing converted or written."""
    loaded = benchmark.pedantic(scipy.io.loadmat, (DETECTIONS,), {"simplify_cells": True}, rounds=3)
    assert len(loaded["annolist"]) == 2958
