"""A json as large as person_keypoints_train2017.json (240 MB): our tables beside pycocotools' index and a row loop.

In a plain test run, without ``--benchmark-enable``, the json has a hundredth of that.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import har_bench
from har_bench.converter import Tables
from har_bench.converters.coco import COCO
from har_bench.devices import peak_memory_mb
from tests.benchmarks.coco_json import SIZES, write

_, ANNOTATIONS = SIZES["train2017"]

CONVERT = """
import sys
import har_bench
from har_bench.devices import peak_memory_mb
store = har_bench.convert("har_bench.converters.coco:COCO", sys.argv[1], sys.argv[2], jobs=1, quiet=True)
print(store.manifest.rows["poses"], round(peak_memory_mb()))
"""


@pytest.fixture(scope="module")
def train(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A json with as many images and persons as the official one, or a hundredth."""
    scale = 1 if request.config.getoption("benchmark_enable") else 100
    return write(tmp_path_factory.mktemp("train"), "train2017", scale)


def by_har_bench(path: Path) -> Tables:
    converter = COCO()
    (shard,) = converter.discover(path)
    return converter.read(shard)


def by_pycocotools(path: Path) -> list[tuple[Any, ...]]:
    """The index, and every person as a row with arrays."""
    coco = pytest.importorskip("pycocotools.coco")
    with contextlib.redirect_stdout(io.StringIO()):
        index = coco.COCO(str(path))
    rows = []
    for number in index.getImgIds():
        name = index.loadImgs(number)[0]["file_name"]
        for person in index.loadAnns(index.getAnnIds(imgIds=number)):
            joints = np.array(person["keypoints"], float).reshape(17, 3)
            box = np.array(person["bbox"], float)
            rows.append((name, person["id"], joints, box, person["area"], person["iscrowd"], person["segmentation"]))
    return rows


def informed(benchmark: BenchmarkFixture, path: Path, rows: int) -> None:
    if benchmark.stats is not None:
        seconds = benchmark.stats.stats.min
        benchmark.extra_info |= {"rows/s": round(rows / seconds), "MB/s": round(path.stat().st_size / 1e6 / seconds, 1)}


@pytest.mark.benchmark(group="coco: a json of 240 MB as rows")
def test_har_bench(benchmark: BenchmarkFixture, train: Path) -> None:
    found = benchmark.pedantic(by_har_bench, (train,), rounds=3, warmup_rounds=1)
    informed(benchmark, train, len(found.poses))
    assert len(found.poses) in (ANNOTATIONS, ANNOTATIONS // 100)
    assert not found.rejects


@pytest.mark.benchmark(group="coco: a json of 240 MB as rows")
def test_har_bench_writing_the_store_too(benchmark: BenchmarkFixture, train: Path, tmp_path: Path) -> None:
    def convert() -> har_bench.Store:
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
        return har_bench.convert("coco", train, tmp_path / "store", jobs=1, quiet=True)

    informed(benchmark, train, benchmark.pedantic(convert, rounds=3, warmup_rounds=1).manifest.rows["poses"])


@pytest.mark.benchmark(group="coco: a json of 240 MB as rows")
def test_pycocotools(benchmark: BenchmarkFixture, train: Path) -> None:
    rows = benchmark.pedantic(by_pycocotools, (train,), rounds=1)
    informed(benchmark, train, len(rows))
    poses = by_har_bench(train).poses
    assert poses is not None
    found = dict(zip(poses["annotation_id"].to_pylist(), poses["area"].to_pylist(), strict=True))
    assert found == {row[1]: row[4] for row in rows}


@pytest.mark.skipif(peak_memory_mb() is None, reason="the system does not tell a process its peak of memory")
@pytest.mark.benchmark(group="coco: a json of 240 MB to a store, a new process")
def test_convert(benchmark: BenchmarkFixture, train: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CONVERT, str(train), str(tmp_path / "store")]

    def convert() -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    rows, peak = (int(text) for text in benchmark.pedantic(convert, rounds=1).split())
    informed(benchmark, train, rows)
    benchmark.extra_info |= {"peak MB": peak, "json MB": round(train.stat().st_size / 1e6)}
    assert peak < 1500
