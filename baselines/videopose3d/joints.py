"""Which joints a checkpoint takes in: its file's name may say, and its weights do.

Human3.6M's skeleton and COCO's both have 17 joints, and nothing in a published file names them. But the first
convolution and the running mean of the batch normalisation behind it hold the mean of all keypoints that the network
was trained on: the running mean is the convolution of the mean pose, which least squares give back. The mean pose of
people has its ankles below and its head above, and, as both sides of mirrored people are alike, its pairs at the same
height: it has them in one order of joints and not in another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from har_bench.arrays import Floats
from har_bench.skeletons import Skeleton, skeleton
from har_bench.training.weights import State

from .model import Architecture

EXPLAINED = 0.7
"""The least fraction of the running mean that a mean pose must explain; random weights explain next to nothing."""

UNEVEN = 0.15
"""How far the two sides may be from the same height, on average, in heights of the person."""

CLEARER = 2.0
"""By how many times the sides must be more even than in another order."""


def by_name(path: Path) -> str | None:
    """The joints that a file's name tells: ``coco`` is in the names of models that take COCO's."""
    return "coco17" if "coco" in path.name.lower() else None


def by_statistics(state: State, design: Architecture, candidates: Sequence[str]) -> str | None:
    """The skeleton, of some, in whose order a network's training keypoints are people; None if it cannot be told."""
    pose = mean_pose(state, design)
    if pose is None:
        return None
    uneven = {name: _uneven(pose, skeleton(name)) for name in candidates}
    best, *others = sorted(uneven, key=lambda name: uneven[name])
    if uneven[best] > UNEVEN or any(uneven[other] < CLEARER * uneven[best] for other in others):
        return None
    return best if _upright(pose, skeleton(best)) else None


def is_untrained(state: State) -> bool:
    """Whether a network's batch normalisation has seen nothing, so that no keypoints have shaped its weights."""
    mean = state.get("expand_bn.running_mean")
    return mean is not None and not np.any(mean)


def mean_pose(state: State, design: Architecture) -> Floats | None:
    """(J, 2) the mean of the keypoints that a network was trained on; None where its weights do not hold it."""
    kernel, mean = state.get("expand_conv.weight"), state.get("expand_bn.running_mean")
    if kernel is None or mean is None or len(mean) < 2 * design.joints_in * design.features or not np.any(mean):
        return None
    weights, target = kernel.astype(np.float64).sum(axis=-1), mean.astype(np.float64)
    pose, *_ = np.linalg.lstsq(weights, target)
    left = np.linalg.norm(weights @ pose - target) / np.linalg.norm(target)
    if not left <= np.sqrt(1 - EXPLAINED):
        return None
    return np.asarray(pose.reshape(design.joints_in, design.features)[:, :2])


def _uneven(pose: Floats, layout: Skeleton) -> float:
    """How far the pairs' heights are apart, in heights of the person."""
    apart = [abs(pose[left, 1] - pose[right, 1]) for left, right in layout.pairs]
    return float(np.mean(apart) / max(np.ptp(pose[:, 1]), 1e-9))


def _upright(pose: Floats, layout: Skeleton) -> bool:
    """Whether the head is above the hips, those above the knees, and those above the ankles; y runs down."""
    head = "head" if "head" in layout.joints else "nose"
    parts = ((head,), ("left_hip", "right_hip"), ("left_knee", "right_knee"), ("left_ankle", "right_ankle"))
    heights = [np.mean([pose[layout.index(joint), 1] for joint in part]) for part in parts]
    return bool(np.all(np.diff(heights) > 0))
