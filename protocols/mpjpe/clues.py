"""What looks wrong in predicted 3D poses: their unit, their root, their axes, their sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from har_bench.arrays import Bools, Floats, Ints
from har_bench.protocol.clues import (
    POINTS,
    Clues,
    Note,
    alike,
    closer,
    counted,
    in_pieces,
    lengths,
    nearer,
    reordered,
    sampled,
    seen,
)

AXES: Mapping[str, tuple[tuple[int, int], ...]] = {
    "x,-y,z": ((0, 1), (1, -1), (2, 1)),
    "x,-y,-z": ((0, 1), (1, -1), (2, -1)),
    "x,-z,y": ((0, 1), (2, -1), (1, 1)),
    "x,z,-y": ((0, 1), (2, 1), (1, -1)),
    "x,z,y": ((0, 1), (2, 1), (1, 1)),
    "x,y,-z": ((0, 1), (1, 1), (2, -1)),
    "-x,y,z": ((0, -1), (1, 1), (2, 1)),
    "-x,y,-z": ((0, -1), (1, 1), (2, -1)),
}
"""Turns and mirrorings of the axes that are met in the field: y up, z up, z before y, mirrored, seen from behind."""

UNITS = {"m": ("metres", 300.0, 3000.0), "cm": ("centimetres", 3.0, 30.0)}
"""How a unit is called, and how many times smaller than in mm its numbers may be."""

NOTES: Mapping[str, Note] = {
    **{
        unit: Note(
            f"nearly all poses are about {1000 if unit == 'm' else 10} times too small and else like the truth: are "
            f"they in {name}? mm are asked for; --unit {unit} takes them so"
        )
        for unit, (name, _, _) in UNITS.items()
    },
    "scale": Note(
        "nearly all poses have the shape of the truth and less than half or more than twice its size (too small or too "
        "large): in which unit are they? mm are asked for"
    ),
    "absolute": Note(
        "nearly all predicted roots are farther from the origin than the pose is large: are the poses absolute? this "
        "recipe takes them relative to the root; the recipe recentred subtracts it"
    ),
    "root": Note(
        "nearly all poses are much closer to the truth with their root moved to the origin: this recipe takes them "
        "relative to the root; the recipe recentred subtracts it",
        unless="absolute",
    ),
    "one place": Note(
        "nearly all predicted poses have all joints in one place: is it the model's output that was written?"
    ),
    **{
        axes: Note(
            f"nearly all poses are much closer to the truth with their axes as {axes}: the camera's frame is asked "
            f"for, x right, y down, z forward; --axes {axes} takes them so"
        )
        for axes in AXES
    },
    "left and right": Note(
        "nearly all poses are much closer to the truth with left and right joints exchanged: are the joints in another "
        "order, or the images mirrored?"
    ),
    "order": POINTS["order"],
}


def of_poses(predicted: Floats, truth: Floats, starts: Ints, swap: Ints) -> Clues:
    """The clues of :data:`NOTES`.

    Args:
        predicted: (N, J, 3) mm, joint 0 the root.
        truth: (N, J, 3) mm, camera frame.
        starts: (S + 1,) offsets of the sequences.
        swap: (J,) the joints with left and right exchanged.
    """
    return in_pieces(sampled(starts), lambda rows: _of_poses(predicted[rows], truth[rows], swap))


def _of_poses(predicted: Floats, truth: Floats, swap: Ints) -> Clues:
    given, true = predicted.astype(np.float64), truth.astype(np.float64)
    there = seen(given) & seen(true)
    whole = cast(Bools, there.all(axis=1))
    mine, true = given - given[:, :1], true - true[:, :1]
    same, ratio = alike(mine, true, there)
    radius = np.sqrt((np.where(there[..., None], mine, 0.0) ** 2).sum(axis=-1).max(axis=1, initial=0.0))
    found, units = {}, np.zeros(len(given), bool)
    with np.errstate(invalid="ignore"):
        for unit, (_, low, high) in UNITS.items():
            inside = same & (ratio > low) & (ratio < high)
            units |= inside
            found[unit] = counted(inside, whole)
        found["scale"] = counted(same & ~units & ((ratio > 2) | (ratio < 0.5)), whole)
        found["one place"] = counted(radius == 0, whole)
        found["root"] = counted(closer(mine, given, true, there), whole)
        found["absolute"] = counted(np.linalg.norm(given[:, 0], axis=-1) > 2 * radius, whole & (radius > 0))
        sized = mine * np.where(np.isfinite(ratio), ratio, 1.0)[:, None, None]
    distances = lengths(sized - true)
    turned = {axes: lengths(_turned(sized, axes) - true) for axes in AXES}
    best = np.argmin([each.sum(axis=1) for each in turned.values()], axis=0)
    explained = np.zeros(len(given), bool)
    for place, (axes, each) in enumerate(turned.items()):
        shown = (best == place) & nearer(each, distances, there)
        explained |= shown
        found[axes] = counted(shown, whole)
    mirrored = nearer(lengths(sized[:, swap] - true), distances, there)
    found["left and right"] = counted(mirrored, whole)
    middles = (points - points.mean(axis=1, keepdims=True) for points in (sized, true))  # the root may be another joint
    found["order"] = counted(reordered(*middles) & ~mirrored & ~explained, whole)
    return found


def _turned(points: Floats, axes: str) -> Floats:
    return np.stack([sign * points[..., axis] for axis, sign in AXES[axes]], axis=-1)
