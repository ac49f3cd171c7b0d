"""Class scores of clips: how several clips become one answer, and how often the answers are right. Plain arrays."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np

from har_bench.arrays import Floats, Ints
from har_bench.errors import HarBenchError

Combination = Literal["product", "mean"]


def combine(scores: Floats, starts: Ints, how: Combination) -> Floats:
    """One row of scores per sequence from those of its clips and flips.

    The clips of a class are taken by size, so that their order in the file cannot change a digit. A product is scaled
    by powers of two on its way, which rounds nothing: a hundred small probabilities do not vanish.

    Args:
        scores: (N, C); for ``product`` not negative.
        starts: (S + 1,) row offsets of the sequences.
        how: ``product``, up to a power of two per sequence (deephar), or ``mean`` (mmaction2's average_clips).

    Returns:
        (S, C); NaN for a sequence without rows, or with a score that is not finite.

    >>> combine(np.array([[0.5, 0.5], [0.2, 0.8]]), np.array([0, 2]), "product").argmax(axis=1).tolist()
    [1]
    """
    counts = np.diff(starts)
    combined = np.full((len(counts), scores.shape[1]), np.nan)
    broken = ~np.isfinite(scores).all(axis=1, keepdims=True)
    scores = np.where(broken, np.nan, scores) if broken.any() else scores
    for clips in np.unique(counts[counts > 0]).tolist():
        chosen = np.flatnonzero(counts == clips)
        block = np.sort(scores[starts[chosen][:, None] + np.arange(clips)], axis=1)
        combined[chosen] = block.mean(axis=1) if how == "mean" else _product(block)
    return combined


def _product(block: Floats) -> Floats:
    """(S, K, C) factors -> (S, C) products, each row times a power of two of its own."""
    product = block[:, 0]
    for clip in range(1, block.shape[1]):
        product = product * block[:, clip]
        product = np.ldexp(product, -np.frexp(product.max(axis=1, keepdims=True))[1])
    return product


def ranks(scores: Floats, labels: Ints) -> Ints:
    """(S,) how many classes are before the true one: those of higher score, and of equal score and lower number.

    Args:
        scores: (S, C), finite.
        labels: (S,) true classes, from 0.

    Raises:
        HarBenchError: shapes that do not belong together.

    >>> ranks(np.array([[0.1, 0.7, 0.7]]), np.array([2])).tolist()
    [1]
    """
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise HarBenchError(f"ranks needs scores (S, C) and labels (S,), and was given {scores.shape}, {labels.shape}")
    own = scores[np.arange(len(labels)), labels][:, None]
    tied_before = (scores == own) & (np.arange(scores.shape[1]) < labels[:, None])
    return cast(Ints, ((scores > own) | tied_before).sum(axis=1))


def top_k(scores: Floats, labels: Ints, k: int = 1) -> float:
    """Percent of the sequences whose true class is among the ``k`` of highest scores.

    Args:
        scores: (S, C), finite.
        labels: (S,) true classes, from 0.
        k: how many.

    >>> top_k(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    50.0
    """
    return 100 * float(np.mean(ranks(scores, labels) < k))


def mean_class_accuracy(
    labels: Ints,
    predicted: Ints,
    classes: int,
    *,
    over: Literal["true", "seen", "all"] = "true",
    weights: Floats | None = None,
) -> float:
    """The plain mean of the classes' own accuracies, in percent; NaN without sequences.

    Args:
        labels: (S,) true classes, from 0.
        predicted: (S,) predicted classes; a negative one is none.
        classes: C.
        over: the classes of the mean: ``true``, those with sequences; ``seen``, also those that are only predicted,
            whose accuracy is 0 (mmaction2's mean_class_accuracy); ``all`` of them.
        weights: (S,) how often each sequence counts; once by default.

    >>> mean_class_accuracy(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    75.0
    """
    weights = np.ones(len(labels)) if weights is None else weights
    hit = labels == predicted
    count = np.bincount(labels, weights, minlength=classes)
    hits = np.bincount(labels[hit], weights[hit], minlength=classes)
    averaged = count > 0
    if over == "seen":
        guessed = predicted >= 0
        averaged |= np.bincount(predicted[guessed], weights[guessed], minlength=classes) > 0
    elif over == "all":
        averaged |= count.any()
    if not averaged.any():
        return float("nan")
    shares = np.divide(hits, count, out=np.zeros(classes), where=count > 0)
    return 100 * float(shares[averaged].mean())
