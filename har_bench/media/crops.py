"""Crops as affine maps: from an image's pixels to those of a crop of fixed size, and back again.

Pixels are counted as in a store, the centre of the top-left one at (0, 0). How a published model's crop lies by half a
pixel is its authors' choice; each constructor names theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError

MPII_SCALE = 200.0
"""Pixels; a person of MPII's ``scale`` s is about 200 s high."""


@dataclass(frozen=True)
class Crop:
    """A rectangle of an image, perhaps turned and mirrored, as the affine map onto a crop.

    Attributes:
        matrix: two rows of three numbers; the crop's pixel of (x, y) is ``matrix @ (x, y, 1)``.
        size: (width, height) of the crop [px].
        flipped: whether left and right are exchanged: a model then takes the person's left wrist for the right one.
    """

    matrix: tuple[tuple[float, float, float], tuple[float, float, float]]
    size: tuple[int, int]
    flipped: bool = False

    @property
    def array(self) -> Floats:
        """(2, 3) the matrix."""
        return np.array(self.matrix, np.float64)

    @cached_property
    def inverse(self) -> Floats:
        """(2, 3) the map from the crop's pixels to the image's."""
        turn = np.linalg.inv(self.array[:, :2])
        return np.concatenate([turn, -turn @ self.array[:, 2:]], axis=1)

    @property
    def scale(self) -> float:
        """How many pixels of the image one of the crop is, on average over both directions."""
        return math.sqrt(abs(float(np.linalg.det(self.inverse[:, :2]))))

    @property
    def rotation(self) -> float:
        """By how much the crop is turned in the image, clockwise as it is seen [rad]."""
        along = self.inverse[:, 0] * (-1 if self.flipped else 1)
        return math.atan2(float(along[1]), float(along[0]))

    def to_crop(self, points: npt.NDArray[Any]) -> Floats:
        """(..., 2) points of the image [px] -> (..., 2) points of the crop [px]."""
        return _applied(self.array, points)

    def to_image(self, points: npt.NDArray[Any]) -> Floats:
        """(..., 2) points of the crop [px] -> (..., 2) points of the image [px]; NaN stays NaN."""
        return _applied(self.inverse, points)

    def boxes_to_crop(self, boxes: npt.NDArray[Any]) -> Floats:
        """(..., 4) x, y, w, h in the image -> the smallest upright boxes around them in the crop."""
        return _hulls(self.to_crop(_corners(boxes)))

    def boxes_to_image(self, boxes: npt.NDArray[Any]) -> Floats:
        """(..., 4) x, y, w, h in the crop -> the smallest upright boxes around them in the image."""
        return _hulls(self.to_image(_corners(boxes)))

    def maps_to_image(self, maps: npt.NDArray[Any], size: tuple[int, int]) -> Floats:
        """Heat maps of the crop laid over the image they were taken from; 0 outside the crop, bilinear between cells.

        Args:
            maps: (J, h, w), of any size: cell (0, 0) is the crop's top-left corner, (h, w) its bottom-right one.
            size: (width, height) of the image [px].

        Returns:
            (J, height, width).
        """
        width, height = size
        rows, columns = np.mgrid[:height, :width]
        places = self.to_crop(np.stack([columns, rows], axis=-1))
        cells = places * [maps.shape[2] / self.size[0], maps.shape[1] / self.size[1]]
        return _bilinear(np.asarray(maps, np.float64), cells)


def around(
    centre: Sequence[float],
    sides: tuple[float, float],
    size: tuple[int, int],
    *,
    rotation: float = 0.0,
    flip: bool = False,
) -> Crop:
    """A rectangle about a centre, as MediaPipe samples it: pixel (u, v) of the crop is ``(u / n - 1/2) side`` from it.

    Args:
        centre: (x, y) in the image [px].
        sides: (width, height) of the rectangle in the image [px].
        size: (width, height) of the crop [px].
        rotation: of the rectangle, clockwise as it is seen [rad].
        flip: mirror the crop.

    Raises:
        HarBenchError: a rectangle without area, or with numbers that are not finite.
    """
    if not (min(sides) > 0 and math.isfinite(sum(sides) + sum(centre) + rotation)):
        raise HarBenchError(
            f"a crop about {tuple(centre)} of {sides[0]:g} x {sides[1]:g} px is empty; give a box with area"
        )
    cos, sin = math.cos(rotation), math.sin(rotation)
    wide, high = size[0] / sides[0], size[1] / sides[1]
    rows = [[wide * cos, wide * sin], [-high * sin, high * cos]]
    offsets = [size[axis] / 2 - rows[axis][0] * centre[0] - rows[axis][1] * centre[1] for axis in (0, 1)]
    if flip:
        rows[0], offsets[0] = [-value for value in rows[0]], size[0] - 1 - offsets[0]
    return Crop(((rows[0][0], rows[0][1], offsets[0]), (rows[1][0], rows[1][1], offsets[1])), size, flip)


def of_box(
    box: Sequence[float],
    size: tuple[int, int],
    *,
    margin: float = 1.25,
    aspect: float | None = None,
    rotation: float = 0.0,
    flip: bool = False,
) -> Crop:
    """A person's box, widened until it has the shape of the crop, and ``margin`` times as large.

    Args:
        box: x, y, w, h in the image [px].
        size: (width, height) of the crop [px].
        margin: how much larger than the box.
        aspect: width by height of the rectangle; that of the crop when left out.
        rotation: about the box's centre, clockwise as it is seen [rad].
        flip: mirror the crop.

    Raises:
        HarBenchError: a box without area.
    """
    x, y, width, height = map(float, box)
    shape = size[0] / size[1] if aspect is None else aspect
    sides = (max(width, height * shape) * margin, max(height, width / shape) * margin)
    return around((x + width / 2, y + height / 2), sides, size, rotation=rotation, flip=flip)


def of_scale(
    centre: Sequence[float], scale: float, size: tuple[int, int], *, unit: float = MPII_SCALE, margin: float = 1.0
) -> Crop:
    """MPII's ``objpos`` and ``scale`` as a square: ``unit`` pixels of the image for a scale of one.

    Raises:
        HarBenchError: a scale that is not positive.
    """
    side = unit * scale * margin
    return around(centre, (side, side * size[1] / size[0]), size)


def letterbox(image: tuple[int, int], size: tuple[int, int]) -> Crop:
    """The whole image in the middle of the smallest rectangle of the crop's shape.

    Args:
        image: its (width, height) [px].
        size: (width, height) of the crop [px].
    """
    return of_box((0, 0, *image), size, margin=1.0)


def _applied(matrix: Floats, points: npt.NDArray[Any]) -> Floats:
    made: Floats = np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return made


def _corners(boxes: npt.NDArray[Any]) -> Floats:
    """(..., 4) x, y, w, h -> (..., 4, 2) corners."""
    x, y, width, height = np.moveaxis(np.asarray(boxes, np.float64), -1, 0)
    across, down = np.stack([x, x + width, x, x + width], -1), np.stack([y, y, y + height, y + height], -1)
    return np.stack([across, down], axis=-1)


def _hulls(corners: Floats) -> Floats:
    """(..., 4, 2) corners -> (..., 4) x, y, w, h around them."""
    low, high = corners.min(axis=-2), corners.max(axis=-2)
    return np.concatenate([low, high - low], axis=-1)


def _bilinear(maps: Floats, places: Floats) -> Floats:
    """(J, h, w) values at (..., 2) places between their cells -> (J, ...); 0 outside."""
    below = np.floor(places).astype(np.int64)
    made = np.zeros((len(maps), *places.shape[:-1]))
    for right in (0, 1):
        for down in (0, 1):
            column, row = below[..., 0] + right, below[..., 1] + down
            weight = (1 - np.abs(places[..., 0] - column)) * (1 - np.abs(places[..., 1] - row))
            inside = (column >= 0) & (column < maps.shape[2]) & (row >= 0) & (row < maps.shape[1])
            made += (
                np.where(inside, weight, 0) * maps[:, row.clip(0, maps.shape[1] - 1), column.clip(0, maps.shape[2] - 1)]
            )
    return made
