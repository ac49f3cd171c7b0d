"""Errors of 3D poses: MPJPE, P-MPJPE, N-MPJPE, MPJVE, 3DPCK and AUC, alone and summed over a sequence in one pass.

The functions take (N, J, 3) arrays of any one unit and know nothing of roots: centre the poses as your recipe says.

* MPJPE: mean distance of a joint from the truth ("Protocol 1").
* P-MPJPE: the same after the best similarity per pose, scale included, reflection excluded ("Protocol 2").
* N-MPJPE: the same after the best scale per pose about the origin ("Protocol 3", Rhodin et al. 2018).
* MPJVE: mean distance of the first differences in time, per frame (Pavllo et al. 2019).
* 3DPCK: percentage of joints nearer than 150 mm; AUC: its mean over 31 thresholds from 0 to 150 mm (Mehta et al. 2017).
"""

from __future__ import annotations

from math import nan, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Anything, Floats, kernel
from har_bench.geometry import Similarity, aligned, matched, similarity

STEP = 5.0
THRESHOLDS = np.arange(31) * STEP
"""The 31 thresholds of AUC [mm]: 0, 5 … 150. An error counts when it is strictly smaller, so none is below 0."""

UNKNOWN = np.errstate(invalid="ignore", over="ignore")
"""Errors of joints that are NaN or infinite are so too, without a warning."""


@UNKNOWN
def mpjpe_errors(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """(N, J) distances between (N, J, 3) poses, in their unit."""
    first, second = matched(predicted, truth)
    squares = np.subtract(first, second, dtype=np.float64)
    squares *= squares
    # the same bits as those of np.linalg.norm, which takes twice the time along so short an axis
    return np.sqrt(squares[..., 0] + squares[..., 1] + squares[..., 2])  # type: ignore[no-any-return]


def p_mpjpe_errors(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """(N, J) distances after the best similarity per pose: rotation, translation and scale, no reflection."""
    return mpjpe_errors(aligned(predicted, truth), truth)


@UNKNOWN
def n_mpjpe_errors(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """(N, J) distances after the best scale per pose about the origin: ``<truth, p> / <p, p>``, 0 for a null pose."""
    first, second = (np.asarray(poses, np.float64) for poses in matched(predicted, truth))
    dot, square = (np.einsum("njk,njk->n", first, other) for other in (second, first))
    scale = np.divide(dot, square, out=np.zeros_like(dot), where=square != 0)
    return mpjpe_errors(first * scale[:, None, None], second)


@UNKNOWN
def mpjve_errors(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """(N - 1, J) distances between the first differences of one sequence of poses, per frame and not per second."""
    first, second = matched(predicted, truth)
    return mpjpe_errors(np.diff(np.float64(first), axis=0), np.diff(np.float64(second), axis=0))


def mpjpe(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """The mean of :func:`mpjpe_errors`, in the poses' unit."""
    return _mean(mpjpe_errors(predicted, truth))


def p_mpjpe(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """The mean of :func:`p_mpjpe_errors`, in the poses' unit."""
    return _mean(p_mpjpe_errors(predicted, truth))


def n_mpjpe(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """The mean of :func:`n_mpjpe_errors`, in the poses' unit."""
    return _mean(n_mpjpe_errors(predicted, truth))


def mpjve(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """The mean of :func:`mpjve_errors`, in the poses' unit; NaN for fewer than two frames."""
    return _mean(mpjve_errors(predicted, truth))


def _mean(errors: npt.NDArray[Any]) -> float:
    """NaN of nothing."""
    return float(errors.mean()) if errors.size else nan


def pck3d(predicted: npt.ArrayLike, truth: npt.ArrayLike, *, at: float = 150.0) -> float:
    """Percentage of joints nearer to the truth than ``at`` (strictly), in the poses' unit: 150 mm by custom."""
    return 100 * _mean(mpjpe_errors(predicted, truth) < at)


def auc3d(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Mean of :func:`pck3d` over 0, 5 … 150, for poses in mm; a perfect prediction has 96.77, as none is below 0."""
    errors = mpjpe_errors(predicted, truth)
    return 100 * float(np.mean([_mean(errors < at) for at in THRESHOLDS]))


def sequence_sums(predicted: npt.ArrayLike, truth: npt.ArrayLike, *, recentre: bool) -> Floats:
    """The additive statistics of one sequence.

    Args:
        predicted: (T, J, 3) poses [mm], relative to the truth's root or absolute.
        truth: (T, J, 3) poses [mm]; joint 0 is the root and is subtracted.
        recentre: whether to subtract the prediction's own root too.

    Returns:
        (3 + 3 J + 93,) numbers: T; T if there are differences in time, else 0; per joint, the sums of the errors [mm]
        as predicted, after similarity and after scale; how many joints are below each of 31 thresholds, in the same
        three ways; and the mean velocity error [mm] times T, which is how VideoPose3D weights it.
    """
    first, second = matched(predicted, truth)
    frames, joints = first.shape[:2]
    errors, bins = np.zeros((3, joints)), np.zeros((3, len(THRESHOLDS) + 1))
    speed = _accumulate(first, second, similarity(first, second), recentre, np.zeros((joints, 3)), errors, bins)
    return packed(frames, errors, bins, speed)


def packed(frames: int, errors: Floats, bins: npt.NDArray[Any], speed: float) -> Floats:
    """The row of :func:`sequence_sums` from what one pass over a sequence of ``frames`` frames adds up.

    Args:
        frames: T.
        errors: (3, J) summed errors [mm]: as predicted, after similarity, after scale.
        bins: (3, 32) of them, how many are from ``STEP (k - 1)`` up to and without ``STEP k``; the last, all larger.
        speed: the summed velocity errors [mm] of T - 1 differences.
    """
    moving = frames if frames > 1 else 0
    velocity = speed * moving / (errors.shape[1] * max(frames - 1, 1))
    below = np.cumsum(bins[:, :-1], axis=1)
    return np.concatenate(([frames, moving], errors.ravel(), below.ravel(), [velocity]))


@kernel
def _accumulate(
    predicted: Anything,
    truth: Anything,
    best: Similarity,
    recentre: bool,
    previous: Floats,
    errors: Floats,
    bins: Floats,
) -> float:
    """Add a sequence's errors to ``errors`` (3, J) and ``bins`` (3, 32); return the summed velocity errors.

    Long, since all errors of a joint come from one reading of its numbers. Sums run over frames, then over joints.
    """
    frames, joints = predicted.shape[:2]
    last = bins.shape[1] - 1
    speed = 0.0
    for n in range(frames):
        R, s, t = best.R[n], best.s[n], best.t[n]
        u0, v0, w0 = np.float64(truth[n, 0, 0]), np.float64(truth[n, 0, 1]), np.float64(truth[n, 0, 2])
        x0 = y0 = z0 = 0.0
        if recentre:
            x0, y0, z0 = np.float64(predicted[n, 0, 0]), np.float64(predicted[n, 0, 1]), np.float64(predicted[n, 0, 2])
        dot = square = 0.0
        for j in range(joints):
            x, y, z = predicted[n, j, 0] - x0, predicted[n, j, 1] - y0, predicted[n, j, 2] - z0
            dot += x * (truth[n, j, 0] - u0) + y * (truth[n, j, 1] - v0) + z * (truth[n, j, 2] - w0)
            square += x * x + y * y + z * z
        scale = dot / square if square > 0 else 0.0
        for j in range(joints):
            a, b, c = np.float64(predicted[n, j, 0]), np.float64(predicted[n, j, 1]), np.float64(predicted[n, j, 2])
            x, y, z = a - x0, b - y0, c - z0
            u, v, w = truth[n, j, 0] - u0, truth[n, j, 1] - v0, truth[n, j, 2] - w0
            dx, dy, dz = x - u, y - v, z - w
            if n > 0:
                fx, fy, fz = dx - previous[j, 0], dy - previous[j, 1], dz - previous[j, 2]
                speed += sqrt(fx * fx + fy * fy + fz * fz)
            previous[j, 0], previous[j, 1], previous[j, 2] = dx, dy, dz
            px = s * (R[0, 0] * a + R[0, 1] * b + R[0, 2] * c) + t[0] - truth[n, j, 0]
            py = s * (R[1, 0] * a + R[1, 1] * b + R[1, 2] * c) + t[1] - truth[n, j, 1]
            pz = s * (R[2, 0] * a + R[2, 1] * b + R[2, 2] * c) + t[2] - truth[n, j, 2]
            sx, sy, sz = scale * x - u, scale * y - v, scale * z - w
            found = (
                sqrt(dx * dx + dy * dy + dz * dz),
                sqrt(px * px + py * py + pz * pz),
                sqrt(sx * sx + sy * sy + sz * sz),
            )
            for way in range(3):
                errors[way, j] += found[way]
                # the quotient never rounds up to the next multiple, so an error on a threshold is not below it
                steps = found[way] / STEP
                bins[way, int(steps) + 1 if steps < last - 1 else last] += 1
    return speed
