"""HumanEva's test set, 14,544 poses: the accumulator beside the plain functions, in the same run."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.protocol import Batch
from har_bench.protocols.mpjpe.errors import auc3d, mpjpe, mpjve, n_mpjpe, p_mpjpe, pck3d
from har_bench.protocols.mpjpe.humaneva import HumanEvaMPJPE, error, error_rel

CHUNKS, FRAMES = 126, 14_544

Pair = tuple[Batch, Batch]


def batches(joints: int) -> Pair:
    """Truth and predictions of 126 chunks of one action [mm]."""
    random = np.random.default_rng(0)
    truth = random.normal(0, 300, (FRAMES, joints, 3)) + np.array([0, 0, 4000])
    predicted = truth - truth[:, :1] + random.normal(0, 40, truth.shape)
    starts = np.linspace(0, FRAMES, CHUNKS + 1).astype(np.int64)
    labels = {name: ["-"] * CHUNKS for name in ("action", "subject", "camera")}
    rows = pa.table({"sequence": [f"{chunk:03}" for chunk in range(CHUNKS)], **labels})
    return Batch(rows, starts, {"keypoints_3d": truth}), Batch(rows, starts, {"keypoints_3d": predicted})


def videopose3d(truth: Batch, predictions: Batch) -> dict[str, float]:
    protocol = HumanEvaMPJPE()
    protocol.update(truth, predictions)
    return protocol.metrics_of()


def plain(truth: Batch, predictions: Batch) -> dict[str, float]:
    """Six of the ten numbers, over all frames."""
    given = predictions["keypoints_3d"]
    centred = truth["keypoints_3d"] - truth["keypoints_3d"][:, :1]
    speed = [(rows.stop - rows.start) * mpjve(given[rows], centred[rows]) for _, rows in truth.slices()]
    functions = {"MPJPE": mpjpe, "P-MPJPE": p_mpjpe, "N-MPJPE": n_mpjpe, "3DPCK@150": pck3d, "AUC": auc3d}
    return {"MPJVE": sum(speed) / FRAMES, **{name: each(given, centred) for name, each in functions.items()}}


@pytest.mark.benchmark(group="humaneva/mpjpe: 14,544 poses")
@pytest.mark.parametrize("implementation", [videopose3d, plain])
def test_videopose3d(benchmark: BenchmarkFixture, implementation: object) -> None:
    pair = batches(15)
    videopose3d(*pair)  # compiled before the clock starts
    expected = plain(*pair)
    found = benchmark(implementation, *pair)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)


@pytest.mark.benchmark(group="humaneva/mpjpe: 14,544 poses, official")
def test_official(benchmark: BenchmarkFixture) -> None:
    truth, predictions = batches(20)

    def scored() -> dict[str, float]:
        protocol = HumanEvaMPJPE("official")
        protocol.update(truth, predictions)
        return protocol.metrics_of()

    given, true = predictions["keypoints_3d"], truth["keypoints_3d"]
    assert benchmark(scored) == pytest.approx({"error": error(given, true), "error_rel": error_rel(given, true)})
