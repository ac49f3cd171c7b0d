"""What cannot be pixels of one person in this video is said, in a line each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench import HarBenchError
from har_bench.keypoints import Track, open_track
from tests.walkers import SIZE, walk

ONE = walk(30)


def track(folder: Path, points: np.ndarray[Any, Any], size: tuple[int, int] = SIZE, layout: str = "coco17") -> Track:
    np.save(folder / "x.npy", points)
    return open_track(folder / "x.npy", layout=layout, size=size)


def test_nothing_is_said_about_what_is_right(tmp_path: Path) -> None:
    assert track(tmp_path, ONE).notes == ()
    partly = ONE + np.array([-560, 0], np.float32)  # an elbow is cut by the frame
    assert track(tmp_path, partly).notes == ()
    assert track(tmp_path, ONE, size=(1080, 1080)).notes == ()


def test_fractions_of_the_image_become_pixels_and_that_is_said(tmp_path: Path) -> None:
    found = track(tmp_path, ONE / np.array(SIZE, np.float32))
    assert found.notes == ("coordinates are between 0 and 1: taken for fractions of the image, times 1920 x 1080",)
    np.testing.assert_allclose(found.points, ONE, rtol=1e-5)


def test_normalised_coordinates_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match="between -1 and 1, so normalised ones; give pixels"):
        track(tmp_path, ONE / 960 - np.array([1, 1080 / 1920], np.float32))


def test_width_and_height_that_are_exchanged(tmp_path: Path) -> None:
    (said,) = track(tmp_path, ONE + np.array([700, 0], np.float32), size=(1080, 1920)).notes
    assert said.endswith("outside the image of 1080 x 1920, and not of 1920 x 1080; are width and height exchanged?")


def test_another_size_than_the_video_s(tmp_path: Path) -> None:
    outside, high = track(tmp_path, ONE, size=(640, 360)).notes
    assert "% of the points are outside the image of 640 x 360 (they reach to" in outside
    assert "px high in 30 frames, and the image 360; are width and height those of the video?" in high


def test_a_person_higher_than_the_image_whose_points_are_within_it(tmp_path: Path) -> None:
    tall = (ONE - np.array([0, 340], np.float32)) * 2 + np.array([0, 4], np.float32)
    cut = np.where(tall[..., 1:] > 1000, np.nan, tall)
    assert [line for line in track(tmp_path, tall).notes if "high in 30 frames, and the image 1080" in line]
    assert not [line for line in track(tmp_path, cut).notes if "px high" in line]


def test_an_array_that_jumps_between_two_people(tmp_path: Path) -> None:
    hopping = np.where((np.arange(30) % 10 == 9)[:, None, None], ONE + np.array([900, 0], np.float32), ONE)
    (said,) = track(tmp_path, hopping).notes
    assert "jump by 90" in said
    assert "from row 8 to 9, more than the person's height, and 5 times in all; are they of one person?" in said


@pytest.mark.parametrize("change", ["upwards", "exchanged", "another layout"])
def test_ankles_above_the_head(change: str, tmp_path: Path) -> None:
    points = {
        "upwards": np.array([0, 1080]) + ONE * np.array([1, -1]),
        "exchanged": np.array([0, 1080]) + ONE * np.array([1, -1]),
        "another layout": ONE[:, ::-1],
    }[change]
    (said,) = track(tmp_path, points.astype(np.float32)).notes
    assert said == "the ankles are above the head; are the joints coco17's, in its order, and does y run down?"


def test_what_is_only_partly_seen_is_judged_by_that(tmp_path: Path) -> None:
    points = ONE.copy()
    points[::2] = np.nan
    points[:, 13:] = np.nan
    assert track(tmp_path, points).notes == ()
