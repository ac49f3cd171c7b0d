"""The four streams of skeleton networks: joints, bones, and how each of them moves to the next frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from har_bench.arrays import Ints
from har_bench.errors import unknown
from har_bench.skeletons import Skeleton

WEIGHTS: Mapping[str, float] = {"joint": 2.0, "bone": 2.0, "joint-motion": 1.0, "bone-motion": 1.0}
"""Every stream, and how much its probabilities count in a fusion (pyskl)."""

BONE_PARENTS: Mapping[str, Mapping[int, int]] = {"coco17": {11: 0, 12: 0}}
"""Where pyskl's bones do not begin at a joint's parent: COCO's hips hang from the nose."""


def bone_parents(layout: Skeleton) -> Ints:
    """(V,) where each joint's bone begins; the root's at itself, so its bone is zero."""
    parents = [joint if parent < 0 else parent for joint, parent in enumerate(layout.parents)]
    for joint, parent in BONE_PARENTS.get(layout.name, {}).items():
        parents[joint] = parent
    return np.array(parents)


def chosen(names: tuple[str, ...]) -> tuple[str, ...]:
    """The streams of those names, in the order of a fusion; ``all`` stands for all four.

    Raises:
        HarBenchError: there is no such stream, or none was named.
    """
    wanted = tuple(WEIGHTS) if "all" in names else names
    for name in wanted or ("",):
        if name not in WEIGHTS:
            raise unknown("stream", name, [*WEIGHTS, "all"])
    return tuple(name for name in WEIGHTS if name in wanted)


def stream(
    name: str,
    now: torch.Tensor,
    following: torch.Tensor,
    last: torch.Tensor,
    parents: torch.Tensor,
    *,
    scored: bool,
    masked: bool,
) -> torch.Tensor:
    """What a network of a stream sees of some frames.

    Args:
        name: one of :data:`WEIGHTS`.
        now: (..., V, 3) joints of frames.
        following: (..., V, 3) the frame after each.
        last: (...) whether there is none; motion is zero there.
        parents: (V,) where bones begin.
        scored: whether channel 2 says how well a joint is seen; the mean of two joints, or two frames, says it of what
            lies between them.
        masked: whether a bone or motion between joints of which one is not seen is zero.
    """
    if name.startswith("bone"):
        now, following = (_bones(frames, parents, scored=scored, masked=masked) for frames in (now, following))
    if not name.endswith("motion"):
        return now
    moved = _between(following, now, scored=scored, masked=masked)
    return moved * (~last)[..., None, None]


def _bones(points: torch.Tensor, parents: torch.Tensor, *, scored: bool, masked: bool) -> torch.Tensor:
    return _between(points, points[..., parents, :], scored=scored, masked=masked)


def _between(end: torch.Tensor, begin: torch.Tensor, *, scored: bool, masked: bool) -> torch.Tensor:
    """(..., V, 3) from one to the other."""
    if not scored:
        return end - begin
    step = end[..., :2] - begin[..., :2]
    if masked:
        step = step * ((end[..., 2:] >= 1) & (begin[..., 2:] >= 1))  # a bone of which one end is seen has 0.5
    return torch.cat([step, (end[..., 2:] + begin[..., 2:]) / 2], dim=-1)
