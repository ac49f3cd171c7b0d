"""PCKh of as many persons as MPII validates: the kernel beside plain NumPy, in the same run."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.protocol import Batch
from har_bench.protocols.mpii.pckh import THRESHOLDS, PCKh, count, head_distance, unpack
from tests.resampling import one_resample

PERSONS, IMAGES = 2958, 2729


@pytest.fixture(scope="module")
def pair() -> tuple[Batch, Batch]:
    """Truth and predictions of 2,958 persons in 2,729 images."""
    random = np.random.default_rng(0)
    truth = random.uniform(0, 1000, (PERSONS, 16, 2))
    predicted = np.rint(truth + random.normal(0, 15, truth.shape))
    truth[random.random((PERSONS, 16)) < 0.07] = np.nan
    edges = np.sort(random.choice(np.arange(1, PERSONS), IMAGES - 1, replace=False))
    starts = np.array([0, *edges, PERSONS], np.int64)
    sequences = pa.table({"sequence": [f"{index:09}.jpg" for index in range(IMAGES)]})
    columns = {
        "keypoints": truth,
        "head_size": random.uniform(30, 90, PERSONS),
        "head_box": random.uniform(0, 1000, (PERSONS, 4)),
        "scale": random.uniform(1, 4, PERSONS),
        "objpos": random.uniform(0, 1000, (PERSONS, 2)),
        "tompson_row": np.arange(PERSONS),
    }
    return Batch(sequences, starts, columns), Batch(sequences, starts, {"keypoints": predicted})


def by_numpy(truth: Batch, predictions: Batch) -> np.ndarray:
    """(16, 51) hits of all images together, one threshold after the other."""
    distance = np.linalg.norm(predictions["keypoints"] - truth["keypoints"], axis=-1) / truth["head_size"][:, None]
    return np.stack([(distance <= at).sum(axis=0) for at in THRESHOLDS], axis=1)


def by_numpy_per_image(truth: Batch, predictions: Batch) -> np.ndarray:
    """(S, 16, 51) hits of each image: what a bootstrap needs."""
    distance = np.linalg.norm(predictions["keypoints"] - truth["keypoints"], axis=-1) / truth["head_size"][:, None]
    return np.add.reduceat(distance[..., None] <= THRESHOLDS, truth.starts[:-1], axis=0, dtype=np.float64)


def by_kernel(truth: Batch, predictions: Batch) -> np.ndarray:
    """The same as by_numpy_per_image."""
    distance = head_distance(predictions["keypoints"], truth["keypoints"], truth["head_size"])
    return unpack(count(distance, np.isfinite(truth["keypoints"]).all(axis=-1), truth.starts)).hits


@pytest.mark.benchmark(group="pckh: hits at 51 thresholds")
@pytest.mark.parametrize("implementation", [by_kernel, by_numpy_per_image, by_numpy])
def test_hits(benchmark: BenchmarkFixture, pair: tuple[Batch, Batch], implementation: object) -> None:
    by_kernel(*pair)  # compiled before the clock starts
    hits = benchmark(implementation, *pair)
    assert (hits.sum(axis=0) if hits.ndim == 3 else hits).tolist() == by_numpy(*pair).tolist()


@pytest.mark.benchmark(group="pckh: accumulate")
@pytest.mark.parametrize("recipe", PCKh.recipes)
def test_update(benchmark: BenchmarkFixture, pair: tuple[Batch, Batch], recipe: str) -> None:
    def update() -> PCKh:
        protocol = PCKh(recipe)
        protocol.update(*pair)
        return protocol

    update()
    assert len(benchmark(update).state.names()) == IMAGES


@pytest.mark.benchmark(group="pckh: one bootstrap resample")
def test_metrics_of(benchmark: BenchmarkFixture, pair: tuple[Batch, Batch]) -> None:
    protocol = PCKh()
    protocol.update(*pair)
    assert set(one_resample(benchmark, protocol)) == {metric.name for metric in PCKh.metrics}
