"""How training clips are varied: each axis stretched a little, and the whole turned a little."""

from __future__ import annotations

import numpy as np

from har_bench.arrays import Floats
from har_bench.classifying.sampling import Random


def distortion(axes: int, scale: float, rotate: float, random: Random) -> Floats:
    """(D, D) a matrix that stretches every axis, then turns about the origin.

    Args:
        axes: D, 2 or 3.
        scale: every axis is stretched by 1 + u, u uniform up to this.
        rotate: every angle is uniform up to this [rad].
        random: draws.
    """
    stretched = np.diag(1 + scale * random.uniform(-1, 1, axes))
    return turned(rotate * random.uniform(-1, 1, 1 if axes == 2 else axes)) @ stretched


def turned(angles: Floats) -> Floats:
    """(2, 2) of one angle, or (3, 3) Rz Ry Rx of three [rad], in pyskl's sense of turning."""
    cosines, sines = np.cos(angles), np.sin(angles)
    if len(angles) == 1:
        return np.array([[cosines[0], -sines[0]], [sines[0], cosines[0]]])
    (a, b, c), (s, t, u) = cosines, sines
    about_x = np.array([[1, 0, 0], [0, a, s], [0, -s, a]])
    about_y = np.array([[b, 0, -t], [0, 1, 0], [t, 0, b]])
    about_z = np.array([[c, u, 0], [-u, c, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)
