"""From a film to 3D joints in one go: people's 2D joints by a model of images, then a lifting model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from har_bench.errors import HarBenchError
from har_bench.files import destination
from har_bench.keypoints.recognising import MOVING, STILL
from har_bench.lifting.lifter import Lifter
from har_bench.lifting.video import Who, lift
from har_bench.media.pixel_model import PixelModel
from har_bench.media.posing import pose

POSES = ".poses.parquet"
"""What the 2D joints are called beside the 3D ones."""


def lift_film(
    baseline: str | Lifter,
    film: str | Path,
    out: str | Path,
    *,
    pose_model: str | PixelModel = "blazepose",
    pose_settings: Mapping[str, Any] | None = None,
    overlay: str | Path | None = None,
    fps: float | None = None,
    person: Who = None,
    quiet: bool = True,
    **lifting: Any,
) -> str:
    """Find the people in a film, and lift their joints.

    The 2D joints stay beside the 3D ones, in ``OUT.poses.parquet``: whoever lifts them again gives that file.

    Args:
        baseline: a lifting model, as :func:`har_bench.lifting.video.lift` takes it.
        film: a video, or a folder of images with ``fps``.
        out: where the joints go.
        pose_model: a model of images: a registered name, ``package.module:Name``, or an instance.
        pose_settings: the options of the model of images, by name.
        overlay: an ``.mp4``, ``.gif`` or ``.png`` with the 2D joints drawn on the pictures.
        fps: frames per second of a folder of images.
        person: whose joints: a number, everybody, or by default the surest person of the film.
        quiet: no progress.
        lifting: what else :func:`har_bench.lifting.video.lift` takes.

    Returns:
        What was seen, then what was lifted, a line or more each.

    Raises:
        HarBenchError: pictures that are no film, nobody is in it, or what either model raises.
    """
    if not is_film(film, fps):
        raise HarBenchError(f"{film} is no film; give a video, or a folder of its images and their --fps")
    words = {"layout": "--layout", "size": "--width and --height", "video": "--video", "first_frame": "--first-frame"}
    about_files = [word for name, word in words.items() if lifting.get(name) is not None]
    if about_files:
        raise HarBenchError(
            f"{film} is a film in which {pose_model} is the detector, and {', '.join(about_files)} would be about a "
            "file of keypoints; leave that out"
        )
    poses = destination(out).with_suffix(POSES)
    seen = pose(
        pose_model,
        film,
        poses,
        people=1 if person is None else 0,
        fps=fps,
        overlay=overlay,
        settings=pose_settings,
        quiet=quiet,
    )
    return f"{seen}\n{lift(baseline, poses, out, person=person, **lifting)}"


def is_film(source: str | Path, fps: float | None = None) -> bool:
    """Whether this is a video by its name, or a folder of nothing but images, which are ``fps`` a second."""
    path = Path(source)
    if path.is_dir() and fps is not None:
        files = [each for each in path.iterdir() if not each.name.startswith(".")]
        return bool(files) and all(each.suffix.lower() in STILL for each in files)
    return path.is_file() and path.suffix.lower() in MOVING
