"""Object keypoint similarity, and the greedy matching of COCO's keypoint evaluation.

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
from numba import njit

from har_bench.errors import HarBenchError
from har_bench.protocol import Floats

Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
Marks = npt.NDArray[np.int8]

THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
"""The similarities at which a match is asked for, as these very doubles."""

IGNORED, TRUE, FALSE = 0, 1, 2
"""What a detection is at one threshold and in one range of areas."""

EPSILON = float(np.spacing(1))
HIGHEST = 1 - 1e-10
CHUNK = 1 << 17
"""Similarity terms in memory at once (1 MiB)."""


class Persons(NamedTuple):
    """The annotated persons of some images, in the order of the annotation file within each.

    Attributes:
        starts: (S + 1,) row offsets of the images.
        keypoints: (N, J, 2) px; only the labelled ones are read.
        labelled: (N, J) which joints are annotated.
        bbox: (N, 4) px, x y w h.
        area: (N,) px^2.
        ignore: (N,) persons whom it costs nothing to find or to miss.
        crowd: (N,) groups, which match any number of detections.
        named: (N,) false where the annotation's id is 0.
    """

    starts: Rows
    keypoints: Floats
    labelled: Bools
    bbox: Floats
    area: Floats
    ignore: Bools
    crowd: Bools
    named: Bools


class Detections(NamedTuple):
    """The detected persons of the same images, in the order of the file within each.

    Attributes:
        starts: (S + 1,) row offsets of the images.
        keypoints: (M, J, 2) px.
        score: (M,) the higher the surer; NaN is below every number.
        area: (M,) px^2; decides whether an unmatched detection is ignored in a range of areas.
    """

    starts: Rows
    keypoints: Floats
    score: Floats
    area: Floats


class Matches(NamedTuple):
    """What became of the best detections of each image.

    Attributes:
        starts: (S + 1,) row offsets of the images.
        score: (K,) falling within each image.
        marks: (K, A, T) one of IGNORED, TRUE, FALSE, for each range of areas and threshold.
        positives: (S, A) persons to be found.
    """

    starts: Rows
    score: Floats
    marks: Marks
    positives: Rows


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
    starts, rows = best(detections.starts, detections.score, limit)
    marks = np.empty((len(rows), len(areas), len(THRESHOLDS)), np.int8)
    positives = np.zeros((len(persons.starts) - 1, len(areas)), np.int64)
    highest = np.minimum(THRESHOLDS, HIGHEST)
    if device:
        from .oks_torch import pair_similarities

        oks = pair_similarities(persons, detections, starts, rows, sigmas, device)
        _match(0, len(positives), starts, rows, detections.area, persons, oks, areas, highest, marks, positives)
        return Matches(starts, detections.score[rows], marks, positives)
    counted = persons.labelled.sum(axis=1)
    terms = np.where(counted > 0, counted, joints).astype(np.int64)
    variances = (2 * sigmas) ** 2
    sums = np.append(0, np.cumsum(terms))[persons.starts]
    ends = np.cumsum(np.diff(sums) * np.diff(starts))
    first, done = 0, 0
    while first < len(ends):
        last = max(first + 1, int(np.searchsorted(ends, done + CHUNK, "right")))
        values = np.empty(int(ends[last - 1]) - done)
        _exponents(first, last, starts, rows, detections.keypoints, *persons[:5], variances, values)
        np.exp(values, out=values)  # NumPy's own, whose last bit may differ from the C library's
        oks = _pair_means(first, last, starts, persons.starts, terms, values)
        _match(first, last, starts, rows, detections.area, persons, oks, areas, highest, marks, positives)
        first, done = last, int(ends[last - 1])
    return Matches(starts, detections.score[rows], marks, positives)


def similarities(
    keypoints: Floats, truth: Floats, labelled: Bools, bbox: Floats, area: Floats, sigmas: Floats
) -> Floats:
    """(D, G) object keypoint similarity of each detection with each person of an image.

    The mean over labelled joints of ``exp(-d^2 / (2 area (2 sigma)^2))``. Of a person without labelled joints, d is
    the distance of each joint to the person's box, enlarged by its own size on every side.

    Args:
        keypoints: (D, J, 2) px.
        truth: (G, J, 2) px.
        labelled: (G, J).
        bbox: (G, 4) px, x y w h.
        area: (G,) px^2.
        sigmas: (J,).

    >>> similarities(np.zeros((1, 1, 2)), np.array([[[3.0, 4.0]]]), np.array([[True]]), np.zeros((1, 4)),
    ...              np.array([12.5]), np.array([0.5])).round(3).tolist()
    [[0.368]]
    """
    counted = labelled.sum(axis=1)
    terms = np.where(counted > 0, counted, len(sigmas)).astype(np.int64)
    values = np.empty(int(terms.sum()) * len(keypoints))
    images, rows = np.array([0, len(truth)], np.int64), np.arange(len(keypoints))
    starts = np.array([0, len(keypoints)], np.int64)
    _exponents(0, 1, starts, rows, keypoints, images, truth, labelled, bbox, area, (2 * sigmas) ** 2, values)
    found = np.empty((len(keypoints), len(truth)))
    _means(np.exp(values), 0, terms, found)
    return found


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _exponents(
    first: int,
    last: int,
    starts: Rows,
    rows: Rows,
    detected: Floats,
    images: Rows,
    truth: Floats,
    labelled: Bools,
    bbox: Floats,
    area: Floats,
    variances: Floats,
    values: Floats,
) -> None:
    """The similarity's exponents of all pairs in images first to last, only of the joints that count, one by one."""
    at = 0
    joints = len(variances)
    for image in range(first, last):
        for place in range(starts[image], starts[image + 1]):
            points = detected[rows[place]]
            for person in range(images[image], images[image + 1]):
                size = area[person] + EPSILON
                begin = at
                for joint in range(joints):
                    if labelled[person, joint]:
                        dx = points[joint, 0] - truth[person, joint, 0]
                        dy = points[joint, 1] - truth[person, joint, 1]
                        values[at] = -((dx * dx + dy * dy) / variances[joint] / size / 2)
                        at += 1
                if at > begin:
                    continue
                x, y, width, height = bbox[person, 0], bbox[person, 1], bbox[person, 2], bbox[person, 3]
                for joint in range(joints):
                    dx = _beyond(points[joint, 0], x - width, x + width * 2)
                    dy = _beyond(points[joint, 1], y - height, y + height * 2)
                    values[at] = -((dx * dx + dy * dy) / variances[joint] / size / 2)
                    at += 1


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _beyond(value: float, low: float, high: float) -> float:
    """How far a value is outside an interval; NaN is NaN."""
    below, above = low - value, value - high
    return (0.0 if below <= 0 else below) + (0.0 if above <= 0 else above)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _total(values: Floats) -> float:
    """The sum in the order of ``numpy.sum``: eight partial sums, and halves above 128 values."""
    total: float = 0.0
    count = len(values)
    if count < 8:
        for value in values:
            total += value
        return total
    if count > 128:
        half = count // 2
        half -= half % 8
        total = _total(values[:half])
        total += _total(values[half:])
        return total
    r0, r1, r2, r3 = values[0], values[1], values[2], values[3]
    r4, r5, r6, r7 = values[4], values[5], values[6], values[7]
    whole = count - count % 8
    for at in range(8, whole, 8):
        r0 += values[at]
        r1 += values[at + 1]
        r2 += values[at + 2]
        r3 += values[at + 3]
        r4 += values[at + 4]
        r5 += values[at + 5]
        r6 += values[at + 6]
        r7 += values[at + 7]
    total = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
    for at in range(whole, count):
        total += values[at]
    return total


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _means(values: Floats, at: int, terms: Rows, found: Floats) -> int:
    """Similarities (D, G) from the terms that begin at ``at``; returns where they end."""
    for detection in range(found.shape[0]):
        for person in range(found.shape[1]):
            count = terms[person]
            found[detection, person] = _total(values[at : at + count]) / count
            at += count
    return at


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _pair_means(first: int, last: int, starts: Rows, images: Rows, terms: Rows, values: Floats) -> Floats:
    """(P,) the similarities of all pairs in images first to last, from their terms."""
    pairs = 0
    for image in range(first, last):
        pairs += (starts[image + 1] - starts[image]) * (images[image + 1] - images[image])
    similar = np.empty(pairs)
    at = pair = 0
    for image in range(first, last):
        begin, end, found = images[image], images[image + 1], starts[image + 1] - starts[image]
        oks = similar[pair : pair + found * (end - begin)].reshape(found, end - begin)
        at = _means(values, at, terms[begin:end], oks)
        pair += oks.size
    return similar


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _match(
    first: int,
    last: int,
    starts: Rows,
    rows: Rows,
    sizes: Floats,
    persons: Persons,
    similar: Floats,
    areas: Floats,
    thresholds: Floats,
    marks: Marks,
    positives: Rows,
) -> None:
    """Fill ``marks`` and ``positives`` of images first to last from the similarities of their pairs."""
    at = 0
    for image in range(first, last):
        begin, end = persons.starts[image], persons.starts[image + 1]
        people, found = end - begin, starts[image + 1] - starts[image]
        oks = similar[at : at + found * people].reshape(found, people)
        at += found * people
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
                for detection in range(found):
                    limit, chosen, ignored = thresholds[step], -1, False
                    for place in range(people):
                        person = order[place]
                        if not free[person] and not persons.crowd[begin + person]:
                            continue
                        if chosen >= 0 and not ignored and place >= counting:
                            break
                        if oks[detection, person] < limit:
                            continue
                        limit, chosen, ignored = oks[detection, person], person, place >= counting
                    named = False
                    if chosen >= 0:
                        free[chosen] = False
                        named = persons.named[begin + chosen]
                    place = starts[image] + detection
                    if not named and not ignored:
                        size = sizes[rows[place]]
                        ignored = size < low or size > high
                    marks[place, span, step] = IGNORED if ignored else (TRUE if named else FALSE)


def best(starts: Rows, score: Floats, limit: int) -> tuple[Rows, Rows]:
    """The ``limit`` best detections of each image: (S + 1,) offsets, and their rows by falling score.

    Equal scores keep the order of the file; NaN comes last.
    """
    kept = np.append(0, np.cumsum(np.minimum(np.diff(starts), limit)))
    rows = np.empty(int(kept[-1]), np.int64)
    _best(starts, score, kept, rows)
    return kept, rows


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _best(starts: Rows, score: Floats, kept: Rows, rows: Rows) -> None:
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


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _above(one: float, other: float) -> bool:
    return one > other or (np.isnan(other) and not np.isnan(one))


def extents(keypoints: Floats) -> Floats:
    """(M,) areas of the upright rectangles around points (M, J, 2); NaN where a coordinate is."""
    area = np.empty(len(keypoints))
    _extents(keypoints, area)
    return area


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
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
