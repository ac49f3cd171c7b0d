"""What training lowers: distances of poses, and for videos without 3D truth, of their projection and bone lengths.

Everything is in metres, in the camera frame; images are in normalised coordinates, x from -1 to 1 over the width.
Pavllo et al., CVPR 2019, sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from har_bench.lifting.lifter import distance

_NEAREST = 1.0
"""The slope of the steepest ray that is projected; an untrained trajectory is at any depth, zero included."""

_PARTS = slice(0, 2), slice(2, 4), slice(4, 7), slice(7, 9)


def weighted_mpjpe(predicted: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Mean of the distances between (..., D) points times their (...) weights, which are not normalised."""
    return (weights * _lengths(predicted - truth)).mean()


def trajectory_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean distance between (..., 3) positions of the root, each over the true depth: far away, less is asked."""
    return weighted_mpjpe(predicted, truth, 1 / truth[..., 2])


def project(points: Tensor, intrinsics: Tensor, *, linear: bool = False) -> Tensor:
    """Points as a camera sees them, through a lens that bends as :func:`har_bench.cameras.distort` says of ``h36m``.

    Args:
        points: (B, ..., 3) in the camera frame; x/z and y/z are clamped to [-1, 1].
        intrinsics: (B, 9) focal lengths and principal point in normalised image coordinates, radial k1, k2, k3, and
            tangential p2, p1, the coefficients of x and y. (The original fills in p1, p2: 0.1 px on Human3.6M.)
        linear: leave out the lens.

    Returns:
        (B, ..., 2) normalised image coordinates.
    """
    per_point = intrinsics.reshape(len(intrinsics), *(1,) * (points.ndim - 2), 9)
    focal, centre, radial, tangential = (per_point[..., part] for part in _PARTS)
    xy = (points[..., :2] / points[..., 2:]).clamp(-_NEAREST, _NEAREST)
    if not linear:
        r2 = xy.square().sum(-1, keepdim=True)
        bend = 1 + (radial * torch.cat((r2, r2**2, r2**3), dim=-1)).sum(-1, keepdim=True)
        xy = xy * (bend + (tangential * xy).sum(-1, keepdim=True)) + tangential * r2
    return focal * xy + centre


def reprojection_loss(
    poses: Tensor, trajectory: Tensor, intrinsics: Tensor, keypoints: Tensor, *, linear: bool = False
) -> Tensor:
    """Mean distance between projected 3D joints and the 2D joints that they were lifted from.

    Args:
        poses: (B, N, J, 3) relative to the root.
        trajectory: (B, N, 1, 3) the root.
        intrinsics: (B, 9), as :func:`project` takes them.
        keypoints: (B, N, J, 2 or more) the same J joints, normalised; what follows x and y is ignored.
        linear: leave out the lens.
    """
    return distance(project(poses + trajectory, intrinsics, linear=linear), keypoints[..., :2])


def bone_lengths(poses: Tensor, parents: Sequence[int]) -> Tensor:
    """(..., J - 1) distances of the joints of (..., J, 3) poses to their parents; the root's parent is negative."""
    children = [joint for joint, parent in enumerate(parents) if parent >= 0]
    bones = poses[..., children, :] - poses[..., [parents[joint] for joint in children], :]
    return _lengths(bones)


def bone_length_loss(labelled: Tensor, unlabelled: Tensor, parents: Sequence[int]) -> Tensor:
    """How far the mean bone lengths of two batches of predicted (B, N, J, 3) poses are apart, averaged over bones."""
    first, second = (bone_lengths(poses, parents).flatten(0, -2).mean(0) for poses in (labelled, unlabelled))
    return (first - second).abs().mean()


def _lengths(vectors: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
    return lengths
