"""The greedy matching of COCO's keypoint evaluation.

Lin et al., Microsoft COCO, ECCV 2014, and https://cocodataset.org/#keypoints-eval, in the exact order of operations of
pycocotools 2.0.11 (``COCOeval`` with ``iouType="keypoints"``), whose quirks are kept: a similarity of NaN matches, a
person with annotation id 0 is taken but never counted, the later of two equally similar persons is taken.

Images come as rows of arrays with ``starts``: the rows of image i are ``starts[i]:starts[i + 1]``. Similarities are
computed a few images at a time, so memory does not grow with their number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats, Ints, kernel
from har_bench.errors import HarBenchError

from .similarity import Chosen, Detections, Persons, exponents, pair_means

Marks = npt.NDArray[np.int8]

THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
"""The similarities at which a match is asked for, as these very doubles."""

IGNORED, TRUE, FALSE = 0, 1, 2
"""What a detection is at one threshold and in one range of areas."""

HIGHEST = 1 - 1e-10
CHUNK = 1 << 17
"""Similarity terms in memory at once (1 MiB)."""


class Matches(NamedTuple):
    """What became of the best detections of each image.

    Attributes:
        starts: (S + 1,) row offsets of the images.
        score: (K,) falling within each image.
        marks: (K, A, T) one of IGNORED, TRUE, FALSE, for each range of areas and threshold.
        positives: (S, A) persons to be found.
    """

    starts: Ints
    score: Floats
    marks: Marks
    positives: Ints


class Bounds(NamedTuple):
    """When a match counts.

    Attributes:
        areas: (A, 2) the lowest and highest area of each range, both inside, px^2.
        similar: (T,) the least similarities.
    """

    areas: Floats
    similar: Floats


class Found(NamedTuple):
    """What matching fills: the ``marks`` and the ``positives`` of :class:`Matches`."""

    marks: Marks
    positives: Ints


def match(
    persons: Persons, detections: Detections, sigmas: Floats, areas: Floats, *, limit: int = 20, device: str = ""
) -> Matches:
    """Match the best detections of each image with its persons.

    In the order of their scores, each detection takes the free person who is most similar to it, at least by the
    threshold; one who counts is preferred to one who is ignored. Ties of scores keep the order of the file.

    Args:
        persons: of S images.
        detections: of the same images.
        sigmas: (J,) the standard deviations of the joints, relative to the square root of the area.
        areas: (A, 2) the lowest and highest area of each range, both inside, px^2; others are ignored there.
        limit: detections per image that count.
        device: a torch device for the similarities; empty: NumPy and numba.

    Raises:
        HarBenchError: shapes that do not belong together.
    """
    joints = len(sigmas)
    for what, points in (("annotated", persons.keypoints), ("detected", detections.keypoints)):
        if points.shape[1:] != (joints, 2):
            shape = points.shape[1:]
            raise HarBenchError(f"the {what} persons have keypoints {shape} and there are sigmas for {joints} joints")
    chosen = best(detections.starts, detections.score, limit)
    found = Found(
        np.empty((len(chosen.rows), len(areas), len(THRESHOLDS)), np.int8),
        np.zeros((len(persons.starts) - 1, len(areas)), np.int64),
    )
    matches = Matches(chosen.starts, detections.score[chosen.rows], *found)
    bounds = Bounds(areas, np.minimum(THRESHOLDS, HIGHEST))
    if device:
        from .similarity_torch import pair_similarities

        oks = pair_similarities(persons, detections, *chosen, sigmas, device)
        _match(0, len(found.positives), chosen, detections.area, persons, oks, bounds, found)
        return matches
    counted = persons.labelled.sum(axis=1)
    terms = np.where(counted > 0, counted, joints).astype(np.int64)
    variances = (2 * sigmas) ** 2
    sums = np.append(0, np.cumsum(terms))[persons.starts]
    ends = np.cumsum(np.diff(sums) * np.diff(chosen.starts))
    first, done = 0, 0
    while first < len(ends):
        last = max(first + 1, int(np.searchsorted(ends, done + CHUNK, "right")))
        values = np.empty(int(ends[last - 1]) - done)
        exponents(first, last, chosen, detections.keypoints, persons, variances, values)
        np.exp(values, out=values)  # NumPy's own, whose last bit may differ from the C library's
        oks = pair_means(first, last, chosen.starts, persons.starts, terms, values)
        _match(first, last, chosen, detections.area, persons, oks, bounds, found)
        first, done = last, int(ends[last - 1])
    return matches


@kernel
def _match(  # noqa: C901
    first: int,
    last: int,
    chosen: Chosen,
    sizes: Floats,
    persons: Persons,
    similar: Floats,
    bounds: Bounds,
    found: Found,
) -> None:
    """Fill what is found in images first to last from the similarities of their pairs.

    Long, since it is one walk in pycocotools' order: ranges of areas, thresholds, detections by score, persons.
    ``sizes`` (M,) are the areas of all detections.
    """
    starts, (areas, thresholds), (marks, positives) = chosen.starts, bounds, found
    at = 0
    for image in range(first, last):
        begin, end = persons.starts[image], persons.starts[image + 1]
        people, detected = end - begin, starts[image + 1] - starts[image]
        oks = similar[at : at + detected * people].reshape(detected, people)
        at += detected * people
        order, free = np.empty(people, np.int64), np.empty(people, np.bool_)
        for span in range(len(areas)):
            low, high = areas[span, 0], areas[span, 1]
            counting, behind = 0, people  # those who count come first; both in the order of the file
            for person in range(people):
                row = begin + person
                if not (persons.ignore[row] or persons.area[row] < low or persons.area[row] > high):
                    order[counting] = person
                    counting += 1
            for person in range(people - 1, -1, -1):
                row = begin + person
                if persons.ignore[row] or persons.area[row] < low or persons.area[row] > high:
                    behind -= 1
                    order[behind] = person
            positives[image, span] = counting
            for step in range(len(thresholds)):
                free[:] = True
                for detection in range(detected):
                    limit, taken, ignored = thresholds[step], -1, False
                    for place in range(people):
                        person = order[place]
                        if not free[person] and not persons.crowd[begin + person]:
                            continue
                        if taken >= 0 and not ignored and place >= counting:
                            break
                        if oks[detection, person] < limit:
                            continue
                        limit, taken, ignored = oks[detection, person], person, place >= counting
                    named = False
                    if taken >= 0:
                        free[taken] = False
                        named = persons.named[begin + taken]
                    place = starts[image] + detection
                    if not named and not ignored:
                        size = sizes[chosen.rows[place]]
                        ignored = size < low or size > high
                    marks[place, span, step] = IGNORED if ignored else (TRUE if named else FALSE)


def best(starts: Ints, score: Floats, limit: int) -> Chosen:
    """The ``limit`` best detections of each image, by falling score.

    Equal scores keep the order of the file; NaN comes last.
    """
    kept = np.append(0, np.cumsum(np.minimum(np.diff(starts), limit)))
    rows = np.empty(int(kept[-1]), np.int64)
    _best(starts, score, kept, rows)
    return Chosen(kept, rows)


@kernel
def _best(starts: Ints, score: Floats, kept: Ints, rows: Ints) -> None:
    for image in range(len(starts) - 1):
        begin, room = kept[image], kept[image + 1] - kept[image]
        filled = 0
        for row in range(starts[image], starts[image + 1]):
            place = filled
            while place > 0 and _above(score[row], score[rows[begin + place - 1]]):
                place -= 1
            if place >= room:
                continue
            filled = min(filled + 1, room)
            for other in range(filled - 1, place, -1):
                rows[begin + other] = rows[begin + other - 1]
            rows[begin + place] = row


@kernel
def _above(one: float, other: float) -> bool:
    return one > other or (np.isnan(other) and not np.isnan(one))


def extents(keypoints: Floats) -> Floats:
    """(M,) areas of the upright rectangles around points (M, J, 2); NaN where a coordinate is."""
    area = np.empty(len(keypoints))
    _extents(keypoints, area)
    return area


@kernel
def _extents(keypoints: Floats, area: Floats) -> None:
    for row in range(len(keypoints)):
        size = 1.0
        for axis in range(2):
            low = high = keypoints[row, 0, axis]
            for joint in range(keypoints.shape[1]):
                value = keypoints[row, joint, axis]
                if np.isnan(value):
                    low = value
                    break
                low, high = min(low, value), max(high, value)
            size *= high - low
        area[row] = size
