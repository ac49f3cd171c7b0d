"""A set of the size of COCO's val2017 beside pycocotools and faster-coco-eval: in memory, and from the json files.

In a plain test run, without ``--benchmark-enable``, it is a twentieth of that.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from pycocotools.coco import COCO as OracleData  # noqa: N811
from pycocotools.cocoeval import COCOeval
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.protocol import Batch
from har_bench.protocols.oks import files as coco_files
from har_bench.protocols.oks.protocol import OKS, evaluate
from tests.resampling import one_resample
from tests.timing import seconds

IMAGES, PERSONS, DETECTIONS = 5_000, 11_004, 104_125
STATS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")


class Files(NamedTuple):
    """Annotations and results as COCO's json files."""

    truth: Path
    results: Path


def truth_of(random: np.random.Generator, images: int, persons: int) -> dict[str, Any]:
    """Persons in images, 58 of 100 with joints, outlines as long as the official ones."""
    ids = np.sort(random.choice(600_000, images, replace=False)).tolist()
    annotations = []
    for row, image in enumerate(random.integers(0, images, persons).tolist()):
        x, y, width, height = random.uniform((0, 0, 20, 20), (400, 400, 300, 300)).tolist()
        joints = np.zeros((17, 3), int)
        if random.random() < 0.58:
            v = random.choice([0, 1, 2], 17, p=[0.3, 0.1, 0.6])
            places = random.uniform((x, y), (x + width, y + height), (17, 2))
            joints = np.where(v[:, None] > 0, np.column_stack([places, v]), 0).astype(int)
        counted = int((joints[:, 2] > 0).sum())
        annotations.append(
            {
                "segmentation": [np.round(random.uniform(0, 500, 60), 2).tolist()],
                "num_keypoints": counted,
                "area": round(0.53 * width * height, 4),
                "iscrowd": int(not counted and random.random() < 0.05),
                "keypoints": joints.ravel().tolist(),
                "image_id": ids[image],
                "bbox": [round(value, 2) for value in (x, y, width, height)],
                "category_id": 1,
                "id": row + 1,
            }
        )
    pictures = [{"id": image, "file_name": f"{image:012}.jpg", "height": 480, "width": 640} for image in ids]
    return {"images": pictures, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}


def results_of(random: np.random.Generator, truth: dict[str, Any], detections: int) -> list[dict[str, Any]]:
    """Half of the detections are near a person of their image, where there is one."""
    people: dict[int, list[Any]] = {image["id"]: [] for image in truth["images"]}
    for one in truth["annotations"]:
        if one["num_keypoints"]:
            people[one["image_id"]].append(one)
    ids, results = list(people), []
    for image in random.integers(0, len(ids), detections).tolist():
        near = people[ids[image]]
        if near and random.random() < 0.5:
            one = near[random.integers(len(near))]
            spread = 0.08 * np.sqrt(one["area"]) * random.random()
            places = np.reshape(one["keypoints"], (17, 3))[:, :2] + random.normal(0, spread, (17, 2))
        else:
            places = random.uniform(0, 640, 2) + random.uniform(0, 200, (17, 2))
        joints = np.round(np.column_stack([places, random.random(17)]), 3).ravel().tolist()
        results.append({"image_id": ids[image], "category_id": 1, "keypoints": joints, "score": random.random()})
    return results


@pytest.fixture(scope="module")
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Files:
    scale = 1 if request.config.getoption("benchmark_enable") else 20
    folder, random = tmp_path_factory.mktemp("val2017"), np.random.default_rng(0)
    made = Files(folder / "person_keypoints_val2017.json", folder / "results.json")
    truth = truth_of(random, IMAGES // scale, PERSONS // scale)
    made.truth.write_text(json.dumps(truth))
    made.results.write_text(json.dumps(results_of(random, truth, DETECTIONS // scale)))
    return made


@pytest.fixture(scope="module")
def batches(files: Files) -> tuple[Batch, Batch]:
    truth = coco_files.read_annotations(files.truth)
    return truth, coco_files.results_batch(files.results, coco_files.read_results(files.results), truth.sequences)


@pytest.fixture(scope="module")
def expected(files: Files) -> list[float]:
    return by_pycocotools(files)


def by_pycocotools(files: Files) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        oracle = pycocotools_data(files)
        oracle.evaluate()
        oracle.accumulate()
        oracle.summarize()
    return oracle.stats.tolist()  # type: ignore[no-any-return, unused-ignore]


def pycocotools_data(files: Files) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        data = OracleData(files.truth)
        return COCOeval(data, data.loadRes(str(files.results)), "keypoints")


def faster_data(files: Files) -> Any:
    faster = pytest.importorskip("faster_coco_eval")
    data = faster.COCO(str(files.truth))
    return faster.COCOeval_faster(data, data.loadRes(str(files.results)), "keypoints", print_function=lambda *_: None)


def by_faster(files: Files) -> list[float]:
    oracle = faster_data(files)
    oracle.evaluate()
    oracle.accumulate()
    oracle.summarize()
    return list(oracle.stats[:10])


def by_us(files: Files) -> list[float]:
    metrics = evaluate(*files).metrics
    return [metrics[name] / 100 for name in STATS]


@pytest.mark.benchmark(group="oks: from the json files to ten numbers", warmup=False)
@pytest.mark.parametrize("way", [by_us, by_faster, by_pycocotools])
def test_files(
    benchmark: BenchmarkFixture, files: Files, expected: list[float], way: Callable[[Files], list[float]]
) -> None:
    by_us(files)  # compiled before the clock starts
    assert benchmark.pedantic(way, args=(files,), rounds=3) == pytest.approx(expected, abs=1e-12)
    if way is by_us and benchmark.stats:
        ours, *theirs = seconds(*(partial(each, files) for each in (by_us, by_faster, by_pycocotools)), rounds=3)
        for name, spent in zip(("faster-coco-eval", "pycocotools"), theirs, strict=True):
            benchmark.extra_info[f"times faster than {name}, in turn"] = round(spent / ours, 1)
        assert theirs[0] / ours > 5


@pytest.mark.benchmark(group="oks: evaluate and accumulate in memory")
def test_memory_har_bench(benchmark: BenchmarkFixture, batches: tuple[Batch, Batch], expected: list[float]) -> None:
    def run() -> dict[str, float]:
        protocol = OKS()
        protocol.update(*batches)
        return protocol.metrics_of()

    run()
    metrics = benchmark.pedantic(run, rounds=10)
    assert [metrics[name] / 100 for name in STATS] == pytest.approx(expected, abs=1e-12)


@pytest.mark.benchmark(group="oks: evaluate and accumulate in memory")
@pytest.mark.parametrize("data", [faster_data, pycocotools_data])
def test_memory_others(
    benchmark: BenchmarkFixture, files: Files, expected: list[float], data: Callable[[Files], Any]
) -> None:
    oracle = data(files)

    def run() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            oracle.evaluate()
            oracle.accumulate()

    benchmark.pedantic(run, rounds=3)
    with contextlib.redirect_stdout(io.StringIO()):
        oracle.summarize()
    assert list(oracle.stats[:10]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.benchmark(group="oks: one bootstrap resample")
def test_metrics_of(benchmark: BenchmarkFixture, batches: tuple[Batch, Batch]) -> None:
    protocol = OKS()
    protocol.update(*batches)
    assert set(one_resample(benchmark, protocol)) == set(STATS)
