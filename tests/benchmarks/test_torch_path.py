"""The torch paths beside NumPy's and numba's, in the same run: 100,000 poses, and keypoints of val2017's size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.protocols.mpjpe.errors import sequence_sums
from har_bench.protocols.oks.matching import Matches, match
from tests.scenes import Scene, keypoint_scene
from tests.timing import ROUNDS, times_faster

torch = pytest.importorskip("torch")
errors_torch = pytest.importorskip("har_bench.protocols.mpjpe.errors_torch")

GPU = torch.cuda.is_available()
DEVICES = ["", "cpu", *(["cuda"] if GPU else [])]
AREAS = np.array([[0.0, 1e10], [32.0**2, 96.0**2], [96.0**2, 1e10]])

Poses = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def poses(smaller: int) -> Poses:
    """Predictions relative to the root, and truth [mm], in single precision as stores have them."""
    random = np.random.default_rng(0)
    truth = random.normal(size=(100_000 // smaller, 17, 3)) * [150, 400, 100] + [200, 300, 5000]
    predicted = 1.1 * (truth - truth[:, :1]) + random.normal(0, 60, truth.shape)
    return predicted.astype(np.float32), truth.astype(np.float32)


@pytest.fixture(scope="module", params=[17, 133])
def scene(request: pytest.FixtureRequest, smaller: int) -> Scene:
    return keypoint_scene(request.param, 5000 // smaller)


def sums_on(device: str, poses: Poses) -> np.ndarray:
    if not device:
        return sequence_sums(*poses, recentre=False)
    return errors_torch.sequence_sums(*poses, recentre=False, device=device)  # type: ignore[no-any-return]


def matches_on(device: str, scene: Scene) -> Matches:
    persons, detections, sigmas = scene
    return match(persons, detections, sigmas, AREAS, device=device)


def timed(benchmark: BenchmarkFixture, work: Callable[[str, Any], Any], device: str, given: Any) -> Any:
    """What the work on a device gives; numba's time over the device's goes to the table."""
    if device and benchmark.enabled:
        benchmark.extra_info["times_numba"] = times_faster(lambda: work("", given), lambda: work(device, given))
    return benchmark.pedantic(work, args=(device, given), rounds=ROUNDS, warmup_rounds=1)


@pytest.mark.benchmark(group="pose errors: sums of 100,000 x 17 poses")
@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device or "numba")
def test_pose_errors(benchmark: BenchmarkFixture, poses: Poses, device: str) -> None:
    np.testing.assert_allclose(timed(benchmark, sums_on, device, poses), sums_on("", poses), rtol=1e-6)


@pytest.mark.benchmark(group="oks: matching of 104,125 detections")
@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device or "numba")
def test_oks(benchmark: BenchmarkFixture, scene: Scene, device: str) -> None:
    found = timed(benchmark, matches_on, device, scene)
    np.testing.assert_array_equal(found.marks, matches_on("", scene).marks)


@pytest.mark.skipif(not GPU, reason="torch sees no GPU")
def test_a_gpu_sums_poses_faster(poses: Poses) -> None:
    assert times_faster(lambda: sums_on("cuda", poses), lambda: sums_on("", poses)) > 1
