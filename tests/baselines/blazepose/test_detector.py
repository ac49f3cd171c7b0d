"""From the detector's outputs to regions, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")

from har_bench.baselines.blazepose import detector, landmarks
from har_bench.baselines.blazepose.detector import Region, anchors, region, suppressed


def test_anchors_are_the_middles_of_the_cells_of_three_grids() -> None:
    found = anchors()
    assert found.shape == (2254, 2)
    np.testing.assert_allclose(found[:3], [[0.5 / 28, 0.5 / 28], [0.5 / 28, 0.5 / 28], [1.5 / 28, 0.5 / 28]])
    np.testing.assert_allclose(found[28 * 28 * 2], [0.5 / 14, 0.5 / 14])
    np.testing.assert_allclose(found[-1], [6.5 / 7, 6.5 / 7])


@pytest.mark.parametrize(
    ("circle", "rotation"),
    [((100, 60), 0), ((140, 100), math.pi / 2), ((60, 100), -math.pi / 2), ((100, 140), -math.pi)],
)
def test_a_region_points_from_the_hips_to_the_head(circle: tuple[int, int], rotation: float) -> None:
    """Forty pixels make a circle of 80, somewhat widened; somebody upright has rotation 0, upside down minus pi."""
    made = region(np.array([100.0, 100.0]), np.array(circle, float))
    assert (made.x, made.y, made.side) == (100, 100, pytest.approx(100))
    assert made.rotation == pytest.approx(rotation)


def test_a_detection_is_decoded_about_its_anchor_and_taken_out_of_the_letterbox() -> None:
    """Anchor 0 is at 4 px of the 224 px crop; an image of 448 x 224 px fills its middle, twice as large."""
    boxes, logits = np.zeros((2254, 12), np.float32), np.full(2254, -100, np.float32)
    boxes[0] = [10, 60, 44.8, 44.8, 0, 70, 0, 50, 0, 0, 0, 0]
    logits[0] = math.log(3)
    (width, height), crop = (448, 224), detector.whole(448, 224)
    found = detector.detections(boxes, logits, crop, 0.5)
    assert found.score.tolist() == [pytest.approx(0.75)]
    centre = np.array([14.0, 64.0]) * 2 - [0, (width - height) / 2]
    np.testing.assert_allclose(found.box[0], [*(centre - 44.8), 89.6, 89.6], rtol=1e-6)
    np.testing.assert_allclose(found.points[0, :2], [[8, 36], [8, -4]], atol=1e-5)
    assert len(detector.detections(boxes, logits, crop, 0.8)) == 0


def test_overlapping_detections_are_averaged_by_their_scores() -> None:
    """The first two share more than 0.3 of their union, the third is elsewhere and the fourth overlaps a little."""
    values = np.zeros((4, 6, 2))
    values[:, 1] = 0.2
    values[:, 0, 0] = [0.5, 0.52, 0.0, 0.64]
    values[:, 2, 1] = [0.1, 0.4, 0.9, 0.6]
    score, means = suppressed(np.array([0.9, 0.6, 0.95, 0.5]), values)
    assert score.tolist() == [0.95, 0.9, 0.5]
    assert means[1, 0, 0] == pytest.approx((0.9 * 0.5 + 0.6 * 0.52) / 1.5)
    assert means[1, 2, 1] == pytest.approx((0.9 * 0.1 + 0.6 * 0.4) / 1.5)
    assert means[2, 0, 0] == pytest.approx(0.64)
    none = suppressed(np.zeros(0), np.zeros((0, 6, 2)))
    assert [part.shape for part in none] == [(0,), (0, 6, 2)]


def outputs() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Everything at 128 px of the crop, no heat anywhere, one metre to the right."""
    raw = np.zeros((1, 39, 5), np.float32)
    raw[..., :2] = 128
    world = np.zeros((1, 39, 3), np.float32)
    world[..., 0] = 1
    return raw, np.full((1, 1), 0.75, np.float32), np.full((1, 64, 64, 39), -20, np.float32), world


def seen(raw: np.ndarray, flag: np.ndarray, maps: np.ndarray, world: np.ndarray, where: Region) -> landmarks.Landmarks:
    return landmarks.landmarks(raw.reshape(1, -1), flag, maps, world.reshape(1, -1), [where])[0]


def test_points_are_turned_and_scaled_with_their_region() -> None:
    raw, flag, maps, world = outputs()
    raw[0, 5] = [128 + 64, 128, 32, math.log(3), -math.log(3)]
    found = seen(raw, flag, maps, world, Region(10, 20, 512, math.pi / 2))
    np.testing.assert_allclose(found.points[4, :2], [10, 20])
    np.testing.assert_allclose(found.points[5], [10, 20 + 128, 64], atol=1e-9)
    np.testing.assert_allclose(found.world[0], [0, 1, 0], atol=1e-9)
    assert (found.visibility[5], found.presence[5], found.flag) == (pytest.approx(0.75), pytest.approx(0.25), 0.75)
    assert not found.present, "a body without extent has no next region"


def test_a_warm_map_moves_a_point_to_its_centre_of_mass_within_four_cells() -> None:
    raw, flag, maps, world = outputs()
    maps[0, 32, 34, 7], maps[0, 32, 36, 7], maps[0, 32, 37, 7] = 20, 20, 20
    maps[0, 20, 20, 8] = 20  # too far away
    maps[0, 32, 33, 9] = -0.1  # not warm enough
    found = seen(raw, flag, maps, world, Region(128, 128, 256, 0))
    np.testing.assert_allclose(found.points[7, :2], [35 * 4, 32 * 4], atol=1e-5)
    np.testing.assert_allclose(found.points[8:10, :2], [[128, 128], [128, 128]], atol=1e-9)


def test_a_point_outside_the_map_stays() -> None:
    raw, flag, maps, world = outputs()
    maps[:] = 20
    raw[0, 3, :2], raw[0, 6, :2] = [300, 10], [-5, 10]
    found = seen(raw, flag, maps, world, Region(128, 128, 256, 0))
    np.testing.assert_allclose(found.points[[3, 6], 0], [300, -5], atol=1e-6)
