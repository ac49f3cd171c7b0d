"""Average precision and average recall of detected intervals: overlap, matching, and every area that is called AP.

Pure functions on arrays, and :func:`ranked`, which puts the detections of all sequences in order. Intervals are
(N, 2) arrays of start and stop in any unit of time, half-open unless said otherwise; shares are percent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Bools, Floats, Ints, kernel

Area = Literal["envelope", "eleven-point", "sum", "trapezoid"]

ELEVEN: Floats = np.linspace(0, 1, 11)
"""The recalls at which VOC 2007 reads the precision; its 0:0.1:1 has the same doubles, 3 * 0.1 > 0.3 among them."""


def runs(labels: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Start and stop, half-open, of the longest runs of equal labels (N,).

    >>> [each.tolist() for each in runs(np.array([5, 0, 0, 5]))]
    [[0, 1, 3], [1, 3, 4]]
    """
    changes = 1 + np.flatnonzero(labels[1:] != labels[:-1])
    edges = np.concatenate([[0], changes, [len(labels)]]) if len(labels) else np.zeros(1, np.int64)
    return edges[:-1], edges[1:]


def temporal_iou(segments: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """(N, M) intersection over union of intervals (N, 2) and (M, 2); 0 where the union is empty.

    >>> temporal_iou([[0, 4]], [[2, 6], [4, 8]]).round(3).tolist()
    [[0.333, 0.0]]
    """
    start, stop = _columns(segments)
    true_start, true_stop = _columns(truth)
    with np.errstate(invalid="ignore"):  # of intervals that are not finite
        shared = np.minimum(stop[:, None], true_stop) - np.maximum(start[:, None], true_start)
        shared = np.maximum(shared, 0)
        union = (stop - start)[:, None] + (true_stop - true_start) - shared
    return cast(Floats, np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def holds_midpoint(segments: npt.ArrayLike, truth: npt.ArrayLike, *, closed: bool = False) -> Bools:
    """(N, M) whether the middle of each interval (N, 2) lies in each true one (M, 2).

    Args:
        segments: (N, 2).
        truth: (M, 2).
        closed: whether a middle on the end of the true interval is inside; intervals of first and last frame have it.
    """
    middle = np.asarray(segments, np.float64).reshape(-1, 2).sum(axis=1)[:, None] / 2
    start, stop = _columns(truth)
    return cast(Bools, (start <= middle) & ((middle <= stop) if closed else (middle < stop)))


def _columns(intervals: npt.ArrayLike) -> tuple[Floats, Floats]:
    rows = np.asarray(intervals, np.float64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def match(affinity: npt.ArrayLike, at: npt.ArrayLike) -> Bools:
    """Which detections are true positives when, best score first, each takes a free truth.

    Args:
        affinity: (N, M) tIoU, or 1 where a midpoint is inside; rows in order of falling score.
        at: (T,) thresholds; a detection takes the free truth of largest affinity, the first of equals, if it is >= it.

    Returns:
        (N, T).
    """
    return _match(np.ascontiguousarray(affinity, np.float64), np.atleast_1d(np.asarray(at, np.float64)))


@kernel
def _match(affinity: Floats, at: Floats) -> Bools:
    detections, truths = affinity.shape
    hits = np.zeros((detections, len(at)), np.bool_)
    for threshold in range(len(at)):
        free = np.ones(truths, np.bool_)
        for detection in range(detections):
            best, best_affinity = -1, -np.inf
            for truth in range(truths):
                # written so that the affinity of an interval that is not finite, NaN, takes nothing
                enough = affinity[detection, truth] >= at[threshold]
                if enough and free[truth] and affinity[detection, truth] > best_affinity:
                    best, best_affinity = truth, affinity[detection, truth]
            if best >= 0:
                free[best] = False
                hits[detection, threshold] = True
    return hits


def match_by_truth(affinities: Iterable[npt.ArrayLike], detections: int, at: float) -> Bools:
    """Which detections are true positives when each truth in turn takes one, whatever the scores (THUMOS'14).

    Args:
        affinities: for each truth in order, its (N,) affinities with the detections in order of falling score.
        detections: N.
        at: a truth takes its free detection of largest affinity, the first of equals, if that is > ``at``.

    Returns:
        (N,).
    """
    taken = np.zeros(detections, bool)
    for affinity in affinities if detections else ():
        open_to_it = np.where(taken, -np.inf, affinity)
        best = int(open_to_it.argmax())
        taken[best] |= open_to_it[best] > at
    return taken


def average_precision(
    hits: npt.ArrayLike, positives: float, *, area: Area = "envelope", weights: Floats | None = None
) -> Floats:
    """Area under the precision over recall of ranked detections, in percent; NaN without positives.

    Args:
        hits: (N,) or (N, T), in order of falling score: which detections are true positives.
        positives: number of truths.
        area: ``envelope``, of the precision made monotone (VOC 2010, ActivityNet); ``eleven-point``, its mean at
            recalls 0, 0.1 … 1 (VOC 2007); ``sum``, the precision summed at the true positives over the positives
            (THUMOS'14); ``trapezoid``, straight lines between the points, from precision 1 at recall 0.
        weights: (N,) how often each detection counts; its copies share one rank.

    Returns:
        () or (T,).

    >>> hits = [True, False, True]
    >>> float(average_precision(hits, 2)), float(average_precision(hits, 2, area="trapezoid")).__round__(2)
    (83.33333333333333, 79.17)
    """
    counted = np.asarray(hits, np.float64)
    if weights is not None:
        counted = counted * weights.reshape(-1, *[1] * (counted.ndim - 1))
    if not positives:
        return np.full(counted.shape[1:], np.nan)
    ranks = np.arange(1.0, len(counted) + 1) if weights is None else np.cumsum(weights)
    ranks = ranks.reshape(-1, *[1] * (counted.ndim - 1))
    found = np.cumsum(counted, axis=0)
    precision = np.divide(found, ranks, out=np.zeros_like(found), where=ranks > 0)
    if area == "sum":
        return np.asarray(100 * (precision * counted).sum(axis=0) / positives)
    recall = found / positives
    if area == "trapezoid":
        above = np.concatenate([np.ones_like(found[:1]), precision[:-1]])
        return np.asarray(100 * ((precision + above) / 2 * counted).sum(axis=0) / positives)
    if area == "eleven-point":
        steps = [np.where(recall >= at, precision, 0).max(axis=0, initial=0) for at in ELEVEN]
        return np.asarray(100 * np.mean(steps, axis=0))
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    return np.asarray(100 * (envelope * counted).sum(axis=0) / positives)


class Detections(NamedTuple):
    """One label's detections in one sequence.

    Attributes:
        scores: (N,) falling.
        hits: (N, T) true positives by criterion.
        positives: number of truths.
    """

    scores: Floats
    hits: Bools
    positives: int


def by_score(scores: npt.ArrayLike, start: npt.ArrayLike, stop: npt.ArrayLike) -> Ints:
    """The order of detections by falling score, equal ones by start, then by stop; a score of NaN is the lowest."""
    return np.lexsort((np.asarray(stop), np.asarray(start), -ranked_scores(scores)))


def ranked_scores(scores: npt.ArrayLike) -> Floats:
    """Scores as float64, -inf for NaN."""
    values = np.asarray(scores, np.float64)
    return np.where(np.isnan(values), -np.inf, values)


class Ranked(NamedTuple):
    """One label's detections of all sequences, best first.

    Attributes:
        owner: (N,) index of the sequence.
        hits: (N, T).
        positives: (S,) truths of each sequence.
    """

    owner: Ints
    hits: Bools
    positives: Floats


Pieces = Mapping[str, Detections]
"""One sequence's detections by label."""


def ranked(sequences: Sequence[Pieces]) -> dict[str, Ranked]:
    """Each label's detections of all sequences, best first; labels sorted.

    Equal scores are ranked in the order of the sequences, then as :func:`by_score` does.
    """
    return {label: _ranked(label, sequences) for label in sorted({label for pieces in sequences for label in pieces})}


def _ranked(label: str, sequences: Sequence[Pieces]) -> Ranked:
    pieces = [each.get(label) for each in sequences]
    there = [piece for piece in pieces if piece is not None]
    order = np.argsort(-np.concatenate([piece.scores for piece in there]), kind="stable")
    owner = np.repeat(np.arange(len(pieces)), [0 if piece is None else len(piece.scores) for piece in pieces])
    return Ranked(
        owner=owner[order],
        hits=np.concatenate([piece.hits for piece in there])[order],
        positives=np.array([0.0 if piece is None else piece.positives for piece in pieces]),
    )


def average_precisions(
    labels: Mapping[str, Ranked], area: Area = "envelope", weights: Floats | None = None
) -> dict[str, Floats]:
    """(T,) AP of each label [%] when sequence i counts ``weights[i]`` times; NaN without truth."""
    return {
        label: average_precision(each.hits, each.positives.sum(), area=area)
        if weights is None
        else average_precision(each.hits, float(weights @ each.positives), area=area, weights=weights[each.owner])
        for label, each in labels.items()
    }


def mean_over_labels(values: Mapping[str, Floats], criteria: int) -> Floats:
    """(T,) mean of the labels' AP, leaving out the labels without truth; NaN when none has any."""
    there = [value for value in values.values() if np.isfinite(value).all()]
    return np.mean(there, axis=0) if there else np.full(criteria, np.nan)


def recalled(affinity: npt.ArrayLike, at: npt.ArrayLike) -> Ints:
    """How many truths the best r proposals reach, summed over the thresholds.

    Args:
        affinity: (N, M) tIoU, proposals in order of falling score.
        at: (T,) thresholds; a truth is reached by any proposal of tIoU >= the threshold.

    Returns:
        (N + 1,) for r from 0 to N; each at most M * T.
    """
    reached = np.asarray(affinity, np.float64)[..., None] >= np.atleast_1d(np.asarray(at, np.float64))
    if not len(reached):
        return np.zeros(1, np.int64)
    first = reached.argmax(axis=0)[reached.any(axis=0)]
    return np.cumsum(np.bincount(first + 1, minlength=len(reached) + 1))


class Recalls(NamedTuple):
    """Recall over the number of proposals; all (100,) but the last.

    Attributes:
        proposals: average number of proposals per video (AN).
        recall: average recall over the thresholds (AR) [%].
        area: AUC, the area under ``recall`` over ``proposals``, as a share of the last number [%].
    """

    proposals: Floats
    recall: Floats
    area: float


def average_recall(
    reached: Ints,
    starts: Ints,
    truths: Floats,
    thresholds: int,
    *,
    most: float | None = None,
    weights: Floats | None = None,
) -> Recalls:
    """AR@AN of the ActivityNet proposal task: each video gives the same share of its proposals.

    Args:
        reached: the :func:`recalled` arrays of all videos, one after the other.
        starts: (V + 1,) where each begins.
        truths: (V,) number of truths of each video.
        thresholds: how many thresholds ``reached`` sums over.
        most: the largest average number of proposals; all of them by default.
        weights: (V,) how often each video counts.

    Source: ActivityNet Challenge 2016 to 2019, task 1 (temporal action proposals), its published evaluation rule.
    """
    weights = np.ones(len(truths)) if weights is None else weights
    proposals = np.diff(starts) - 1
    videos, available = weights.sum(), weights @ proposals
    most = available / videos if most is None else most
    hundredths = np.arange(1, 101) / 100
    if not available or not weights @ truths:
        return Recalls(hundredths * most, np.zeros(100), 0.0)
    kept = np.minimum((proposals * (most * videos / available)).astype(np.int64), proposals)
    total = weights @ kept
    if not total:
        return Recalls(hundredths * most, np.zeros(100), 0.0)
    share = hundredths * (most * videos / total)
    used = np.minimum((kept[:, None] * share).astype(np.int64), kept[:, None])
    found = weights @ reached[starts[:-1, None] + used]
    recall = 100 * found / (weights @ truths * thresholds)
    numbers = share * (total / videos)
    return Recalls(numbers, recall, float(np.trapezoid(recall, numbers) / numbers[-1]))
