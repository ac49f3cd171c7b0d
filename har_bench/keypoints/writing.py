"""Lifted 3D joints of a video, in files that other tools read; each says its unit, and which way its axes go."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from har_bench import files
from har_bench.arrays import Singles
from har_bench.errors import HarBenchError
from har_bench.keypoints.bvh import bvh, with_constant_bones
from har_bench.keypoints.motion import CAMERA, UPRIGHT, Axes, Motion, Scene, turned
from har_bench.schema import column, table
from har_bench.scoring import predictions
from har_bench.skeletons import skeleton

DECIMALS = 3
"""Of a millimetre, in json and text."""

TIMED = (".trc", ".bvh")
"""What cannot be written without the number of frames per second, and holds one person."""

SPARSEST = 100
"""Of so many rows of an array of several persons, at least one is somebody's."""


def write_joints(
    path: str | Path,
    joints: npt.NDArray[Any],
    layout: str,
    *,
    fps: float | None = None,
    sequence: str = "",
    person: int = 0,
    start: int = 0,
    axes: Axes = CAMERA,
    notes: Sequence[str] = (),
) -> None:
    """Write one person's joints in the form that the suffix asks for, whole or not at all; see :func:`write_scene`.

    Args:
        path: where to.
        joints: (T, J, 3) mm; by default in the camera's axes: x right, y down, z forward.
        layout: their skeleton's name.
        fps: frames per second, when they are known.
        sequence: the video's name, for Parquet; by default the file's.
        person: the person's id, where the form has one.
        start: the frame of the first row.
        axes: which way x, y and z go.
        notes: what a reader of the numbers should know.

    Raises:
        HarBenchError: another suffix, or joints that the layout does not have.
    """
    motion = Motion(np.asarray(joints, np.float32), person, start)
    write_scene(path, Scene([motion], skeleton(layout), fps, axes, tuple(notes), sequence), everybody=False)


def check_rate(path: Path, fps: float | None) -> None:
    """Refuse a form that needs the frames per second, without them."""
    if path.suffix in TIMED and not fps:
        raise HarBenchError(f"{path} needs the video's frames per second; give --fps")


def write_scene(path: str | Path, scene: Scene, *, everybody: bool) -> list[Path]:
    """Write joints in the form that the suffix asks for, each file whole or not at all.

    * ``.npy``: (T, J, 3) float32, or with ``everybody`` (P, T, J, 3), NaN in frames without the person;
    * ``.parquet``: our columns ``sequence, frame, person, keypoints_3d``; ``layout, fps, axes, notes`` in the metadata;
    * ``.json``: ``layout, joints, parents, unit, axes, fps, notes`` and ``frames``, a list of frames of joints of
      x, y, z from ``first_frame`` on, or with ``everybody`` a list of ``persons`` that have these;
    * ``.csv``: a row a joint, the columns named for the axes: ``frame, time_s, person, joint, x_right_mm, ...``;
    * ``.trc`` (OpenSim) and ``.bvh`` (animation; see :mod:`har_bench.keypoints.bvh`): mm, x right, y up, z backward;
      with ``everybody`` one file a person, ``NAME_personN.bvh``.

    Args:
        path: where to.
        scene: the persons.
        everybody: whether the form should be the one for several persons, even if there is one.

    Returns:
        The files.

    Raises:
        HarBenchError: another suffix, joints that the layout does not have, or several persons in a form for one.
    """
    path = files.destination(path, *SUFFIXES)
    check_rate(path, scene.fps)
    bones = scene.skeleton
    for motion in scene.motions:
        if motion.joints.shape[1:] != (len(bones), 3):
            raise HarBenchError(
                f"{path} cannot hold joints of shape {motion.joints.shape}; {bones.name} is (frames, {len(bones)}, 3)"
            )
    if path.suffix not in TIMED:
        _WRITERS[path.suffix](path, scene, everybody)
        return [path]
    written = []
    for motion in scene.motions:
        one = path.with_stem(f"{path.stem}_person{motion.person}") if everybody else path
        _WRITERS[path.suffix](one, Scene([motion], bones, scene.fps, scene.axes, scene.notes), False)
        written.append(one)
    return written


def _npy(path: Path, scene: Scene, everybody: bool) -> None:
    buffer = io.BytesIO()
    np.save(buffer, _stacked(path, scene) if everybody else scene.motions[0].joints)
    files.write_whole(path, buffer.getvalue())


def _stacked(path: Path, scene: Scene) -> Singles:
    """(P, T, J, 3) everybody from frame 0 on."""
    frames = max(motion.frames.stop for motion in scene.motions)
    there = sum(len(motion.joints) for motion in scene.motions)
    if frames * len(scene.motions) > SPARSEST * max(there, 1):
        raise HarBenchError(f"{path} would be nearly empty, {there:,} poses in {frames:,} frames; write .parquet")
    every = np.full((len(scene.motions), frames, len(scene.skeleton), 3), np.nan, np.float32)
    for rows, motion in zip(every, scene.motions, strict=True):
        rows[motion.start : motion.frames.stop] = motion.joints
    return every


def _parquet(path: Path, scene: Scene, everybody: bool) -> None:
    del everybody
    bones = scene.skeleton
    schema = pa.schema(
        [
            column("sequence", pa.string(), nullable=False),
            column("frame", pa.int32(), about="0-based", nullable=False),
            column("person", pa.int64(), nullable=False),
            column("keypoints_3d", pa.float32(), "mm", shape=(len(bones), 3), about=_axes(scene)),
        ],
        {"layout": bones.name, "axes": scene.axes.words}
        | ({} if scene.fps is None else {"fps": str(scene.fps)})
        | ({"notes": "\n".join(scene.notes)} if scene.notes else {}),
    )
    tables = [
        table(
            {
                "sequence": [scene.sequence or path.stem] * len(motion.joints),
                "frame": np.array(motion.frames),
                "person": np.full(len(motion.joints), motion.person),
                "keypoints_3d": motion.joints,
            },
            schema,
        )
        for motion in scene.motions
    ]
    predictions.write(tables, path)


def _axes(scene: Scene) -> str:
    return f"{'camera' if scene.axes == CAMERA else 'room'}'s axes: {scene.axes.words}"


def _json(path: Path, scene: Scene, everybody: bool) -> None:
    persons = [
        {
            "person": motion.person,
            "first_frame": motion.start,
            "frames": np.round(motion.joints.astype(np.float64), DECIMALS).tolist(),
        }
        for motion in scene.motions
    ]
    content: dict[str, Any] = {
        "layout": scene.skeleton.name,
        "joints": scene.skeleton.joints,
        "parents": scene.skeleton.parents,
        "unit": "mm",
        "axes": scene.axes.words,
        "fps": scene.fps,
        "notes": scene.notes,
    }
    content |= {"persons": persons} if everybody else persons[0]
    files.write_whole(path, msgspec.json.encode(content))


def _csv(path: Path, scene: Scene, everybody: bool) -> None:
    del everybody
    names = [f"{axis}_{way}_mm" for axis, way in scene.axes._asdict().items()]
    pieces = []
    for motion in scene.motions:
        frames = np.repeat(motion.frames, len(scene.skeleton))
        columns: dict[str, Any] = {"frame": frames}
        if scene.fps:
            columns["time_s"] = np.round(frames / scene.fps, 6)
        columns |= {"person": motion.person, "joint": list(scene.skeleton.joints) * len(motion.joints)}
        places = np.round(motion.joints.reshape(-1, 3).astype(np.float64), DECIMALS)
        columns |= dict(zip(names, places.T, strict=True))
        pieces.append(pd.DataFrame(columns))
    rows = pd.concat(pieces, ignore_index=True)
    if scene.notes:
        rows["notes"] = ""
        rows.loc[0, "notes"] = "; ".join(scene.notes)
    files.write_whole(path, rows.to_csv(index=False, lineterminator="\n").encode())


def _trc(path: Path, scene: Scene, everybody: bool) -> None:
    """OpenSim's table of markers: five lines of header, then frame, time and the coordinates."""
    del everybody
    (motion,), rate = scene.motions, float(scene.fps or 0)
    names, count = scene.skeleton.joints, len(motion.joints)
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate:g}\t{rate:g}\t{count}\t{len(names)}\tmm\t{rate:g}\t{motion.start + 1}\t{count}",
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{marker + 1}" for marker in range(len(names)) for axis in "XYZ"),
        "",
    ]
    for frame, row in zip(motion.frames, turned(motion.joints, scene.axes, UPRIGHT).reshape(count, -1), strict=True):
        numbers = "\t".join(f"{value:.{DECIMALS}f}" for value in row)
        lines.append(f"{frame + 1}\t{frame / rate:.6f}\t{numbers}")
    files.write_whole(path, ("\n".join(lines) + "\n").encode())


def _bvh(path: Path, scene: Scene, everybody: bool) -> None:
    del everybody
    joints = turned(scene.motions[0].joints, scene.axes, UPRIGHT).astype(np.float64)
    files.write_whole(path, bvh(joints, scene.skeleton, float(scene.fps or 0)).encode())


_WRITERS: Mapping[str, Callable[[Path, Scene, bool], None]] = {
    ".npy": _npy,
    ".parquet": _parquet,
    ".json": _json,
    ".csv": _csv,
    ".trc": _trc,
    ".bvh": _bvh,
}
SUFFIXES = tuple(_WRITERS)
"""What joints can be written as."""


def remarks(path: Path, scene: Scene) -> list[str]:
    """What a form changes: axes that are turned, and bones that are held at one length."""
    if path.suffix not in TIMED:
        return []
    said = [f"{path.suffix} has {UPRIGHT.words}, in mm"]
    if path.suffix == ".bvh":
        given = [motion.joints.astype(np.float64) for motion in scene.motions]
        moved = [with_constant_bones(joints, scene.skeleton) - joints for joints in given]
        far = np.linalg.norm(np.concatenate(moved), axis=-1)
        said.append(
            f"bones keep their median lengths: joints move by {far.mean():.1f} mm on average, {far.max():.1f} at most"
        )
    return said
