"""A json as large as person_keypoints_train2017.json (240 MB): our tables beside pycocotools' index and a row loop.

In a plain test run, without ``--benchmark-enable``, the json has a hundredth of that.
"""

from __future__ import annotations

import contextlib
import io
import json
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
from har_bench.skeletons import skeleton

IMAGES, ANNOTATIONS = 118_287, 262_465
VERTICES = 44, 112
"""Numbers in a polygon: with so many, the json has 240 MB."""

CONVERT = """
import sys
import har_bench
from har_bench.devices import peak_memory_mb
store = har_bench.convert("har_bench.converters.coco:COCO", sys.argv[1], sys.argv[2], jobs=1, quiet=True)
print(store.manifest.rows["poses"], round(peak_memory_mb()))
"""


def annotation(random: np.random.Generator) -> str:
    """One annotation; its id and its image are still ``%d``."""
    v = random.choice([0, 1, 2], (17, 1), p=[0.36, 0.08, 0.56]) * (random.random() < 0.57)
    joints = np.where(v > 0, np.concatenate([random.integers(0, 640, (17, 2)), v], axis=1), 0)
    polygon = random.uniform(0, 640, 2 * random.integers(VERTICES[0] // 2, VERTICES[1] // 2)).round(2)
    record = {
        "segmentation": [polygon.tolist()],
        "num_keypoints": int((v > 0).sum()),
        "area": round(random.uniform(500, 90_000), 5),
        "iscrowd": 0,
        "keypoints": joints.ravel().tolist(),
        "image_id": -1,
        "bbox": random.uniform(0, 400, 4).round(2).tolist(),
        "category_id": 1,
        "id": -2,
    }
    text = json.dumps(record, separators=(",", ": "))
    return text.replace('"image_id": -1', '"image_id": %d').replace('"id": -2', '"id": %d')


def image(number: int) -> str:
    name = f"{number:012d}.jpg"
    record = {
        "license": 3,
        "file_name": name,
        "coco_url": f"http://images.cocodataset.org/train2017/{name}",
        "height": 360,
        "width": 640,
        "date_captured": "2013-11-14 11:18:45",
        "flickr_url": f"http://farm9.staticflickr.com/8186/{number}_4e622c8349_z.jpg",
        "id": number,
    }
    return json.dumps(record, separators=(",", ": "))


@pytest.fixture(scope="module")
def train(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A json with as many images and persons as the official one, or a hundredth."""
    scale = 1 if request.config.getoption("benchmark_enable") else 100
    random = np.random.default_rng(0)
    templates = [annotation(random) for _ in range(2000)]
    ids = random.permutation(np.arange(IMAGES // scale) * 4 + 9).tolist()
    owners = random.choice(ids, ANNOTATIONS // scale).tolist()
    people = ",".join(templates[at % 2000] % (owner, 183_126 + at) for at, owner in enumerate(owners))
    category = {"id": 1, "name": "person", "keypoints": skeleton("coco17").joints, "skeleton": []}
    path = tmp_path_factory.mktemp("train") / "person_keypoints_train2017.json"
    path.write_text(
        f'{{"images": [{",".join(map(image, ids))}],"annotations": [{people}],"categories": [{json.dumps(category)}]}}'
    )
    return path


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
