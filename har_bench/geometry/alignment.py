"""Rigid alignment of point sets: the proper similarity that brings each pose closest to another (Procrustes).

The rotation is the unit quaternion of Horn (1987): the eigenvector, for the largest eigenvalue, of a symmetric 4x4
matrix made from the 3x3 covariance. The eigenvalue is the largest root of a quartic, found by Newton's iteration from
an upper bound (Theobald 2005, QCP), so no singular value decomposition is needed and a pose costs well under a
microsecond. A reflection is never returned.

Horn, "Closed-form solution of absolute orientation using unit quaternions", J. Opt. Soc. Am. A 4, 1987.
Theobald, "Rapid calculation of RMSDs using a quaternion-based characteristic polynomial", Acta Cryst. A61, 2005.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Anything, Floats, kernel, numbers
from har_bench.errors import HarBenchError
from har_bench.geometry.procrustes import Similarity as Similarity
from har_bench.geometry.procrustes import align


def similarity(source: npt.ArrayLike, target: npt.ArrayLike) -> Similarity:
    """The proper similarities that bring each source pose closest to its target, in the sense of least squares.

    Args:
        source: (N, J, 3) points; float32 and float64 are read as they are, and all sums are float64.
        target: (N, J, 3) points.

    Returns:
        Rotations (determinant +1), scales ``trace / |source|²`` and translations. Where several rotations are equally
        good (points on a line, a mirrored solid), it is one of them; a pose whose points coincide has scale 0.

    Raises:
        HarBenchError: the shapes differ or are not (N, J, 3).
    """
    source, target = matched(source, target)
    n = len(source)
    every = np.empty(13 * n)  # in one piece, which the system makes of larger pages: a tenth of the time
    found = Similarity(every[: 9 * n].reshape(n, 3, 3), every[9 * n : 10 * n], every[10 * n :].reshape(n, 3))
    align(source, target, found)
    return found


def aligned(source: npt.ArrayLike, target: npt.ArrayLike) -> Floats:
    """(N, J, 3) source poses moved by :func:`similarity` onto their targets, in the targets' unit and frame.

    Raises:
        HarBenchError: the shapes differ or are not (N, J, 3).
    """
    source, target = matched(source, target)
    moved = np.empty(source.shape)
    _apply(source, similarity(source, target), moved)
    return moved


def matched(source: npt.ArrayLike, target: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Two (N, J, 3) arrays as the compiled kernels take them: read-only, contiguous, both float32 or both float64.

    Nothing is copied unless it must be; one form of input means one compilation per precision.

    Raises:
        HarBenchError: one is no array of numbers, or the shapes differ or are not (N, J, 3).
    """
    first, second = numbers(source, "the first of two sets of poses"), numbers(target, "the second of them")
    if first.shape != second.shape or first.ndim != 3 or first.shape[1] == 0 or first.shape[2] != 3:
        raise HarBenchError(
            f"poses of shapes {first.shape} and {second.shape} cannot be compared; both must be (N, J, 3)"
        )
    kind = np.float32 if first.dtype == second.dtype == np.float32 else np.float64
    return _readonly(first, kind), _readonly(second, kind)


def _readonly(values: npt.NDArray[Any], kind: type) -> npt.NDArray[Any]:
    view = np.require(values, kind, ["C", "A"]).view()
    view.flags.writeable = False
    return view


@kernel
def _apply(points: Anything, by: Similarity, moved: Floats) -> None:
    for n in range(len(points)):
        R, s, t = by.R[n], by.s[n], by.t[n]
        for j in range(points.shape[1]):
            x, y, z = points[n, j, 0], points[n, j, 1], points[n, j, 2]
            for k in range(3):
                moved[n, j, k] = s * (R[k, 0] * x + R[k, 1] * y + R[k, 2] * z) + t[k]
