"""The store's tables of NTU RGB+D: their columns, and how the clips of a shard become their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.converter import Reject, Tables
from har_bench.schema import column, poses_schema, sequences_schema, table

from .metadata import Sample, packaged, splits
from .skeleton_file import JOINTS

Columns = dict[str, npt.NDArray[Any]]

FPS, WIDTH, HEIGHT = 30.0, 1920, 1080

LISTED = "listed-missing"
NOBODY = "nobody"
EMPTY_FRAMES = "empty-frames"
CROWD = "more-than-two"
COLLIDING = "colliding-ids"
NOT_FINITE = "not-finite"
TRUNCATED = "truncated"
DEFECTS = {
    LISTED: "in the authors' list of missing or incomplete skeletons, so in no split",
    NOBODY: "nobody is seen in any frame",
    EMPTY_FRAMES: "nobody is seen in some frames; n_frames counts them",
    CROWD: "more than two body ids: phantoms, or ids that change",
    COLLIDING: "body ids that become equal when they are read as doubles",
    NOT_FINITE: "some numbers are NaN or infinite",
    TRUNCATED: "the file breaks off, or holds more than the frames it announces; n_frames counts those that were read",
}
"""Known defects of sequences, with their meaning; they are named in the store and nothing is left out."""

SEQUENCES = sequences_schema(
    [
        column("setup", pa.int16(), about="S of the name: place and height of the cameras"),
        column("replication", pa.int16(), about="R of the name"),
        column("label", pa.int16(), about="A of the name, from 1"),
        column("listed_missing", pa.bool_(), about="in the list of missing or incomplete skeletons"),
        column("form", pa.string(), about="the raw form: skeleton, txt2npy, deephar, pyskl or ctrgcn"),
        column("defects", pa.list_(pa.string()), about="; ".join(f"{code}: {text}" for code, text in DEFECTS.items())),
    ]
)
_SLOT = column("slot", pa.uint8(), about="place among the bodies of the frame, as in the raw data")
_STATE = "0 unknown, 1 not tracked, 2 open, 3 closed, 4 lasso"
POSES = poses_schema(
    JOINTS,
    dims=(2, 3),
    extras=[
        _SLOT,
        column("tracking_state", pa.uint8(), shape=(JOINTS,), about="0 not tracked, 1 inferred, 2 tracked"),
        column("depth_keypoints", pa.float32(), "px", shape=(JOINTS, 2), about="in the 512x424 depth image"),
        column("orientation", pa.float32(), shape=(JOINTS, 4), about="quaternion w, x, y, z; 0 at the leaves"),
        column("clipped_edges", pa.uint8(), about="bits of the image's edges: 1 right, 2 left, 4 top, 8 bottom"),
        column("hand_left_confidence", pa.uint8(), about="0 low, 1 high"),
        column("hand_left_state", pa.uint8(), about=_STATE),
        column("hand_right_confidence", pa.uint8(), about="0 low, 1 high"),
        column("hand_right_state", pa.uint8(), about=_STATE),
        column("is_restricted", pa.uint8()),
        column("lean", pa.float32(), shape=(2,), about="to the side and forward, -1 to 1"),
        column("body_tracking_state", pa.uint8(), about="0 not tracked, 1 inferred, 2 tracked"),
    ],
)
"""The poses of ``.skeleton`` files: every field is there."""

SIMPLE = poses_schema(JOINTS, dims=(2, 3), extras=[_SLOT])
"""The poses of the forms that others made of these files."""

_AXES = np.array([1, -1, 1])  # the Kinect's y is up, the store's down; its x runs to the right of the mirrored image
_DIGITS = 7
_POWERS = 10.0 ** np.arange(64)


def to_millimetres(metres: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """(..., 3) Kinect camera space [m] as ``keypoints_3d`` [mm, y down]."""
    with np.errstate(over="ignore", invalid="ignore"):
        return single(metres * (1000.0 * _AXES))


def single(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """As float32; what is too large becomes infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32)


def to_metres(millimetres: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """``keypoints_3d`` [mm, y down] as the Kinect's (..., 3) camera space [m], every bit of it as in the raw text.

    The sensor's float32 were printed with seven significant digits, and a float32 of millimetres keeps seven digits
    (but for some below 0.001 mm). Rounding to them, and dividing the integer once by a power of ten, gives the very
    double that the text stands for.
    """
    values = millimetres.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):  # zero, NaN and infinity stay what they are
        magnitude = np.floor(np.log10(np.abs(values)))
        power = np.clip(_DIGITS - 1 - np.nan_to_num(magnitude, posinf=0, neginf=0), 0, 60).astype(np.intp)
        metres: npt.NDArray[np.float64] = np.rint(values * _POWERS[power]) / _POWERS[power + 3] * _AXES
    return metres


class Clip(NamedTuple):
    """One sequence as a raw file holds it.

    Attributes:
        sample: its name; None in a form that does not have it.
        frames: how many frames it has, those without bodies included.
        columns: the columns of its poses: ``frame``, ``slot``, ``person``, and what else the form has.
        source: path of the raw file under the raw root.
        finite: whether all its numbers are finite.
        row: columns of its sequence that the name would tell, in a form without names.
        whole: whether the file was read to its end, and the end is where it should be.
        flaws: what is wrong with values that the store does without.
    """

    sample: Sample | None
    frames: int
    columns: Columns
    source: str
    finite: bool
    row: dict[str, Any] = {}  # noqa: RUF012 - never written to
    whole: bool = True
    flaws: tuple[str, ...] = ()


def tables(clips: Sequence[Clip], classes: int, form: str, schema: pa.Schema, rejects: list[Reject]) -> Tables:
    """The tables of a shard.

    Args:
        clips: its sequences, in the order of their names.
        classes: 60 or 120, which decides the splits.
        form: what :data:`SEQUENCES` calls the raw form.
        schema: of the poses.
        rejects: taken over, and completed.
    """
    sequences = [_row(clip, classes, form) for clip in clips]
    parts = [_ordered(clip, rejects) for clip in clips]
    poses: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in (parts or [{}])[0]}
    rows = np.repeat(np.arange(len(parts)), [len(part["frame"]) for part in parts])
    poses["sequence"] = pa.array([row["sequence"] for row in sequences], pa.string()).take(pa.array(rows, pa.int64()))
    return Tables(pa.Table.from_pylist(sequences, SEQUENCES), table(poses, schema), rejects=rejects)


def _ordered(clip: Clip, rejects: list[Reject]) -> Columns:
    """A clip's bodies in the store's order; a body that is twice in a frame is kept once."""
    columns = clip.columns
    person, frame = columns["person"], columns["frame"]
    if not (person[1:] != person[:-1]).any() and (frame[1:] > frame[:-1]).all():
        return columns
    order = np.lexsort((frame, person))
    twice = (np.diff(person[order]) == 0) & (np.diff(frame[order]) == 0)
    for row in order[1:][twice].tolist():
        where = f"frame {frame[row]}, body {columns['slot'][row]}"
        rejects.append(Reject(clip.source, where, f"body {person[row]} is in this frame already", "dropped"))
    order = order[np.r_[True, ~twice]]
    return {name: values[order] for name, values in columns.items()}


def _row(clip: Clip, classes: int, form: str) -> dict[str, Any]:
    """The row of ``sequences``."""
    row: dict[str, Any] = {
        "n_frames": clip.frames,
        "fps": FPS,
        "width": WIDTH,
        "height": HEIGHT,
        "form": form,
        "splits": [],
        "defects": _defects(clip),
    }
    if clip.sample:
        name, setup, camera, performer, replication, action = clip.sample.name, *clip.sample
        row |= {
            "sequence": name,
            "subject": f"P{performer:03}",
            "camera": f"C{camera:03}",
            "media": f"nturgb+d_rgb/{name}_rgb.avi",
            "setup": setup,
            "replication": replication,
            "label": action,
            "listed_missing": name in packaged().missing,
            "splits": splits(clip.sample, classes),
        }
    row |= clip.row
    row["action"] = packaged().actions[row["label"] - 1]
    return row


def _defects(clip: Clip) -> list[str]:
    people = np.unique(clip.columns["person"])
    seen = len(np.unique(clip.columns["frame"]))
    found = {
        LISTED: clip.sample is not None and clip.sample.name in packaged().missing,
        NOBODY: not seen,
        EMPTY_FRAMES: 0 < seen < clip.frames,
        CROWD: len(people) > 2,
        COLLIDING: len(np.unique(people.astype(np.float64))) < len(people),
        NOT_FINITE: not clip.finite,
        TRUNCATED: not clip.whole,
    }
    return [code for code, present in found.items() if present]
