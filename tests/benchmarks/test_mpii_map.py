"""Multi-person AP of as many images as MPII validates: beside the definition in loops, and beside sorting again."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.protocol import Batch
from har_bench.protocols.mpii.map import SCORED, MultiPersonAP, assign, average_precision

IMAGES, PERSONS, PREDICTED = 2729, 6638, 8000


def starts_of(rows: int, random: np.random.Generator) -> np.ndarray:
    return np.concatenate([[0], np.sort(random.integers(0, rows, IMAGES - 1)), [rows]])


@pytest.fixture(scope="module")
def pair() -> tuple[Batch, Batch]:
    """Truth and predictions of 2,729 images with 2.4 and 2.9 persons."""
    random = np.random.default_rng(0)
    true, guessed = starts_of(PERSONS, random), starts_of(PREDICTED, random)
    truth = random.uniform(0, 300, (PERSONS, 16, 2))
    predicted = random.uniform(0, 300, (PREDICTED, 16, 2))
    for image in range(IMAGES):
        people, found = truth[true[image] : true[image + 1]], slice(guessed[image], guessed[image + 1])
        if len(people):
            predicted[found] = people[random.integers(0, len(people), found.stop - found.start)]
    predicted += random.normal(0, 20, predicted.shape)
    sequences = pa.table({"sequence": [f"{index:09}.jpg" for index in range(IMAGES)]})
    return (
        Batch(sequences, true, {"keypoints": truth, "head_size": random.uniform(30, 90, PERSONS)}),
        Batch(
            sequences,
            guessed,
            {
                "keypoints": predicted,
                "score": random.random(PREDICTED),
                "keypoint_scores": random.random((PREDICTED, 16)),
            },
        ),
    )


def accumulated(truth: Batch, predictions: Batch) -> MultiPersonAP:
    protocol = MultiPersonAP()
    protocol.update(truth, predictions)
    return protocol


def in_arrays(predicted: np.ndarray, truth: np.ndarray, head: np.ndarray) -> np.ndarray:
    return assign(predicted, truth, head)


def in_loops(predicted: np.ndarray, truth: np.ndarray, head: np.ndarray) -> np.ndarray:
    """The same for one image, joint by joint."""
    hit = np.zeros((len(predicted), len(truth), predicted.shape[1]), bool)
    for p in range(len(predicted)):
        for g in range(len(truth)):
            for j in range(predicted.shape[1]):
                hit[p, g, j] = np.linalg.norm(predicted[p, j] - truth[g, j]) / head[g] <= 0.5
    share = hit.mean(axis=2)
    right = np.zeros(predicted.shape[:2], bool)
    for g in range(len(truth)):
        rivals = [p for p in range(len(predicted)) if share[p].argmax() == g and share[p, g] > 0]
        if rivals:
            winner = max(rivals, key=lambda p: share[p, g])  # the first of equals
            right[winner] = hit[winner, g]
    return right


@pytest.mark.benchmark(group="mpii/map: assign the persons of 300 images")
@pytest.mark.parametrize("implementation", [in_arrays, in_loops])
def test_assign(benchmark: BenchmarkFixture, pair: tuple[Batch, Batch], implementation: object) -> None:
    truth, predictions = pair
    images = [
        (
            predictions["keypoints"][slice(*predictions.starts[image : image + 2])][:, SCORED],
            truth["keypoints"][slice(*truth.starts[image : image + 2])][:, SCORED],
            truth["head_size"][slice(*truth.starts[image : image + 2])],
        )
        for image in range(300)
    ]
    found = benchmark(lambda: [implementation(*image) for image in images])
    assert all(np.array_equal(each, in_loops(*image)) for each, image in zip(found, images, strict=True))


@pytest.mark.benchmark(group="mpii/map: accumulate")
def test_update(benchmark: BenchmarkFixture, pair: tuple[Batch, Batch]) -> None:
    protocol = benchmark(accumulated, *pair)
    assert len(protocol.units()) + len(protocol.skipped) == IMAGES


def by_weights(protocol: MultiPersonAP, weights: np.ndarray) -> float:
    return protocol.metrics_of(weights)["mAP"]


def by_sorting_again(protocol: MultiPersonAP, weights: np.ndarray) -> float:
    """The images drawn, each as often as it was, ranked anew."""
    images = [protocol.state[name] for name in protocol.units()]
    drawn = [image for image, count in zip(images, weights.astype(int), strict=True) for _ in range(count)]
    scores, right = np.concatenate([each.scores for each in drawn]), np.concatenate([each.right for each in drawn])
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked = np.take_along_axis(right, order, axis=0)
    positives = np.sum([each.annotated for each in drawn], axis=0)
    return float(np.mean([average_precision(*each) for each in zip(ranked.T, positives, strict=True)]))


@pytest.mark.benchmark(group="mpii/map: one bootstrap resample")
@pytest.mark.parametrize("implementation", [by_weights, by_sorting_again])
def test_metrics_of(benchmark: BenchmarkFixture, pair: tuple[Batch, Batch], implementation: object) -> None:
    protocol = accumulated(*pair)
    count = len(protocol.units())
    weights = np.bincount(np.random.default_rng(0).integers(0, count, count), minlength=count).astype(float)
    protocol.metrics_of(weights)  # sorted before the clock starts
    found = benchmark(implementation, protocol, weights)
    assert found == pytest.approx(by_sorting_again(protocol, weights), abs=1e-9)
