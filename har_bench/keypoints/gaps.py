"""Frames in which a detector saw nothing, filled from their neighbours in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError


def fill_gaps(points: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], int]:
    """Interpolate missing joints linearly in time; before the first and after the last sighting they stand still.

    Args:
        points: (T, J, D) px; a joint with a coordinate that is not finite is missing in that frame.

    Returns:
        (T, J, D) points of the same type, those that were there unchanged; and in how many frames something was
        filled. A joint that is in no frame stays NaN: a conversion to a layout without it may still do.

    Raises:
        HarBenchError: no joint is in any frame.
    """
    there = np.isfinite(points).all(axis=-1)
    if not there.any():
        raise HarBenchError(f"none of the {len(points)} frames has a joint to fill the others from; detect them again")
    filled = np.where(there[..., None], points, np.asarray(np.nan, points.dtype))
    mendable = ~there & there.any(axis=0)
    time = np.arange(len(points))
    for joint in np.flatnonzero(mendable.any(axis=0)):
        gap, seen = mendable[:, joint], there[:, joint]
        for axis in range(points.shape[-1]):
            filled[gap, joint, axis] = np.interp(time[gap], time[seen], points[seen, joint, axis])
    return filled, int(mendable.any(axis=1).sum())


def bridged(found: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None, int]:
    """Keypoints as a detector gave them, without gaps.

    Args:
        found: (T, J, 2 or 3) px and, third, confidences; NaN where nothing was found.

    Returns:
        (T, J, 2) px; (T, J) confidences, 0 where interpolated, None if there are none; how many frames were filled.

    Raises:
        HarBenchError: nothing was found in any frame.
    """
    points, filled = fill_gaps(found[..., :2])
    if found.shape[-1] < 3:
        return points, None, filled
    return points, np.where(np.isfinite(found).all(axis=-1), found[..., 2], np.float32(0)), filled
