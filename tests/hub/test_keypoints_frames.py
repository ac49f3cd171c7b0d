"""Which frame a detection is of: the number that varies, from the first frame of the file, without rows invented."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench import HarBenchError
from har_bench.keypoints import open_track
from har_bench.keypoints.numbering import numbers_of
from tests.walkers import SIZE, flat, walk

POINTS = walk(30)
PATH = Path("x.json")


def written(path: Path, images: list[Any], points: np.ndarray[Any, Any] = POINTS) -> Path:
    rows = [{"image_id": image, "keypoints": flat(pose)} for image, pose in zip(images, points, strict=False)]
    path.write_text(json.dumps(rows))
    return path


@pytest.mark.parametrize(
    "name",
    [
        lambda number: number,
        lambda number: float(number),
        lambda number: f"{number}.jpg",
        lambda number: f"{number:06d}_rendered_v2.jpg",
        lambda number: f"cam2_{number:06d}_v3.jpg",
        lambda number: f"frames/take3/img_{number:05d}.png",
        lambda number: f"f{number}_t{number * 40}ms",
        lambda number: f"S1_Directions_1.54138969_{number + 1:06d}.jpg",
        lambda number: f"img.{number:04d}",
        lambda number: number + 2_000_000,
        lambda number: f"000{number + 1:03d}.jpg",
    ],
)
def test_the_number_that_varies_is_the_frame_and_the_first_is_frame_0(
    name: Callable[[int], Any], tmp_path: Path
) -> None:
    track = open_track(written(tmp_path / "x.json", [name(number) for number in range(30)]), size=SIZE)
    assert (len(track.points), track.start, track.filled, track.notes) == (30, 0, 0, ())
    np.testing.assert_allclose(track.points, POINTS, rtol=1e-5)


def test_the_number_of_a_name_by_hand() -> None:
    names = ["cam2_000012_v3.jpg", "cam2_000013_v3.jpg", "cam2_000020_v3.jpg"]
    assert list(numbers_of(PATH, names).values()) == [12, 13, 20]
    assert numbers_of(PATH, ["take7_000120_v2.jpg"]) == {"take7_000120_v2.jpg": 120}
    assert list(numbers_of(PATH, ["a_3", "b9_4"]).values()) == [3, 4]
    assert list(numbers_of(PATH, [7, "8.jpg"]).values()) == [7, 8]


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (["12.jpg", "12.png"], r"'12.jpg' and '12.png' have the same number 12"),
        (["cam1/7.jpg", "cam2/7.jpg", "cam1/8.jpg", "cam2/8.jpg"], "have the same number"),
        ([4, "4.jpg"], "4 and '4.jpg' have the same number 4"),
        (["a.jpg"], "no number in its name"),
        ([-3], "count from 0"),
        ([1.5], "is no whole number"),
        (["9" * 40 + ".jpg"], "count from 0"),
        ([float("nan")], "number the frames from 0"),
    ],
)
def test_images_that_are_no_frames_of_a_video_are_refused(images: list[Any], words: str) -> None:
    with pytest.raises(HarBenchError, match=words):
        numbers_of(PATH, images)


def test_row_0_is_another_frame_where_it_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path / "x.json", [f"{number:06d}.jpg" for number in range(1, 31)])
    from_0 = open_track(path, size=SIZE, first_frame=0)
    assert (len(from_0.points), from_0.start, from_0.filled) == (31, 0, 1)
    np.testing.assert_allclose(from_0.points[1:], POINTS, rtol=1e-5)
    from_10 = open_track(path, size=SIZE, first_frame=10)
    assert from_10.notes == ("9 frames before frame 10 are left out",)
    np.testing.assert_allclose(from_10.points, POINTS[9:], rtol=1e-5)
    with pytest.raises(HarBenchError, match="in no frame from 31 on; give an earlier --first-frame"):
        open_track(path, size=SIZE, first_frame=31)


def test_a_gap_is_filled_up_to_the_length_of_what_was_seen(tmp_path: Path) -> None:
    numbers = [*range(5), *range(15, 20)]
    track = open_track(written(tmp_path / "x.json", numbers, POINTS[numbers]), size=SIZE)
    assert (len(track.points), track.filled) == (20, 10)
    numbers = [*range(5), *range(16, 21)]
    with pytest.raises(HarBenchError) as caught:
        open_track(written(tmp_path / "y.json", numbers, POINTS[numbers]), size=SIZE)
    assert "is seen in 10 frames and then, after frame 4, missing in 11; number the frames" in str(caught.value)


def test_frames_without_anybody_at_the_ends_stand_still_if_few_and_else_have_no_row(tmp_path: Path) -> None:
    frames: list[Any] = [{"frame_id": frame, "instances": []} for frame in range(60)]
    for frame in range(20, 50):
        frames[frame]["instances"] = [{"keypoints": POINTS[frame - 20].tolist()}]
    path = tmp_path / "x.json"
    path.write_text(json.dumps(frames))
    track = open_track(path, size=SIZE)
    assert (track.start, len(track.points), track.filled) == (0, 60, 30)
    np.testing.assert_array_equal(track.points[:20], np.broadcast_to(track.points[20], (20, 17, 2)))
    for frame in range(20, 40):
        frames[frame]["instances"] = []
    path.write_text(json.dumps(frames))
    late = open_track(path, size=SIZE)
    assert (late.start, len(late.points)) == (40, 20)
    assert late.notes == ("rows are the file's frames 40 to 59 of 0 to 59; the person is in no others",)


def test_large_numbers_cost_neither_time_nor_memory(tmp_path: Path) -> None:
    began = time.perf_counter()
    track = open_track(written(tmp_path / "x.json", [10**15 + number for number in range(30)]), size=SIZE)
    assert len(track.points) == 30
    with pytest.raises(HarBenchError, match=r"is seen in 2 frames and then, after frame 0, missing in 1,999,999"):
        open_track(written(tmp_path / "y.json", [0, 2_000_000]), size=SIZE)
    sparse = [number * 25 for number in range(30)]
    with pytest.raises(HarBenchError, match=r"seen in 120 of 13,091 frames; number the frames one by one"):
        open_track(written(tmp_path / "z.json", [number * 110 for number in range(120)], walk(120)), size=SIZE)
    assert len(open_track(written(tmp_path / "s.json", sparse), size=SIZE).points) == 25 * 29 + 1
    assert time.perf_counter() - began < 5


def test_openpose_s_files_count_from_the_first_and_may_not_be_of_two_videos(tmp_path: Path) -> None:
    for frame, pose in enumerate(POINTS[:5]):
        content = {"people": [{"person_id": [-1], "pose_keypoints_2d": flat(np.concatenate([pose, pose[:1]]))}]}
        (tmp_path / f"clip2_{frame + 700:012d}_keypoints.json").write_text(json.dumps(content))
    track = open_track(tmp_path, size=SIZE)
    assert (track.layout, len(track.points), track.start) == ("openpose18", 5, 0)
    (tmp_path / "other_000000000001_keypoints.json").write_text('{"people": []}')
    with pytest.raises(HarBenchError, match=r"2 videos \('clip2', 'other'\); say which one with --video"):
        open_track(tmp_path, size=SIZE)
    assert len(open_track(tmp_path, size=SIZE, video="clip2").points) == 5
