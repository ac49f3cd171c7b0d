"""What the tools hold for true on MPII: the annotations themselves, Tompson's copy of them, deephar's crop of them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Bools, Floats

HEAD = 0.6
"""Head size over head box diagonal (the official getHeadSizeAll.m: 0.8 * 0.75)."""


@cache
def _tompson() -> tuple[npt.NDArray[np.uint8], Bools]:
    """Of Tompson's 2,958 persons: the crop's centre (2958, 2), and which coordinates are zeroed (2958, 16, 2)."""
    with files("har_bench.protocols.mpii").joinpath("data/tompson_truth.npz").open("rb") as file:
        data = np.load(file, allow_pickle=False)
        centre, places = data["centre"], data["zeroed"]
    zeroed = np.zeros((len(centre), 16, 2), np.bool_)
    zeroed[tuple(places.T)] = True
    return centre, zeroed


def tompson_truth(
    points: Floats, head_box: Floats, scale: Floats, objpos: Floats, row: npt.NDArray[Any]
) -> tuple[Floats, Floats]:
    """Points and head sizes as Tompson's ``detections_our_format.mat`` has them (HRNet's ``gt_valid.mat``).

    That file deviates from MPII's own annotations in two ways, and both decide ties between integer predictions and
    a threshold. All coordinates, the head box's too, went through a crop of 1/``scale`` around ``objpos`` in single
    precision and back, which moved them by about 1e-5 px; and 13 annotated joints of 10 persons have a coordinate of
    0 (-1 here). Its crops' centres are whole pixels near 128 that differ from person to person; the package data
    holds, for each person, the one nearest to 128 that gives all of the file's coordinates within 1e-10 px, and the
    zeroed coordinates (from ``mpii_valid_pred.zip`` of Tompson et al., CVPR 2015, as kept by bearpaw/pytorch-pose).

    Args:
        points: (N, 16, 2) px, 0-based; NaN stays NaN.
        head_box: (N, 4) px, x1 y1 x2 y2.
        scale: (N,) MPII's scale.
        objpos: (N, 2) px.
        row: (N,) rows of Tompson's validation list, 0 to 2957.

    Returns:
        (N, 16, 2) points and (N,) head sizes, px.
    """
    centres, zeroed = _tompson()
    row = row.astype(np.intp)
    centre, unit, origin = centres[row].astype(np.float64)[:, None], scale[:, None, None], objpos[:, None]
    everything = np.concatenate([points, head_box.reshape(-1, 2, 2)], axis=1)
    crop = ((everything - origin) / unit + centre).astype(np.float32).astype(np.float64)
    moved = (crop - centre) * unit + origin
    joints, corners = moved[:, :-2], moved[:, -2:]
    joints[zeroed[row] & np.isfinite(points)] = -1
    return joints, HEAD * np.linalg.norm(corners[:, 1] - corners[:, 0], axis=-1)


def inside_crop(points: Floats, scale: Floats, objpos: Floats) -> Bools:
    """(N, J) whether each joint lies inside deephar's network crop.

    The window has 200 * 1.25 * ``scale`` px and is centred 12 * 1.25 * ``scale`` px below ``objpos``; its corners are
    cut to whole pixels of MPII's 1-based frame, and a joint on its border is outside.
    """
    unit = 1.25 * scale[:, None]
    centre = objpos + 1 + unit * [0, 12]
    low, high = np.trunc(centre - 100 * unit)[:, None], np.trunc(centre + 100 * unit)[:, None]
    return cast(Bools, ((points + 1 > low) & (points + 1 < high)).all(axis=-1))
