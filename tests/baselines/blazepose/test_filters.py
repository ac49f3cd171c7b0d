"""The filters of films, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")

from har_bench.baselines.blazepose.films import Steady
from har_bench.baselines.blazepose.filters import LowPass, OneEuro, plain, restored
from har_bench.baselines.blazepose.landmarks import Landmarks


def test_the_one_euro_filter_by_hand() -> None:
    """A step of one unit in a tenth of a second: its speed is 10, smoothed with a(1 Hz), and raises the cutoff."""
    steady = OneEuro(least_cutoff=0.5, beta=2.0, speed_cutoff=1.0)
    assert steady(np.array([3.0]), 1.0).tolist() == [3.0]

    def share(cutoff: float) -> float:
        return 1 / (1 + 1 / (0.1 * 2 * math.pi * cutoff))

    speed = share(1.0) * 10
    expected = 3 + share(0.5 + 2 * speed) * 1
    assert steady(np.array([4.0]), 0.1)[0] == pytest.approx(expected)
    assert OneEuro(0.5, 0.0)(np.array([4.0]), 0.1).tolist() == [4.0]


def test_speed_is_of_the_values_as_given_and_in_the_object_s_size() -> None:
    small, large = OneEuro(0.5, 2.0), OneEuro(0.5, 2.0)
    for value in (0.0, 1.0, 1.5):
        made = small(np.array([value]), 0.1, 1.0), large(np.array([10 * value]), 0.1, 0.1)
    assert made[1][0] == pytest.approx(10 * made[0][0])


def test_the_low_pass_keeps_nine_tenths() -> None:
    steady = LowPass()
    assert steady(np.array([1.0])).tolist() == [1.0]
    assert steady(np.array([0.0])).tolist() == [0.9]
    assert steady(np.array([0.0])).tolist() == [pytest.approx(0.81)]


def person(x: float, visible: float = 1.0) -> Landmarks:
    points = np.full((35, 3), x)
    points[34, 0] += 50
    return Landmarks(points, np.full(33, visible), np.ones(33), np.full((33, 3), x / 1000), 1.0)


def test_without_smoothing_only_the_next_region_is_steadied() -> None:
    steady = Steady()
    steady(person(100), 0.0, smooth=False)
    made = steady(person(110), 1 / 30, smooth=False)
    assert (made.points[:33, 0] == 110).all()
    assert 100 < made.points[33, 0] < 110


def test_a_loss_starts_points_anew_but_not_visibility_and_space() -> None:
    steady = Steady()
    steady(person(100), 0.0, smooth=True)
    steady.lost()
    made = steady(person(200, visible=0.0), 1.0, smooth=True)
    assert (made.points[:33] == 200).all()
    assert (made.visibility == 0.9).all()
    assert (made.world < 0.2).all()
    fresh = Steady()(person(200, visible=0.0), 1.0, smooth=True)
    assert (fresh.world == 0.2).all()


def test_what_a_filter_remembers_can_be_written_and_read_again() -> None:
    one = OneEuro(0.5, 2.0)
    for value in (0.0, 1.0):
        one(np.array([[value, 1 / 3]]), 0.1)
    other = OneEuro(**restored(plain(vars(one))))
    np.testing.assert_array_equal(one(np.array([[5.0, 6.0]]), 0.1), other(np.array([[5.0, 6.0]]), 0.1))
