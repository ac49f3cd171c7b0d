"""Crops as affine maps: by hand, and back again for points, boxes and heat maps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from har_bench import HarBenchError
from har_bench.media.crops import Crop, around, letterbox, of_box, of_scale

CORNERS = np.array([[0.0, 0.0], [64.0, 48.0]])


def test_a_box_is_widened_to_the_crop_s_shape_and_by_the_margin() -> None:
    """A box of 20 x 40 about (110, 220), shape 4:3: 40 px of height make 53.3 of width; a quarter more is 66.7 x 50."""
    crop = of_box((100, 200, 20, 40), (64, 48))
    np.testing.assert_allclose(crop.to_image(CORNERS), [[110 - 100 / 3, 195], [110 + 100 / 3, 245]])
    np.testing.assert_allclose(crop.to_crop(np.array([110, 220])), [32, 24])
    assert crop.scale == pytest.approx(50 / 48)
    square = of_box((100, 200, 20, 40), (64, 64), margin=1.0, aspect=0.5)
    np.testing.assert_allclose(square.to_image(np.array([[0.0, 0.0], [64.0, 64.0]])), [[100, 200], [120, 240]])


def test_a_turned_crop_by_hand() -> None:
    """A quarter turn clockwise: the crop's right is the image's down."""
    crop = around((50, 50), (10, 10), (100, 100), rotation=math.pi / 2)
    np.testing.assert_allclose(crop.to_image(np.array([[50, 50], [100, 50], [50, 0]])), [[50, 50], [50, 55], [55, 50]])
    assert crop.rotation == pytest.approx(math.pi / 2)


def test_a_mirrored_crop_exchanges_its_columns() -> None:
    plain, mirrored = (around((50, 40), (20, 20), (10, 10), rotation=0.3, flip=flip) for flip in (False, True))
    places = np.array([[0.0, 3.0], [9.0, 3.0], [4.5, 0.0]])
    np.testing.assert_allclose(mirrored.to_image(places), plain.to_image(places * [-1, 1] + [9, 0]))
    assert (mirrored.flipped, mirrored.rotation) == (True, pytest.approx(0.3))


def test_mpii_s_scale_is_two_hundred_pixels() -> None:
    np.testing.assert_allclose(of_scale((300, 200), 1.5, (256, 256)).to_image(np.array([0, 0])), [150, 50])
    np.testing.assert_allclose(of_scale((300, 200), 1.0, (256, 256), margin=1.25).to_image(np.array([0, 0])), [175, 75])


def test_a_letterbox_has_the_whole_image_in_its_middle() -> None:
    crop = letterbox((400, 200), (100, 100))
    np.testing.assert_allclose(crop.to_crop(np.array([[0, 0], [400, 200]])), [[0, 25], [100, 75]])


def test_boxes_of_a_turned_crop_become_the_upright_boxes_around_them() -> None:
    crop = around((0, 0), (100, 100), (100, 100), rotation=math.pi / 4)
    found = crop.boxes_to_image(np.array([[45.0, 45.0, 10.0, 10.0]]))
    half = 5 * math.sqrt(2)
    np.testing.assert_allclose(found, [[-half, -half, 2 * half, 2 * half]])
    plain = of_box((10, 20, 30, 40), (128, 128))
    boxes = np.array([[12.0, 21.0, 3.0, 4.0], [0.0, 0.0, 1.0, 1.0]])
    np.testing.assert_allclose(plain.boxes_to_image(plain.boxes_to_crop(boxes)), boxes)


def test_a_heat_map_is_laid_where_its_crop_was() -> None:
    crop = around((20, 10), (8, 8), (64, 64))
    maps = np.zeros((2, 16, 16))
    maps[0, 8, 8], maps[1, 8, 8], maps[1, 8, 9] = 1, 1, 1
    there = crop.maps_to_image(maps, (40, 30))
    assert there.shape == (2, 30, 40)
    assert np.unravel_index(there[0].argmax(), there[0].shape) == (10, 20)
    assert there[0, 10, 20] == 1
    assert there.sum() == pytest.approx(2), "cells of half a pixel: only those under pixels are seen"
    assert there[0, 0, 0] == 0


@given(
    centre=st.tuples(*[st.floats(-500, 500)] * 2),
    sides=st.tuples(*[st.floats(1, 2000)] * 2),
    rotation=st.floats(-4, 4),
    flip=st.booleans(),
)
def test_every_map_goes_back(
    centre: tuple[float, float], sides: tuple[float, float], rotation: float, flip: bool
) -> None:
    crop = around(centre, sides, (256, 192), rotation=rotation, flip=flip)
    points = np.array([[0.0, 0.0], [10.0, -3.0], [np.nan, np.nan]])
    np.testing.assert_allclose(crop.to_image(crop.to_crop(points)), points, atol=1e-6)
    assert isinstance(crop, Crop)
    assert hash(crop) == hash(around(centre, sides, (256, 192), rotation=rotation, flip=flip))


@pytest.mark.parametrize("sides", [(0, 10), (10, -1), (math.nan, 1), (math.inf, 1)])
def test_a_crop_without_area_is_refused(sides: tuple[float, float]) -> None:
    with pytest.raises(HarBenchError, match="is empty; give a box with area"):
        around((0, 0), sides, (10, 10))
