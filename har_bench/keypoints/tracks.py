"""One person's 2D keypoints through a video in the wild, without gaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError
from har_bench.keypoints import track_files
from har_bench.keypoints.gaps import bridged
from har_bench.keypoints.layouts import converted, layout_of
from har_bench.keypoints.recognising import Kind, are_points, kind_of
from har_bench.keypoints.track_files import Seen
from har_bench.skeletons import skeleton


@dataclass(frozen=True)
class Track:
    """A person in every frame of a video.

    Attributes:
        points: (T, J, 2) px; NaN only where a joint is in no frame at all.
        scores: (T, J) confidences, 0 where interpolated; None when the file has none.
        layout: the skeleton's name.
        size: (width, height) of the video [px], when it is known.
        fps: frames per second, when they are known.
        filled: in how many frames something was interpolated.
        taken_for: what the file was taken for, as told to the user.
    """

    points: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32] | None
    layout: str
    size: tuple[int, int] | None
    fps: float | None
    filled: int
    taken_for: str

    def in_layout(self, name: str) -> Track:
        """The same track in another layout; docs/keypoints.md says how far such joints are from measured ones.

        Raises:
            HarBenchError: there is no mapping, or a joint it needs is in no frame.
        """
        points, scores = converted(self.points, self.scores, skeleton(self.layout), skeleton(name))
        return replace(self, points=points, scores=scores, layout=name)


def open_track(
    path: str | Path,
    *,
    layout: str | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    person: int | None = None,
    video: str | None = None,
) -> Track:
    """A track from any file that ``docs/keypoints.md`` names, recognised by its content.

    Row 0 is frame 0; frames and joints that the detector missed are interpolated.

    Args:
        path: a file, or OpenPose's folder.
        layout: the skeleton of the joints; only needed where the file does not say.
        size: (width, height) of the video [px]; the file's own when left out.
        fps: frames per second; the file's own when left out.
        person: the tracker's id of the person; without it the best one of each frame.
        video: which one, when the file holds several.

    Raises:
        HarBenchError: an unknown or damaged file, an unclear layout, no such person, or nobody in any frame.
    """
    path = Path(path)
    if size is not None and min(size) <= 0:
        raise HarBenchError(f"a video of {size[0]} x {size[1]} px cannot be; give the size of {path}'s video")
    readers: Mapping[Kind, Callable[[Path, int | None, str | None], Seen]] = {
        "folder": track_files.from_openpose,
        "json": track_files.from_json,
        "npy": track_files.from_npy,
        "npz": track_files.from_npz,
        "columns": track_files.from_columns,
    }
    seen = readers[kind_of(path)](path, person, video)
    points = _every_frame(path, seen)
    told = layout_of(path, points.shape[1], given=layout, word=seen.word, sides=seen.sides)
    try:
        places, scores, filled = bridged(points)
    except HarBenchError as error:
        raise HarBenchError(f"{path}: {error}") from error
    return Track(places, scores, told, size or seen.size, fps or seen.fps, filled, seen.taken_for)


def _every_frame(path: Path, seen: Seen) -> npt.NDArray[np.float32]:
    """(T, J, 2 or 3), a row per frame from frame 0 to the last one seen."""
    if not are_points(seen.points) or not seen.points.size:
        raise HarBenchError(f"{path} has keypoints of shape {seen.points.shape}; a track is (frames, joints, 2 or 3)")
    points = np.asarray(seen.points, np.float32)
    if seen.frames is None:
        return points
    every = track_files.frames_of(path, int(seen.frames[-1]) + 1, points.shape[1:])
    every[seen.frames] = points
    return every
