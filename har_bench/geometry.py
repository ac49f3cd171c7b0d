"""Rigid alignment of point sets: the proper similarity that brings each pose closest to another (Procrustes).

The rotation is the unit quaternion of Horn (1987): the eigenvector, for the largest eigenvalue, of a symmetric 4x4
matrix made from the 3x3 covariance. The eigenvalue is the largest root of a quartic, found by Newton's iteration from
an upper bound (Theobald 2005, QCP), so no singular value decomposition is needed and a pose costs well under a
microsecond. A reflection is never returned.

Horn, "Closed-form solution of absolute orientation using unit quaternions", J. Opt. Soc. Am. A 4, 1987.
Theobald, "Rapid calculation of RMSDs using a quaternion-based characteristic polynomial", Acta Cryst. A61, 2005.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats, kernel
from har_bench.errors import HarBenchError

_SIMPLE_ROOT = 0.02
"""Below this slope the largest root counts as repeated, and the vector is found by an iteration that may be."""

_LAST_STEP = 1e-6
"""Newton's error is the square of its last step, and Rayleigh's quotient squares it again."""


class Similarity(NamedTuple):
    """One similarity per pose: ``x -> s R x + t``.

    Attributes:
        R: (N, 3, 3) proper rotations.
        s: (N,) scales, never negative.
        t: (N, 3) translations, in the unit of the target.
    """

    R: Floats
    s: Floats
    t: Floats


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
    found = Similarity(np.empty((n, 3, 3)), np.empty(n), np.empty((n, 3)))
    _similarity(source, target, *found)
    return found


def aligned(source: npt.ArrayLike, target: npt.ArrayLike) -> Floats:
    """(N, J, 3) source poses moved by :func:`similarity` onto their targets, in the targets' unit and frame.

    Raises:
        HarBenchError: the shapes differ or are not (N, J, 3).
    """
    source, target = matched(source, target)
    moved = np.empty(source.shape)
    _apply(source, *similarity(source, target), moved)
    return moved


def matched(source: npt.ArrayLike, target: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Two (N, J, 3) arrays as the compiled kernels take them: read-only, contiguous, both float32 or both float64.

    Nothing is copied unless it must be; one form of input means one compilation per precision.

    Raises:
        HarBenchError: the shapes differ or are not (N, J, 3).
    """
    first, second = np.asarray(source), np.asarray(target)
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
def _similarity(source, target, rotations, scales, translations):  # type: ignore[no-untyped-def]
    joints = source.shape[1]
    for n in range(len(source)):
        # Sums are relative to the first point, which makes them exact when all points coincide, however far away they
        # are; taking the means out afterwards then costs at most a factor J of rounding.
        x0, y0, z0 = np.float64(source[n, 0, 0]), np.float64(source[n, 0, 1]), np.float64(source[n, 0, 2])
        u0, v0, w0 = np.float64(target[n, 0, 0]), np.float64(target[n, 0, 1]), np.float64(target[n, 0, 2])
        px = py = pz = gx = gy = gz = 0.0
        xx = xy = xz = yx = yy = yz = zx = zy = zz = source_square = target_square = 0.0
        for j in range(1, joints):
            x, y, z = source[n, j, 0] - x0, source[n, j, 1] - y0, source[n, j, 2] - z0
            u, v, w = target[n, j, 0] - u0, target[n, j, 1] - v0, target[n, j, 2] - w0
            px += x
            py += y
            pz += z
            gx += u
            gy += v
            gz += w
            xx += x * u
            xy += x * v
            xz += x * w
            yx += y * u
            yy += y * v
            yz += y * w
            zx += z * u
            zy += z * v
            zz += z * w
            source_square += x * x + y * y + z * z
            target_square += u * u + v * v + w * w
        mx, my, mz = px / joints, py / joints, pz / joints
        source_square -= mx * px + my * py + mz * pz
        target_square -= (gx * gx + gy * gy + gz * gz) / joints
        bound = sqrt(max(source_square, 0.0)) * sqrt(max(target_square, 0.0))
        trace, qw, qx, qy, qz = _quaternion(
            xx - mx * gx, xy - mx * gy, xz - mx * gz,
            yx - my * gx, yy - my * gy, yz - my * gz,
            zx - mz * gx, zy - mz * gy, zz - mz * gz,
            bound,
        )  # fmt: skip
        rotations[n, 0, 0] = 1 - 2 * (qy * qy + qz * qz)
        rotations[n, 0, 1] = 2 * (qx * qy - qw * qz)
        rotations[n, 0, 2] = 2 * (qx * qz + qw * qy)
        rotations[n, 1, 0] = 2 * (qx * qy + qw * qz)
        rotations[n, 1, 1] = 1 - 2 * (qx * qx + qz * qz)
        rotations[n, 1, 2] = 2 * (qy * qz - qw * qx)
        rotations[n, 2, 0] = 2 * (qx * qz - qw * qy)
        rotations[n, 2, 1] = 2 * (qy * qz + qw * qx)
        rotations[n, 2, 2] = 1 - 2 * (qx * qx + qy * qy)
        s = trace / source_square if trace > 0 else 0.0 * trace
        scales[n] = s
        x, y, z = x0 + mx, y0 + my, z0 + mz
        for k, mean in enumerate((u0 + gx / joints, v0 + gy / joints, w0 + gz / joints)):
            translations[n, k] = mean - s * (rotations[n, k, 0] * x + rotations[n, k, 1] * y + rotations[n, k, 2] * z)


@kernel
def _apply(points, rotations, scales, translations, moved):  # type: ignore[no-untyped-def]
    for n in range(len(points)):
        R, s, t = rotations[n], scales[n], translations[n]
        for j in range(points.shape[1]):
            x, y, z = points[n, j, 0], points[n, j, 1], points[n, j, 2]
            for k in range(3):
                moved[n, j, k] = s * (R[k, 0] * x + R[k, 1] * y + R[k, 2] * z) + t[k]


@kernel
def _quaternion(xx, xy, xz, yx, yy, yz, zx, zy, zz, bound):  # type: ignore[no-untyped-def]
    """The largest ``trace(R C)`` over rotations, and the unit quaternion (w, x, y, z) that reaches it.

    ``C[a][b]`` is the sum of source a times target b over the points; ``bound`` is any upper bound of the trace.
    """
    norm = sqrt(xx * xx + xy * xy + xz * xz + yx * yx + yy * yy + yz * yz + zx * zx + zy * zy + zz * zz)
    if norm == 0:
        return 0.0, 1.0, 0.0, 0.0, 0.0
    unit = 1 / norm
    xx, xy, xz = xx * unit, xy * unit, xz * unit
    yx, yy, yz = yx * unit, yy * unit, yz * unit
    zx, zy, zz = zx * unit, zy * unit, zz * unit

    c0, c1, c2 = yy * zz - yz * zy, yz * zx - yx * zz, yx * zy - yy * zx
    c3, c4, c5 = xz * zy - xy * zz, xx * zz - xz * zx, xy * zx - xx * zy
    c6, c7, c8 = xy * yz - xz * yy, xz * yx - xx * yz, xx * yy - xy * yx
    determinant = xx * c0 + xy * c1 + xz * c2
    cofactors = c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3 + c4 * c4 + c5 * c5 + c6 * c6 + c7 * c7 + c8 * c8
    root, simple = _largest_root(determinant, cofactors, bound * unit)

    # Horn's matrix
    n00, n11, n22, n33 = xx + yy + zz, xx - yy - zz, yy - xx - zz, zz - xx - yy
    n01, n02, n03 = yz - zy, zx - xz, xy - yx
    n12, n13, n23 = xy + yx, xz + zx, yz + zy
    if simple:
        w, x, y, z = _null_vector(n00 - root, n01, n02, n03, n11 - root, n12, n13, n22 - root, n23, n33 - root)
        root = _rayleigh(n00, n01, n02, n03, n11, n12, n13, n22, n23, n33, w, x, y, z)
        w, x, y, z = _null_vector(n00 - root, n01, n02, n03, n11 - root, n12, n13, n22 - root, n23, n33 - root)
    else:
        w, x, y, z = _largest_eigenvector(n00, n01, n02, n03, n11, n12, n13, n22, n23, n33)
        root = _rayleigh(n00, n01, n02, n03, n11, n12, n13, n22, n23, n33, w, x, y, z)
    unit = 1 / sqrt(w * w + x * x + y * y + z * z)
    return root * norm, w * unit, x * unit, y * unit, z * unit


@kernel
def _largest_root(determinant, cofactors, bound):  # type: ignore[no-untyped-def]
    """The largest eigenvalue of the Horn matrix of a unit C, and whether it is a simple one.

    The characteristic polynomial is ``(x² - 1)² - 8 det(C) x - 4 |cof C|²``. Its roots are real, so Newton descends
    to the largest from any bound; there the slope is the product of the distances to the other three.
    """
    root = min(bound, sqrt(3.0))
    for _ in range(50):
        excess = root * root - 1
        slope = 4 * (excess * root - 2 * determinant)
        if not slope > _SIMPLE_ROOT:
            return root, False
        step = (excess * excess - 8 * determinant * root - 4 * cofactors) / slope
        root -= step
        if abs(step) < _LAST_STEP:
            break
    return root, True


@kernel
def _rayleigh(n00, n01, n02, n03, n11, n12, n13, n22, n23, n33, w, x, y, z):  # type: ignore[no-untyped-def]
    """Rayleigh's quotient ``qᵀ N q / qᵀ q``: its error is the square of that of q."""
    off_diagonal = w * (n01 * x + n02 * y + n03 * z) + x * (n12 * y + n13 * z) + y * n23 * z
    diagonal = n00 * w * w + n11 * x * x + n22 * y * y + n33 * z * z
    return (diagonal + 2 * off_diagonal) / (w * w + x * x + y * y + z * z)


@kernel
def _null_vector(a00, a01, a02, a03, a11, a12, a13, a22, a23, a33):  # type: ignore[no-untyped-def]
    """A null vector of a symmetric matrix of rank 3: the longest column of its adjugate."""
    s0, s1, s2 = a00 * a11 - a01 * a01, a00 * a12 - a01 * a02, a00 * a13 - a01 * a03
    s3, s4, s5 = a01 * a12 - a11 * a02, a01 * a13 - a11 * a03, a02 * a13 - a12 * a03
    c5, c4, c3 = a22 * a33 - a23 * a23, a12 * a33 - a13 * a23, a12 * a23 - a13 * a22
    c2, c1 = a02 * a33 - a03 * a23, a02 * a23 - a03 * a22
    d0 = a11 * c5 - a12 * c4 + a13 * c3
    d1 = a00 * c5 - a02 * c2 + a03 * c1
    d2 = a03 * s4 - a13 * s2 + a33 * s0
    d3 = a02 * s3 - a12 * s1 + a22 * s0
    e01 = a02 * c4 - a01 * c5 - a03 * c3
    e02 = a13 * s5 - a23 * s4 + a33 * s3
    e03 = a22 * s4 - a12 * s5 - a23 * s3
    e12 = a23 * s2 - a03 * s5 - a33 * s1
    e13 = a02 * s5 - a22 * s2 + a23 * s1
    e23 = a12 * s2 - a02 * s4 - a23 * s0
    m0, m1, m2, m3 = abs(d0), abs(d1), abs(d2), abs(d3)
    if m0 >= m1 and m0 >= m2 and m0 >= m3:
        return d0, e01, e02, e03
    if m1 >= m2 and m1 >= m3:
        return e01, d1, e12, e13
    if m2 >= m3:
        return e02, e12, d2, e23
    return e03, e13, e23, d3


@kernel
def _rotate(A: Floats, V: Floats, i: int, j: int) -> None:
    """Jacobi's rotation that makes ``A[i, j]`` of the symmetric (4, 4) matrix 0; ``V`` collects the rotations."""
    theta = (A[j, j] - A[i, i]) / (2 * A[i, j])
    tangent = 1 / (abs(theta) + sqrt(theta * theta + 1))
    if theta < 0:
        tangent = -tangent
    cosine = 1 / sqrt(tangent * tangent + 1)
    sine = tangent * cosine
    for k in range(4):
        A[k, i], A[k, j] = cosine * A[k, i] - sine * A[k, j], sine * A[k, i] + cosine * A[k, j]
    for k in range(4):
        A[i, k], A[j, k] = cosine * A[i, k] - sine * A[j, k], sine * A[i, k] + cosine * A[j, k]
        V[k, i], V[k, j] = cosine * V[k, i] - sine * V[k, j], sine * V[k, i] + cosine * V[k, j]


@kernel
def _largest_eigenvector(n00, n01, n02, n03, n11, n12, n13, n22, n23, n33):  # type: ignore[no-untyped-def]
    """By Jacobi's rotations, which stay exact when eigenvalues coincide."""
    A = np.array(((n00, n01, n02, n03), (n01, n11, n12, n13), (n02, n12, n22, n23), (n03, n13, n23, n33)))
    V = np.eye(4)
    for _ in range(30):
        off_diagonal = 0.0
        for i in range(3):
            for j in range(i + 1, 4):
                off_diagonal += abs(A[i, j])
                if A[i, j] != 0:
                    _rotate(A, V, i, j)
        if not off_diagonal > 1e-17:
            break
    best = 0
    for i in range(1, 4):
        if A[i, i] > A[best, best]:
            best = i
    return V[0, best], V[1, best], V[2, best], V[3, best]
