"""Tracks of people as PHALP and LART keep them: joblib pickles with a SMPL body, boxes, labels and features per frame.

A *tracklet* file is one person in one clip, ``DATASET_VIDEO_KEYFRAME_TRACK_LENGTH.pkl`` in LART's data and
``VIDEO_TRACK_LENGTH.pkl`` in its demo's; a *results* file, ``demo_VIDEO.pkl``, is what PHALP says of a whole video.
Tracklets become rows of ``poses`` without loss; a results file is first turned into tracklets as PHALP does it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Anything
from har_bench.errors import HarBenchError, Malformed
from har_bench.foreign import joblib
from har_bench.foreign.numbers import numbers
from har_bench.schema import column, table, vector

ACTIONS = 80

POSES = pa.schema(
    [
        column("sequence", pa.string(), nullable=False),
        column("frame", pa.int32(), about="fid, 0-based", nullable=False),
        column("person", pa.int64(), about="the track's number in its clip", nullable=False),
        column("bbox", pa.float64(), "px", shape=(4,), about="x, y, w, h; null where the tracklet has zeros"),
        column("confidence", pa.float64(), about="frame_conf, of the detector"),
        column("frame_name", pa.string()),
        column("frame_size", pa.int32(), "px", shape=(2,), about="height, width; 0 where nothing was detected"),
        column("has_detection", pa.bool_(), about="else the frame only bridges a gap and its values are zeros"),
        column("has_gt", pa.uint8(), about="2 action_label_gt is true, 1 there is a pseudo label, 0 none"),
        column("pose_shape", pa.float64(), shape=(229,), about="SMPL: 24 rotations 3x3, 10 betas; camera x, y, z/200"),
        column("joints_3d", pa.float64(), "m", shape=(45, 3), about="3d_joints: 25 of OpenPose, 19 others, a zero row"),
        column("camera", pa.float64(), shape=(3,), about="x, y, z/200"),
        column("camera_bbox", pa.float64(), shape=(3,)),
        column("action_label_gt", pa.uint8(), shape=(ACTIONS,), about="index is the action's number - 1"),
        column("appearance_index", pa.int64(), about="apperance_index: the key of this frame's feature; null: none"),
        column("appearance", pa.list_(pa.float64()), about="apperance_dict, in the first row that has the key"),
        column("action_label_pseudo", pa.float64(), shape=(ACTIONS,), about="action_label_psudo, in the same row"),
    ]
)

_FILM = re.compile(r".{11}")
_TRACKLET = re.compile(r"(?P<clip>.+)_(?P<track>\d{1,9})_\d{1,9}")
_CLIP = re.compile(r"(?P<dataset>[A-Za-z]+-[a-z]+)_(?P<video>.{11})_(?P<keyframe>\d{6})")
_RESULTS, _GIVEN = "demo_", "gt_tracks"


@dataclass(frozen=True)
class Name:
    """What a file's name says.

    Attributes:
        clip: the sequence: all tracklets of one clip share it.
        track: the person; None for a file that has all of them.
    """

    clip: str
    track: int | None

    @property
    def origin(self) -> tuple[str | None, str | None, int | None]:
        """LART's data set, video and key frame; None in the files of a demo."""
        matched = _CLIP.fullmatch(self.clip)
        return (matched["dataset"], matched["video"], int(matched["keyframe"])) if matched else (None, None, None)

    @property
    def film(self) -> str | None:
        """The film of AVA's that a file of boxes alone is of, a whole one; its name has 11 characters."""
        return self.clip if self.track is None and _FILM.fullmatch(self.clip) else None


def parse(path: Path) -> Name | None:
    """The name of a tracklet, of a results file or of gt_tracks; None for any other file."""
    matched = _TRACKLET.fullmatch(path.stem)
    if path.stem.startswith(_RESULTS) or _CLIP.fullmatch(path.stem) or _GIVEN in path.stem:
        return Name(path.stem, None)
    if matched:
        return Name(matched["clip"], int(matched["track"]))
    return Name(path.stem, None) if _FILM.fullmatch(path.stem) else None


NEEDED = ("3d_joints", "camera", "bbox")
"""What PHALP's results must have of everybody, besides a SMPL body; without the rest columns are null."""

MISSHAPEN = (LookupError, TypeError, ValueError, AttributeError, OverflowError, Malformed)
"""What is raised where a file's content is not what it should be."""


def read_poses(path: Path, name: Name, flaws: list[str] | None = None) -> pa.Table:
    """The rows of a tracklet, or of all tracks of a results file; as :func:`poses_of`."""
    return poses_of(path, joblib.load(path), name, flaws)


def poses_of(path: Path, found: Any, name: Name, flaws: list[str] | None = None) -> pa.Table:
    """The rows of a tracklet, or of all tracks of a results file.

    Args:
        path: the file.
        found: its content.
        name: what its name says.
        flaws: gets what is wrong with the values that are null for it.

    Raises:
        HarBenchError: the file holds something else, more than data, or no frames with a body.
    """
    if not isinstance(found, dict):
        raise HarBenchError(f"{path} holds a {type(found).__name__} and not a tracklet; remove it")
    flaws = [] if flaws is None else flaws
    try:
        tracks = {name.track: found} if name.track is not None else from_phalp(found)
        return pa.concat_tables(
            [_rows(name.clip, track, tracklet, flaws) for track, tracklet in tracks.items()] or [POSES.empty_table()]
        )
    except MISSHAPEN as error:
        what = "are no whole results of PHALP's" if name.track is None else "is not a whole tracklet"
        reason = f"no {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
        raise HarBenchError(f"{path} {what} ({reason}); remove it") from error


def _rows(clip: str, track: int | None, tracklet: Mapping[str, Any], flaws: list[str]) -> pa.Table:
    """The frames with their bodies, without which there is no tracklet; anything else may be null."""
    frame = _whole(_per_frame(tracklet, "fid", len(tracklet["frame_name"])), np.int32)
    if (np.diff(frame) <= 0).any() or (frame[:1] < 0).any():
        raise ValueError("fid must be 0 or more and increase")

    def floats(name: str, *shape: int) -> npt.NDArray[np.float64]:
        return np.asarray(_per_frame(tracklet, name, len(frame), *shape), np.float64)

    box = floats("frame_bbox", 4)
    return table(
        {
            "sequence": pa.repeat(clip, len(frame)),
            "frame": frame,
            "person": np.full(len(frame), track, np.int64),
            "bbox": vector(box, mask=(box == 0).all(axis=1)),
            "frame_name": [str(text) for text in tracklet["frame_name"]],
            "has_detection": _whole(_per_frame(tracklet, "has_detection", len(frame)), np.bool_),
            "pose_shape": floats("pose_shape", 229),
            "joints_3d": floats("3d_joints", 45, 3),
            **_described(tracklet, len(frame), f" of track {track}", flaws),
        },
        POSES,
    )


_DESCRIBED: dict[str, tuple[str, type, tuple[int, ...]]] = {
    "confidence": ("frame_conf", np.float64, ()),
    "frame_size": ("frame_size", np.int32, (2,)),
    "camera": ("camera", np.float64, (3,)),
    "camera_bbox": ("camera_bbox", np.float64, (3,)),
    "has_gt": ("has_gt", np.uint8, ()),
    "action_label_gt": ("action_label_gt", np.uint8, (ACTIONS,)),
    "appearance_index": ("apperance_index", np.int64, ()),
}
"""By column: what a tracklet calls it, and its type and shape. The last three are not in a results file."""

_KEYED = {"appearance": "apperance_dict", "action_label_pseudo": "action_label_psudo"}
_UNTRAINED = ("has_gt", "action_label_gt", "apperance_index")


def _described(tracklet: Mapping[str, Any], frames: int, owner: str, flaws: list[str]) -> dict[str, Any]:
    """The columns that may be null; what is wrong with one goes to ``flaws``."""
    columns: dict[str, Any] = {}
    for column_name, (name, kind, shape) in _DESCRIBED.items():
        if name in tracklet or name not in _UNTRAINED:
            try:
                values = _per_frame(tracklet, name, frames, *shape)
                columns[column_name] = values.astype(kind) if kind is np.float64 else _whole(values, kind)
            except (LookupError, TypeError, ValueError, Malformed) as error:
                flaws.append(f"{name}{owner} is null ({type(error).__name__}: {error})")
    index = columns.get("appearance_index")
    first = {} if index is None else _first_rows(index)
    if index is not None:
        columns["appearance_index"] = pa.array(index, mask=index == -1)
    for column_name, name in _KEYED.items():
        try:
            columns[column_name] = _keyed(tracklet, name, first, frames, POSES.field(column_name).type)
        except (TypeError, ValueError, AttributeError, Malformed) as error:
            flaws.append(f"{name}{owner} is null ({type(error).__name__}: {error})")
    return columns


def _per_frame(tracklet: Mapping[str, Any], name: str, frames: int, *shape: int) -> Anything:
    """A value of every frame, whether the file has (T, 1, ...) or a list of T; (T, ...)."""
    try:
        values = numbers(tracklet[name])
    except Malformed as wrong:
        raise ValueError(f"{name} {wrong}") from wrong
    if values.dtype.kind not in "fiub" or values.shape not in ((frames, *shape), (frames, 1, *(shape or (1,)))):
        raise ValueError(f"{name} is {values.dtype} {values.shape} where {frames} frames of {shape or 1} are expected")
    return values.reshape(frames, *shape)


def _whole(values: Anything, kind: type) -> Anything:
    """The same numbers as integers, which must hold them all."""
    with np.errstate(invalid="ignore"):
        integers: Anything = values.astype(kind)
    if not np.array_equal(integers, values):
        raise ValueError(f"numbers that are no {np.dtype(kind)}")
    return integers


def _first_rows(index: Anything) -> dict[int, int]:
    """The first row of each key."""
    keys, rows = np.unique(index, return_index=True)
    return {key: row for key, row in zip(keys.tolist(), rows.tolist(), strict=True) if key != -1}


def _keyed(tracklet: Mapping[str, Any], name: str, first: dict[int, int], frames: int, kind: pa.DataType) -> pa.Array:
    """The values of a dictionary, each in the first row that has its key."""
    rows: list[Anything | None] = [None] * frames
    for key, value in tracklet.get(name, {}).items():
        try:
            found = numbers(value)
        except Malformed as wrong:
            raise ValueError(f"{name} has a key {key!r} that {wrong}") from wrong
        if key not in first or found.dtype.kind not in "fiu" or found.shape != (1, found.size):
            raise ValueError(f"{name} has a key {key!r} that no frame has, or that is not one row of numbers")
        rows[first[key]] = found[0].astype(np.float64)
    return pa.array(rows, kind)


def from_phalp(results: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """The tracks of a PHALP results file, in the form of tracklets and with PHALP's own rules.

    A track goes from the first to the last frame in which it was seen (``tracked_time`` 0); in the frames between
    where it was only predicted everything is zero. The camera's z is divided by 200.

    Args:
        results: ``{frame: {"time", "tid", "tracked_time", "smpl", "camera", ...}}`` with parallel lists.

    Returns:
        By track: ``fid``, ``has_detection`` (T, 1, 1), ``pose_shape`` (T, 1, 229), ``3d_joints`` (T, 1, 45, 3),
        ``camera``, ``camera_bbox`` (T, 1, 3), and lists of T: ``frame_name``, ``frame_size`` [height, width],
        ``frame_bbox`` [x, y, w, h], ``frame_conf``.

    Raises:
        LookupError, TypeError, ValueError, Malformed: the results are not PHALP's.
    """
    seen: dict[int, list[tuple[str, Mapping[str, Any], int]]] = {}
    for frame, entry in results.items():
        for place, track in enumerate(entry["tid"]):
            seen.setdefault(int(track), []).append((str(frame), entry, place))
    return {track: _tracklet(places) for track, places in sorted(seen.items()) if any(map(_detected, places))}


def _detected(place: tuple[str, Mapping[str, Any], int]) -> bool:
    _, entry, position = place
    return bool(entry["tracked_time"][position] == 0)


def _tracklet(places: list[tuple[str, Mapping[str, Any], int]]) -> dict[str, Any]:
    detected = np.array([_detected(place) for place in places])
    present = np.flatnonzero(detected)
    places, detected = places[present[0] : present[-1] + 1], detected[present[0] : present[-1] + 1]
    fields = {"3d_joints": (45, 3), "camera": (3,), "camera_bbox": (3,), "size": (2,), "bbox": (4,), "conf": ()}
    given = [entry for _, entry, _ in places]  # some versions write no camera_bbox, size or conf
    fields = {name: shape for name, shape in fields.items() if name in NEEDED or all(name in each for each in given)}
    values = {name: np.zeros((len(places), *shape)) for name, shape in fields.items()}
    body = np.zeros((len(places), 226))
    for row, (_, entry, position) in enumerate(places):
        if detected[row]:
            for name, array in values.items():
                array[row] = numbers(entry[name][position]).reshape(fields[name])
            smpl = entry["smpl"][position]
            parts = [numbers(smpl[part]).reshape(-1) for part in ("global_orient", "body_pose", "betas")]
            body[row] = np.concatenate(parts)
    # the z of PHALP's float32 cameras is divided in float32
    values["camera"][:, 2] = values["camera"][:, 2].astype(np.float32) / np.float32(200)
    return {
        "fid": np.array([entry["time"] for _, entry, _ in places], np.float64).reshape(-1, 1, 1),
        "has_detection": detected.astype(np.float64).reshape(-1, 1, 1),
        "pose_shape": np.concatenate([body, values["camera"]], axis=1)[:, None],
        **{name: values[name][:, None] for name in ("3d_joints", "camera", "camera_bbox") if name in values},
        "frame_name": [frame for frame, _, _ in places],
        **{f"frame_{name}": list(values[name]) for name in ("size", "bbox", "conf") if name in values},
    }
