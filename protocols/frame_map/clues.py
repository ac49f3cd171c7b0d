"""What looks wrong in detections of actions in keyframes: their boxes, their times, their labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from har_bench.arrays import Bools, Floats, Ints
from har_bench.protocol import Batch
from har_bench.protocol.clues import ONE_SCORE, Clues, Note, counted, of_scores

from .keyframes import BEGINNING

LAST = 1800.0
"""No keyframe of AVA's films is later [s]."""

WRITTEN: Mapping[str, Callable[[Floats], Floats]] = {
    "y1, x1, y2, x2": lambda boxes: boxes[:, [1, 0, 3, 2]],
    "x, y, width, height": lambda boxes: np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
    "middle x, middle y, width, height": lambda boxes: np.concatenate(
        [boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1
    ),
    "coordinates from -1 to 1": lambda boxes: (boxes + 1) / 2,
    "percent of the image": lambda boxes: boxes / 100,
}
"""What boxes may be in place of corners as fractions, and the corners that they then are: (N, 4) -> (N, 4)."""

LOOKED_AT = 4096
"""Detections of a batch whose boxes are compared with the true ones, evenly spread."""

NOTES: Mapping[str, Note] = {
    "pixels": Note(
        "{hits} of {of} detected boxes reach beyond 2: are they in pixels? fractions of the image, from 0 to 1, are "
        "asked for",
        least=0.1,
    ),
    "inverted": Note(
        "{hits} of {of} detected boxes are inverted, with x1 > x2 or y1 > y2: are they x, y, width, height? x1, y1, "
        "x2, y2 are asked for",
        least=0.1,
    ),
    **{
        how: Note(
            f"most detected boxes fit the true ones much better as {how}: x1, y1, x2, y2 are asked for, fractions of "
            "the image from 0 to 1",
            least=0.5,
            unless="inverted",
        )
        for how in WRITTEN
    },
    "no keyframe": Note(
        "{hits} of {of} detections are at seconds that are no annotated keyframe, and do not count: are their times "
        "and videos those of the split?",
        least=0.5,
    ),
    "no action": Note(
        "{hits} of {of} detections are of actions that are not scored: are their labels the numbers of AVA's action "
        "list, from 1?",
        least=0.5,
    ),
    "frames": Note(
        "nearly all timestamps of the detections are later than second 1800: are they frame numbers? seconds of the "
        "film are asked for, or the column frame"
    ),
    "from zero": Note(
        "nearly all timestamps of the detections are before second 900, where AVA's films begin: do they count from "
        "the beginning of a clip? seconds of the film are asked for"
    ),
    "label 0": Note(
        "{hits} of {of} detections have the label 0: do the labels count from 0? AVA's actions are 1 to 80", least=0.001
    ),
    **ONE_SCORE,
}


def of_detections(predictions: Batch, codes: Ints, annotated: Ints, actions: Ints, truth: tuple[Ints, Floats]) -> Clues:
    """The clues of :data:`NOTES`.

    Args:
        predictions: N detections.
        codes: (N,) their keyframes, see :mod:`.keyframes`.
        annotated: the codes of all annotated keyframes, sorted.
        actions: the numbers of the actions that are scored.
        truth: (G,) keyframes of the true boxes, and these, (G, 4).
    """
    boxes, labels = predictions["bbox_normalised"].reshape(-1, 4), predictions["label"]
    with np.errstate(invalid="ignore"):
        inverted = (boxes[:, 0] > boxes[:, 2]) | (boxes[:, 1] > boxes[:, 3])
        found = {
            "pixels": counted(cast(Bools, (boxes > 2).any(axis=1))),
            "inverted": counted(inverted),
            "label 0": counted(labels == 0),
            "no keyframe": counted(~np.isin(codes, annotated)),
            "no action": counted(~np.isin(labels, actions)),
            **_written(boxes.astype(np.float64), codes, *truth),
            **of_scores(predictions["score"]),
        }
        if "timestamp" in predictions.columns:
            films = [any(split.startswith("v") for split in splits) for splits in _splits(predictions)]
            film = np.repeat(np.array(films, bool), np.diff(predictions.starts))
            found["frames"] = counted(predictions["timestamp"] > LAST, film)
            found["from zero"] = counted(predictions["timestamp"] < BEGINNING, film)
    return found


def _written(boxes: Floats, codes: Ints, true_codes: Ints, true: Floats) -> Clues:
    """How many boxes overlap a true one of their keyframe by half as something else, and half as much as they are."""
    order = np.argsort(true_codes, kind="stable")
    true_codes, true = true_codes[order], true[order]
    rows = np.flatnonzero(np.isin(codes, true_codes))
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, LOOKED_AT).astype(np.int64))] if len(rows) else rows
    first, last = (np.searchsorted(true_codes, codes[rows], side) for side in ("left", "right"))
    counts = last - first
    each = np.repeat(np.arange(len(rows)), counts)
    begins = np.cumsum(counts) - counts
    beside = true[np.arange(len(each)) - np.repeat(begins - first, counts)]

    def best(mine: Floats) -> Floats:
        return np.maximum.reduceat(_overlap(mine[each], beside), begins) if len(rows) else np.zeros(0)

    given = best(boxes[rows])
    changed = {how: best(corners(boxes[rows])) for how, corners in WRITTEN.items()}
    return {how: counted((overlap > 0.5) & (given < overlap / 2)) for how, overlap in changed.items()}


def _overlap(boxes: Floats, others: Floats) -> Floats:
    """(N,) intersection over union of boxes (N, 4), row by row; 0 where one is none."""
    low, high = np.maximum(boxes[:, :2], others[:, :2]), np.minimum(boxes[:, 2:], others[:, 2:])
    common: Floats = np.clip(high - low, 0, None).prod(axis=1)
    both = sum(np.clip(each[:, 2:] - each[:, :2], 0, None).prod(axis=1) for each in (boxes, others)) - common
    shares: Floats = np.divide(common, both, out=np.zeros(len(boxes)), where=both > 0)
    return shares


def _splits(predictions: Batch) -> list[list[str]]:
    return [splits or [] for splits in predictions.sequences["splits"].to_pylist()]
