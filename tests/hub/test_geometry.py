"""Alignment against singular value decomposition, and where that is ambiguous."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError
from har_bench.geometry import aligned, similarity
from tests import alignment
from tests.alignment import moved


def by_svd(source: Floats, target: Floats) -> Floats:
    return moved(source, alignment.by_svd(source, target))


def bodies(n: int, seed: int = 0, joints: int = 17) -> Floats:
    """(n, joints, 3) clouds the size of a person, five metres away [mm]."""
    cloud = np.random.default_rng(seed).normal(size=(n, joints, 3))
    return cloud * [150, 400, 100] + [200, 300, 5000]


def rotations(n: int, seed: int = 0) -> Floats:
    """(n, 3, 3) random proper rotations."""
    Q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, 3, 3)))
    return np.asarray(Q * np.sign(np.linalg.det(Q))[:, None, None])


def noisy(target: Floats) -> Floats:
    rng = np.random.default_rng(1)
    return 1.1 * target - [0, 0, 5000] + rng.normal(0, 60, target.shape)


def unrelated(target: Floats) -> Floats:
    return bodies(len(target), seed=2)


def turned(target: Floats) -> Floats:
    return 0.7 * target @ rotations(len(target)) + 300


def mirrored(target: Floats) -> Floats:
    return noisy(target) * [-1, 1, 1]


def exact(target: Floats) -> Floats:
    return target.copy()


@pytest.mark.parametrize("make", [noisy, unrelated, turned, mirrored, exact])
def test_equals_svd_on_100_000_poses(make: Any) -> None:
    target = bodies(100_000)
    source = make(target)
    np.testing.assert_allclose(aligned(source, target), by_svd(source, target), rtol=0, atol=1e-9)


@pytest.mark.parametrize("flatness", [0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4])
def test_equals_svd_on_ever_thinner_bodies(flatness: float) -> None:
    """Through the switch from Newton to Jacobi; the turn about a thin body's axis is known to rounding / flatness²."""
    target = bodies(2000) * [flatness, 1, flatness]
    source = turned(target) + np.random.default_rng(3).normal(0, 40 * flatness**2, target.shape)
    atol = max(1e-9, 5e-12 / flatness)
    np.testing.assert_allclose(aligned(source, target), by_svd(source, target), rtol=0, atol=atol)


@settings(deadline=None)  # the first example compiles
@given(seed=st.integers(0, 2**32 - 1), joints=st.integers(4, 40), scale=st.floats(0.01, 100))
def test_undoes_any_similarity(seed: int, joints: int, scale: float) -> None:
    target, R = bodies(3, seed, joints), rotations(3, seed)
    t = np.random.default_rng(seed).normal(0, 1000, (3, 1, 3))
    source = ((target - t) @ R) / scale
    found = similarity(source, target)
    np.testing.assert_allclose(found.R, R, atol=1e-9)
    np.testing.assert_allclose(found.s, scale, rtol=1e-9)
    np.testing.assert_allclose(found.t, t[:, 0], rtol=0, atol=1e-6)


@settings(deadline=None)  # the first example compiles
@given(seed=st.integers(0, 2**32 - 1), magnitude=st.sampled_from([1e-60, 1e-3, 1e3, 1e60]))
def test_the_unit_does_not_matter(seed: int, magnitude: float) -> None:
    source, target = bodies(2, seed), bodies(2, seed + 1)
    moved = aligned(source * magnitude, target * magnitude)
    np.testing.assert_allclose(moved / magnitude, aligned(source, target), rtol=0, atol=1e-8)


LINE = np.linspace(-1, 1, 17)[:, None] * [200.0, 700.0, -100.0]
TETRAHEDRON = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 300
FLAT = np.random.default_rng(5).normal(size=(17, 3)) * [200, 500, 0]
POINT = np.full((17, 3), 123.4)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        pytest.param(LINE, LINE, id="a line on itself"),
        pytest.param(LINE, -3 * LINE, id="a line turned round"),
        pytest.param(LINE, FLAT, id="a line on a plane"),
        pytest.param(FLAT, LINE, id="a plane on a line"),
        pytest.param(FLAT, FLAT * [-1, 1, 1], id="a plane turned over"),
        pytest.param(TETRAHEDRON, -TETRAHEDRON, id="an inverted solid"),
        pytest.param(TETRAHEDRON, TETRAHEDRON * [1, 1, -1], id="a mirrored solid"),
        pytest.param(TETRAHEDRON[:2], 2 * TETRAHEDRON[2:], id="two points"),
        pytest.param(LINE, POINT, id="onto one point"),
        pytest.param(LINE[:1], FLAT[:1], id="a single joint"),
    ],
)
@pytest.mark.parametrize("far", [0.0, 7e6])
def test_degenerate_poses_reach_the_least_sum_of_squares(source: Floats, target: Floats, far: float) -> None:
    """Several rotations are equally good, so the sum of squares is compared, with the one that the trace predicts."""
    source, target = source[None] + far, target[None] - far
    found = similarity(source, target)
    np.testing.assert_allclose(found.R[0] @ found.R[0].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(found.R[0]) == pytest.approx(1)
    centred, goal = source - source.mean(axis=1), target - target.mean(axis=1)
    U, S, Vt = np.linalg.svd(centred[0].T @ goal[0])
    trace = S[0] + S[1] + np.sign(np.linalg.det(U @ Vt)) * S[2]
    square = np.square(centred).sum()
    least = np.square(goal).sum() - (trace**2 / square if square else 0)
    assert np.square(aligned(source, target) - target).sum() == pytest.approx(least, rel=1e-9, abs=1e-6)


def test_a_pose_of_coincident_points_goes_to_the_centre() -> None:
    target = bodies(1)
    moved = aligned(POINT[None], target)
    assert similarity(POINT[None], target).s == 0
    np.testing.assert_allclose(moved[0], np.broadcast_to(target[0].mean(axis=0), (17, 3)))


def test_a_reflection_is_never_used() -> None:
    target = bodies(100)
    assert (np.linalg.norm(aligned(target * [-1, 1, 1], target) - target, axis=-1).mean(axis=1) > 20).all()


def test_a_missing_value_stays_in_its_pose() -> None:
    source, target = noisy(bodies(3)), bodies(3)
    source[1, 4, 2] = np.nan
    moved = aligned(source, target)
    assert np.isnan(moved[1]).all()
    np.testing.assert_array_equal(moved[[0, 2]], aligned(source[[0, 2]], target[[0, 2]]))


def test_the_digits_of_a_pose_depend_neither_on_its_place_nor_on_its_neighbours() -> None:
    """Poses are computed side by side, and some of them, which need an iteration, by themselves."""
    source, target = noisy(bodies(100)), bodies(100)
    source[::7], target[::7] = LINE, 2 * LINE
    source[3::7], target[3::7] = POINT, POINT + 1
    source[5::7] = target[5::7] * [1, 1, -1]
    source[40, 2, 1] = np.nan
    whole = similarity(source, target)
    orders = [np.arange(n) for n in range(1, 40)] + [np.arange(n, 100) for n in range(1, 40)]
    orders += [np.array([n]) for n in range(100)] + [np.random.default_rng(n).permutation(100) for n in range(10)]
    for order in orders:
        for found, expected in zip(similarity(source[order], target[order]), whole, strict=True):
            np.testing.assert_array_equal(found, expected[order])


def test_every_digit_is_as_it_was() -> None:
    """Of whole sevenths, so that the order of every sum decides its last digit."""
    source = (np.arange(45) * 7919 % 1009).reshape(3, 5, 3) / 7
    target = (np.arange(45) * 6101 % 997).reshape(3, 5, 3) / 7
    found = similarity(source, target)
    assert [float(value).hex() for value in found.s] == [
        "0x1.b3086b5b28a08p-3",
        "0x1.55c82b3dc4cbbp-1",
        "0x1.9a003ce76dbc0p-1",
    ]
    assert [float(value).hex() for value in found.t[:, 0]] == [
        "0x1.5de8c8322b206p+4",
        "0x1.67225c2a52eaap+6",
        "-0x1.fc18f3d2fe6d8p+3",
    ]
    assert [float(value).hex() for value in found.R[:, 0, 0]] == [
        "0x1.9c8ede636c7bap-2",
        "0x1.2e1c4b2062416p-1",
        "0x1.7aa9e61933800p-5",
    ]


def test_float32_is_computed_in_float64() -> None:
    target = bodies(1000).astype(np.float32)
    source = noisy(bodies(1000)).astype(np.float32)
    np.testing.assert_array_equal(
        aligned(source, target), aligned(source.astype(np.float64), target.astype(np.float64))
    )
    np.testing.assert_array_equal(aligned(source, target.astype(np.float64)), aligned(source, target))


def test_strided_read_only_and_empty_inputs() -> None:
    target, source = bodies(20), noisy(bodies(20))
    expected = aligned(source, target)
    wide = np.repeat(source, 2, axis=1)
    wide.flags.writeable = False
    np.testing.assert_array_equal(aligned(wide[:, ::2], np.asfortranarray(target)), expected)
    assert target.flags.writeable
    assert aligned(source[:0], target[:0]).shape == (0, 17, 3)


@pytest.mark.parametrize("shape", [(4, 17, 2), (17, 3), (4, 16, 3), (3, 17, 3)])
def test_shapes_that_cannot_be_compared_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(HarBenchError, match=r"both must be \(N, J, 3\)"):
        similarity(np.zeros((4, 17, 3)), np.zeros(shape))
