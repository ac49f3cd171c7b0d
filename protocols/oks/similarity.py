"""Object keypoint similarity, and what it compares: annotated and detected persons.

Lin et al., Microsoft COCO, ECCV 2014, and https://cocodataset.org/#keypoints-eval, in the exact order of operations of
pycocotools 2.0.11 (``COCOeval`` with ``iouType="keypoints"``).

Images come as rows of arrays with ``starts``: the rows of image i are ``starts[i]:starts[i + 1]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from har_bench.arrays import Bools, Floats, Ints, kernel

EPSILON = float(np.spacing(1))


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

    starts: Ints
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

    starts: Ints
    keypoints: Floats
    score: Floats
    area: Floats


class Chosen(NamedTuple):
    """Some of the detected persons of each image.

    Attributes:
        starts: (S + 1,) offsets of the images in ``rows``.
        rows: (K,) rows of the detections.
    """

    starts: Ints
    rows: Ints


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
    plain = np.zeros(len(truth), np.bool_)
    persons = Persons(np.array([0, len(truth)], np.int64), truth, labelled, bbox, area, plain, plain, ~plain)
    every = Chosen(np.array([0, len(keypoints)], np.int64), np.arange(len(keypoints)))
    exponents(0, 1, every, keypoints, persons, (2 * sigmas) ** 2, values)
    found = np.empty((len(keypoints), len(truth)))
    _means(np.exp(values), 0, terms, found)
    return found


@kernel
def exponents(
    first: int, last: int, chosen: Chosen, keypoints: Floats, persons: Persons, variances: Floats, values: Floats
) -> None:
    """The similarity's exponents of all pairs in images first to last, only of the joints that count, one by one."""
    images, truth, bbox = persons.starts, persons.keypoints, persons.bbox
    at = 0
    joints = len(variances)
    for image in range(first, last):
        for place in range(chosen.starts[image], chosen.starts[image + 1]):
            points = keypoints[chosen.rows[place]]
            for person in range(images[image], images[image + 1]):
                size = persons.area[person] + EPSILON
                begin = at
                for joint in range(joints):
                    if persons.labelled[person, joint]:
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


@kernel
def _beyond(value: float, low: float, high: float) -> float:
    """How far a value is outside an interval; NaN is NaN."""
    below, above = low - value, value - high
    return (0.0 if below <= 0 else below) + (0.0 if above <= 0 else above)


@kernel
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


@kernel
def _means(values: Floats, at: int, terms: Ints, found: Floats) -> int:
    """Similarities (D, G) from the terms that begin at ``at``; returns where they end."""
    for detection in range(found.shape[0]):
        for person in range(found.shape[1]):
            count = terms[person]
            found[detection, person] = _total(values[at : at + count]) / count
            at += count
    return at


@kernel
def pair_means(first: int, last: int, starts: Ints, images: Ints, terms: Ints, values: Floats) -> Floats:
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
