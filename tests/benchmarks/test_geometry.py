"""The Procrustes kernel beside the batched SVD that it replaces: 100,000 poses of 17 joints, one thread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.arrays import Floats
from har_bench.geometry import Similarity, similarity
from tests.alignment import by_svd
from tests.timing import processor_seconds


@pytest.fixture(scope="module")
def poses() -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(100_000, 17, 3)) * [150, 400, 100] + [200, 300, 5000]
    return 1.1 * truth - [0, 0, 5000] + rng.normal(0, 60, truth.shape), truth


def test_both_find_the_same_similarities(poses: tuple[Floats, Floats]) -> None:
    ours, theirs = similarity(*poses), by_svd(*poses)
    for name in Similarity._fields:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-11, atol=1e-9, err_msg=name)


def read(source: Floats, target: Floats) -> float:
    """What no method can do without."""
    return float(source.sum() + target.sum())


@pytest.mark.benchmark(group="procrustes, 100,000 x 17")
@pytest.mark.parametrize("method", [similarity, by_svd, read], ids=["kernel", "svd", "reading both arrays alone"])
def test_procrustes(benchmark: BenchmarkFixture, poses: tuple[Floats, Floats], method: Any) -> None:
    benchmark.pedantic(method, poses, rounds=10, warmup_rounds=1)
    if method is similarity and benchmark.stats:
        ours, theirs = processor_seconds(lambda: similarity(*poses), lambda: by_svd(*poses), rounds=9)
        benchmark.extra_info["times faster than a batched SVD, in turn"] = round(theirs / ours, 1)
        assert theirs / ours > 15
