"""Person boxes that a detector proposed on AVA's keyframes, in the pickle that mmaction2 and its relatives read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from har_bench.arrays import Floats, Ints
from har_bench.converter import Reject, nothing_kept
from har_bench.errors import HarBenchError
from har_bench.foreign import pickles
from har_bench.schema import column, table

from .annotations import FILM, are_shares, unlike_shares

POSES = pa.schema(
    [
        column("sequence", pa.string(), nullable=False),
        column("frame", pa.int32(), about="0-based", nullable=False),
        column("person", pa.int64(), about="row of the box among the keyframe's, from 0", nullable=False),
        column("bbox", pa.float32(), "px", shape=(4,), about="x, y, w, h"),
        column("timestamp", pa.float64(), "s", about="of the keyframe in the video"),
        column("bbox_normalised", pa.float64(), shape=(4,), about="x1, y1, x2, y2 as fractions of the image"),
        column("score", pa.float64(), about="of the detector"),
    ]
)
_KEY = re.compile(r"([\w-]+),(\d{1,7})", re.ASCII)


def read_proposals(path: Path, source: str, fps: float, seen: set[tuple[str, float]]) -> tuple[pa.Table, list[Reject]]:
    """The boxes of a pickle of ``{'VIDEO,0902': (N, 5) x1, y1, x2, y2, score}``, and its entries that are otherwise.

    Args:
        path: the pickle.
        source: what rejects call it.
        fps: frames per second.
        seen: the videos and seconds of other files, which must not come again; those of this one are added.

    Raises:
        HarBenchError: the file is no such pickle, holds more than data, or no box that can be used.
    """
    entries = pickles.load(path)
    if not isinstance(entries, dict):
        raise HarBenchError(f"{path} holds no proposals 'VIDEO,0902': boxes; download it again")
    found: list[_Keyframe] = []
    rejects: list[Reject] = []
    for key, value in entries.items():
        where = repr(key)[:80]
        place = _place(key)
        reason = _reason(place, value, seen)
        if place is None or reason:
            rejects.append(Reject(source, where, reason, "dropped"))
            continue
        seen.add(place)
        found.append(_Keyframe(*place, *_boxes(np.asarray(value, np.float64), source, where, rejects)))
    dropped = [reject for reject in rejects if reject.action == "dropped"]
    if dropped and not any(len(keyframe.rows) for keyframe in found):
        raise nothing_kept(path, "entries 'VIDEO,0902': boxes", dropped)
    return _table(found, fps), rejects


class _Keyframe(NamedTuple):
    """The boxes of a keyframe: (N, 4) or (N, 5), and the (N,) row of each among those in the file."""

    video: str
    second: float
    boxes: Floats
    rows: Ints


def _place(key: object) -> tuple[str, float] | None:
    matched = _KEY.fullmatch(key) if isinstance(key, str) else None
    return (matched[1], float(matched[2])) if matched else None


def _reason(place: tuple[str, float] | None, value: object, seen: set[tuple[str, float]]) -> str:
    """What is wrong with one keyframe; empty where nothing is."""
    if place is None:
        return "not a key such as 'VIDEO,0902'"
    if not FILM[0] <= place[1] <= FILM[1]:
        return f"second {place[1]:g} is not between {FILM[0]:g} and {FILM[1]:g}, as AVA's are"
    if place in seen:
        return "the keyframe occurs twice, here or in another file of proposals"
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or value.ndim != 2:
        return "not an (N, 5) array of x1, y1, x2, y2, score"
    return "" if value.shape[1] in (4, 5) else "not an (N, 5) array of x1, y1, x2, y2, score"


def _boxes(boxes: Floats, source: str, where: str, rejects: list[Reject]) -> tuple[Floats, Ints]:
    """The boxes that are shares of the image, and their rows; the others are reported."""
    usable = are_shares(boxes[:, :4])
    for row in np.flatnonzero(~usable).tolist():
        rejects.append(Reject(source, f"{where}[{row}]", unlike_shares(boxes[row, :4]), "dropped"))
    rows = np.flatnonzero(usable)
    for row in rows[~np.isfinite(boxes[rows, 4:]).all(axis=1)].tolist():
        rejects.append(Reject(source, f"{where}[{row}]", "a score that is not finite; it is null", "repaired"))
    return boxes[rows], rows


def _table(found: list[_Keyframe], fps: float) -> pa.Table:
    counts = np.array([len(keyframe.rows) for keyframe in found], np.int64)
    every = np.repeat(np.arange(len(found)), counts)
    timestamp = np.array([keyframe.second for keyframe in found], np.float64)[every]
    boxes = np.concatenate([np.empty((0, 4)), *(keyframe.boxes[:, :4] for keyframe in found)])
    # without a fifth column there is no score
    padded = (np.pad(keyframe.boxes[:, 4:], ((0, 0), (0, 1)), constant_values=np.nan)[:, 0] for keyframe in found)
    score = np.concatenate([np.empty(0), *padded])
    return table(
        {
            "sequence": pa.array([keyframe.video for keyframe in found], pa.string()).take(pa.array(every)),
            "frame": np.rint((timestamp - FILM[0]) * fps).astype(np.int32),
            "person": np.concatenate([np.empty(0, np.int64), *(keyframe.rows for keyframe in found)]),
            "timestamp": timestamp,
            "bbox_normalised": boxes,
            "score": pa.array(score, mask=~np.isfinite(score)),
        },
        POSES,
    )
