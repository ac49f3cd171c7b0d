"""Upright boxes: x, y, w, h."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats


def around(points: npt.NDArray[np.floating]) -> Floats:
    """(P, 4) the boxes of points (P, J, 2), of which NaN are absent."""
    places = points.astype(np.float64)
    low = np.nanmin(places, axis=1)
    return np.concatenate([low, np.nanmax(places, axis=1) - low], axis=1)


def overlap(boxes: Floats, others: Floats) -> Floats:
    """(n, m) intersection over union of boxes (n, 4) and (m, 4); 0 where both are empty."""
    one, other = boxes[:, None], others[None]
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    common = np.maximum(high - low, 0).prod(axis=-1)
    union = one[..., 2:].prod(axis=-1) + other[..., 2:].prod(axis=-1) - common
    made: Floats = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return made
