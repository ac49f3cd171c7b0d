"""The command that lifts 2D keypoints to 3D joints."""

from __future__ import annotations

from pathlib import Path

from har_bench.cli.app import Settings, app, pairs
from har_bench.cli.terminal import say
from har_bench.errors import HarBenchError


@app.command
def lift(
    baseline: str,
    keypoints: Path,
    out: Path,
    *,
    weights: Path,
    layout: str | None = None,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    person: int | None = None,
    video: str | None = None,
    device: str | None = None,
    setting: Settings = None,
) -> None:
    """Lift the 2D keypoints of a person in any video to 3D joints.

        har-bench lift videopose3d detections.json joints.npy --weights w.bin --layout coco17 --width 1920 --height 1080

    Keypoints are what Detectron, AlphaPose, OpenPose or anybody wrote; docs/keypoints.md has the formats. Frames
    without a detection are interpolated.

    Args:
        baseline: A lifting model from `har-bench list`, or package.module:Name.
        keypoints: The file (OpenPose: the folder) of 2D keypoints.
        out: Where the joints go: .npy, .parquet or .json.
        weights: Published or saved weights.
        layout: The keypoints' joints, from `har-bench list skeletons`, where the file does not say.
        width: Of the video, in pixels, where the file does not say.
        height: Of the video, in pixels, where the file does not say.
        fps: Frames per second, where the file does not say.
        person: The tracker's id of the person; by default the best one of each frame.
        video: Which one, where the file holds several.
        device: Such as cpu or cuda:1; a GPU if there is one.
        setting: An option of the model, as name=value; may be repeated.
    """
    from har_bench.lifting.video import lift as run

    if (width is None) != (height is None):
        raise HarBenchError("a video has a width and a height; give both")
    size = (width, height) if width is not None and height is not None else None
    settings = ({"device": device} if device else {}) | dict(pairs(setting))
    said = run(
        baseline,
        keypoints,
        out,
        weights=weights,
        layout=layout,
        size=size,
        fps=fps,
        person=person,
        video=video,
        settings=settings,
    )
    say(said)
