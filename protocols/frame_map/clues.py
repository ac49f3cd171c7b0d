"""What looks wrong in detections of actions in keyframes: their boxes, their times, their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from har_bench.arrays import Bools
from har_bench.protocol import Batch
from har_bench.protocol.clues import Clues, Note, counted

from .keyframes import BEGINNING

LAST = 1800.0
"""No keyframe of AVA's films is later [s]."""

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
}


def of_detections(predictions: Batch) -> Clues:
    """The clues of :data:`NOTES`."""
    boxes, labels = predictions["bbox_normalised"].reshape(-1, 4), predictions["label"]
    with np.errstate(invalid="ignore"):
        inverted = (boxes[:, 0] > boxes[:, 2]) | (boxes[:, 1] > boxes[:, 3])
        found = {
            "pixels": counted(cast(Bools, (boxes > 2).any(axis=1))),
            "inverted": counted(inverted),
            "label 0": counted(labels == 0),
        }
        if "timestamp" in predictions.columns:
            films = [any(split.startswith("v") for split in splits) for splits in _splits(predictions)]
            film = np.repeat(np.array(films, bool), np.diff(predictions.starts))
            found["frames"] = counted(predictions["timestamp"] > LAST, film)
            found["from zero"] = counted(predictions["timestamp"] < BEGINNING, film)
    return found


def _splits(predictions: Batch) -> list[list[str]]:
    return [splits or [] for splits in predictions.sequences["splits"].to_pylist()]
