"""Rates, smoothing and the room: small functions on joints through time."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from har_bench import HarBenchError
from har_bench.keypoints import Track
from har_bench.lifting.resampling import at_frames, at_rate
from har_bench.lifting.smoothing import one_euro
from har_bench.lifting.world import in_room


def line(frames: int, fps: float | None) -> Track:
    """Two joints that move evenly."""
    points = np.arange(frames * 4, dtype=np.float32).reshape(frames, 2, 2)
    return Track(points, np.ones((frames, 2), np.float32), "coco17", (100, 100), fps, 0, "")


@pytest.mark.parametrize(("fps", "to", "frames"), [(25, 50, 19), (50, 25, 6), (30, 50, 16), (24, 50, 20), (10, 10, 10)])
def test_a_line_stays_a_line_at_any_rate(fps: float, to: float, frames: int) -> None:
    track = at_rate(line(10, fps), to)
    assert (track.fps, len(track.points)) == (to, frames)
    steps = np.diff(track.points[:, 0, 0])
    np.testing.assert_allclose(steps[:-1], 4 * fps / to, rtol=1e-4)
    assert track.points[-1, 0, 0] == 36
    assert track.scores is not None
    assert track.scores.shape == (frames, 2)


def test_joints_come_back_at_the_video_s_frames() -> None:
    joints = np.arange(19, dtype=np.float32).reshape(19, 1, 1).repeat(3, axis=2)
    back = at_frames(joints, 50, frames=10, video_fps=25)
    assert back[:, 0, 0].tolist() == list(range(0, 20, 2))


@pytest.mark.parametrize("fps", [None, 0.0, -5.0])
def test_a_rate_must_be_known(fps: float | None) -> None:
    with pytest.raises(HarBenchError, match="frames per second"):
        at_rate(line(5, fps), 50)
    assert len(at_rate(line(1, 25), 50).points) == 1


def test_one_euro_by_hand() -> None:
    """Frame 1 of a step of 10 mm at 25 frames per second, with the paper's formulas."""
    fps = 25.0
    joints = np.array([0, 10], np.float32).reshape(2, 1, 1)
    of_speed = 1 / (1 + fps / (2 * np.pi * 1.0))
    speed = of_speed * 10 * fps
    weight = 1 / (1 + fps / (2 * np.pi * (1.0 + 0.007 * speed)))
    assert one_euro(joints, fps)[1, 0, 0] == pytest.approx(10 * weight, rel=1e-5)


def test_one_euro_stills_what_stands_and_follows_what_moves() -> None:
    rng = np.random.default_rng(0)
    still = rng.normal(0, 5, (500, 4, 3)).astype(np.float32)
    assert one_euro(still, 50)[50:].std() < 0.4 * still.std()
    fast = (np.arange(200, dtype=np.float32) * 40)[:, None, None].repeat(3, axis=2)  # 2 m/s
    late = fast[100:] - one_euro(fast, 50)[100:]
    assert 0 < late.max() < 100  # at most 50 ms
    constant = np.full((20, 2, 3), 7, np.float32)
    np.testing.assert_allclose(one_euro(constant, 50), constant)


def test_a_room_by_hand() -> None:
    """Camera: x right, y down, z forward. The foot is 900 mm below the camera, the head 800 mm above it."""
    pose = np.array([[[0, 900, 3000], [0, -800, 3000]], [[10, 850, 3100], [10, -850, 3100]]], np.float32)
    (placed,), _ = in_room([pose], placed=True)
    assert placed.tolist() == [[[0, 3000, 0], [0, 3000, 1700]], [[10, 3100, 50], [10, 3100, 1750]]]
    (rooted,), said = in_room([pose], placed=False)
    assert rooted[..., 2].tolist() == [[0, 1700], [0, 1700]]
    assert "lowest foot of every frame" in said
    both, _ = in_room([pose, pose - np.array([0, 100, 0], np.float32)], placed=True)
    assert both[1][..., 2].min() == 100
