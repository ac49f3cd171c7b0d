"""Accuracy on as many clips as NTU RGB+D 120's cross-setup test set, beside the sorting that the field's code does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.protocol import Batch
from har_bench.protocols.accuracy import NTU120XSet, combine, ranks
from tests.resampling import one_resample

SEQUENCES, CLASSES, CLIPS = 59_477, 120, 10


@pytest.fixture(scope="module")
def case() -> tuple[np.ndarray, np.ndarray]:
    """(S, C) scores and (S,) true classes."""
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, SEQUENCES)
    scores = random.random((SEQUENCES, CLASSES))
    scores[np.arange(SEQUENCES), labels] += random.random(SEQUENCES)
    return scores, labels


def by_ranks(scores: np.ndarray, labels: np.ndarray) -> list[float]:
    rank = ranks(scores, labels)
    return [float((rank < k).mean()) for k in (1, 5)]


def by_sorting(scores: np.ndarray, labels: np.ndarray) -> list[float]:
    order = scores.argsort(axis=1)
    return [float((order[:, -k:] == labels[:, None]).any(axis=1).mean()) for k in (1, 5)]


@pytest.mark.benchmark(group="accuracy: top-1 and top-5 of 59,477 x 120 scores")
@pytest.mark.parametrize("implementation", [by_ranks, by_sorting])
def test_top_k(benchmark: BenchmarkFixture, case: tuple[np.ndarray, np.ndarray], implementation: object) -> None:
    assert benchmark(implementation, *case) == by_sorting(*case)


def by_groups(scores: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return combine(scores, starts, "product")


def by_loop(scores: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sequence by sequence and clip by clip, as the programs of the field multiply."""
    combined = np.ones((len(starts) - 1, scores.shape[1]))
    for sequence, (start, stop) in enumerate(pairwise(starts)):
        for row in range(start, stop):
            combined[sequence] *= scores[row]
    return combined


@pytest.mark.benchmark(group="accuracy: product of 10 clips of 5,947 sequences")
@pytest.mark.parametrize("implementation", [by_groups, by_loop])
def test_product_of_clips(
    benchmark: BenchmarkFixture, case: tuple[np.ndarray, np.ndarray], implementation: object
) -> None:
    starts = np.arange(0, SEQUENCES, CLIPS)
    scores = case[0][: starts[-1]]
    combined = benchmark(implementation, scores, starts)
    assert combined.argmax(axis=1).tolist() == by_loop(scores, starts).argmax(axis=1).tolist()


@pytest.fixture(scope="module")
def pair(case: tuple[np.ndarray, np.ndarray]) -> tuple[Batch, Batch]:
    scores, labels = case
    table = pa.table(
        {
            "sequence": [f"{index:06}" for index in range(SEQUENCES)],
            "action": [f"action {label}" for label in labels],
            "label": pa.array(labels + 1, pa.int16()),
            "n_frames": np.full(SEQUENCES, 80),
            "subject": [f"P{index % 106:03}" for index in range(SEQUENCES)],
            "camera": [f"C{index % 3:03}" for index in range(SEQUENCES)],
            "setup": pa.array(np.arange(SEQUENCES) % 32 + 1, pa.int16()),
        }
    )
    starts = np.arange(SEQUENCES + 1)
    return Batch(table, starts, {}), Batch(table, starts, {"scores": scores})


@pytest.mark.benchmark(group="accuracy: accumulate 59,477 sequences")
def test_update(benchmark: BenchmarkFixture, pair: tuple[Batch, Batch]) -> None:
    def update() -> NTU120XSet:
        protocol = NTU120XSet()
        protocol.update(*pair)
        return protocol

    assert len(benchmark(update).units()) == SEQUENCES


@pytest.mark.benchmark(group="accuracy: one bootstrap resample")
def test_metrics_of(benchmark: BenchmarkFixture, pair: tuple[Batch, Batch]) -> None:
    protocol = NTU120XSet()
    protocol.update(*pair)
    assert set(one_resample(benchmark, protocol)) == {metric.name for metric in NTU120XSet.metrics}
