"""What part of a picture is looked at, by the original's rules for each of its datasets.

A rule takes the points of a clip's frames and a scale, and gives a window. Boxes are x, y, w, h as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from har_bench.arrays import Bools, Floats
from har_bench.errors import HarBenchError
from har_bench.media.crops import MPII_SCALE

MARGIN = 1.5
"""How much larger than the joints a window around them is."""
LEAST_SIDE = 32.0
"""Pixels that a window around joints has at least on each side."""
DOWN = 12.0
"""Pixels, for an MPII scale of one, from ``objpos`` down to the middle of the window."""
ROOM = 1.25
"""How much larger MPII's square is made."""
DEPTH_MM = 1000.0
"""Before and behind the root, what z from 0 to 1 stands for at scale one."""
BODY = 2.25
"""How large a window about a root is, in sizes of the picture's sensor at the root's depth in metres."""


class Window(NamedTuple):
    """A part of a picture.

    Attributes:
        centre: (x, y) [px].
        sides: (width, height) [px].
        unit: pixels by which a translation of one moves it.
    """

    centre: tuple[float, float]
    sides: tuple[float, float]
    unit: float

    def moved(self, by: tuple[float, float]) -> Window:
        """The same window somewhere else."""
        x, y = self.centre
        return self._replace(centre=(x + by[0] * self.unit, y + by[1] * self.unit))

    @property
    def box(self) -> Floats:
        """(4,) x, y, w, h [px]."""
        sides = np.array(self.sides)
        return np.concatenate([np.array(self.centre) - sides / 2, sides])


Rule = Callable[[Floats, float], Window]
"""From the points (T, J, 2 or 3) of a clip [px; mm], NaN where absent, and a scale to the window."""


def around(points: Floats, margin: float = MARGIN, *, square: bool = True) -> Floats:
    """The box around points (J, 2) [px], made ``margin`` times as large and, with ``square``, as wide as high.

    Returns:
        (4,) x, y, w, h [px].

    Raises:
        HarBenchError: no point is there.
    """
    there = points[np.isfinite(points).all(axis=-1)]
    if not len(there):
        raise HarBenchError("a person without any joint has no box; leave the frame out, or give boxes")
    low, high = there.min(axis=0), there.max(axis=0)
    sides = margin * (high - low)
    sides = np.full(2, sides.max()) if square else sides
    return np.concatenate([(low + high) / 2 - sides / 2, sides])


def union(boxes: Floats) -> Floats:
    """The smallest box around boxes (n, 4)."""
    low, high = boxes[:, :2].min(axis=0), (boxes[:, :2] + boxes[:, 2:]).max(axis=0)
    return np.concatenate([low, high - low])


def of_joints(points: Floats, scale: float, *, pixels: float = 1.0) -> Window:
    """Around the joints of the first, a middle and the last frame of a clip that have any.

    Args:
        points: (T, J, 2 or 3) px.
        scale: how much larger.
        pixels: by how much the picture is larger than the original's, for shifts.
    """
    seen = points[np.isfinite(points[..., :2]).all(axis=-1).any(axis=-1)]
    chosen = seen[[0, min((len(seen) + 1) // 2, len(seen) - 1), -1]] if len(seen) else points[:1]
    x, y, width, height = union(np.stack([around(frame[:, :2], MARGIN * scale) for frame in chosen])).tolist()
    return Window((x + width / 2, y + height / 2), (max(width, LEAST_SIDE), max(height, LEAST_SIDE)), scale * pixels)


def of_box(box: Floats, scale: float) -> Window:
    """A given box, such as a detector's; a scale makes it no larger."""
    x, y, width, height = box.tolist()
    return Window((x + width / 2, y + height / 2), (max(width, LEAST_SIDE), max(height, LEAST_SIDE)), scale)


def of_picture(size: tuple[int, int], points: Floats, scale: float) -> Window:
    """The square about a whole picture of (width, height) px."""
    del points
    side = scale * max(size)
    return Window((size[0] / 2, size[1] / 2), (side, side), scale)


def of_scale(centre: tuple[float, float], annotated: float, points: Floats, scale: float) -> Window:
    """MPII's: a square of 250 px for an annotated scale of one, somewhat below ``objpos``.

    Args:
        centre: ``objpos`` [px].
        annotated: the dataset's ``scale``.
        points: not looked at.
        scale: how much larger.
    """
    del points
    unit = ROOM * annotated
    side = MPII_SCALE * unit * scale
    return Window((centre[0], centre[1] + DOWN * unit), (side, side), unit)


def of_root(size: tuple[int, int], focal: tuple[float, float], points: Floats, scale: float) -> Window:
    """A square about the root of the first frame, the smaller the farther away it is.

    The root's place and depth are the truth: so it is in the original's evaluation too.

    Args:
        size: (width, height) of the picture [px].
        focal: lengths [px].
        points: (T, J, 3) px and mm; joint 0 is the root.
        scale: how much larger.
    """
    x, y, depth = points[0, 0].tolist()
    side = BODY * scale * max(size[0] * focal[0] / depth, size[1] * focal[1] / depth)
    return Window((x, y + scale), (side, side), scale)


def grid(size: tuple[int, int], *, square: bool = True) -> Floats:
    """(n, 4) boxes where somebody may be, as nobody knows: the picture, a larger one, and tiles that overlap.

    Args:
        size: (width, height) of the picture [px].
        square: whether they are squares: then the first is about the picture's longer side.
    """
    width, height = size
    whole = np.full(2, max(size)) if square else np.array(size, np.float64)
    tile = np.full(2, min(size)) * 2 / 3 if square else whole * 2 / 3
    middle = np.array(size) / 2
    first = [np.concatenate([middle - side / 2, side]) for side in (whole, MARGIN * whole)]
    rows, columns = (
        np.arange(0, room - side / 2 - 1e-6, side / 2) for room, side in ((height, tile[1]), (width, tile[0]))
    )
    tiles = [np.array([x, y, *tile]) for y in rows for x in columns]
    return np.array([*first, *tiles])


def inside(points: Floats) -> Bools:
    """(..., J) whether points (..., J, 2 or more) of a crop, from 0 to 1 in x and y, lie in it and not on its edge."""
    return np.asarray(((points[..., :2] > 0) & (points[..., :2] < 1)).all(axis=-1))
