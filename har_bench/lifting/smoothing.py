"""The One-Euro filter (Casiez et al., CHI 2012): slow motion is smoothed much, fast motion hardly, with little lag."""

from __future__ import annotations

from math import pi

import numpy as np

from har_bench.arrays import Floats, Singles

SLOWEST = 1.0
"""Hz: the cutoff of what stands still."""

PER_SPEED = 0.007
"""Hz per mm/s: how the cutoff grows with speed."""

OF_SPEED = 1.0
"""Hz: the cutoff of the speed itself."""


def one_euro(
    joints: Singles, fps: float, *, slowest: float = SLOWEST, per_speed: float = PER_SPEED, of_speed: float = OF_SPEED
) -> Singles:
    """(T, J, 3) joints [mm], each coordinate filtered by itself; a frame depends on those before it alone.

    Args:
        joints: the joints.
        fps: frames per second.
        slowest: the cutoff at speed 0 [Hz]; lower is smoother, and later.
        per_speed: how the cutoff grows with speed [Hz per mm/s]; higher is less late.
        of_speed: the cutoff of the speed [Hz].
    """
    given = joints.astype(np.float64)
    filtered = given.copy()
    speed = np.zeros_like(given[:1])
    keep = _weight(np.array(of_speed), fps)
    for frame in range(1, len(given)):
        speed = keep * (given[frame] - filtered[frame - 1]) * fps + (1 - keep) * speed
        weight = _weight(slowest + per_speed * np.abs(speed), fps)
        filtered[frame] = weight * given[frame] + (1 - weight) * filtered[frame - 1]
    return filtered.astype(np.float32)


def _weight(cutoff: Floats, fps: float) -> Floats:
    """How much of a new value is taken in."""
    return 1 / (1 + fps / (2 * pi * cutoff))
