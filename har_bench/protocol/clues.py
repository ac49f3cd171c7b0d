"""What looks wrong in predictions: a unit, an origin, an order, found by looking at them beside the truth.

A clue is counted row by row, so that it adds up over batches and workers; it becomes a note of the result when nearly
everything that was looked at shows it. No number changes. Every threshold here is far from what a model does, however
bad: a clue that fires on right input is worse than none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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
    distances = [np.where(there, lengths(points - truth), 0.0).sum(axis=1) for points in (changed, predicted)]
    return cast(Bools, there.any(axis=1) & (distances[0] < HALF * distances[1]))


def lengths(vectors: Floats) -> Floats:
    """(...) of vectors (..., D); ``np.linalg.norm`` takes four times as long for two or three coordinates."""
    return cast(Floats, np.sqrt(np.einsum("...d,...d->...", vectors, vectors)))


POINTS: Mapping[str, Note] = {
    "normalised": Note(
        "the coordinates of nearly all predictions are between -1 and 2 px: are they shares of the image? pixels are "
        "asked for"
    ),
    "too small": Note(
        "nearly all predictions are less than half as large as the truth and of its shape (too small): are they "
        "pixels of a heat map or of a resized image? pixels of the original image are asked for"
    ),
    "too large": Note(
        "nearly all predictions are more than twice as large as the truth and of its shape (too large): are they "
        "pixels of a resized image? pixels of the original image are asked for"
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
        small, large = same & ~shares & (ratio > 2), same & ~shares & (ratio < 0.5)
    swapped = mine[:, swap]
    return {
        "normalised": counted(shares, someone),
        "too small": counted(small, someone),
        "too large": counted(large, someone),
        "one-based": counted(right.reshape(-1), there.reshape(-1)),
        "zero-based": counted(left.reshape(-1), there.reshape(-1)),
        "x and y": counted(closer(mine[..., ::-1], mine, true, there), someone),
        "left and right": counted(closer(swapped, mine, true, there & there[:, swap]), someone),
    }


PERSONS: Mapping[str, Note] = {name: POINTS[name] for name in ("normalised", "too small", "too large")}
"""What may be wrong with detected persons, whom nobody has matched yet."""


def of_persons(predicted: Floats, scores: Floats, starts: Ints, truth: Floats, truth_starts: Ints) -> Clues:
    """The clues of :data:`PERSONS`, image by image: the best detection beside all annotated persons.

    Args:
        predicted: (N, J, 2) px.
        scores: (N,).
        starts: (S + 1,) offsets of the images in ``predicted``.
        truth: (M, J, 2) px; NaN where there is none.
        truth_starts: (S + 1,) offsets of the images in ``truth``.
    """
    shares, small, large, images = 0, 0, 0, 0
    for image in range(len(starts) - 1):
        mine = predicted[starts[image] : starts[image + 1]].astype(np.float64)
        sizes = extents(truth[truth_starts[image] : truth_starts[image + 1]].astype(np.float64))
        sizes = sizes[sizes > 10]
        if not len(mine) or not len(sizes):
            continue
        images += 1
        best = mine[int(np.argmax(np.nan_to_num(scores[starts[image] : starts[image + 1]], nan=-np.inf)))]
        size = extents(best[None])[0]
        if np.nanmax(np.abs(mine), initial=0) <= 2:
            shares += 1
        elif size > 0:
            small += int(size < 0.4 * sizes.min())
            large += int(size > 2.5 * sizes.max())
    found = {"normalised": shares, "too small": small, "too large": large}
    return {name: Clue(hits, images) for name, hits in found.items()}


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
