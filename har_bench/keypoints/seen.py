"""What a file holds of the people in a video, and the choice between several videos of one file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError, listed, unknown
from har_bench.keypoints.layouts import Sides
from har_bench.keypoints.people import People, unseen_as_nan

BLAZEPOSE = 33
"""MediaPipe's landmarks: x, y, z and a visibility, or x, y, z alone."""


@dataclass(frozen=True)
class Seen:
    """What a file holds of a video.

    Attributes:
        taken_for: what it was taken for.
        people: everybody who was found.
        span: numbers of the first and last frames of the file, with or without anybody in them.
        alone: it is of one person, and does not tell persons apart.
        word: what the file calls the layout.
        joints: the joints' names.
        sides: which joints are left and right.
        size: (width, height) of the video [px].
        fps: frames per second.
        shares: coordinates are fractions of width and height.
        notes: what was left out.
    """

    taken_for: str
    people: People
    span: tuple[int, int]
    alone: bool = False
    word: str | None = None
    joints: Sequence[str] = ()
    sides: Sides | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None
    shares: bool = False
    notes: tuple[str, ...] = ()


def of_array(path: Path, taken_for: str, values: npt.NDArray[Any], **facts: Any) -> Seen:
    """One person in every frame from frame 0, (T, J, 2 or 3); or several, of which the longer axis is time.

    (P, T, J, 2 or 3) are P persons, (T, P, J, 2 or 3) are up to P detections a frame in any order. Of landmarks
    with four numbers (MediaPipe's x, y, z, visibility) z is left out.

    Raises:
        HarBenchError: another shape.
    """
    points = _planar(np.asarray(values))
    if points.dtype.kind not in "fiu" or points.ndim not in (3, 4) or points.shape[-1] not in (2, 3):
        raise HarBenchError(f"{path} has keypoints of shape {values.shape}; a track is (frames, joints, 2 or 3)")
    if not points.size:
        raise HarBenchError(f"{path} has keypoints of shape {values.shape}, so of nobody; detect them again")
    if points.ndim == 4 and 1 in points.shape[:2]:
        points = points[0] if points.shape[0] == 1 else points[:, 0]
    points = unseen_as_nan(points)
    if points.ndim == 3:
        length = len(points)
        return Seen(taken_for, _rows(np.arange(length), points), (0, length - 1), alone=True, **facts)
    first, second = points.shape[:2]
    frames, persons = np.divmod(np.arange(first * second), second)
    if first < second:  # persons before frames
        frames, persons = persons, frames
    people = _rows(frames, points.reshape(first * second, *points.shape[2:]), persons + 1 if first < second else None)
    return Seen(taken_for, people, (0, max(first, second) - 1), **facts)


def _planar(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Landmarks without their depth."""
    if values.ndim < 3 or values.shape[-2] != BLAZEPOSE:
        return values
    if values.shape[-1] == 4:
        return values[..., [0, 1, 3]]
    return values[..., :2] if values.shape[-1] == 3 and (values[..., 2] < 0).any() else values


def _rows(frames: npt.NDArray[Any], points: npt.NDArray[np.float32], person: Any = None) -> People:
    score = np.ones(len(points))
    if points.shape[-1] > 2:
        score = points[..., 2].mean(axis=-1, dtype=np.float64)
    return People(frames.astype(np.int64), points, score, person)


def the_one(path: Path, names: Iterable[str], video: str | None) -> str:
    """The video asked for, or the only one.

    Raises:
        HarBenchError: there are several and none was asked for, or not the one asked for.
    """
    there = [str(name) for name in names]
    if video is None and len(there) == 1:
        return there[0]
    if video in there:
        return str(video)
    if video is None:
        some = listed(map(repr, there))
        raise HarBenchError(f"{path} holds {len(there)} videos ({some}); say which one with --video")
    raise unknown(f"video of {path}", video, there)


def one_video(path: Path, video: str | None) -> None:
    """Refuse a choice that a file does not offer."""
    if video is not None:
        raise HarBenchError(f"{path} is of one video; leave {video!r} out")
