"""3D joints of somebody in any video, from a file of 2D keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from har_bench import remote
from har_bench.errors import HarBenchError
from har_bench.keypoints import open_track, write_joints
from har_bench.keypoints.writing import SUFFIXES
from har_bench.lifting.lifter import PATH, Lifter
from har_bench.running import make_baseline
from har_bench.skeletons import mapping, skeleton


def lift(
    baseline: str | Lifter,
    keypoints: str | Path,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    layout: str | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    person: int | None = None,
    video: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Lift the keypoints of one person in a video, and write the joints.

    Args:
        baseline: a lifting model: a registered name, ``package.module:Name``, or an instance.
        keypoints: any file that ``docs/keypoints.md`` names; frames without a detection are interpolated.
        out: ``.npy``, ``.parquet`` or ``.json``; see :func:`har_bench.keypoints.write_joints`.
        weights: published or saved weights, a path or a URL as the others; not needed by a fitted instance.
        layout: the keypoints' joints, where the file does not say.
        size: (width, height) of the video [px], where the file does not say.
        fps: frames per second, where the file does not say.
        person: the tracker's id of the person; the best one of each frame by default.
        video: which one, where the file holds several.
        settings: the model's options, by name.

    Returns:
        What was read, converted and written, in a sentence.

    Raises:
        HarBenchError: no lifting model, or files that do not fit.
    """
    if Path(out).exists() and Path(keypoints).exists() and Path(out).samefile(keypoints):
        raise HarBenchError(f"{out} is the file of keypoints itself; name another one for the joints")
    written = remote.destination(out, *SUFFIXES)
    model = make_baseline(baseline, settings)
    if not isinstance(model, Lifter):
        raise HarBenchError(f"{baseline} is no lifting model; `har-bench list baselines` has some")
    if weights is not None:
        model.load(remote.fetch(weights))
    track = open_track(remote.fetch(keypoints), layout=layout, size=size, fps=fps, person=person, video=video)
    joints = model.lift_track(track)
    write_joints(written, joints, model.target, fps=track.fps)
    remote.publish(written, out)
    made = mapping(skeleton(track.layout), skeleton(model.joints))
    rough = [joint for joint, grade in zip(made.target.joints, made.grades, strict=True) if grade != "exact"]
    which = "any joint" if len(rough) == len(made.target.joints) else ", ".join(rough)
    parts = [
        f"{len(joints):,} frames of {track.taken_for}"
        + (f", {track.filled:,} of them filled in" if track.filled else ""),
        *([f"{track.layout} to {model.joints} (not exact for {which}; see docs/keypoints.md)"] if rough else []),
        "joints before the camera" if PATH in (model.models or {}) else "joints about the root",
        f"written to {remote.as_url(out) or out}",
    ]
    return "; ".join(parts)
