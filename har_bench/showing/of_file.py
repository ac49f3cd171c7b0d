"""A stage from a file of joints: what ``har-bench lift`` and ``har-bench pose`` wrote, or anybody in our columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from har_bench import skeletons
from har_bench.arrays import Floats, Ints
from har_bench.errors import HarBenchError, completing, unknown
from har_bench.foreign import json_file, npy
from har_bench.keypoints import open_tracks
from har_bench.keypoints.motion import CAMERA, Axes, turned
from har_bench.schema import texts_of
from har_bench.scoring.column_files import read_columns
from har_bench.showing import motion_files
from har_bench.showing.stage import Cast, Points, Stage, chosen, dense
from har_bench.skeletons import Skeleton
from har_bench.store import POINTS

SUFFIXES = (".parquet", ".json", ".npz", ".npy", ".trc", ".bvh", ".csv", ".h5", ".hdf5")


@dataclass(frozen=True)
class Rows:
    """What a file says of one sequence.

    Attributes:
        name: of the sequence.
        frame: (n,) of each row.
        person: (n,) of each row.
        points: (n, J, 2 or 3) by ``keypoints`` and ``keypoints_3d``.
        facts: what the file says of itself: ``layout``, ``fps``, ``width``, ``height``, and the ``axes`` of space.
        bones: of the joints, where the file names them.
    """

    name: str
    frame: Ints
    person: Ints
    points: dict[str, Floats]
    facts: Mapping[str, str]
    bones: Skeleton | None = None


def stage_of(
    path: Path, sequence: str | None, *, layout: str | None = None, span: tuple[int, int] | None = None
) -> Stage:
    """What a file says of one of its sequences.

    Args:
        path: of the file.
        sequence: its name; the only one, or the first, by default.
        layout: of the joints, where the file does not say and their number does not tell.
        span: from this frame to before that one.

    Raises:
        HarBenchError: the file cannot be read, or has no such sequence or no joints.
    """
    if path.suffix in (".json", ".npz"):
        rows = _of_document(path, sequence, layout)
    elif path.suffix in (".trc", ".bvh") or (path.suffix == ".csv" and motion_files.is_by_joint(path)):
        rows = _of_motion(path)
    else:
        rows = _of_array(path) if path.suffix == ".npy" else _of_columns(path, sequence)
    if not rows.points:
        raise HarBenchError(f"{path} has neither keypoints nor keypoints_3d; give a file with joints")
    frames = chosen(rows.frame, span, rows.name)
    told = layout or rows.facts.get("layout")
    bones = rows.bones or _bones(told, next(iter(rows.points.values())).shape[1], "keypoints_3d" in rows.points)
    if "axes" in rows.facts and "keypoints_3d" in rows.points:
        with completing(path, "lift the video again"):
            given = Axes.told(rows.facts["axes"])
        rows.points["keypoints_3d"] = turned(rows.points["keypoints_3d"], given, CAMERA)
    points = {key: Points(dense(frames, rows.frame, rows.person, each), bones) for key, each in rows.points.items()}
    size = tuple(int(rows.facts[side]) for side in ("width", "height") if side in rows.facts)
    rate = float(rows.facts["fps"]) if rows.facts.get("fps") else None
    cast = Cast("joints", points.get("keypoints"), points.get("keypoints_3d"))
    return Stage(rows.name, frames, (cast,), rate, (size[0], size[1]) if len(size) == 2 else None)


def _of_array(path: Path) -> Rows:
    """(T, J, 3), or (P, T, J, 3) of several persons."""
    joints = npy.load(path).astype(np.float64)
    joints = joints[None] if joints.ndim == 3 else joints
    if joints.ndim != 4 or joints.shape[-1] != 3:
        raise HarBenchError(f"{path} has the shape {joints.shape}; give (frames, joints, 3)")
    persons, frames = joints.shape[:2]
    return Rows(
        path.stem,
        np.tile(np.arange(frames), persons),
        np.repeat(np.arange(persons), frames),
        {"keypoints_3d": np.concatenate(joints)},
        {},
    )


def _of_motion(path: Path) -> Rows:
    """Persons in a form of other programs."""
    motion = motion_files.read(path)
    facts = {"fps": str(motion.fps or "")}
    return Rows(path.stem, motion.frame, motion.person, {"keypoints_3d": motion.joints}, facts, motion.bones)


def _of_document(path: Path, sequence: str | None, layout: str | None) -> Rows:
    """What ``lift`` writes as JSON; what ``pose`` writes, or any detector whose files are known, with its persons."""
    if path.suffix == ".json":
        content: Any = json_file.read(path, what="joints", remedy="lift the video again")
        if isinstance(content, dict) and {"joints", "parents", "layout"} <= content.keys():
            return _of_lifted(path, content)
    tracks = open_tracks(path, layout=layout, video=sequence)
    first = tracks[0]
    facts = {"fps": str(first.fps or "")}
    if first.size is not None:
        facts |= {"width": str(first.size[0]), "height": str(first.size[1])}
    return Rows(
        sequence or path.stem,
        np.concatenate([track.start + np.arange(len(track.points)) for track in tracks]),
        np.repeat([track.person for track in tracks], [len(track.points) for track in tracks]),
        {"keypoints": np.concatenate([track.points for track in tracks]).astype(np.float64)},
        facts,
        skeletons.skeleton(first.layout),
    )


def _of_lifted(path: Path, content: dict[str, Any]) -> Rows:
    """Frames of joints of x, y, z, of one person or of several."""
    try:
        persons = content.get("persons", [content])
        joints = [np.array(each["frames"], np.float64) for each in persons]
        first = [each["first_frame"] for each in persons]
        return Rows(
            path.stem,
            np.concatenate([start + np.arange(len(each)) for start, each in zip(first, joints, strict=True)]),
            np.repeat([each.get("person", 0) for each in persons], [len(each) for each in joints]),
            {"keypoints_3d": np.concatenate(joints)},
            {name: str(content[name]) for name in ("layout", "fps", "axes") if content.get(name)},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HarBenchError(f"{path} holds no joints of har-bench lift ({error!r}); lift the video again") from error


def _of_columns(path: Path, sequence: str | None) -> Rows:
    """Our columns, and in Parquet what its metadata say."""
    found = read_columns(path)
    if found is None:
        raise unknown("kind of file that is shown", path.suffix, SUFFIXES)
    names = sorted(found.names())
    if sequence is not None and sequence not in names:
        raise unknown(f"sequence of {path}", sequence, names)
    if not names:
        raise HarBenchError(f"{path} holds no row; give one with poses")
    name = sequence or names[0]
    columns = found.of(name) or {}
    count = len(next(iter(columns.values()), ()))
    said = pq.read_schema(path.absolute()).metadata if path.suffix == ".parquet" else None
    return Rows(
        name,
        columns.get("frame", np.arange(count)),
        columns.get("person", np.zeros(count, np.int64)),
        {key: columns[key].astype(np.float64) for key in POINTS if key in columns},
        texts_of(said),
    )


def _bones(layout: str | None, joints: int, in_space: bool) -> Skeleton:
    """The layout that is said, or the one of so many joints; of 17 in space it is what models lift to.

    Raises:
        HarBenchError: it has another number, or there is none, or several.
    """
    if layout is not None:
        found = skeletons.skeleton(layout)
        if len(found) != joints:
            raise HarBenchError(f"{layout} has {len(found)} joints and the file {joints}; name its layout")
        return found
    fitting = [each for each in map(skeletons.skeleton, skeletons.names()) if len(each) == joints]
    usual = ("h36m17" if in_space else "coco17", "mpii16", "blazepose33")
    preferred = [each for each in fitting if each.name in usual]
    if not fitting:
        raise HarBenchError(f"no layout has {joints} joints; name one with --layout")
    return (preferred or fitting)[0]
