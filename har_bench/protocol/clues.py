"""What looks wrong in predictions: a unit, an origin, an order, found by looking at them beside the truth.

A clue is counted row by row, so that it adds up over batches and workers; it becomes a note of the result when nearly
everything that was looked at shows it. No number changes. Every threshold here is far from what a model does, however
bad: a clue that fires on right input is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa

from har_bench.arrays import Bools, Floats, Ints

EACH = 64
"""At most so many rows of a sequence are looked at, evenly spread."""

ALIKE = 0.8
"""Cosine between a predicted and a true shape from which they are taken for the same, but for their size."""

HALF = 0.5
"""An exchange is meant when it makes the distance this much smaller at least."""

MUCH = 1.6
"""From which a shape is much smaller or larger; that a resized image has half the size is met most."""

FEW = 6
"""Rows from which it can be told that their joints are in another order, which is the same in all."""

LOOKED_AT = 256
"""Rows from which that order is told, and images in which detections are looked at."""

BESIDE = 8
"""Detections of an image, the best ones, that each annotated person is compared with."""


class Clue(NamedTuple):
    """How many rows show something, of those that were looked at."""

    hits: int
    of: int

    def __add__(self, other: object) -> Clue:
        return Clue(self.hits + other.hits, self.of + other.of) if isinstance(other, Clue) else NotImplemented


Clues = Mapping[str, Clue]


@dataclass(frozen=True)
class Note:
    """What is said when a clue is found.

    Attributes:
        text: the sentence, with the remedy; may name ``{hits}`` and ``{of}``.
        least: the share of rows from which it is said.
        unless: the clue that explains the same better; this one is not said beside it.
    """

    text: str
    least: float = 0.95
    unless: str = ""

    def said(self, clue: Clue) -> str | None:
        """The sentence about a clue; None when too little shows it."""
        enough = clue.of > 0 and clue.hits > 0 and clue.hits >= self.least * clue.of
        return self.text.format(hits=f"{clue.hits:,}", of=f"{clue.of:,}") if enough else None


def counted(shown: Bools, looked_at: Bools | None = None) -> Clue:
    """A clue from flags (N,); rows outside ``looked_at`` do not count."""
    if looked_at is None:
        return Clue(int(shown.sum()), len(shown))
    return Clue(int((shown & looked_at).sum()), int(looked_at.sum()))


def sampled(starts: Ints, each: int = EACH) -> Ints:
    """The numbers of at most ``each`` rows of every sequence, evenly spread; which ones depends on nothing else."""
    pieces = [
        np.unique(np.linspace(start, stop - 1, each).round().astype(np.int64))
        if stop - start > each
        else np.arange(start, stop)
        for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        if stop > start
    ]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int64)


def seen(points: Floats) -> Bools:
    """(N, J) which of the points (N, J, D) are there."""
    return cast(Bools, np.isfinite(points).all(axis=-1))


def alike(predicted: Floats, truth: Floats, there: Bools) -> tuple[Bools, Floats]:
    """Which shapes are the same but for their size, and how many times larger the true one is.

    Args:
        predicted: (N, J, D).
        truth: (N, J, D).
        there: (N, J) the points that both have.
    """
    kept = there[..., None]
    counts = np.maximum(there.sum(axis=1), 1)[:, None, None]
    centred = []
    for points in (predicted, truth):
        found = np.where(kept, points, 0.0)
        centred.append(np.where(kept, found - found.sum(axis=1, keepdims=True) / counts, 0.0))
    mine, true = (np.sqrt((points**2).sum(axis=(1, 2))) for points in centred)
    usable = (there.sum(axis=1) >= 3) & (mine > 0) & (true > 0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        cosine = (centred[0] * centred[1]).sum(axis=(1, 2)) / (mine * true)
        return usable & (cosine > ALIKE), np.where(usable, true / mine, np.nan)


def closer(changed: Floats, predicted: Floats, truth: Floats, there: Bools) -> Bools:
    """(N,) whether changed predictions (N, J, D) are much closer to the truth than the predictions themselves."""
    return nearer(lengths(changed - truth), lengths(predicted - truth), there)


def nearer(changed: Floats, distances: Floats, there: Bools) -> Bools:
    """(N,) :func:`closer` of joints' distances (N, J) from the truth, which many may be compared with."""
    first, second = (np.where(there, each, 0.0).sum(axis=1) for each in (changed, distances))
    return cast(Bools, there.any(axis=1) & (first < HALF * second))


def lengths(vectors: Floats) -> Floats:
    """(...) of vectors (..., D); ``np.linalg.norm`` takes four times as long for two or three coordinates."""
    return cast(Floats, np.sqrt(np.einsum("...d,...d->...", vectors, vectors)))


def reordered(predicted: Floats, truth: Floats) -> Bools:
    """(N,) whether predictions are much closer to the truth with their joints in another order, one for all of them.

    Args:
        predicted: (N, J, D).
        truth: (N, J, D); NaN where there is none.
    """
    nothing = np.zeros(len(predicted), bool)
    rows = np.unique(np.linspace(0, len(predicted) - 1, LOOKED_AT).astype(np.int64)) if len(predicted) >= FEW else ()
    if not len(rows):
        return nothing
    with np.errstate(invalid="ignore"):
        apart = lengths(predicted[rows][:, :, None] - truth[rows][:, None])
    both = np.isfinite(apart)
    times = both.sum(axis=0)
    cost = np.where(both, apart, 0.0).sum(axis=0) / np.maximum(times, 1)
    cost[times < len(rows) / 4] = cost.max(initial=0.0)  # joints that are hardly ever seen together
    if 2 * (cost.diagonal() <= cost.min(axis=1)).sum() >= len(cost):
        return nothing  # most joints are nearest to their own
    from scipy.optimize import linear_sum_assignment

    order = np.argsort(linear_sum_assignment(cost)[1])
    moved = predicted[:, order]
    return closer(moved, predicted, truth, seen(truth) & seen(predicted) & seen(moved))


POINTS: Mapping[str, Note] = {
    "one place": Note(
        "nearly all predictions have all their joints in one place: is it the model's output that was written?"
    ),
    "normalised": Note(
        "the coordinates of nearly all predictions are between -1 and 2 px: are they shares of the image? pixels are "
        "asked for",
        unless="one place",
    ),
    "too small": Note(
        "nearly all predictions are much smaller than the truth and of its shape (too small): are they pixels of a "
        "heat map or of a resized image? pixels of the original image are asked for",
        unless="normalised",
    ),
    "too large": Note(
        "nearly all predictions are much larger than the truth and of its shape (too large): are they pixels of a "
        "resized image? pixels of the original image are asked for"
    ),
    "elsewhere": Note(
        "nearly all predictions have the shape and size of the truth and lie elsewhere: are they pixels of a crop? "
        "pixels of the original image are asked for"
    ),
    "one-based": Note(
        "most joints are exactly 1 px right of and below the truth: do the predictions count pixels from 1 (1-based)? "
        "--one-based takes them so",
        least=0.5,
    ),
    "zero-based": Note(
        "most joints are exactly 1 px left of and above the truth: were 0-based pixels written into a file that is "
        "1-based?",
        least=0.5,
    ),
    "x and y": Note(
        "nearly all predictions are much closer to the truth with x and y exchanged: were rows and columns swapped? "
        "--axes y,x takes them so"
    ),
    "left and right": Note(
        "nearly all predictions are much closer to the truth with left and right joints exchanged: are the joints in "
        "another order, or the images mirrored?"
    ),
    "order": Note(
        "nearly all predictions are much closer to the truth with their joints in another order: are they those of "
        "another layout? --skeleton names it"
    ),
}
"""What may be wrong with 2D points."""

NEAR = 0.25
"""How near to a whole pixel an offset must be to be one of origin."""


def of_points(predicted: Floats, truth: Floats, starts: Ints, swap: Ints) -> Clues:
    """The clues of :data:`POINTS` in predictions that answer the truth row by row.

    Args:
        predicted: (N, J, 2) px.
        truth: (N, J, 2) px; NaN where there is none.
        starts: (S + 1,) offsets of the sequences.
        swap: (J,) the joints with left and right exchanged.
    """
    return in_pieces(sampled(starts), lambda rows: _of_points(predicted[rows], truth[rows], swap))


def in_pieces(rows: Ints, look: Callable[[Ints], Clues]) -> Clues:
    """What a look at some rows gives, at a few thousand at a time, so that little is held."""
    found: Clues = {}
    for first in range(0, max(len(rows), 1), 4096):
        found = merged(found, look(rows[first : first + 4096]))
    return found


def _of_points(predicted: Floats, truth: Floats, swap: Ints) -> Clues:
    mine, true = predicted.astype(np.float64), truth.astype(np.float64)
    there = seen(mine) & seen(true)
    someone = cast(Bools, there.any(axis=1))
    inside = np.where(there[..., None], (mine >= -1) & (mine <= 2), True).all(axis=(1, 2))
    shares = someone & inside & (np.where(there[..., None], true, 0.0).max(axis=(1, 2), initial=0.0) > 10)
    same, ratio = alike(mine, true, there)
    offset = np.where(there[..., None], mine - true, np.nan)
    with np.errstate(invalid="ignore"):
        right, left = (there & (np.abs(offset - by) < NEAR).all(axis=-1) for by in (1.0, -1.0))
        small, large = same & ~shares & (ratio > MUCH), same & ~shares & (ratio < 1 / MUCH)
    flipped = closer(mine[..., ::-1], mine, true, there)
    mirrored = closer(mine[:, swap], mine, true, there & there[:, swap])
    return {
        "one place": counted(extents(mine) == 0, seen(mine).sum(axis=1) > 1),
        "normalised": counted(shares, someone),
        "too small": counted(small, someone),
        "too large": counted(large, someone),
        "elsewhere": counted(same & ~shares & ~small & ~large & _apart(mine, true, there), someone),
        "one-based": counted(right.reshape(-1), there.reshape(-1)),
        "zero-based": counted(left.reshape(-1), there.reshape(-1)),
        "x and y": counted(flipped, someone),
        "left and right": counted(mirrored, someone),
        "order": counted(reordered(mine, true) & ~flipped & ~mirrored, someone),
    }


def _apart(predicted: Floats, truth: Floats, there: Bools) -> Bools:
    """(N,) whether the middles of the joints that both have are farther apart than half the truth is large."""
    apart = np.where(there[..., None], predicted - truth, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)[:, None]
    return lengths(apart) > HALF * extents(np.where(there[..., None], truth, np.nan))


ONE_SCORE: Mapping[str, Note] = {
    "one score": Note(
        "all detections have the same score: they are ranked by nothing but their place in the file", least=1.0
    )
}
"""What is wrong with detections that cannot be ranked."""

PERSONS: Mapping[str, Note] = {
    # of a model with an AP of 40, half the persons are found; on its right detections no clue reaches 0.1
    name: replace(POINTS[name], text=POINTS[name].text.replace("nearly all", "most"), least=0.6)
    for name in ("one place", "normalised", "too small", "too large", "elsewhere", "x and y", "left and right", "order")
} | dict(ONE_SCORE)
"""What may be wrong with detected persons, whom nobody has matched yet."""


def of_scores(scores: Floats) -> Clues:
    """The clue that all detections of a batch have one score: (N,)."""
    same = len(scores) > 1 and bool((scores == scores[0]).all())
    return {"one score": Clue(len(scores) * same, len(scores))}


class _Image(NamedTuple):
    """The best detections of an image, and who is annotated there.

    Attributes:
        found: (D, J, 2) px.
        truth: (T, J, 2) px; NaN where there is none.
    """

    found: Floats
    truth: Floats


def _images(predicted: Floats, scores: Floats, starts: Ints, truth: Floats, truth_starts: Ints) -> Iterator[_Image]:
    """At most :data:`LOOKED_AT` images, evenly spread, of those with detections and persons above 10 px."""
    large = extents(truth.astype(np.float64)) > 10
    owner = np.repeat(np.arange(len(truth_starts) - 1), np.diff(truth_starts))
    there = (np.diff(starts) > 0) & (np.bincount(owner[large], minlength=len(starts) - 1) > 0)
    images = np.flatnonzero(there)
    if len(images) > LOOKED_AT:
        images = images[np.linspace(0, len(images) - 1, LOOKED_AT).astype(np.int64)]
    for image in images.tolist():
        rows = slice(*starts[image : image + 2].tolist())
        best = np.argsort(-np.nan_to_num(scores[rows], nan=-np.inf), kind="stable")[:BESIDE]
        persons = slice(*truth_starts[image : image + 2].tolist())
        yield _Image(predicted[rows][best].astype(np.float64), truth[persons][large[persons]].astype(np.float64))


def of_persons(predicted: Floats, scores: Floats, starts: Ints, truth: Floats, truth_starts: Ints, swap: Ints) -> Clues:
    """The clues of :data:`PERSONS`: every annotated person beside the best detections of the image.

    Args:
        predicted: (N, J, 2) px.
        scores: (N,).
        starts: (S + 1,) offsets of the images in ``predicted``.
        truth: (M, J, 2) px; NaN where there is none.
        truth_starts: (S + 1,) offsets of the images in ``truth``.
        swap: (J,) the joints with left and right exchanged.
    """
    images = list(_images(predicted, scores, starts, truth, truth_starts))
    if not images:
        return of_scores(scores)
    found = np.concatenate([image.found for image in images])
    sizes = [extents(image.truth) for image in images]
    begins = np.cumsum([0, *map(len, sizes)])[:-1]
    largest, smallest = (begins + [pick(size) for size in sizes] for pick in (np.argmax, np.argmin))
    # a row for each person and each detection of the image, person by person
    mine = np.concatenate([np.tile(image.found, (len(image.truth), 1, 1)) for image in images])
    true = np.concatenate([np.repeat(image.truth, len(image.found), axis=0) for image in images])
    rows = np.concatenate([np.full(len(image.truth), len(image.found)) for image in images])
    person = np.cumsum(rows) - rows
    there = seen(mine) & seen(true)
    same, ratio = alike(mine, true, there)
    with np.errstate(invalid="ignore"):
        fitting, some = same & (ratio <= MUCH) & (ratio >= 1 / MUCH), np.logical_or.reduceat
        unfit = ~some(fitting, person)
        small, large = (unfit & some(same & other, person) for other in (ratio > MUCH, ratio < 1 / MUCH))
        shares = np.nan_to_num(np.abs(found)).max(axis=(1, 2)) <= 2
    distance, flipped, exchanged = (
        np.minimum.reduceat(_mean_distance(points, true, seen(points) & seen(true)), person)
        for points in (mine, mine[..., ::-1], mine[:, swap])
    )
    nearest = _nearest(mine, true, there, person)
    turned, mirrored = flipped < HALF * distance, exchanged < HALF * distance
    ordered = reordered(mine[nearest], true[nearest]) & ~turned & ~mirrored
    away = ~unfit & np.logical_and.reduceat(_apart(mine, true, there), person)
    return {
        "one place": counted(extents(found) == 0),
        "normalised": counted(shares),
        "too small": counted(small[largest]),  # whom no other person's detection can fit
        "too large": counted(large[smallest]),
        "elsewhere": counted(away),
        "x and y": counted(turned),
        "left and right": counted(mirrored),
        "order": counted(ordered),
        **of_scores(scores),
    }


def _mean_distance(predicted: Floats, truth: Floats, there: Bools) -> Floats:
    """(N,) of the joints that are there; infinite without any."""
    total = lengths(np.where(there[..., None], predicted - truth, 0.0)).sum(axis=1)
    return np.where(there.any(axis=1), total / np.maximum(there.sum(axis=1), 1), np.inf)


def _nearest(predicted: Floats, truth: Floats, there: Bools, first: Ints) -> Ints:
    """(T,) of each person's rows, which begin at ``first``, the one whose middles are nearest."""
    offset = np.where(there[..., None], predicted - truth, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)[:, None]
    apart = np.where(there.any(axis=1), lengths(offset), np.inf)
    ends = np.append(first[1:], len(apart))
    return np.array([low + int(np.argmin(apart[low:high])) for low, high in zip(first, ends, strict=True)], np.int64)


def extents(points: Floats) -> Floats:
    """(N,) the longer side of the upright box around points (N, J, 2); 0 where there are fewer than two."""
    there = np.isfinite(points).all(axis=-1, keepdims=True)
    low = np.where(there, points, np.inf).min(axis=1)
    high = np.where(there, points, -np.inf).max(axis=1)
    return np.where(there.sum(axis=1)[:, 0] > 1, (high - low).max(axis=1), 0.0)


def column(sequences: pa.Table, name: str) -> Floats:
    """(S,) a numeric column of ``sequences``; NaN where it is null, or the store has none of the name."""
    if name not in sequences.column_names:
        return np.full(sequences.num_rows, np.nan)
    return np.array([np.nan if value is None else value for value in sequences[name].to_pylist()], np.float64)


def merged(first: Clues, second: Clues) -> Clues:
    """Both counts together."""
    none = Clue(0, 0)
    return {name: first.get(name, none) + second.get(name, none) for name in dict.fromkeys([*first, *second])}


def notes(declared: Mapping[str, Note], found: Clues) -> Iterator[str]:
    """What is to be said of the clues that were found, in the order of the declaration."""
    texts = {name: note.said(found.get(name, Clue(0, 0))) for name, note in declared.items()}
    for name, text in texts.items():
        if text is not None and texts.get(declared[name].unless) is None:
            yield text
