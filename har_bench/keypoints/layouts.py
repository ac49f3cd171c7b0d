"""Which skeleton a file's joints are, and the same keypoints in another one.

A layout is what the user says, else the file's own word, else told by its sides, else by the number of joints.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Singles
from har_bench.errors import HarBenchError
from har_bench.skeletons import Skeleton, mapping, names, skeleton

Sides = Sequence[Collection[int]]
"""The joints of the left and those of the right, as VideoPose3D's ``keypoints_symmetry`` has them."""


def layout_of(
    path: Path, joints: int, *, given: str | None = None, word: object = None, sides: Sides | None = None
) -> str:
    """The name of the skeleton that a file's joints are.

    Args:
        path: the file, for errors.
        joints: J, how many it has in a frame.
        given: what the user said.
        word: what the file calls them: a skeleton's name, with or without the number (``coco`` with 17 is ``coco17``).
        sides: which joints are left and which are right, when the file says so.

    Raises:
        HarBenchError: the user's word does not fit the number of joints, or nothing tells the layout.
    """
    fitting = [name for name in names() if len(skeleton(name)) == joints]
    if given is not None:
        if len(skeleton(given)) != joints:
            raise HarBenchError(
                f"{path} has {joints} joints a frame and not the {len(skeleton(given))} of {given}; "
                f"layouts of {joints} are {', '.join(fitting) or 'unknown here'}"
            )
        return given
    for name in (word, f"{word}{joints}"):
        if name in fitting:
            return str(name)
    if sides is not None:
        fitting = [name for name in fitting if _has_sides(name, sides)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise HarBenchError(f"{path} has {joints} joints a frame; give a layout of `har_bench.skeletons.names()`")
    raise HarBenchError(
        f"{path} has {joints} joints a frame and does not say whose; give their layout, one of {', '.join(fitting)}"
    )


def told_layout(
    path: Path,
    points: Singles,
    *,
    given: str | None = None,
    word: object = None,
    joints: Sequence[str] = (),
    sides: Sides | None = None,
) -> tuple[str, Singles]:
    """The skeleton of (n, J, 2 or 3) keypoints, as :func:`layout_of`, and the keypoints in its order.

    Names of joints that no skeleton has in this order, but among which are all those of COCO's, give COCO's.

    Raises:
        HarBenchError: as :func:`layout_of`.
    """
    own = [_spelt(joint) for joint in joints]
    if given is None and len(own) == points.shape[1]:
        for name in names():
            if [_spelt(joint) for joint in skeleton(name).joints] == own:
                return name, points
        coco = [_spelt(joint) for joint in skeleton("coco17").joints]
        if set(coco) <= set(own):
            return "coco17", points[:, [own.index(joint) for joint in coco]]
    return layout_of(path, points.shape[1], given=given, word=word, sides=sides), points


def _spelt(joint: str) -> str:
    """A joint's name as it is spelt here."""
    return re.sub(r"[\s\-.]+", "_", joint.strip().lower())


def _has_sides(name: str, sides: Sides) -> bool:
    pairs = skeleton(name).pairs
    return [set(side) for side in sides] == [{left for left, _ in pairs}, {right for _, right in pairs}]


def converted(
    points: npt.NDArray[np.float32], scores: npt.NDArray[np.float32] | None, source: Skeleton, target: Skeleton
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    """(T, J, 2) px and (T, J) confidences in another layout; a midpoint has the confidence of its worst source.

    Raises:
        HarBenchError: there is no mapping, or a joint it needs is in no frame.
    """
    joints = mapping(source, target)
    made = joints.points(points)
    lost = [joint for joint, seen in zip(target.joints, np.isfinite(made).all(axis=(0, 2)), strict=True) if not seen]
    if lost:
        raise HarBenchError(
            f"{target.name}'s {', '.join(lost)} cannot be made: their {source.name} joints are in none of the "
            f"{len(points)} frames; detect them where the whole person is seen"
        )
    return made, None if scores is None else joints.visibility(scores)
