"""The landmarks' side of BlazePose: from a region's outputs to points of the image and to points in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats, Singles, kernel

from .detector import Region, region

SIDE = 256
"""Pixels of the landmark networks' square input."""
JOINTS = 33
POINTS = 39
"""Of a network; behind the joints are the two that make the next region, and four without use."""
HIPS, CIRCLE = 33, 34
PRESENT = 0.5
"""A region's flag over which somebody is there."""
SMALLEST = 1.0
"""Pixels; the diameter of a body below which there is no next region."""

_CELLS = 64
_REACH = 4
"""Cells on each side of a point: MediaPipe's configuration says a window of 7 cells, its program takes 9."""
_CONFIDENT = 0.5


@dataclass(frozen=True)
class Landmarks:
    """One person.

    Attributes:
        points: (35, 3) x, y and z [px]: the joints, then the middle of the hips and the point of the body's circle;
            z is about the hips, nearer ones are negative.
        visibility: (33,) 0 to 1: whether a joint is in the image and not hidden.
        presence: (33,) 0 to 1: whether it is in the image.
        world: (33, 3) m about the hips, x right, y down, z away from the camera; of an average person's size.
        flag: 0 to 1: whether somebody is in the region.
    """

    points: Floats
    visibility: Floats
    presence: Floats
    world: Floats
    flag: float

    @property
    def region(self) -> Region:
        """Where to look for this person in the next pass, or the next frame."""
        return region(self.points[HIPS, :2], self.points[CIRCLE, :2])

    @property
    def present(self) -> bool:
        """Whether somebody is there: the flag says so, and the body has some extent."""
        return self.flag > PRESENT and self.size >= SMALLEST

    @property
    def size(self) -> float:
        """Diameter of the circle around the body [px]."""
        return float(2 * np.hypot(*(self.points[CIRCLE, :2] - self.points[HIPS, :2])))


def landmarks(raw: Singles, flag: Singles, maps: Singles, world: Singles, regions: Sequence[Region]) -> list[Landmarks]:
    """What the network found in some regions.

    Args:
        raw: (B, 195) x, y, z, visibility and presence of 39 points [px of the crop; logits].
        flag: (B, 1) probabilities.
        maps: (B, 64, 64, 39) heat maps [logits].
        world: (B, 117) x, y, z of 39 points [m].
        regions: the B regions that it was shown.
    """
    made = []
    for row, where in enumerate(regions):
        values = raw[row].astype(np.float64).reshape(POINTS, 5)
        places = values[:, :2] / SIDE
        _refine(places, np.ascontiguousarray(maps[row]))
        cos, sin = np.cos(where.rotation), np.sin(where.rotation)
        turn = np.array([[cos, -sin], [sin, cos]])
        points = np.empty((JOINTS + 2, 3))
        points[:, :2] = np.array([where.x, where.y]) + where.side * (places[: JOINTS + 2] - 0.5) @ turn.T
        points[:, 2] = values[: JOINTS + 2, 2] / SIDE * where.side
        space = world[row].astype(np.float64).reshape(POINTS, 3)[:JOINTS].copy()
        space[:, :2] = space[:, :2] @ turn.T
        sure = _sigmoid(values[:JOINTS, 3:])
        made.append(Landmarks(points, sure[:, 0], sure[:, 1], space, float(flag[row].reshape(-1)[0])))
    return made


@kernel
def _refine(places: Floats, maps: Singles) -> None:
    """Move points (P, 2) of the unit square to the centre of mass of their heat maps (64, 64, P) nearby, in place."""
    for point in range(len(places)):
        column, row = int(places[point, 0] * _CELLS), int(places[point, 1] * _CELLS)
        if not (0 <= column < _CELLS and 0 <= row < _CELLS):
            continue
        best, total, across, down = 0.0, 0.0, 0.0, 0.0
        for i in range(max(0, row - _REACH), min(_CELLS, row + _REACH + 1)):
            for j in range(max(0, column - _REACH), min(_CELLS, column + _REACH + 1)):
                weight = 1.0 / (1.0 + np.exp(-np.float64(maps[i, j, point])))
                best, total = max(best, weight), total + weight
                across, down = across + weight * j, down + weight * i
        if best >= _CONFIDENT:
            places[point, 0], places[point, 1] = across / total / _CELLS, down / total / _CELLS


def _sigmoid(logits: npt.NDArray[np.float64]) -> Floats:
    made: Floats = 1 / (1 + np.exp(-logits))
    return made
