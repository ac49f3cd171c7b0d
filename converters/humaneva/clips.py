"""A partition of a take as a store wants it: runs of frames with a pose, seen from calibrated cameras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Floats
from har_bench.cameras import calibration
from har_bench.converter import Reject, Tables
from har_bench.schema import CAMERAS, column, poses_schema, sequences_schema, solo_poses, table

from .calibration import COLOUR, Calibration
from .takes import DEFECTS, FPS, MOCAP_FPS, Take

WIDTH, HEIGHT = 640, 480
"""Size of the colour cameras' images [px]."""

SEQUENCES = sequences_schema(
    [
        column("partition", pa.string(), about="of the official release: Train, Validate or Test"),
        column("trial", pa.int32(), about="1 filmed and captured, 2 filmed, 3 captured only"),
        column("chunk", pa.int32(), about="number among the partition's runs of frames with and without a pose"),
        column("start_frame", pa.int32(), about="the dataset's number, counted from 1, of the sequence's frame 0"),
        column("video_frame", pa.int32(), about="0-based frame of the video that shows the sequence's frame 0"),
        column("partition_frames", pa.int32(), "frames", about="length of the partition of the take"),
        column("partition_valid", pa.int32(), "frames", about="how many of them have a pose; null: mocap withheld"),
        column("defects", pa.list_(pa.string()), about="; ".join(f"{code}: {text}" for code, text in DEFECTS.items())),
    ]
)
CALIBRATIONS = pa.schema(
    [*CAMERAS, column("skew", pa.float64(), about="u = fx (x + skew y) + cx; 0 where it is not given")]
)


@dataclass(frozen=True)
class Clip:
    """Consecutive frames with a pose, or a whole partition without one.

    Attributes:
        frames: how many.
        chunk: its number; None for a partition without poses.
        start: the dataset's number, counted from 1, of its first frame; None where it is not known.
        world: (T, J, 3) joints [mm].
        pixels: by camera, (T, J, 2) joints in the image [px] where they are given; else they are projected.
    """

    frames: int
    chunk: int | None = None
    start: int | None = None
    world: Floats | None = None
    pixels: Mapping[str, Floats] | None = None


@dataclass(frozen=True)
class Footage:
    """Everything about one partition of a take.

    Attributes:
        take: which.
        frames: its length.
        valid: how many frames have a pose; None where the motion capture is withheld.
        clips: in the order of time.
        calibrations: of the cameras, by name.
        images: by camera, the frame of its video, counted from 1, that shows the dataset's frame 1.
        rejects: what could not be used.
        home: the path under the raw root of what holds the subject's folder.
    """

    take: Take
    frames: int
    valid: int | None
    clips: list[Clip]
    calibrations: Mapping[str, Calibration]
    images: Mapping[str, int]
    rejects: list[Reject] = field(default_factory=list)
    home: str = ""

    def media(self, camera: str) -> str | None:
        """The video's path under the raw root."""
        inside = self.take.media(camera)
        return under(self.home, inside) if inside else None


def under(home: str, path: str) -> str:
    """``S1/Image_Data/...`` as a path under the raw root.

    Args:
        home: what holds S1, as a path under the raw root: empty for the root itself, ``..`` where the root is S1.
        path: relative to it.
    """
    return path.partition("/")[2] if home == ".." else f"{home}/{path}" if home else path


def runs(valid: npt.NDArray[np.bool_]) -> Iterator[tuple[int, slice]]:
    """Number and place of every run of true values; runs of false ones are counted, too, as VideoPose3D does."""
    edges = [0, *(np.flatnonzero(np.diff(valid)) + 1).tolist(), len(valid)]
    for number, (start, stop) in enumerate(pairwise(edges)):
        if start < stop and valid[start]:
            yield number, slice(start, stop)


def tables(footage: Footage, joints: int) -> Tables:
    """The store's rows: one sequence per clip and camera."""
    views = [(clip, camera) for clip in footage.clips for camera in footage.calibrations]
    names = [_name(footage.take, clip, camera) for clip, camera in views]
    return Tables(
        sequences=_sequences(footage, views, names),
        poses=_poses(footage, views, names, joints),
        cameras=_cameras(footage),
        rejects=footage.rejects,
    )


def _name(take: Take, clip: Clip, camera: str) -> str:
    return f"{take.key}/{camera}" if clip.chunk is None else f"{take.key} chunk{clip.chunk}/{camera}"


def _sequences(footage: Footage, views: list[tuple[Clip, str]], names: list[str]) -> pa.Table:
    take, rows = footage.take, len(views)
    colour = [camera in COLOUR for _, camera in views]
    return table(
        {
            "sequence": names,
            "subject": [take.subject] * rows,
            "action": [take.action] * rows,
            "camera": [camera for _, camera in views],
            "media": [footage.media(camera) for _, camera in views],
            "n_frames": [clip.frames for clip, _ in views],
            "fps": [FPS if take.filmed else MOCAP_FPS] * rows,
            "width": [WIDTH if known else None for known in colour],
            "height": [HEIGHT if known else None for known in colour],
            "splits": [_splits(take, clip, camera) for clip, camera in views],
            "partition": [take.partition] * rows,
            "trial": [take.trial] * rows,
            "chunk": [clip.chunk for clip, _ in views],
            "start_frame": [clip.start for clip, _ in views],
            "video_frame": [_video_frame(clip, footage.images.get(camera)) for clip, camera in views],
            "partition_frames": [footage.frames] * rows,
            "partition_valid": [footage.valid] * rows,
            "defects": [take.defects(footage.valid)] * rows,
        },
        SEQUENCES,
    )


def _splits(take: Take, clip: Clip, camera: str) -> list[str]:
    """VideoPose3D has only chunks, and only the colour cameras."""
    used = take.split if camera in COLOUR and clip.chunk is not None else None
    return [f"official/{take.partition.lower()}", *([used] if used else [])]


def _video_frame(clip: Clip, image: int | None) -> int | None:
    """Both numbers count from 1."""
    return None if clip.start is None or image is None else clip.start - 1 + image - 1


def _poses(footage: Footage, views: list[tuple[Clip, str]], names: list[str], joints: int) -> pa.Table | None:
    kept, seen = [], []
    for name, (clip, camera) in zip(names, views, strict=True):
        if clip.world is not None:
            kept.append(name)
            seen.append(_seen(clip.world, footage.calibrations[camera], (clip.pixels or {}).get(camera)))
    if not kept:
        return None
    return solo_poses(kept, seen, poses_schema(joints, points=pa.float64(), dims=(2, 3)))


def _seen(world: Floats, calibration: Calibration, pixels: Floats | None) -> tuple[Floats, Floats]:
    """Joints in a camera's frame [mm] and in its image [px], as given or projected; NaN where they are not finite."""
    with np.errstate(all="ignore"):  # damaged positions overflow
        points = calibration.camera.to_camera(world)
        shown = calibration.project(points) if pixels is None else pixels
    points, shown = (np.where(np.isfinite(each).all(axis=-1, keepdims=True), each, np.nan) for each in (points, shown))
    return points, shown


def _cameras(footage: Footage) -> pa.Table:
    calibrations = footage.calibrations
    colour = [name in COLOUR for name in calibrations]
    return table(
        {
            **calibration({name: each.camera for name, each in calibrations.items()}, footage.take.subject),
            "width": [WIDTH if known else None for known in colour],
            "height": [HEIGHT if known else None for known in colour],
            "skew": [each.skew for each in calibrations.values()],
        },
        CALIBRATIONS,
    )
