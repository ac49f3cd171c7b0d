"""Anybody's tracks of people for PHALP and for LART: boxes to follow, and tracklets with joints and without a body."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from har_bench.arrays import Bools, Floats
from har_bench.errors import HarBenchError
from har_bench.exporting import Done, Followed, People, PeopleExporter
from har_bench.exporting.pictures import boxes, picture
from har_bench.files import write_whole
from har_bench.foreign.writing import write_pickle
from har_bench.options import option
from har_bench.skeletons import Skeleton
from har_bench.store import SequenceView, Store

from .release import FPS
from .sample import joblib_bytes
from .tracklets import ACTIONS

JOINTS = 44
"""Rows of a tracklet's joints that may be any; the last of the 45 is zero."""

HALF = 62
"""Frames before a key frame, and after it, that LART sees."""

SHORTEST = 2
"""Frames of the shortest track that LART takes."""

MOST = 10**9
"""A tracklet's name has numbers of people below."""

MM_PER_M, DEPTH = 1000.0, 200.0


def people_of(view: SequenceView, bones: Skeleton | None) -> People:
    """Everybody in a sequence of a store.

    Joints are in space where the store has them, and there are none in a store of boxes.
    """
    names = view.poses.column_names
    name = "keypoints_3d" if "keypoints_3d" in names else "keypoints"
    points = np.asarray(getattr(view, name, np.full((len(view), 1, 2), np.nan)), np.float64)
    flat = points if points.shape[-1] == 2 else np.full((*points.shape[:2], 2), np.nan)
    found = boxes(view.poses, flat)
    persons = []
    for person in np.unique(view.person).tolist():
        rows = np.flatnonzero(view.person == person)
        persons.append(Followed(person, view.frame[rows], points[rows], found[rows]))
    width, height = view.info.get("width"), view.info.get("height")
    return People(view.info["sequence"], bones, persons, (width, height) if width and height else None)


@dataclass
class PHALPTracks(PeopleExporter):
    """``{picture: {gt_bbox (N, 4) x, y, w, h, extra_data {gt_class [], gt_track_id (N,)}}}``, a pickle a sequence.

    PHALP's own description says that boxes are x1, y1, x2, y2; its code and its own file have x, y, w, h.
    """

    summary = "gt_tracks of PHALP: boxes and tracks that it takes in the place of its detector's"
    loses = ("joints; persons without a box",)

    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        """``SEQUENCE.pkl``."""
        for view in store.each(sequences):
            done(self.write_people(people_of(view, None), out))

    def write_people(self, people: People, out: Path) -> int:
        """``FILM.pkl``; how many boxes there are."""
        content: dict[str, Any] = {}
        frame = np.concatenate([one.frames for one in people.persons])
        person = np.concatenate([np.full(len(one.frames), one.person, np.int64) for one in people.persons])
        box = np.concatenate([one.boxes for one in people.persons])
        there = np.isfinite(box).all(axis=1)
        for number in np.unique(frame[there]).tolist():
            rows = np.flatnonzero(there & (frame == number))
            extra = {"gt_class": [], "gt_track_id": person[rows]}
            content[f"{number + 1:06d}.jpg"] = {"gt_bbox": box[rows].astype(np.float32), "extra_data": extra}
        path = out / f"{people.name}.pkl"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_pickle(path, content)
        return int(there.sum())


@dataclass
class Tracklets(PeopleExporter):
    """Tracklets of people whose joints are known and whose bodies, features and actions are not.

    The body stands as SMPL's does at rest. Joints in space are in metres about the root, whose place is the camera's;
    those in a picture are about the middle of the box, in its heights. They keep their own order, so a model is to be
    trained on them (``parts=joints``): released weights see other joints.
    """

    summary = "tracklets for lart, of anybody's poses: joints, boxes, frames"
    loses = ("more than 44 joints; how well each is seen",)

    poses: int = field(default=0, init=False, repr=False)
    alone: int = field(default=0, init=False, repr=False)

    origin: str = option("", "such as ava-val: a tracklet about every second of a film of AVA; the store's must be")

    def select(self, store: Store) -> pa.Table:
        """Every sequence.

        Raises:
            HarBenchError: the store has no joints, or too many.
        """
        _room(store.skeleton(), str(store.path))
        return store.sequences

    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        """``CLIP_TRACK_LENGTH.pkl``, or with ``origin`` ``ORIGIN_VIDEO_KEYFRAME_TRACK_LENGTH.pkl``."""
        for view in store.each(sequences):
            self._write(people_of(view, store.skeleton()), out, partial(picture, view.info))
            done(len(view))
        self._counted(str(store.path))

    def write_people(self, people: People, out: Path) -> int:
        """The same of a film; how many poses there are."""
        _room(people.skeleton, people.name)
        self._write(people, out, partial(picture, {"sequence": people.name, "media": None}))
        return self._counted(people.name)

    def _write(self, people: People, out: Path, called: Callable[[int], str]) -> None:
        if people.skeleton is None:
            raise HarBenchError(f"{people.name} has no joints, of which tracklets are made; give poses")
        root = list(people.skeleton.parents).index(-1)
        short = all(0 <= one.person < MOST for one in people.persons)
        for place, one in enumerate(people.persons):
            for clip, part in self._clips(people.name, one):
                if len(part.frames) < SHORTEST:
                    self.alone += 1
                    continue
                content = _tracklet(part, root, people.size, "{:06d}.jpg".format if self.origin else called)
                self.poses += int(content["has_detection"].sum())
                name = f"{clip}_{one.person if short else place}_{len(content['frame_name'])}.pkl"
                write_whole(out / name, joblib_bytes(content))
        unlabelled = "labels are nobody's (has_gt 0): set action_label_gt and has_gt where you have some"
        told = [f"tracks of a single frame are left out, as LART's have two: {self.alone}"] if self.alone else []
        if people.size is None:
            told.append(f"how large {people.name} is is not known, and no key frame of it can be scored: give its size")
        self.notes = (unlabelled, *told, *people.notes)

    def _counted(self, whose: str) -> int:
        """How many poses were written.

        Raises:
            HarBenchError: none.
        """
        if not self.poses:
            raise HarBenchError(f"{whose} has nobody in two frames, which LART's shortest track has; give films")
        return self.poses

    def _clips(self, name: str, one: Followed) -> Iterator[tuple[str, Followed]]:
        if not self.origin:
            yield name.replace("/", "-"), one
            return
        if len(name) != 11:
            raise HarBenchError(f"{name} is no film of AVA, whose names have 11 characters; leave origin out")
        first, last = int(one.frames.min()), int(one.frames.max())
        for key in range(-(-first // int(FPS)) * int(FPS), last + 1, int(FPS)):
            near = np.abs(one.frames - key) <= HALF
            if near.any():
                yield (
                    f"{self.origin}_{name}_{key:06d}",
                    Followed(one.person, one.frames[near], one.points[near], one.boxes[near]),
                )


def _room(bones: Skeleton | None, whose: str) -> None:
    if bones is not None and len(bones) > JOINTS:
        raise HarBenchError(f"{whose} has {len(bones)} joints, and a tracklet has room for {JOINTS}; export another")


def _tracklet(
    one: Followed, root: int, size: tuple[int, int] | None, called: Callable[[int], str]
) -> Mapping[str, Any]:
    """One person as a tracklet; frames between those that are there only bridge a gap."""
    frames = one.frames
    whole = np.arange(frames[0], frames[-1] + 1)
    place = frames - frames[0]
    joints, camera = _placed(one, root)
    seen = np.zeros(len(whole), bool)
    seen[place] = np.isfinite(joints).any(axis=(1, 2))
    pose = np.zeros((len(whole), 1, 229))
    pose[seen, 0, :216] = np.tile(np.eye(3).ravel(), 24)
    width, height = size or (0, 0)

    def spread(values: Floats) -> Floats:
        found = np.zeros((len(whole), *values.shape[1:]))
        found[place] = np.nan_to_num(values)
        found[~seen] = 0
        return found

    pose[:, 0, 226:] = spread(camera)
    return {
        "fid": whole.astype(np.float64).reshape(-1, 1, 1),
        "pose_shape": pose,
        "3d_joints": spread(joints)[:, None],
        "camera": spread(camera)[:, None],
        "camera_bbox": np.zeros((len(whole), 1, 3)),
        "action_label_gt": np.zeros((len(whole), 1, ACTIONS), np.int64),
        "action_label_psudo": {},
        "has_gt": np.zeros((len(whole), 1, 1)),
        "has_detection": _column(seen),
        "apperance_index": np.full((len(whole), 1, 1), -1),
        "apperance_dict": {},
        "frame_name": [called(frame) for frame in whole.tolist()],
        "frame_size": [np.array([height, width]) * int(there) for there in seen],
        "frame_bbox": list(spread(one.boxes)),
        "frame_conf": [float(there) for there in seen],
    }


def _column(seen: Bools) -> Floats:
    return seen.astype(np.float64).reshape(-1, 1, 1)


def _placed(one: Followed, root: int) -> tuple[Floats, Floats]:
    """(T, 45, 3) joints and (T, 3) camera; what is not there is NaN."""
    points, box = one.points, one.boxes
    found = np.full((len(points), JOINTS + 1, 3), np.nan)
    camera = np.zeros((len(points), 3))
    if points.shape[-1] == 3:
        middle = points[:, root] / MM_PER_M
        found[:, : points.shape[1]] = points / MM_PER_M - middle[:, None]
        camera = middle / np.array([1, 1, DEPTH])
    else:
        middle = box[:, None, :2] + box[:, None, 2:] / 2
        height = np.where(box[:, None, 3:] > 0, box[:, None, 3:], np.nan)
        found[:, : points.shape[1], :2] = (points - middle) / height
        found[:, : points.shape[1], 2] = np.where(np.isfinite(points).all(axis=-1), 0, np.nan)
    return found, camera
