"""AVA's csv files: a row is a box with one action at a keyframe, or a keyframe alone.

Rows have 7 columns (video, second, x1, y1, x2, y2, action; v1.0, v2.0 and Kinetics), 8 (a person id besides; from v2.1
on) or 2 (an annotated keyframe without boxes). Arrow parses a clean file. A file with anything odd in it is read again
line by line, so that each broken row is reported with its place and the others are kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from har_bench.converter import Reject
from har_bench.errors import HarBenchError
from har_bench.foreign import compressed
from har_bench.schema import one_array

LATEST = 10_000_000.0
"""Seconds: timestamps beyond it are not of a video, and their frame numbers would not fit."""

_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WIDE_ROW = re.compile(rb"^(?:[^,\n]*,){6,7}[^,\n]*$", re.MULTILINE)
_NAMES = ("video", "timestamp", "x1", "y1", "x2", "y2", "action", "person")
_TYPES = dict(zip(_NAMES, (pa.string(), *[pa.float64()] * 5, pa.int32(), pa.int64()), strict=True))


@dataclass
class Annotations:
    """The rows of one csv, in the order of the file.

    Attributes:
        video: string of each box row.
        timestamp: (N,) seconds.
        box: (N, 4) x1, y1, x2, y2 as fractions of the width and height.
        action: (N,) ids.
        person: int64, null where the file has none.
        empty: the rows of two columns: video and seconds.
        rejects: the rows that could not be used.
    """

    video: pa.Array
    timestamp: npt.NDArray[np.float64]
    box: npt.NDArray[np.float64]
    action: npt.NDArray[np.int32]
    person: pa.Array
    empty: list[tuple[str, float]]
    rejects: list[Reject] = field(default_factory=list)


class _OddRowError(Exception):
    """The file has a row that Arrow alone cannot judge."""


def read_annotations(path: Path, source: str, actions: Collection[int]) -> Annotations:
    """Read an annotation csv, plain or gzipped.

    Args:
        path: the file.
        source: what rejects call it.
        actions: the ids that rows may have.

    Raises:
        HarBenchError: no row of the file is one of AVA's.
    """
    data = compressed.read(path)
    known = np.array(sorted(actions), np.int32)
    try:
        found = _by_arrow(data, known)
    except (_OddRowError, pa.ArrowInvalid):
        found = by_line(data, source, known)
    if found.rejects and not len(found.video) and not found.empty:
        raise HarBenchError(f"{path} holds no row such as 'VIDEO,0902,x1,y1,x2,y2,action[,person]'; download it again")
    return found


def _by_arrow(data: bytes, known: npt.NDArray[np.int32]) -> Annotations:
    first = _WIDE_ROW.search(data)
    if first is None or not data.isascii():
        raise _OddRowError
    names = _NAMES[: first.group().count(b",") + 1]
    short: list[str] = []

    def on_other_width(row: pyarrow.csv.InvalidRow) -> str:
        if row.actual_columns != 2:
            return "error"
        short.append(row.text)
        return "skip"

    table = pyarrow.csv.read_csv(
        pa.BufferReader(data),
        pyarrow.csv.ReadOptions(use_threads=False, column_names=names),
        pyarrow.csv.ParseOptions(quote_char=False, invalid_row_handler=on_other_width),
        pyarrow.csv.ConvertOptions(column_types=_TYPES, null_values=[""], strings_can_be_null=True),
    ).combine_chunks()
    if any(table[name].null_count for name in _NAMES[:7]):
        raise _OddRowError
    timestamp, *sides = (table[name].to_numpy() for name in _NAMES[1:6])
    box = np.stack(sides, axis=1)
    action = table["action"].to_numpy()
    if not (np.isfinite(box).all() and _in_time(timestamp).all() and np.isin(action, known).all()):
        raise _OddRowError
    return Annotations(
        video=one_array(table["video"]),
        timestamp=timestamp,
        box=box,
        action=action,
        person=one_array(table["person"]) if "person" in names else pa.nulls(table.num_rows, pa.int64()),
        empty=[_keyframe(text.split(",")) for text in short],
    )


def _in_time(timestamp: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    return (timestamp >= 0) & (timestamp <= LATEST)


def _keyframe(fields: list[str]) -> tuple[str, float]:
    """The video and second at which a row begins."""
    video, timestamp = fields[0], _number(fields[1])
    if not video or not 0 <= timestamp <= LATEST:
        raise _OddRowError(f"no video, or a timestamp that is not between 0 and {LATEST:g} s")
    return video, timestamp


def by_line(data: bytes, source: str, known: npt.NDArray[np.int32]) -> Annotations:
    """The same as Arrow reads, one line after the other; what cannot be used is a reject."""
    rows: list[tuple[Any, ...]] = []
    empty: list[tuple[str, float]] = []
    rejects: list[Reject] = []
    allowed = set(known.tolist())
    for number, line in enumerate(re.split(rb"\r\n|\n|\r", data), 1):
        if not line:
            continue
        try:
            fields = line.decode().split(",")
            if len(fields) == 2:
                empty.append(_keyframe(fields))
            else:
                rows.append(_row(fields, allowed))
        except (_OddRowError, UnicodeDecodeError) as error:
            rejects.append(Reject(source, f"line {number}", str(error)[:200], "dropped"))
    columns = list(zip(*rows, strict=True)) or [()] * 5
    return Annotations(
        video=pa.array(columns[0], pa.string()),
        timestamp=np.array(columns[1], np.float64),
        box=np.array(columns[2], np.float64).reshape(-1, 4),
        action=np.array(columns[3], np.int32),
        person=pa.array(columns[4], pa.int64()),
        empty=empty,
        rejects=rejects,
    )


def _row(fields: list[str], allowed: set[int]) -> tuple[str, float, list[float], int, int | None]:
    if len(fields) not in (7, 8):
        raise _OddRowError(f"{len(fields)} columns where a row has 2, 7 or 8")
    video, timestamp = _keyframe(fields)
    box = [_number(text) for text in fields[2:6]]
    action = _whole(fields[6])
    if action not in allowed:
        raise _OddRowError(f"action {fields[6][:20]!r} is not in the action list")
    return video, timestamp, box, action, _whole(fields[7]) if len(fields) == 8 and fields[7] else None


def _number(text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise _OddRowError(f"{text[:20]!r} is not a number")
    return value


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        raise _OddRowError(f"{text[:20]!r} is not a whole number")
    return int(text)
