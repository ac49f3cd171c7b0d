"""The rotations of :mod:`har_bench.geometry`, of sixteen poses side by side.

Every step is a plain loop over lanes, a pose in each, so that a compiler makes vector instructions of it: nothing in
such a loop branches, calls or depends on another lane. Numbers stand in rows of lanes in one array, at offsets that are
constants, since a compiler must see that no two rows overlap. What a lane computes is what one pose alone would, in
the same order and rounded as often, so the digits of a pose depend neither on its place nor on its neighbours. Sums run
over the joints in their order.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np

from har_bench.arrays import Anything, Floats, kernel

LANES = 16
"""Poses side by side: four vectors of AVX2 hide each other's latency, and 17 joints stay in the first cache."""

_SIMPLE_ROOT = 0.02
"""Below this slope the largest root counts as repeated, and the vector is found by an iteration that may be."""

_LAST_STEP = 1e-6
"""Newton's error is the square of its last step, and Rayleigh's quotient squares it again."""

_MOVING, _FOUND, _REPEATED = 0.0, 1.0, 2.0
"""What a lane's root is: still descended to, found, or so near to another that there is no slope to divide by."""

# Sums over the joints, relative to the first one: of the source, of the target, of source times target, of squares.
_PX, _PY, _PZ, _GX, _GY, _GZ, _XX, _XY, _XZ, _YX, _YY, _YZ, _ZX, _ZY, _ZZ, _SOURCE, _TARGET = range(
    0, 17 * LANES, LANES
)
# Horn's matrix, its upper triangle.
_A00, _A01, _A02, _A03, _A11, _A12, _A13, _A22, _A23, _A33 = range(17 * LANES, 27 * LANES, LANES)
# The size of the covariance, two coefficients of the characteristic polynomial, its root, what the root is, the vector.
_NORM, _DETERMINANT, _COFACTORS, _ROOT, _STATE, _W, _X, _Y, _Z = range(27 * LANES, 36 * LANES, LANES)
# The similarity: rotation row after row, scale, translation.
_RESULT = 36 * LANES
_SCALE, _SHIFT = _RESULT + 9 * LANES, _RESULT + 10 * LANES
_SIZE = _RESULT + 13 * LANES


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


@kernel
def align(source: Anything, target: Anything, found: Similarity) -> None:
    """Fill ``found`` with the similarities that bring each source pose (N, J, 3) closest to its target."""
    joints = source.shape[1]
    turned = found.R.reshape(-1, 9)
    points, lanes = np.empty(6 * joints * LANES), np.zeros(_SIZE)
    for first in range(0, len(source), LANES):
        count = min(LANES, len(source) - first)
        _gather(source, target, first, count, points, lanes)
        _add(points, joints, lanes)
        _prepare(joints, lanes)
        _descend(lanes)
        _null_vectors(lanes)
        for lane in range(count):
            if lanes[_STATE + lane] == _REPEATED:
                _iterate(lanes, lane)
        _rayleigh_quotients(lanes)
        _null_vectors(lanes)
        _finish(points, joints, lanes)
        for lane in range(count):
            pose, at = first + lane, _RESULT + lane
            for place in range(9):
                turned[pose, place] = lanes[at + place * LANES]
            for place in range(3):
                found.t[pose, place] = lanes[_SHIFT + place * LANES + lane]
            found.s[pose] = lanes[_SCALE + lane]


@kernel
def _gather(source: Anything, target: Anything, first: int, count: int, points: Floats, lanes: Floats) -> None:
    """(J, 6, lanes) points of source and target: the first joint, and the others relative to it; and these summed.

    That makes the sums exact when all points coincide, however far away they are; taking the means out afterwards then
    costs at most a factor J of rounding. Lanes without a pose hold the last one.
    """
    for lane in range(LANES):
        pose = first + min(lane, count - 1)
        x0, y0, z0 = np.float64(source[pose, 0, 0]), np.float64(source[pose, 0, 1]), np.float64(source[pose, 0, 2])
        u0, v0, w0 = np.float64(target[pose, 0, 0]), np.float64(target[pose, 0, 1]), np.float64(target[pose, 0, 2])
        points[lane], points[lane + LANES], points[lane + 2 * LANES] = x0, y0, z0
        points[lane + 3 * LANES], points[lane + 4 * LANES], points[lane + 5 * LANES] = u0, v0, w0
        px = py = pz = gx = gy = gz = 0.0
        for j in range(1, source.shape[1]):
            x, y, z = source[pose, j, 0] - x0, source[pose, j, 1] - y0, source[pose, j, 2] - z0
            u, v, w = target[pose, j, 0] - u0, target[pose, j, 1] - v0, target[pose, j, 2] - w0
            at = 6 * j * LANES + lane
            points[at] = x
            points[at + LANES] = y
            points[at + 2 * LANES] = z
            points[at + 3 * LANES] = u
            points[at + 4 * LANES] = v
            points[at + 5 * LANES] = w
            px += x
            py += y
            pz += z
            gx += u
            gy += v
            gz += w
        lanes[_PX + lane], lanes[_PY + lane], lanes[_PZ + lane] = px, py, pz
        lanes[_GX + lane], lanes[_GY + lane], lanes[_GZ + lane] = gx, gy, gz


@kernel
def _add(points: Floats, joints: int, lanes: Floats) -> None:
    """The sums of products, from ``_XX`` to ``_TARGET``."""
    for k in range(_XX, _TARGET + LANES):
        lanes[k] = 0.0
    for j in range(1, joints):
        at = 6 * j * LANES
        for k in range(LANES):
            x, y, z = points[at + k], points[at + k + LANES], points[at + k + 2 * LANES]
            u, v, w = points[at + k + 3 * LANES], points[at + k + 4 * LANES], points[at + k + 5 * LANES]
            lanes[_SOURCE + k] += x * x + y * y + z * z
            lanes[_TARGET + k] += u * u + v * v + w * w
            lanes[_XX + k] += x * u
            lanes[_XY + k] += x * v
            lanes[_XZ + k] += x * w
            lanes[_YX + k] += y * u
            lanes[_YY + k] += y * v
            lanes[_YZ + k] += y * w
            lanes[_ZX + k] += z * u
            lanes[_ZY + k] += z * v
            lanes[_ZZ + k] += z * w


@kernel
def _prepare(joints: int, lanes: Floats) -> None:
    """From the sums: Horn's matrix of the covariance at length 1, its polynomial, and a bound of the largest root."""
    for k in range(LANES):
        px, py, pz = lanes[_PX + k], lanes[_PY + k], lanes[_PZ + k]
        gx, gy, gz = lanes[_GX + k], lanes[_GY + k], lanes[_GZ + k]
        mx, my, mz = px / joints, py / joints, pz / joints
        source = lanes[_SOURCE + k] - (mx * px + my * py + mz * pz)
        target = lanes[_TARGET + k] - (gx * gx + gy * gy + gz * gz) / joints
        bound = sqrt(max(source, 0.0)) * sqrt(max(target, 0.0))
        xx, xy, xz = lanes[_XX + k] - mx * gx, lanes[_XY + k] - mx * gy, lanes[_XZ + k] - mx * gz
        yx, yy, yz = lanes[_YX + k] - my * gx, lanes[_YY + k] - my * gy, lanes[_YZ + k] - my * gz
        zx, zy, zz = lanes[_ZX + k] - mz * gx, lanes[_ZY + k] - mz * gy, lanes[_ZZ + k] - mz * gz
        norm = sqrt(xx * xx + xy * xy + xz * xz + yx * yx + yy * yy + yz * yz + zx * zx + zy * zy + zz * zz)
        unit = 1 / norm
        xx, xy, xz = xx * unit, xy * unit, xz * unit
        yx, yy, yz = yx * unit, yy * unit, yz * unit
        zx, zy, zz = zx * unit, zy * unit, zz * unit
        c0, c1, c2 = yy * zz - yz * zy, yz * zx - yx * zz, yx * zy - yy * zx
        c3, c4, c5 = xz * zy - xy * zz, xx * zz - xz * zx, xy * zx - xx * zy
        c6, c7, c8 = xy * yz - xz * yy, xz * yx - xx * yz, xx * yy - xy * yx
        cofactors = c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3 + c4 * c4 + c5 * c5 + c6 * c6 + c7 * c7 + c8 * c8
        lanes[_DETERMINANT + k], lanes[_COFACTORS + k] = xx * c0 + xy * c1 + xz * c2, cofactors
        lanes[_NORM + k], lanes[_SOURCE + k] = norm, source
        # the product of the poses' lengths is never below the root, nor is that of a rotation, which is √3
        lanes[_ROOT + k] = min(bound * unit, sqrt(3.0))
        lanes[_A00 + k], lanes[_A01 + k], lanes[_A02 + k], lanes[_A03 + k] = xx + yy + zz, yz - zy, zx - xz, xy - yx
        lanes[_A11 + k], lanes[_A12 + k], lanes[_A13 + k] = xx - yy - zz, xy + yx, xz + zx
        lanes[_A22 + k], lanes[_A23 + k] = yy - xx - zz, yz + zy
        lanes[_A33 + k] = zz - xx - yy


@kernel
def _descend(lanes: Floats) -> None:
    """The largest eigenvalues of Horn's matrices, and whether they are simple.

    The characteristic polynomial is ``(x² - 1)² - 8 det(C) x - 4 |cof C|²``. Its roots are real, so Newton descends
    to the largest from any bound; there the slope is the product of the distances to the other three. A lane that has
    arrived stays, whatever the others do.
    """
    for k in range(LANES):
        lanes[_STATE + k] = _MOVING
    for _ in range(50):
        moving = 0
        for k in range(LANES):
            root, state, determinant = lanes[_ROOT + k], lanes[_STATE + k], lanes[_DETERMINANT + k]
            excess = root * root - 1
            slope = 4 * (excess * root - 2 * determinant)
            step = (excess * excess - 8 * determinant * root - 4 * lanes[_COFACTORS + k]) / slope
            simple = slope > _SIMPLE_ROOT
            after = (_FOUND if abs(step) < _LAST_STEP else _MOVING) if simple else _REPEATED
            lanes[_ROOT + k] = root - step if simple & (state == _MOVING) else root
            lanes[_STATE + k] = after if state == _MOVING else state
        for k in range(LANES):
            moving += lanes[_STATE + k] == _MOVING
        if moving == 0:
            break


@kernel
def _null_vectors(lanes: Floats) -> None:
    """Null vectors of Horn's matrices less their roots, of rank 3: the longest column of the adjugate.

    A lane whose root is repeated keeps its vector.
    """
    for k in range(LANES):
        root = lanes[_ROOT + k]
        a00, a01, a02, a03 = lanes[_A00 + k] - root, lanes[_A01 + k], lanes[_A02 + k], lanes[_A03 + k]
        a11, a12, a13 = lanes[_A11 + k] - root, lanes[_A12 + k], lanes[_A13 + k]
        a22, a23, a33 = lanes[_A22 + k] - root, lanes[_A23 + k], lanes[_A33 + k] - root
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
        first, second, third = (m0 >= m1) & (m0 >= m2) & (m0 >= m3), (m1 >= m2) & (m1 >= m3), m2 >= m3
        w = d0 if first else (e01 if second else (e02 if third else e03))
        x = e01 if first else (d1 if second else (e12 if third else e13))
        y = e02 if first else (e12 if second else (d2 if third else e23))
        z = e03 if first else (e13 if second else (e23 if third else d3))
        repeated = lanes[_STATE + k] == _REPEATED
        lanes[_W + k], lanes[_X + k] = lanes[_W + k] if repeated else w, lanes[_X + k] if repeated else x
        lanes[_Y + k], lanes[_Z + k] = lanes[_Y + k] if repeated else y, lanes[_Z + k] if repeated else z


@kernel
def _rayleigh_quotients(lanes: Floats) -> None:
    """The roots anew, ``qᵀ A q / qᵀ q``: their errors are the squares of those of the vectors q."""
    for k in range(LANES):
        w, x, y, z = lanes[_W + k], lanes[_X + k], lanes[_Y + k], lanes[_Z + k]
        of_w = w * (lanes[_A01 + k] * x + lanes[_A02 + k] * y + lanes[_A03 + k] * z)
        off_diagonal = of_w + x * (lanes[_A12 + k] * y + lanes[_A13 + k] * z) + y * lanes[_A23 + k] * z
        diagonal = lanes[_A00 + k] * w * w + lanes[_A11 + k] * x * x + lanes[_A22 + k] * y * y + lanes[_A33 + k] * z * z
        lanes[_ROOT + k] = (diagonal + 2 * off_diagonal) / (w * w + x * x + y * y + z * z)


@kernel
def _iterate(lanes: Floats, k: int) -> None:
    """The vector of a lane whose root is repeated; without any covariance it is that of no rotation."""
    a = np.zeros((4, 4))
    at = _A00 + k
    for row in range(4):
        for column in range(row, 4):
            if lanes[_NORM + k] != 0:
                a[row, column] = a[column, row] = lanes[at]
            at += LANES
    vector = _largest_eigenvector(a)
    lanes[_W + k], lanes[_X + k], lanes[_Y + k], lanes[_Z + k] = vector[0], vector[1], vector[2], vector[3]


@kernel
def _largest_eigenvector(A: Floats) -> Floats:  # noqa: C901
    """Of a symmetric matrix (4, 4), which is used up.

    By Jacobi's rotations, which stay exact when eigenvalues coincide; a sweep of them is one walk over the pairs.
    """
    V = np.eye(4)
    for _ in range(30):
        off_diagonal = 0.0
        for i in range(3):
            for j in range(i + 1, 4):
                off_diagonal += abs(A[i, j])
                if A[i, j] == 0:
                    continue
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
        if not off_diagonal > 1e-17:
            break
    best = 0
    for i in range(1, 4):
        if A[i, i] > A[best, best]:
            best = i
    return V[:, best]


@kernel
def _finish(points: Floats, joints: int, lanes: Floats) -> None:
    """Rotations, scales and translations, from ``_RESULT`` on, of the vectors and the roots."""
    for k in range(LANES):
        w, x, y, z = lanes[_W + k], lanes[_X + k], lanes[_Y + k], lanes[_Z + k]
        unit = 1 / sqrt(w * w + x * x + y * y + z * z)
        w, x, y, z = w * unit, x * unit, y * unit, z * unit
        r00, r01, r02 = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
        r10, r11, r12 = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
        r20, r21, r22 = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
        norm = lanes[_NORM + k]
        trace = lanes[_ROOT + k] * norm if norm != 0 else 0.0  # a matrix of no length has no root
        s = trace / lanes[_SOURCE + k] if trace > 0 else 0.0 * trace
        x = points[k] + lanes[_PX + k] / joints
        y = points[k + LANES] + lanes[_PY + k] / joints
        z = points[k + 2 * LANES] + lanes[_PZ + k] / joints
        u = points[k + 3 * LANES] + lanes[_GX + k] / joints
        v = points[k + 4 * LANES] + lanes[_GY + k] / joints
        w = points[k + 5 * LANES] + lanes[_GZ + k] / joints
        at = _RESULT + k
        lanes[at], lanes[at + LANES], lanes[at + 2 * LANES] = r00, r01, r02
        lanes[at + 3 * LANES], lanes[at + 4 * LANES], lanes[at + 5 * LANES] = r10, r11, r12
        lanes[at + 6 * LANES], lanes[at + 7 * LANES], lanes[at + 8 * LANES] = r20, r21, r22
        lanes[_SCALE + k] = s
        lanes[_SHIFT + k] = u - s * (r00 * x + r01 * y + r02 * z)
        lanes[_SHIFT + LANES + k] = v - s * (r10 * x + r11 * y + r12 * z)
        lanes[_SHIFT + 2 * LANES + k] = w - s * (r20 * x + r21 * y + r22 * z)
