"""What looks wrong in keypoints: coordinates that cannot be pixels of a video of this size, or of one person."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Singles
from har_bench.skeletons import Skeleton

INSIDE = 0.9
"""The least fraction of the points that should be in the image."""

SMALL = 2.0
"""Coordinates below this are no pixels of a person."""

SHARE = 0.9
"""A fraction of the frames that says what is so throughout."""

Size = tuple[int, int]


def are_shares(points: Singles) -> bool:
    """Whether (..., J, 2 or 3) coordinates are fractions of the image's width and height, and no pixels."""
    there = _there(points)
    return bool(len(there)) and bool((there.max() <= SMALL) & (there.min() >= 1 - SMALL)) and not _about_zero(there)


def are_normalised(points: Singles) -> bool:
    """Whether they run from -1 to 1 about the image's centre, as models take them, and are no pixels."""
    there = _there(points)
    return bool(len(there)) and float(np.abs(there).max()) <= SMALL and _about_zero(there)


def in_pixels(points: Singles, size: Size) -> Singles:
    """(..., 2 or 3) fractions of the image as pixels."""
    scaled = points.copy()
    scaled[..., :2] *= np.array(size, points.dtype)
    return scaled


def remarks(points: Singles, size: Size | None, layout: Skeleton) -> list[str]:
    """A line for each thing that looks wrong in one person's (T, J, 2 or 3) keypoints [px]; NaN where not seen."""
    looks: list[Callable[[], str | None]] = [lambda: _jumps(points), lambda: _upside_down(points, layout)]
    if size is not None:
        looks = [lambda: _outside(points, size), lambda: _too_high(points, size), *looks]
    return [line for look in looks if (line := look()) is not None]


def _there(points: npt.NDArray[np.floating]) -> Singles:
    """(n, 2) the joints that are seen."""
    places = np.asarray(points[..., :2], np.float32).reshape(-1, 2)
    found: Singles = places[np.isfinite(places).all(axis=-1)]
    return found


def _about_zero(there: Singles) -> bool:
    """Whether many coordinates are negative, which no fraction of an image is."""
    return bool((there < -0.05).mean() > 0.05)


def _within(there: Singles, size: Size) -> float:
    """The fraction of points in the image."""
    inside = ((there >= -0.5) & (there <= np.array(size) - 0.5)).all(axis=-1)
    return float(inside.mean()) if len(there) else 1.0


def _outside(points: Singles, size: Size) -> str | None:
    there, (width, height) = _there(points), size
    inside, exchanged = _within(there, size), _within(there, (height, width))
    if inside >= INSIDE:
        return None
    share = f"{100 * (1 - inside):.0f} % of the points are outside the image of {width} x {height}"
    if exchanged >= INSIDE:
        return f"{share}, and not of {height} x {width}; are width and height exchanged?"
    right, low = np.percentile(there, 99, axis=0)
    return f"{share} (they reach to {right:.0f}, {low:.0f}); are width and height those of the video?"


def _too_high(points: Singles, size: Size) -> str | None:
    y = points[..., 1]
    y = y[np.isfinite(y).any(axis=-1)]
    if not len(y):
        return None
    tall = np.nanmax(y, axis=-1) - np.nanmin(y, axis=-1)
    higher = tall > size[1]
    if higher.mean() < 1 - INSIDE:
        return None
    return (
        f"the person is {np.median(tall[higher]):.0f} px high in {higher.sum():,} frames, and the image {size[1]}; are "
        "width and height those of the video?"
    )


def _jumps(points: Singles) -> str | None:
    """Frame to frame the body moves by a part of its size, unless it is two bodies."""
    places = points[..., :2]
    with np.errstate(invalid="ignore"):
        apart = np.linalg.norm(np.diff(places, axis=0), axis=-1)
    both = np.isfinite(apart)
    moved = np.where(both, apart, 0).sum(axis=-1) / np.maximum(both.sum(axis=-1), 1)
    seen = np.isfinite(places).all(axis=-1).any(axis=-1)
    if not seen.any():
        return None
    sides = np.nanmax(places[seen], axis=1) - np.nanmin(places[seen], axis=1)
    usual = float(np.median(sides.max(axis=-1)))
    jumps = np.flatnonzero(moved > max(usual, 1.0))
    if not len(jumps):
        return None
    first = int(jumps[0])
    return (
        f"the keypoints jump by {moved[first]:.0f} px from row {first} to {first + 1}, more than the person's height, "
        f"and {len(jumps):,} times in all; are they of one person?"
    )


def _upside_down(points: Singles, layout: Skeleton) -> str | None:
    """Whether the ankles are above the head nearly throughout, as with another order of joints or y upwards."""
    low = [name for name in ("left_ankle", "right_ankle") if name in layout.joints]
    high = next((name for name in ("head_top", "head", "nose") if name in layout.joints), None)
    if not low or high is None:
        return None
    ankles = np.stack([points[:, layout.index(name), 1] for name in low])
    head = points[:, layout.index(high), 1]
    both = np.isfinite(ankles).all(axis=0) & np.isfinite(head)
    if not both.any() or (ankles[:, both].max(axis=0) < head[both]).mean() < SHARE:
        return None
    return f"the ankles are above the head; are the joints {layout.name}'s, in its order, and does y run down?"
