"""Anybody's tracks of people for PHALP and for LART: boxes to follow, and tracklets with joints and without a body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from har_bench.arrays import Bools, Floats, Ints
from har_bench.errors import HarBenchError
from har_bench.exporting import Done, Exporter
from har_bench.exporting.pictures import boxes, picture
from har_bench.files import write_whole
from har_bench.foreign.writing import write_pickle
from har_bench.options import option
from har_bench.store import SequenceView, Store

from .release import FPS
from .sample import joblib_bytes
from .tracklets import ACTIONS

JOINTS = 44
"""Rows of a tracklet's joints that may be any; the last of the 45 is zero."""

HALF = 62
"""Frames before a key frame, and after it, that LART sees."""

MOST = 10**9
"""A tracklet's name has numbers of people below."""

MM_PER_M, DEPTH = 1000.0, 200.0


def _points(view: SequenceView) -> Floats:
    """(N, J, 2 or 3) joints: in space where the store has them."""
    names = view.poses.column_names
    name = "keypoints_3d" if "keypoints_3d" in names else "keypoints"
    return np.asarray(getattr(view, name), np.float64)


def _tracks(view: SequenceView) -> Iterator[tuple[int, Ints]]:
    """A number of every person, at most nine digits long, with the rows in which they are."""
    people = np.unique(view.person).tolist()
    short = all(0 <= person < MOST for person in people)
    for place, person in enumerate(people):
        yield person if short else place, np.flatnonzero(view.person == person)


@dataclass
class PHALPTracks(Exporter):
    """``{picture: {gt_bbox (N, 4) x, y, w, h, extra_data {gt_class [], gt_track_id (N,)}}}``, a pickle a sequence.

    PHALP's own description says that boxes are x1, y1, x2, y2; its code and its own file have x, y, w, h.
    """

    summary = "gt_tracks of PHALP: boxes and tracks that it takes in the place of its detector's"
    loses = ("joints; persons without a box",)

    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        """``SEQUENCE.pkl``."""
        for view in store.each(sequences):
            points = np.asarray(getattr(view, "keypoints", np.full((len(view), 1, 2), np.nan)), np.float64)
            found = boxes(view.poses, points)
            there = np.isfinite(found).all(axis=1)
            content: dict[str, Any] = {}
            for frame in np.unique(view.frame[there]).tolist():
                rows = np.flatnonzero(there & (view.frame == frame))
                extra = {"gt_class": [], "gt_track_id": view.person[rows].astype(np.int64)}
                content[f"{frame + 1:06d}.jpg"] = {"gt_bbox": found[rows].astype(np.float32), "extra_data": extra}
            path = out / f"{view.info['sequence']}.pkl"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_pickle(path, content)
            done(int(there.sum()))


@dataclass
class Tracklets(Exporter):
    """Tracklets of people whose joints are known and whose bodies, features and actions are not.

    The body stands as SMPL's does at rest. Joints in space are in metres about the root, whose place is the camera's;
    those in a picture are about the middle of the box, in its heights. They keep their own order, so a model is to be
    trained on them (``parts=joints``): released weights see other joints.
    """

    summary = "tracklets for lart, of anybody's poses: joints, boxes, frames"
    loses = ("more than 44 joints; how well each is seen",)

    origin: str = option("", "such as ava-val: a tracklet about every second of a film of AVA; the store's must be")

    def select(self, store: Store) -> pa.Table:
        """Every sequence.

        Raises:
            HarBenchError: the store has no joints, or too many.
        """
        count = len(store.skeleton())
        if count > JOINTS:
            raise HarBenchError(
                f"{store.path} has {count} joints, and a tracklet has room for {JOINTS}; export another"
            )
        return store.sequences

    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        """``CLIP_TRACK_LENGTH.pkl``, or with ``origin`` ``ORIGIN_VIDEO_KEYFRAME_TRACK_LENGTH.pkl``."""
        for view in store.each(sequences):
            for person, rows in _tracks(view):
                for clip, kept in self._clips(view, rows):
                    content = _tracklet(view, kept, list(store.skeleton().parents).index(-1), of_film=bool(self.origin))
                    name = f"{clip}_{person}_{len(content['frame_name'])}.pkl"
                    write_whole(out / name, joblib_bytes(content))
            done(len(view))
        self.notes = ("labels are nobody's (has_gt 0): set action_label_gt and has_gt where you have some",)

    def _clips(self, view: SequenceView, rows: Ints) -> Iterator[tuple[str, Ints]]:
        name = view.info["sequence"]
        if not self.origin:
            yield name.replace("/", "-"), rows
            return
        if len(name) != 11:
            raise HarBenchError(f"{name} is no film of AVA, whose names have 11 characters; leave origin out")
        frames = view.frame[rows]
        for key in range(-(-int(frames.min()) // int(FPS)) * int(FPS), int(frames.max()) + 1, int(FPS)):
            yield f"{self.origin}_{name}_{key:06d}", rows[np.abs(frames - key) <= HALF]


def _tracklet(view: SequenceView, rows: Ints, root: int, *, of_film: bool) -> Mapping[str, Any]:
    """One person's rows as a tracklet; frames between them only bridge a gap."""
    frames = view.frame[rows]
    whole = np.arange(frames[0], frames[-1] + 1)
    place = frames - frames[0]
    joints, camera, box = _placed(view, rows, root)
    seen = np.zeros(len(whole), bool)
    seen[place] = np.isfinite(joints).any(axis=(1, 2))
    pose = np.zeros((len(whole), 1, 229))
    pose[seen, 0, :216] = np.tile(np.eye(3).ravel(), 24)
    width, height = view.info.get("width"), view.info.get("height")
    size = np.array([height or 0, width or 0])

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
        "frame_name": [f"{frame:06d}.jpg" if of_film else picture(view.info, frame) for frame in whole.tolist()],
        "frame_size": [size * int(there) for there in seen],
        "frame_bbox": list(spread(box)),
        "frame_conf": [float(there) for there in seen],
    }


def _column(seen: Bools) -> Floats:
    return seen.astype(np.float64).reshape(-1, 1, 1)


def _placed(view: SequenceView, rows: Ints, root: int) -> tuple[Floats, Floats, Floats]:
    """(T, 45, 3) joints, (T, 3) camera and (T, 4) box of some rows; what is not there is NaN."""
    points = _points(view)[rows]
    flat = points if points.shape[-1] == 2 else np.full((*points.shape[:2], 2), np.nan)
    box = boxes(view.poses.take(pa.array(rows)), flat)
    found = np.full((len(rows), JOINTS + 1, 3), np.nan)
    camera = np.zeros((len(rows), 3))
    if points.shape[-1] == 3:
        middle = points[:, root] / MM_PER_M
        found[:, : points.shape[1]] = points / MM_PER_M - middle[:, None]
        camera = middle / np.array([1, 1, DEPTH])
    else:
        middle = box[:, None, :2] + box[:, None, 2:] / 2
        found[:, : points.shape[1], :2] = (points - middle) / box[:, None, 3:]
        found[:, : points.shape[1], 2] = np.where(np.isfinite(points).all(axis=-1), 0, np.nan)
    return found, camera, box
