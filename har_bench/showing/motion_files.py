"""Motions as ``har-bench lift`` writes them for other programs: OpenSim's ``.trc``, ``.bvh``, and ``.csv`` by joint.

The first two have one person, x right, y up and z backward; here all stand in the camera's axes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from har_bench import skeletons
from har_bench.arrays import Floats, Ints
from har_bench.errors import Malformed, completing
from har_bench.foreign import opening, texts
from har_bench.keypoints.motion import CAMERA, UPRIGHT, Axes, turned
from har_bench.skeletons import Skeleton

_HEADER = 5
"""Lines of a ``.trc`` before its rows."""


@dataclass(frozen=True)
class Motion:
    """Persons who move.

    Attributes:
        joints: (n, J, 3) mm in the camera's axes.
        bones: their names and tree.
        frame: (n,) of each row.
        person: (n,) of each row.
        fps: frames a second; None where nobody says.
    """

    joints: Floats
    bones: Skeleton
    frame: Ints
    person: Ints
    fps: float | None


def is_by_joint(path: Path) -> bool:
    """Whether a ``.csv`` has a row for each joint."""
    with completing(path, "write it again"):
        first, *_ = texts.lines(opening.content(path), path.name)
        return {"frame", "person", "joint"} <= set(first.split(","))


def read(path: Path) -> Motion:
    """A ``.trc``, a ``.bvh``, or a ``.csv`` with a row for each joint.

    Raises:
        HarBenchError: it is damaged, or has joints that no layout has.
    """
    with completing(path, "lift the video again"):
        lines = texts.lines(opening.content(path), path.name)
        try:
            return {".trc": _trc, ".bvh": _bvh, ".csv": _csv}[path.suffix](lines)
        except (ValueError, IndexError, KeyError) as error:
            raise Malformed(f"is no {path.suffix} that har-bench lift writes ({error})") from error


def _trc(lines: list[str]) -> Motion:
    """Five lines of header, then frame, time and the coordinates."""
    names = [name for name in lines[3].split("\t")[2:] if name]
    rows = np.array([line.split("\t") for line in lines[_HEADER:] if line.strip()], np.float64)
    joints = turned(rows[:, 2:].reshape(len(rows), len(names), 3), UPRIGHT, CAMERA)
    bones = _layout(names)
    places = [names.index(name) for name in bones.joints]
    return _alone(joints[:, places], bones, int(rows[0, 0]) - 1, float(lines[2].split("\t")[0]))


def _alone(joints: Floats, bones: Skeleton, start: int, fps: float) -> Motion:
    """The motion of one person from a frame on."""
    return Motion(joints, bones, start + np.arange(len(joints)), np.zeros(len(joints), np.int64), fps)


def _csv(lines: list[str]) -> Motion:
    """A joint a row: those of a person in a frame follow each other, in the order of their layout."""
    names = lines[0].split(",")
    rows = [line.split(",") for line in lines[1:] if line.strip()]
    column = {name: [row[place] for row in rows] for place, name in enumerate(names) if name != "notes"}
    axes = [name for name in column if re.fullmatch("[xyz]_[a-z]+_mm", name)]
    along = Axes.told(", ".join(name.removesuffix("_mm").replace("_", " ") for name in axes))
    bones = _layout(list(dict.fromkeys(column["joint"])))
    joints = np.array([column[name] for name in axes], np.float64).T.reshape(-1, len(bones), 3)
    joints = turned(joints, along, CAMERA)
    frame, person = (np.array(column[name][:: len(bones)], np.int64) for name in ("frame", "person"))
    times = np.unique(np.array(column.get("time_s", []), np.float64))
    places = [column["joint"][: len(bones)].index(name) for name in bones.joints]
    return Motion(joints[:, places], bones, frame, person, 1 / np.diff(times).min() if len(times) > 1 else None)


def _layout(names: list[str]) -> Skeleton:
    for name in skeletons.names():
        if set(skeletons.skeleton(name).joints) == set(names):
            return skeletons.skeleton(name)
    raise Malformed(f"has the joints {', '.join(names[:8])}, which no layout of har_bench has")


@dataclass
class _Node:
    """A joint of a hierarchy: its parent's place, its offset from there, and its channels in the order of the file."""

    name: str
    parent: int
    offset: Floats = field(default_factory=lambda: np.zeros(3))
    channels: list[str] = field(default_factory=list)


def _bvh(lines: list[str]) -> Motion:
    """A hierarchy of offsets, then the channels of every joint, a frame a line."""
    at = lines.index("MOTION")
    nodes = list(_nodes(lines[1:at]))
    rows = np.array([line.split() for line in lines[at + 3 :] if line.strip()], np.float64)
    joints = turned(_forward(nodes, rows), UPRIGHT, CAMERA)
    kept = [place for place, node in enumerate(nodes) if not node.name.startswith("to_")]
    bones = _layout([nodes[place].name for place in kept])
    places = {nodes[place].name: place for place in kept}
    return _alone(joints[:, [places[name] for name in bones.joints]], bones, 0, 1 / float(lines[at + 2].split()[-1]))


def _nodes(lines: list[str]) -> Iterator[_Node]:
    """The joints in the order of their channels; ends of bones have none and are left out."""
    open_ones: list[int] = []
    last, count = -1, 0
    node = _Node("", -1)
    for line in lines:
        word, *rest = line.split()
        if word in ("ROOT", "JOINT", "End"):
            node = _Node(rest[0], open_ones[-1] if open_ones else -1)
            last = -1 if word == "End" else count
            if word != "End":
                count += 1
                yield node
        elif word == "{":
            open_ones.append(last)
        elif word == "}":
            open_ones.pop()
        elif word == "OFFSET":
            node.offset = np.array(rest, np.float64)
        elif word == "CHANNELS":
            node.channels = rest[1:]


def _forward(nodes: list[_Node], rows: Floats) -> Floats:
    """(T, N, 3) where the joints are, of (T, C) channels: each is turned in the frame of its parent."""
    places = np.zeros((len(rows), len(nodes), 3))
    turned = np.zeros((len(rows), len(nodes), 3, 3))
    column = 0
    for number, node in enumerate(nodes):
        own = rows[:, column : column + len(node.channels)]
        column += len(node.channels)
        moves = [place for place, name in enumerate(node.channels) if re.fullmatch("[XYZ]position", name)]
        turns = [place for place, name in enumerate(node.channels) if re.fullmatch("[XYZ]rotation", name)]
        order = "".join(node.channels[place][0] for place in turns)
        local = Rotation.from_euler(order, own[:, turns], degrees=True).as_matrix()
        offset = own[:, moves] if moves else np.broadcast_to(node.offset, (len(rows), 3))
        if node.parent < 0:
            places[:, number], turned[:, number] = offset, local
        else:
            places[:, number] = places[:, node.parent] + np.einsum("tij,tj->ti", turned[:, node.parent], offset)
            turned[:, number] = turned[:, node.parent] @ local
    return places
