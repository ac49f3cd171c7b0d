"""Class scores of clips: how several clips become one answer, and how often the answers are right. Plain arrays."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats, Ints, taken
from har_bench.errors import HarBenchError

Combination = Literal["product", "mean"]


def combine(scores: npt.ArrayLike, starts: npt.ArrayLike, how: Combination) -> Floats:
    """One row of scores per sequence from those of its clips and flips.

    The clips of a class are taken by size, so that their order in the file cannot change a digit. A product is scaled
    by powers of two on its way, which rounds nothing: a hundred small probabilities do not vanish.

    Args:
        scores: (N, C); for ``product`` not negative.
        starts: (S + 1,) row offsets of the sequences.
        how: ``product``, up to a power of two per sequence (deephar), or ``mean`` (mmaction2's average_clips).

    Returns:
        (S, C); NaN for a sequence without rows, or with a score that is not finite.

    Raises:
        HarBenchError: no arrays of numbers, or offsets that fall or do not go from 0 to N.

    >>> combine([[0.5, 0.5], [0.2, 0.8]], [0, 2], "product").argmax(axis=1).tolist()
    [1]
    """
    values, edges = taken("combine", scores=(scores, "N C"), starts=(starts, "E whole"))
    counts = np.diff(edges)
    if not len(edges) or edges[0] != 0 or edges[-1] != len(values) or (counts < 0).any():
        raise HarBenchError(f"combine needs starts that rise from 0 to the {len(values)} rows, and was given {edges}")
    combined = np.full((len(counts), values.shape[1]), np.nan)
    broken = ~np.isfinite(values).all(axis=1, keepdims=True)
    values = np.where(broken, np.nan, values) if broken.any() else values
    for clips in np.unique(counts[counts > 0]).tolist():
        chosen = np.flatnonzero(counts == clips)
        block = np.sort(values[edges[chosen][:, None] + np.arange(clips)], axis=1)
        combined[chosen] = block.mean(axis=1) if how == "mean" else _product(block)
    return combined


def _product(block: Floats) -> Floats:
    """(S, K, C) factors -> (S, C) products, each row times a power of two of its own."""
    product = block[:, 0]
    for clip in range(1, block.shape[1]):
        product = product * block[:, clip]
        product = np.ldexp(product, -np.frexp(product.max(axis=1, keepdims=True))[1])
    return product


def ranks(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Ints:
    """(S,) how many classes are before the true one: those of higher score, and of equal score and lower number.

    Args:
        scores: (S, C), finite.
        labels: (S,) true classes, from 0.

    Raises:
        HarBenchError: no arrays of numbers, shapes that do not belong together, or a label that is no class.

    >>> ranks([[0.1, 0.7, 0.7]], [2]).tolist()
    [1]
    """
    values, true = taken("ranks", scores=(scores, "S C"), labels=(labels, "S whole"))
    _check_classes(true, values.shape[1])
    own = values[np.arange(len(true)), true][:, None]
    tied_before = (values == own) & (np.arange(values.shape[1]) < true[:, None])
    return cast(Ints, ((values > own) | tied_before).sum(axis=1))


def _check_classes(labels: Ints, classes: int) -> None:
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        raise HarBenchError(f"the label {labels[wrong][0]} is none of {classes} classes; classes count from 0")


def top_k(scores: npt.ArrayLike, labels: npt.ArrayLike, k: int = 1) -> float:
    """Percent of the sequences whose true class is among the ``k`` of highest scores; NaN without sequences.

    Args:
        scores: (S, C), finite.
        labels: (S,) true classes, from 0.
        k: how many.

    Raises:
        HarBenchError: as :func:`ranks`.

    >>> top_k([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    50.0
    """
    before = ranks(scores, labels)
    return 100 * float(np.mean(before < k)) if len(before) else float("nan")


def mean_class_accuracy(
    labels: npt.ArrayLike,
    predicted: npt.ArrayLike,
    classes: int,
    *,
    over: Literal["true", "seen", "all"] = "true",
    weights: npt.ArrayLike | None = None,
) -> float:
    """The plain mean of the classes' own accuracies, in percent; NaN without sequences.

    Args:
        labels: (S,) true classes, from 0.
        predicted: (S,) predicted classes; a negative one is none.
        classes: C.
        over: the classes of the mean: ``true``, those with sequences; ``seen``, also those that are only predicted,
            whose accuracy is 0 (mmaction2's mean_class_accuracy); ``all`` of them.
        weights: (S,) how often each sequence counts; once by default.

    Raises:
        HarBenchError: no arrays of numbers, shapes that do not belong together, or a label that is no class.

    >>> mean_class_accuracy([0, 0, 1], [0, 1, 1], 3)
    75.0
    """
    true, found = taken("mean_class_accuracy", labels=(labels, "S whole"), predicted=(predicted, "S whole"))
    given = np.ones(len(true)) if weights is None else weights
    (times,) = taken("mean_class_accuracy", weights=(given, str(len(true))))
    _check_classes(true, classes)
    _check_classes(found[found >= 0], classes)
    hit = true == found
    count = np.bincount(true, times, minlength=classes)
    hits = np.bincount(true[hit], times[hit], minlength=classes)
    averaged = count > 0
    if over == "seen":
        guessed = found >= 0
        averaged |= np.bincount(found[guessed], times[guessed], minlength=classes) > 0
    elif over == "all":
        averaged |= count.any()
    if not averaged.any():
        return float("nan")
    shares = np.divide(hits, count, out=np.zeros(classes), where=count > 0)
    return 100 * float(shares[averaged].mean())
