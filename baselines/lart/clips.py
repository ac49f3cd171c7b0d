"""Clips of a store of tracklets: everybody in them, frame by frame, as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from har_bench.arrays import Anything, Bools, Floats, Ints, Singles
from har_bench.errors import HarBenchError
from har_bench.schema import to_numpy
from har_bench.store import Store

from .network import JOINTS, POSE

NEEDED = ("frame_name", "has_detection", "pose_shape", "joints_3d", "has_gt")
LABELS = 80
"""Actions that a tracklet has room for."""

TRUE = 2
"""What ``has_gt`` is where a person's actions were annotated; 1 is a pseudo label, 0 none."""

_HELD = 64
"""Clips that are kept in memory, for those that are asked for again soon."""


@dataclass(frozen=True)
class Person:
    """One person's track in a clip, T frames one after the other.

    Attributes:
        track: its number in the clip.
        frame: (T,) fid.
        name: T names of frames.
        detected: (T,) else the frame only bridges a gap.
        pose: (T, 229) SMPL body, as it was written.
        joints: (T, 135) joints in the camera's frame, the camera added.
        appearance: (T, D) features, zero where there is none; D is 0 where the store has none.
        labels: (T, 80) how sure each of AVA's actions is; where annotated 0 or 1.
        has_gt: (T,) 2 where annotated, 1 where it is a pseudo label, 0 where it is neither.
        box: (T, 4) x, y, w, h [px]; NaN where there is none.
        size: (T, 2) height and width of the frame [px].
        confidence: (T,) of the detector.
    """

    track: int
    frame: Ints
    name: Sequence[str]
    detected: Bools
    pose: Singles
    joints: Singles
    appearance: Singles
    labels: Singles
    has_gt: Ints
    box: Floats
    size: Floats
    confidence: Floats

    def __len__(self) -> int:
        return len(self.frame)


class Clip(NamedTuple):
    """A sequence of the store.

    Attributes:
        name: of the sequence.
        video: whose frames these are.
        keyframe: the number of the frame that is to be labelled, or None.
        people: by track, in rising order.
        by_frame: whether that is the frame's own number, and not the one in the name of its file.
    """

    name: str
    video: str | None
    keyframe: int | None
    people: list[Person]
    by_frame: bool = False


@dataclass(frozen=True)
class Clips:
    """The clips of a store; can be sent to another process, which then opens the store for itself.

    Attributes:
        store: of tracklets.
        width: D, numbers of an appearance feature; 0 leaves them out.
        bodies: whether everybody must have one; else labels are all that is asked for.
    """

    store: Store
    width: int
    bodies: bool = True
    _read: Any = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_read", lru_cache(_HELD)(self._fresh))

    def __reduce__(self) -> tuple[Any, ...]:
        return Clips, (self.store, self.width, self.bodies)

    def clip(self, row: int) -> Clip:
        """The clip in a row of ``sequences``.

        Raises:
            HarBenchError: its features have another width, or people have no bodies.
        """
        found: Clip = self._read(row)
        return found

    def _fresh(self, row: int) -> Clip:
        info = self.store.sequences.slice(row, 1).to_pylist()[0]
        rows = self.store.read("poses", info["part"], None, slice(info["first_row"], info["first_row"] + info["rows"]))
        if self.bodies and rows["pose_shape"].null_count:
            raise HarBenchError(
                f"{info['sequence']} of {self.store.path} has people without bodies, as PHALP's gt_tracks have; they "
                "are good for --set test=track.fullframe@GT alone"
            )
        persons = rows["person"].to_numpy()
        edges = [0, *(np.flatnonzero(np.diff(persons)) + 1).tolist(), len(persons)]
        people = [
            _person(rows.slice(begin, end - begin), self.width, info["sequence"])
            for begin, end in pairwise(edges)
            if end > begin
        ]
        return Clip(info["sequence"], info.get("video"), info.get("keyframe"), people)

    def tracks(self, chosen: Ints) -> Iterator[tuple[int, int]]:
        """(row of ``sequences``, place among its people) of every track of more than one frame in these rows."""
        counted = self._counted()
        for row in chosen.tolist():
            for place, frames in enumerate(counted.get(row, ())):
                if frames > 1:
                    yield row, place

    def _counted(self) -> dict[int, list[int]]:
        """By row of ``sequences`` the frames of each of its tracks."""
        place = {name: row for row, name in enumerate(self.store.sequences["sequence"].to_pylist())}
        found: dict[int, list[int]] = {}
        for part in self.store.parts("poses"):
            keys = self.store.read("poses", part, ["sequence", "person"])
            counts = keys.group_by(["sequence", "person"], use_threads=False).aggregate([([], "count_all")])
            for name, frames in zip(counts["sequence"].to_pylist(), counts["count_all"].to_pylist(), strict=True):
                found.setdefault(place[name], []).append(frames)
        return found


def opened(store: Store) -> Store:
    """The store, which must be one of tracklets.

    Raises:
        HarBenchError: it is not.
    """
    names = store.schema("poses").names if store.parts("poses") else []
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise HarBenchError(
            f"{store.path} holds no tracklets (no {missing[0]}); convert LART's or PHALP's files with `har-bench "
            "convert ava` and name that store"
        )
    return store


def width_of(store: Store) -> int:
    """D of the first feature that the store has; 0 where it has none."""
    for part in store.parts("poses"):
        features = store.read("poses", part, ["appearance"])["appearance"].drop_null()
        if len(features):
            return len(features[0])
    return 0


def _person(rows: pa.Table, width: int, clip: str) -> Person:
    frames = rows.num_rows

    def values(name: str) -> Anything:
        return to_numpy(rows[name], rows.schema.field(name))

    pose = values("pose_shape").astype(np.float32)
    camera = values("camera").astype(np.float32)
    camera = np.where(np.isnan(camera), pose[:, -3:], camera)
    joints = values("joints_3d").astype(np.float32).reshape(frames, -1, 3) + camera[:, None]
    key = rows["appearance_index"].fill_null(-1).to_numpy()
    has_gt = rows["has_gt"].fill_null(0).to_numpy().astype(np.int64)
    track = rows["person"][0].as_py()
    true = values("action_label_gt").astype(np.float32)
    pseudo = _spread(rows["action_label_pseudo"], key, true.shape[1], f"action_label_pseudo of track {track} of {clip}")
    return Person(
        track=track,
        frame=rows["frame"].to_numpy().astype(np.int64),
        name=rows["frame_name"].to_pylist(),
        detected=rows["has_detection"].to_numpy(zero_copy_only=False).astype(bool),
        pose=pose.reshape(frames, POSE),
        joints=joints.reshape(frames, JOINTS),
        appearance=_spread(rows["appearance"], key, width, f"appearance of track {track} of {clip}"),
        labels=np.where((has_gt == TRUE)[:, None], true, pseudo),
        has_gt=has_gt,
        box=values("bbox").astype(np.float64),
        size=values("frame_size").astype(np.float64),
        confidence=rows["confidence"].to_numpy(zero_copy_only=False).astype(np.float64),
    )


def _spread(column: pa.ChunkedArray, key: Ints, width: int, whose: str) -> Singles:
    """(T, D) what stands in the first row that has a key, in every row that has it; zero elsewhere."""
    found = np.zeros((len(key), width), np.float32)
    if not width:
        return found
    rows = np.flatnonzero(column.is_valid().to_numpy())
    for row, value in zip(rows.tolist(), column.drop_null().to_pylist(), strict=True):
        if len(value) != width:
            raise HarBenchError(
                f"{whose} has {len(value)} numbers where {width} are expected; Hiera's features have 2048 and MViT's "
                "1152, so convert the tracklets of one kind, or choose the model of the other"
            )
        found[key == key[row]] = value
    return found
