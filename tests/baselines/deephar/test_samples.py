"""Samples, clips that are drawn and variations, by hand."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from har_bench import HarBenchError
from har_bench.baselines.deephar.data import boxes, clips
from har_bench.baselines.deephar.data.augmentation import AUGMENTATIONS, PLAIN, Variation
from har_bench.baselines.deephar.data.samples import ABSENT, Sample, Target, as_input, item

TWO = Target(np.array([1, 0]), 2, (10, 10))
WHOLE = partial(boxes.of_picture, (20, 20))


def sample(points: object, dims: int = 2) -> Sample:
    """A picture with two joints."""
    return Sample((Path("picture.png"),), np.array(points, float).reshape(1, 2, dims), WHOLE)


def test_a_crop_its_joints_and_its_pixels_by_hand() -> None:
    picture = np.full((20, 20, 3), 255, np.uint8)
    picture[:, 10:] = 0
    found = item(sample([[5, 10], [np.nan, 3]]), [picture], np.zeros(1, int), TWO)
    np.testing.assert_allclose(found.pose[0], [[0.25, 0.5, 1], [ABSENT, ABSENT, 0]])
    assert (found.pixels[0, :, 0].tolist(), found.pixels[0, :, 9].tolist()) == ([[1.0] * 3] * 10, [[-1.0] * 3] * 10)
    assert found.action == -1


def test_in_the_mirror_joints_change_sides() -> None:
    seen = sample([[5, 10], [18, 3]])
    found = item(seen, [np.zeros((20, 20, 3), np.uint8)], np.zeros(1, int), TWO, Variation(flip=True))
    np.testing.assert_allclose(found.pose[0, :, :2], [[0.1, 0.15], [0.75, 0.5]])


def test_depths_are_told_about_the_root_and_joints_outside_the_crop_are_none() -> None:
    seen, target = sample([[5, 10, 4000], [25, 3, 4500]], 3), TWO._replace(dims=3)
    picture = [np.zeros((20, 20, 3), np.uint8)]
    np.testing.assert_allclose(
        item(seen, picture, np.zeros(1, int), target).pose[0], [[0.25, 0.5, 0.5, 1], [ABSENT, ABSENT, ABSENT, 0]]
    )
    wide = item(seen, picture, np.zeros(1, int), target, Variation(scale=2.0)).pose[0]
    np.testing.assert_allclose(wide, [[0.375, 0.5, 0.5, 1], [0.875, 0.325, 0.625, 1]])


def test_a_network_of_more_joints_lacks_those_that_the_sample_has_not() -> None:
    target = Target(np.arange(3), 3, (10, 10))
    found = item(sample([[5, 10], [1, 3]]), [np.zeros((20, 20, 3), np.uint8)], np.zeros(1, int), target)
    np.testing.assert_allclose(found.pose[0, 1], [0.05, 0.15, ABSENT, 1])
    np.testing.assert_allclose(found.pose[0, 2], [ABSENT] * 3 + [0])


def test_each_channel_has_its_power() -> None:
    grey = np.full((1, 1, 3), 51, np.uint8)
    np.testing.assert_allclose(
        as_input(grey, Variation(power=(1.0, 2.0, 0.5)))[0, 0], [-0.6, -0.92, 2 * 0.2**0.5 - 1], rtol=1e-6
    )


def test_boxes_of_a_clip_are_united_and_those_missing_left_out() -> None:
    given = np.array([[0, 0, 40, 40], [np.nan] * 4, [10, 20, 40, 60.0]])
    seen = Sample((Path("a"),) * 3, np.full((3, 2, 2), np.nan), WHOLE, boxes=given)
    np.testing.assert_allclose(seen.window(np.arange(3)).box, [0, 0, 50, 80])
    np.testing.assert_allclose(seen.window(np.arange(2)).box, [0, 0, 40, 40])
    with pytest.raises(HarBenchError, match=r"a and what follows have no box; detect them again"):
        seen.window(np.array([1]))
    with pytest.raises(HarBenchError, match="without any joint has no box"):
        boxes.of_joints(seen.points, 1.0)


def test_a_window_around_joints_has_a_least_side_and_is_moved_by_its_scale() -> None:
    """Joints 4 px apart would make a window of 6 px; frames without joints are not looked at."""
    points = np.full((3, 2, 2), np.nan)
    points[1] = [[50, 50], [54, 50]]
    window = boxes.of_joints(points, 2.0)
    assert (window.centre, window.sides) == ((52.0, 50.0), (32.0, 32.0))
    assert window.moved((3, -1)).centre == (58.0, 48.0)


def test_a_clip_is_drawn_anywhere_and_short_sequences_are_stretched() -> None:
    random = np.random.default_rng(0)
    starts = {clips.drawn(12, 4, 2, random)[0].item() for _ in range(200)}
    assert starts == set(range(6))
    for length in range(1, 30):
        found = clips.drawn(length, 8, 3, random)
        assert (np.diff(found) >= 0).all()
        assert (found[0] >= 0, found[-1] < length, len(found)) == (True, True, 8)


def test_everything_that_may_be_drawn_is_drawn_and_nothing_else() -> None:
    random, table = np.random.default_rng(1), AUGMENTATIONS["ntu-clips"]
    drawn = [table.draw(random) for _ in range(400)]
    assert {each.scale for each in drawn} == set(table.scales)
    assert {each.shift[0] for each in drawn} == set(table.across)
    assert {each.flip for each in drawn} == {True, False}
    assert {each.degrees for each in drawn} == {0.0}
    assert {each.power[1] for each in drawn} == set(table.powers)
    assert {table.drawn_step(random) for _ in range(100)} == {3, 4, 5}
    assert AUGMENTATIONS["none"].draw(random) == PLAIN
