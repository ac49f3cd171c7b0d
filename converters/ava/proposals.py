"""Person boxes that a detector proposed on AVA's keyframes, in the pickle that mmaction2 and its relatives read."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.converter import Reject
from har_bench.errors import HarBenchError
from har_bench.foreign import pickles
from har_bench.schema import column, table

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


def read_proposals(
    path: Path, source: str, beginning: float, fps: float, seen: set[tuple[str, float]]
) -> tuple[pa.Table, list[Reject]]:
    """The boxes of a pickle of ``{'VIDEO,0902': (N, 5) x1, y1, x2, y2, score}``, and its entries that are otherwise.

    Args:
        path: the pickle.
        source: what rejects call it.
        beginning: the second of the video that is frame 0.
        fps: frames per second.
        seen: the videos and seconds of other files, which must not come again; those of this one are added.

    Raises:
        HarBenchError: the file is no such pickle, or holds more than data.
    """
    entries = pickles.load(path)
    if not isinstance(entries, dict):
        raise HarBenchError(f"{path} holds no proposals 'VIDEO,0902': boxes; download it again")
    names: list[str] = []
    seconds: list[float] = []
    boxes: list[npt.NDArray[np.float64]] = []
    rejects: list[Reject] = []
    for key, value in entries.items():
        matched = _KEY.fullmatch(key) if isinstance(key, str) else None
        place = (matched[1], float(matched[2])) if matched else ("", 0.0)
        reason = _reason(value) if matched and place[1] >= beginning else "not a key such as 'VIDEO,0902'"
        if reason is None and place in seen:
            reason = "the keyframe occurs twice"
        if reason:
            rejects.append(Reject(source, repr(key)[:80], reason, "dropped"))
            continue
        seen.add(place)
        names.append(place[0])
        seconds.append(place[1])
        boxes.append(np.asarray(value, np.float64))
    return _table(names, np.array(seconds), boxes, beginning, fps), rejects


def _reason(value: object) -> str | None:
    """What is wrong with one keyframe's boxes."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or value.ndim != 2 or value.shape[1] != 5:
        return "not an (N, 5) array of x1, y1, x2, y2, score"
    return None if np.isfinite(value).all() else "boxes that are not finite"


def _table(
    names: list[str],
    seconds: npt.NDArray[np.float64],
    boxes: list[npt.NDArray[np.float64]],
    beginning: float,
    fps: float,
) -> pa.Table:
    counts = np.array([len(rows) for rows in boxes], np.int64)
    every = np.repeat(np.arange(len(names)), counts)
    stacked = np.concatenate(boxes) if boxes else np.empty((0, 5))
    timestamp = seconds[every] if len(names) else np.empty(0)
    return table(
        {
            "sequence": pa.array(names, pa.string()).take(pa.array(every)),
            "frame": np.rint((timestamp - beginning) * fps).astype(np.int32),
            "person": np.arange(len(every)) - np.repeat(np.cumsum(counts) - counts, counts),
            "timestamp": timestamp,
            "bbox_normalised": stacked[:, :4],
            "score": stacked[:, 4],
        },
        POSES,
    )
