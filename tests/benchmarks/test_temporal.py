"""Temporal protocols on test sets of MERL's size and larger: ours beside plain NumPy, in the same run."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.protocol import Batch
from har_bench.protocols.temporal.frames import step_average_precision, steps
from har_bench.protocols.temporal.intervals import match, temporal_iou
from har_bench.protocols.temporal.segmental import levenshtein
from har_bench.protocols.temporal.tiou_map import TemporalMAP
from tests.resampling import one_resample

VIDEOS, ACTIONS, DETECTIONS = 200, 20, 100


@pytest.fixture(scope="module")
def pair() -> tuple[Batch, Batch]:
    """200 videos of 20 actions and 100 detections each, of 20 labels."""
    random = np.random.default_rng(0)
    table = pa.table({"sequence": [f"{index:04}" for index in range(VIDEOS)]})

    def rows(each: int) -> Batch:
        start = random.uniform(0, 200, VIDEOS * each)
        columns = {
            "start": start,
            "stop": start + random.uniform(1, 30, len(start)),
            "label": np.array([f"label {code}" for code in range(20)], object)[random.integers(0, 20, len(start))],
            "score": random.random(len(start)),
        }
        return Batch(table, each * np.arange(VIDEOS + 1), columns)

    return rows(ACTIONS), rows(DETECTIONS)


@pytest.mark.benchmark(group="temporal: mAP and AR of 20,000 detections")
@pytest.mark.parametrize("recipe", TemporalMAP.recipes)
def test_temporal_map(benchmark: BenchmarkFixture, pair: tuple[Batch, Batch], recipe: str) -> None:
    def score() -> dict[str, float]:
        protocol = TemporalMAP(recipe)
        protocol.update(*pair)
        return protocol.compute().metrics

    score()  # compiled before the clock starts
    assert 0 < benchmark(score)["mAP"] < 100


@pytest.mark.benchmark(group="temporal: one bootstrap resample")
def test_resample(benchmark: BenchmarkFixture, pair: tuple[Batch, Batch]) -> None:
    protocol = TemporalMAP()
    protocol.update(*pair)
    assert one_resample(benchmark, protocol)["mAP"] > 0


def match_by_numpy(affinity: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The same as match, one detection after the other."""
    hits = np.zeros((len(affinity), len(at)), bool)
    for column, threshold in enumerate(at):
        free = np.ones(affinity.shape[1], bool)
        for row, values in enumerate(affinity):
            best = int(np.where(free, values, -1).argmax())
            if free[best] and values[best] >= threshold:
                free[best], hits[row, column] = False, True
    return hits


@pytest.mark.benchmark(group="temporal: match 900 detections with 424 actions at 10 thresholds")
@pytest.mark.parametrize("implementation", [match, match_by_numpy])
def test_match(benchmark: BenchmarkFixture, implementation: object) -> None:
    random = np.random.default_rng(0)
    start = random.uniform(0, 1000, 900)
    mine = np.stack([start, start + random.uniform(5, 30, 900)], axis=1)
    true = mine[::2][:424] + random.normal(0, 3, (424, 2))
    affinity, at = temporal_iou(mine, true), np.linspace(0.5, 0.95, 10)
    match(affinity, at)
    assert benchmark(implementation, affinity, at).tolist() == match_by_numpy(affinity, at).tolist()


def edits_by_numpy(first: np.ndarray, second: np.ndarray) -> int:
    """The table of edits, a row at a time."""
    offsets = np.arange(len(second) + 1)
    row = offsets
    for i, label in enumerate(first):
        best = np.concatenate([[i + 1], np.minimum(row[:-1] + (second != label), row[1:] + 1)])
        row = np.minimum.accumulate(best - offsets) + offsets
    return int(row[-1])


@pytest.mark.benchmark(group="segmental: edits between 1,500 and 1,600 segments")
@pytest.mark.parametrize("implementation", [levenshtein, edits_by_numpy])
def test_edits(benchmark: BenchmarkFixture, implementation: object) -> None:
    random = np.random.default_rng(0)
    first, second = random.integers(0, 5, 1500), random.integers(0, 5, 1600)
    levenshtein(first, second)
    assert benchmark(implementation, first, second) == edits_by_numpy(first, second)


def area_by_numpy(scores: np.ndarray, positive: np.ndarray) -> float:
    """AP of images, all distinct scores at once."""
    order = np.argsort(-scores)
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = np.cumsum(positive[order])[ends]
    return float(100 * (np.diff(found, prepend=0) * found / (ends + 1)).sum() / found[-1])


@pytest.mark.benchmark(group="frame-map: one resample of a class of 56,760 images")
@pytest.mark.parametrize("ranked", [True, False], ids=["ranked once", "numpy"])
def test_images(benchmark: BenchmarkFixture, ranked: bool) -> None:
    random = np.random.default_rng(0)
    scores, owner = np.repeat(random.random(9460), 6), np.repeat(np.arange(28), 2028)[:56760]
    positive = random.random(len(scores)) < scores / 2
    once = steps(scores, positive, owner)
    weights = np.ones(29)
    found = benchmark(step_average_precision, once, weights) if ranked else benchmark(area_by_numpy, scores, positive)
    assert found == pytest.approx(area_by_numpy(scores, positive))
