"""Precision and recall over the detections of all images, as COCO's keypoint evaluation accumulates them.

The digits are those of pycocotools 2.0.11. A weight per image stands for that many copies of it, for the bootstrap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats, kernel

from .matching import FALSE, THRESHOLDS, TRUE, Marks, Matches

EPSILON = float(np.spacing(1))

RECALLS: Floats = np.linspace(0.0, 1.0, 101)
"""Where a precision-recall curve is read."""


class Block(NamedTuple):
    """The matches of some images.

    Attributes:
        image_id: (S,) decides between equal scores of different images.
        crowd_index: (S,) NaN where the store has none.
        matches: of the images.
    """

    image_id: npt.NDArray[np.int64]
    crowd_index: Floats
    matches: Matches


class Place(NamedTuple):
    """Where an image is: its row in a block."""

    block: Block
    row: int


class Ranking(NamedTuple):
    """All detections in the order of their scores.

    Attributes:
        marks: (A, T, N) what each is.
        image: (N,) the place of its image among the sorted names.
        positives: (S, A) persons to be found, of the images sorted by name.
        crowd_index: (S,) as in the blocks.
    """

    marks: Marks
    image: npt.NDArray[np.int64]
    positives: Floats
    crowd_index: Floats


class Curves(NamedTuple):
    """Precision at each of :data:`RECALLS` and the recall reached; NaN where nobody is to be found.

    Attributes:
        precision: (A, T, R).
        recall: (A, T).
    """

    precision: Floats
    recall: Floats


def rank(images: Sequence[Place], areas: int) -> Ranking:
    """The detections of all images by falling score; equal ones by image id, then as in the file.

    Args:
        images: every image of the blocks that they are in, sorted by name.
        areas: A, the number of ranges of areas.
    """
    blocks = list({id(image.block): image.block for image in images}.values())
    firsts = np.cumsum([0, *(len(block.image_id) for block in blocks)]).tolist()
    first = {id(block): begin for block, begin in zip(blocks, firsts, strict=False)}
    by_name = np.array([first[id(image.block)] + image.row for image in images], np.int64)
    place = np.empty(len(by_name), np.int64)
    place[by_name] = np.arange(len(by_name))  # an image's place among the sorted names
    counts = [np.diff(block.matches.starts) for block in blocks]
    image = np.repeat(place, np.concatenate([np.zeros(0, np.int64), *counts]))
    ids = np.concatenate([np.zeros(0, np.int64), *(block.image_id for block in blocks)])[by_name]
    order = np.empty(len(ids), np.int64)
    order[np.lexsort((np.arange(len(ids)), ids))] = np.arange(len(ids))  # of the image ids
    score = np.concatenate([np.zeros(0), *(block.matches.score for block in blocks)])
    # lexsort is stable, and within an image the scores already fall as in the file
    rows = np.lexsort((order[image], -score))
    shape = (0, areas, len(THRESHOLDS))
    marks = np.concatenate([np.zeros(shape, np.int8), *(block.matches.marks for block in blocks)])
    empty = np.zeros((0, areas))
    positives = np.concatenate([empty, *(block.matches.positives for block in blocks)])[by_name]
    crowding = np.concatenate([np.zeros(0), *(block.crowd_index for block in blocks)])[by_name]
    return Ranking(np.ascontiguousarray(marks[rows].transpose(1, 2, 0)), image[rows], positives, crowding)


def curves(marks: Marks, weights: Floats, positives: Floats) -> Curves:
    """Precision and recall over detections in the order of falling score.

    The precision at a recall is the highest that is reached at that recall or a higher one.

    Args:
        marks: (A, T, N) one of IGNORED, TRUE, FALSE.
        weights: (N,) how often each detection counts.
        positives: (A,) persons to be found.
    """
    ranges, thresholds = marks.shape[:2]
    precision = np.full((ranges, thresholds, len(RECALLS)), np.nan)
    recall = np.full((ranges, thresholds), np.nan)
    for span in np.flatnonzero(positives > 0):
        precision[span] = 0
        _curves(marks[span], weights, positives[span], RECALLS, precision[span], recall[span])
        precision[span] = np.maximum.accumulate(precision[span, :, ::-1], axis=1)[:, ::-1]
    return Curves(precision, recall)


@kernel
def _curves(
    marks: Marks, weights: Floats, positives: float, recalls: Floats, precision: Floats, recall: Floats
) -> None:
    """The highest precision between one of the recalls and the next; it is only ever reached at a true detection."""
    for step in range(len(marks)):
        true, false, reached = 0.0, 0.0, 0
        for row in range(len(weights)):
            mark = marks[step, row]
            if mark == FALSE:
                false += weights[row]
            elif mark == TRUE and weights[row] > 0:
                true += weights[row]
                while reached < len(recalls) and recalls[reached] <= true / positives:
                    reached += 1
                height = true / (false + true + EPSILON)
                precision[step, reached - 1] = max(precision[step, reached - 1], height)
        recall[step] = true / positives


def mean(values: Floats) -> float:
    """The plain mean of an array in one sweep, as the tools take it; NaN stays NaN."""
    return float(np.mean(np.ascontiguousarray(values).reshape(-1)))
