"""The command that lifts 2D keypoints to 3D joints."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from har_bench.cli.app import UNTOLD, USUAL, Keypoints, Model, app
from har_bench.cli.terminal import say
from har_bench.errors import HarBenchError


@app.command
def lift(
    baseline: str,
    keypoints: Path,
    out: Path,
    *,
    weights: Path,
    joints: str | None = None,
    of: Keypoints = UNTOLD,
    fps: float | None = None,
    person: str | None = None,
    first_frame: int | None = None,
    world: bool = False,
    fit_fps: float | None = None,
    smooth: bool = False,
    pose_model: str = "blazepose",
    overlay: Path | None = None,
    how: Model = USUAL,
    quiet: bool = False,
) -> None:
    """Lift the people in any video to 3D joints: a video itself, or 2D keypoints that somebody found in it.

        har-bench lift videopose3d holiday.mp4 joints.bvh --weights w.bin --overlay seen.mp4
        har-bench lift videopose3d detections.json joints.npy --weights w.bin --width 1920 --height 1080 --fps 25

    Of a video the 2D keypoints are found first, as `har-bench pose` does, and kept beside the joints. Those of others
    are what ultralytics, MMPose, OpenPose, AlphaPose, MediaPipe, Detectron or anybody wrote; docs/keypoints.md has the
    formats. Frames without a detection are interpolated.

    Args:
        baseline: A lifting model from `har-bench list`, or package.module:Name.
        keypoints: A video, a folder of its images (with --fps), or a file or folder of 2D keypoints.
        out: Where the joints go: .npy, .parquet, .json, .csv, .trc (OpenSim) or .bvh (animation).
        weights: Published or saved weights.
        joints: The joints that the model was trained on, such as coco17 or h36m17, where its weights do not say.
        of: What is said of keypoints.
        fps: Frames per second, where the file does not say.
        person: The tracker's id or the number of the person, or all; by default the one seen in most frames.
        first_frame: The number in the file that is frame 0; by default that of its first frame.
        world: Turn the joints to the axes of a room, with feet on the floor; a guess.
        fit_fps: Let the model see the video at this rate, the one it was trained on (Human3.6M: 50).
        smooth: One-Euro filter the joints.
        pose_model: Of a video: the model of images that finds the 2D keypoints.
        overlay: Of a video: draw them on its pictures: .mp4, .gif or .png.
        how: The lifting model's options.
        quiet: Of a video: show no progress.
    """
    from har_bench.lifting.films import is_film, lift_film
    from har_bench.lifting.video import lift as run

    given: dict[str, Any] = {
        "weights": weights,
        "joints": joints,
        **of.arguments(),
        "fps": fps,
        "person": _person(person),
        "first_frame": first_frame,
        "world": world,
        "fit_fps": fit_fps,
        "smooth": smooth,
        "settings": how.settings(),
    }
    if is_film(keypoints, fps):
        where = {"device": how.device} if how.device else {}
        seeing: dict[str, Any] = {"pose_model": pose_model, "pose_settings": where, "overlay": overlay, "quiet": quiet}
        say(lift_film(baseline, keypoints, out, **seeing, **given))
    elif overlay is not None:
        raise HarBenchError(f"--overlay draws on the pictures of a video, and {keypoints} is none; leave it out")
    else:
        say(run(baseline, keypoints, out, **given))


def _person(word: str | None) -> int | Literal["all"] | None:
    """A person's number, or everybody."""
    if word is None:
        return None
    if word == "all":
        return "all"
    try:
        return int(word)
    except ValueError as error:
        raise HarBenchError(f"the person {word!r} is no number; give one that the file has, or all") from error
