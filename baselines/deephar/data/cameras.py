"""Points of a crop back in the picture, before the camera and in the world, as the original maps them."""

from __future__ import annotations

from typing import Any

import numpy as np

from har_bench.arrays import Floats
from har_bench.cameras import Camera

from .boxes import DEPTH_MM

LENS = [0, 1, 4]
"""Where k1, k2 and k3 stand in a camera's five numbers."""


def camera(numbers: Any) -> Camera:
    """A camera from the 18 or 21 numbers that the original writes: R, the centre, f, c, p and, with a lens, k.

    The tangential terms are applied the other way round than Human3.6M's own code has them, so p is read so.
    """
    R, centre, f, c, p, k = np.split(np.asarray(numbers, np.float64), [9, 12, 14, 16, 18])
    lens = np.zeros(5)
    if len(k):
        lens[LENS], lens[2:4] = k, p[::-1]
    return Camera(f, c, R.reshape(3, 3), -R.reshape(3, 3) @ centre, lens, "h36m" if len(k) else "none")


def numbers(of: Camera) -> Floats:
    """(21,) what :func:`camera` reads; (18,) without a lens, whose p is then zero."""
    parts = [of.R.ravel(), of.centre, of.f, of.c, of.distortion[[3, 2]]]
    return np.concatenate(parts if of.model == "none" else [*parts, of.distortion[LENS]])


def projected(of: Camera, world: Floats) -> Floats:
    """(..., 3) points of the world [mm] -> (..., 3) px, px and the depth before the camera [mm]."""
    before = of.to_camera(world)
    return np.concatenate([of.project(before), before[..., 2:]], axis=-1)


def unprojected(of: Camera, seen: Floats) -> Floats:
    """(..., 3) px, px and depth [mm] -> (..., 3) points of the world [mm].

    The lens is undone by one step of the fixed-point iteration, as the original does: some hundredths of a mm.
    """
    bent = (seen[..., :2] - of.c) / of.f
    k1, k2, p1, p2, k3 = of.distortion
    r2 = (bent**2).sum(axis=-1, keepdims=True)
    turned = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + p1 * bent[..., 1:] + p2 * bent[..., :1]
    straight = (bent - np.array([p2, p1]) * r2) / turned
    depth = seen[..., 2:]
    return of.to_world(np.concatenate([straight * depth, depth], axis=-1))


def in_millimetres(z: Floats, root: Floats) -> Floats:
    """(..., J) depths from 0 to 1 and (..., 1) the depth of the root [mm] -> (..., J) depths [mm]."""
    return root + 2 * DEPTH_MM * (z - 0.5)
