"""Tracks at the frame rate that a model saw, and joints back at the video's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from har_bench.arrays import Floats, Singles
from har_bench.errors import HarBenchError
from har_bench.keypoints import Track


def at_rate(track: Track, fps: float) -> Track:
    """A track as if the video had ``fps`` frames per second: keypoints are interpolated linearly in time.

    Raises:
        HarBenchError: the video's own rate is not known, or one of them is not over 0.
    """
    if not track.fps:
        raise HarBenchError(f"the {track.taken_for} does not say the video's frames per second; give --fps")
    if not fps > 0 or not track.fps > 0:
        raise HarBenchError(f"{min(fps, track.fps)} frames per second cannot be; give a number over 0")
    last = (len(track.points) - 1) / track.fps
    times = np.arange(int(np.floor(last * fps + 1e-9)) + 1) / fps
    if times[-1] < last:  # the end of the video is seen too
        times = np.append(times, times[-1] + 1 / fps)
    scores = None if track.scores is None else _between(track.scores, times * track.fps)
    return replace(track, points=_between(track.points, times * track.fps), scores=scores, fps=fps)


def at_frames(joints: Singles, fps: float, *, frames: int, video_fps: float) -> Singles:
    """(T, J, 3) joints at ``fps`` frames per second, at each of the video's ``frames``."""
    return _between(joints, np.arange(frames) / video_fps * fps)


def _between(values: Singles, places: Floats) -> Singles:
    """(N, ...) values at fractional rows, linearly between the two that are next."""
    places = np.clip(places, 0, len(values) - 1)
    low = np.floor(places).astype(np.int64)
    high = np.minimum(low + 1, len(values) - 1)
    part = (places - low).astype(np.float32).reshape(-1, *(1,) * (values.ndim - 1))
    return np.asarray(values[low] * (1 - part) + values[high] * part, np.float32)
