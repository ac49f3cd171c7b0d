"""The detector's side of BlazePose: from its outputs to detections, and from these to the regions to look at.

Constants are MediaPipe's own configuration of ``pose_detection`` and ``pose_landmark`` (Apache-2.0); Bazarevsky et al.,
BlazePose: On-device Real-time Body Pose Tracking, 2020.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats, Singles
from har_bench.geometry.boxes import overlap
from har_bench.media.crops import Crop, around, letterbox

SIDE = 224
"""Pixels of the detector's square input."""
LAYERS = ((28, 2), (14, 2), (7, 6))
"""Cells of the detector's grids across, and anchors per cell."""
OVERLAP = 0.3
"""Intersection over union from which on two detections are of one person."""
LONGER = 1.25
"""A region's side over the diameter of the circle around the body."""
HIPS, CIRCLE = 0, 1
"""The detector's key points that a region is made of: the middle of the hips, and a point of the body's circle."""
_LARGEST_LOGIT = 100.0


@dataclass(frozen=True)
class Detections:
    """Persons found in an image, the surest first.

    Attributes:
        score: (n,) 0 to 1.
        box: (n, 4) x, y, w, h [px]: a square about the head, a fifth of the image's larger side, and no person's box.
        points: (n, 4, 2) px: middle of the hips, the body's circle, middle of the shoulders, the upper body's circle.
    """

    score: Floats
    box: Floats
    points: Floats

    def __len__(self) -> int:
        return len(self.score)

    def take(self, which: npt.NDArray[np.intp] | slice) -> Detections:
        """Some of them."""
        return Detections(self.score[which], self.box[which], self.points[which])


@dataclass(frozen=True)
class Region:
    """A turned square of an image in which one person is.

    Attributes:
        x: of its centre [px].
        y: of its centre [px].
        side: px.
        rotation: clockwise as it is seen [rad]; upwards in the region is from the hips to the head.
    """

    x: float
    y: float
    side: float
    rotation: float

    def crop(self, size: int) -> Crop:
        """The map onto a square crop of ``size`` px."""
        return around((self.x, self.y), (self.side, self.side), (size, size), rotation=self.rotation)


def region(hips: npt.NDArray[np.float64], circle: npt.NDArray[np.float64]) -> Region:
    """The region about the middle of the hips whose circle goes through the other point, somewhat widened.

    Args:
        hips: (2,) px.
        circle: (2,) px.
    """
    across, down = float(circle[0] - hips[0]), float(circle[1] - hips[1])
    angle = math.pi / 2 - math.atan2(-down, across)
    return Region(
        float(hips[0]),
        float(hips[1]),
        2 * math.hypot(across, down) * LONGER,
        angle - 2 * math.pi * math.floor((angle + math.pi) / (2 * math.pi)),
    )


@cache
def anchors() -> Floats:
    """(2254, 2) x, y of the anchors in the unit square: grid by grid, cell by cell, row by row."""
    found = []
    for cells, each in LAYERS:
        places = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)
        found.append(grid.repeat(each, axis=0))
    made: Floats = np.concatenate(found)
    return made


def detections(boxes: Singles, logits: Singles, crop: Crop, threshold: float) -> Detections:
    """What the network found in one crop of an image, in the image's pixels.

    Args:
        boxes: (2254, 12) centre, size and four key points of each anchor [px of the crop].
        logits: (2254,) of the scores.
        crop: the crop that it was shown.
        threshold: the least score.
    """
    score = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -_LARGEST_LOGIT, _LARGEST_LOGIT)))
    kept = np.flatnonzero(score >= threshold)
    values = boxes[kept].astype(np.float64).reshape(-1, 6, 2) / SIDE
    values[:, [0, 2, 3, 4, 5]] += anchors()[kept, None]
    values[:, 0] -= values[:, 1] / 2  # corner and size, then the key points
    score, values = suppressed(score[kept], values)
    return Detections(
        score, crop.boxes_to_image(values[:, :2].reshape(-1, 4) * SIDE), crop.to_image(values[:, 2:] * SIDE)
    )


def suppressed(score: Floats, values: Floats) -> tuple[Floats, Floats]:
    """One detection for each group that overlaps the best one: their mean, weighted by score, with the best score.

    Args:
        score: (n,).
        values: (n, 6, 2) corner and size of the box, then key points.

    Returns:
        (m,) and (m, 6, 2), the best first.
    """
    left = np.argsort(-score, kind="stable")
    scores, means = [], []
    while len(left):
        group = overlap(values[left[:1], :2].reshape(1, 4), values[left, :2].reshape(-1, 4))[0] > OVERLAP
        group[0] = True
        weights = score[left[group]]
        scores.append(score[left[0]])
        means.append((weights[:, None, None] * values[left[group]]).sum(axis=0) / weights.sum())
        left = left[~group]
    return np.array(scores, np.float64), np.array(means, np.float64).reshape(-1, 6, 2)


def whole(width: int, height: int) -> Crop:
    """The crop in which the detector sees a whole image."""
    return letterbox((width, height), (SIDE, SIDE))
