"""3D joints of the people in any video, from a file of 2D keypoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from har_bench import remote
from har_bench.arrays import Singles
from har_bench.errors import HarBenchError
from har_bench.keypoints import Track, open_track, open_tracks
from har_bench.keypoints.motion import CAMERA, WORLD, Motion, Scene
from har_bench.keypoints.writing import SUFFIXES, check_rate, remarks, write_scene
from har_bench.lifting.lifter import PATH, Lifter
from har_bench.lifting.resampling import at_frames, at_rate
from har_bench.lifting.smoothing import one_euro
from har_bench.lifting.world import in_room
from har_bench.running import make_baseline
from har_bench.skeletons import mapping, skeleton

Who = int | Literal["all"] | None
"""A tracker's id or a person's number; everybody; or the person seen most."""


def lift(
    baseline: str | Lifter,
    keypoints: str | Path,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    joints: str | None = None,
    layout: str | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    person: Who = None,
    video: str | None = None,
    first_frame: int | None = None,
    world: bool = False,
    fit_fps: float | None = None,
    smooth: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Lift the keypoints of the people in a video, and write the joints.

    Args:
        baseline: a lifting model: a registered name, ``package.module:Name``, or an instance.
        keypoints: any file that ``docs/keypoints.md`` names; frames without a detection are interpolated.
        out: where to; see :func:`har_bench.keypoints.writing.write_scene` for what the suffix may be.
        weights: published or saved weights, a path or a URL as the others; not needed by a fitted instance.
        joints: the skeleton that the *model* was trained on, where the weights do not say.
        layout: the skeleton of the *keypoints*, where the file does not say.
        size: (width, height) of the video [px], where the file does not say.
        fps: frames per second, where the file does not say.
        person: the tracker's id or number of the person, or ``"all"``; the one seen in most frames by default.
        video: which one, where the file holds several.
        first_frame: the number in the file that is frame 0; that of the file's first frame by default.
        world: turn the joints from the camera's axes to those of a room, which is a guess.
        fit_fps: let the model see the video at this rate, the one it was trained on (Human3.6M: 50). The joints are
            those of the video's own frames.
        smooth: One-Euro filter the joints.
        settings: the model's options, by name.

    Returns:
        What was read, converted and written, in a sentence; then a line for each thing that a reader of the joints
        should know, which is written into the file too, where its form has a place for it.

    Raises:
        HarBenchError: no lifting model, weights whose joints nobody can tell, or files that do not fit.
    """
    if Path(out).exists() and Path(keypoints).exists() and Path(out).samefile(keypoints):
        raise HarBenchError(f"{out} is the file of keypoints itself; name another one for the joints")
    written = remote.destination(out, *SUFFIXES)
    model = _model(baseline, weights, joints, settings or {})
    given = remote.fetch(keypoints)
    if person == "all":
        tracks = open_tracks(given, layout=layout, size=size, fps=fps, video=video, first_frame=first_frame)
    else:
        who = {"layout": layout, "size": size, "fps": fps, "person": person, "video": video, "first_frame": first_frame}
        tracks = [open_track(given, **who)]  # type: ignore[arg-type]
    rate = tracks[0].fps
    check_rate(written, rate)
    lifted = [_joints(model, track, fit_fps, smooth) for track in tracks]
    placed = PATH in (model.models or {})
    notes = [*dict.fromkeys(note for track in tracks for note in track.notes), *model.taken.remarks(tracks[0].layout)]
    if world:
        lifted, said = in_room(lifted, placed=placed)
        notes.append(said)
    motions = [Motion(found, track.person, track.start) for found, track in zip(lifted, tracks, strict=True)]
    scene = Scene(motions, skeleton(model.target), rate, WORLD if world else CAMERA, tuple(notes), video or "")
    places = {remote.beside(out, file.name): file for file in write_scene(written, scene, everybody=person == "all")}
    for place, file in places.items():
        remote.publish(file, place)
    said = _sentence(model, tracks, [*places], placed=placed, fit_fps=fit_fps, smooth=smooth)
    return "\n".join([said, *(f"note: {note}" for note in [*notes, *remarks(written, scene)])])


def _model(
    baseline: str | Lifter, weights: str | Path | None, joints: str | None, settings: Mapping[str, Any]
) -> Lifter:
    """The model with its weights."""
    own = dict(settings)
    if joints is not None and own.setdefault("layout", joints) != joints:
        raise HarBenchError(
            f"the model's joints are {joints} by --joints and {own['layout']} by --set; give one of them"
        )
    model = make_baseline(baseline, own)
    if not isinstance(model, Lifter):
        raise HarBenchError(f"{baseline} is no lifting model; `har-bench list baselines` has some")
    if weights is not None:
        model.load(remote.fetch(weights))
    return model


def _joints(model: Lifter, track: Track, fit_fps: float | None, smooth: bool) -> Singles:
    """(T, K, 3) mm of a track, at the video's own frames."""
    if fit_fps is None:
        joints = model.lift_track(track)
    else:
        seen = at_rate(track, fit_fps)
        joints = at_frames(model.lift_track(seen), fit_fps, frames=len(track.points), video_fps=float(track.fps or 0))
    if not smooth:
        return joints
    if not track.fps:
        raise HarBenchError(f"the {track.taken_for} does not say the video's frames per second; give --fps to smooth")
    return one_euro(joints, track.fps)


def _sentence(
    model: Lifter,
    tracks: Sequence[Track],
    written: Sequence[str | Path],
    *,
    placed: bool,
    fit_fps: float | None,
    smooth: bool,
) -> str:
    """What was read, converted and written."""
    first, filled = tracks[0], sum(track.filled for track in tracks)
    frames = sum(len(track.points) for track in tracks)
    made = mapping(skeleton(first.layout), skeleton(model.joints))
    rough = [joint for joint, grade in zip(made.target.joints, made.grades, strict=True) if grade != "exact"]
    which = "any joint" if len(rough) == len(made.target.joints) else ", ".join(rough)
    parts = [
        f"{frames:,} frames of {first.taken_for}" + (f", {filled:,} of them filled in" if filled else ""),
        *([f"{len(tracks)} persons"] if len(tracks) > 1 else []),
        *([f"{first.layout} to {model.joints} (not exact for {which}; see docs/keypoints.md)"] if rough else []),
        *([f"seen at {fit_fps:g} frames per second instead of {first.fps:g}"] if fit_fps else []),
        *(["smoothed"] if smooth else []),
        "joints before the camera" if placed else "joints about the root",
        f"written to {', '.join(map(str, written[:5]))}" + (" and others" if len(written) > 5 else ""),
    ]
    return "; ".join(parts)
