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
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from har_bench.arrays import Bools, Floats
from har_bench.converter import Reject, nothing_kept
from har_bench.foreign import compressed
from har_bench.foreign.texts import fields, is_header, is_text, lines, utf8
from har_bench.raw import file_name
from har_bench.schema import one_array

LATEST = 10_000_000.0
"""Seconds: timestamps beyond it are not of a video, and their frame numbers would not fit."""

FILM, CLIP = (900.0, 1800.0), (0.0, LATEST)
"""The seconds that AVA annotates of a film, and those that a row of Kinetics may have."""

ROUNDING = 0.01
"""How far out of the image, in its sides, a box may reach: the files have three decimals."""

WIDTHS = (2, 7, 8)
"""Columns that a row may have."""

_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"(-?\d{1,18})(\.0*)?", re.ASCII)
_WIDE_ROW = re.compile(rb"^(?:[^,\n]*,){6,7}[^,\n]*$", re.MULTILINE)
_NAMES = ("video", "timestamp", "x1", "y1", "x2", "y2", "action", "person")
_TYPES = dict(zip(_NAMES, (pa.string(), *[pa.float64()] * 5, pa.int32(), pa.int64()), strict=True))
_UNUSUAL = (b'"', b"'", b";", b"\t", b"|", b" ", b"/", b"\\")  # what a clean file has nowhere


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
        rejects: the rows that could not be used, or not wholly.
    """

    video: pa.Array
    timestamp: Floats
    box: Floats
    action: npt.NDArray[np.int32]
    person: pa.Array
    empty: list[tuple[str, float]]
    rejects: list[Reject] = field(default_factory=list)


class _OddRowError(Exception):
    """The file has a row that Arrow alone cannot judge."""


def read_annotations(
    path: Path, source: str, actions: Collection[int], seconds: tuple[float, float] = FILM
) -> Annotations:
    """Read an annotation csv, plain or gzipped.

    Args:
        path: the file.
        source: what rejects call it.
        actions: the ids that rows may have.
        seconds: the first and the last that rows may have.

    Raises:
        HarBenchError: it has rows and none can be used, or person ids and none is one.
    """
    data = utf8(compressed.read(path), str(path))
    known = np.array(sorted(actions), np.int32)
    try:
        return by_arrow(data, known, seconds)
    except (_OddRowError, pa.ArrowInvalid):
        return by_line(data, path, source, known, seconds)


def by_arrow(data: bytes, known: npt.NDArray[np.int32], seconds: tuple[float, float]) -> Annotations:
    """The rows of a csv by Arrow, in a tenth of the time of :func:`by_line`; an odd row anywhere is an error."""
    first = _WIDE_ROW.search(data)
    if first is None or not data.isascii() or any(mark in data for mark in _UNUSUAL):
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
    in_time = (timestamp >= seconds[0]) & (timestamp <= seconds[1])
    if not (are_shares(box).all() and in_time.all() and np.isin(action, known).all()):
        raise _OddRowError
    return Annotations(
        video=one_array(table["video"]),
        timestamp=timestamp,
        box=box,
        action=action,
        person=one_array(table["person"]) if "person" in names else pa.nulls(table.num_rows, pa.int64()),
        empty=[_keyframe(text.split(","), seconds) for text in short],
    )


def are_shares(box: Floats) -> Bools:
    """Which of (N, 4) x1, y1, x2, y2 are fractions of the image, in that order; a corner may lie on its opposite."""
    x1, y1, x2, y2 = box.T  # by column: all() over so short an axis takes eight times as long
    across = (x1 >= -ROUNDING) & (x1 <= x2) & (x2 <= 1 + ROUNDING)
    return np.asarray(across & (y1 >= -ROUNDING) & (y1 <= y2) & (y2 <= 1 + ROUNDING))


def unlike_shares(box: Floats) -> str:
    """What is wrong with the four numbers of a box that are not :func:`are_shares`."""
    shown = ", ".join(f"{side:g}" for side in box)
    outside = bool(((box < -ROUNDING) | (box > 1 + ROUNDING)).any())
    fault = "is not in fractions of the image, 0 to 1" if outside else "ends before it begins"
    return f"box {shown} {fault}"


class _Row(NamedTuple):
    """A box with an action."""

    video: str
    timestamp: float
    box: list[float]
    action: int
    person: int | None


@dataclass
class _Reading:
    """What the lines of a file have given so far.

    Attributes:
        source: what rejects call the file.
        allowed: the ids that rows may have.
        seconds: the first and the last that rows may have.
        unboxed: rows with a box that were dropped.
        unnamed: the rejects of person ids that are none.
    """

    source: str
    allowed: frozenset[int]
    seconds: tuple[float, float]
    rows: list[_Row] = field(default_factory=list)
    empty: list[tuple[str, float]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    unboxed: int = 0
    unnamed: list[Reject] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Whether there was a row."""
        return bool(self.rows or self.empty or self.rejects)

    def add(self, number: int, cells: list[str]) -> None:
        """Take a row in, or report it; no cells are a line that is no text."""
        where = f"line {number}"
        try:
            row = _row(cells, self.allowed, self.seconds) if len(cells) != 2 else None
            if row is None:
                self.empty.append(_keyframe(cells, self.seconds))
        except _OddRowError as error:
            self.unboxed += len(cells) != 2
            self.report(where, str(error), "dropped")
            return
        if row is not None:
            self.rows.append(row)
        if file_name(cells[0]) != cells[0]:
            self.report(where, f"video {cells[0][:40]!r} is a path; its last part counts", "repaired")
        if row is not None and row.person is None and len(cells) == 8 and cells[7]:
            self.report(where, f"person {cells[7][:20]!r} is not a whole number; it is null", "repaired")
            self.unnamed.append(self.rejects[-1])

    def report(self, where: str, reason: str, action: Literal["dropped", "repaired"]) -> None:
        self.rejects.append(Reject(self.source, where, reason, action))


def by_line(
    data: bytes, path: Path, source: str, known: npt.NDArray[np.int32], seconds: tuple[float, float] = FILM
) -> Annotations:
    """The same as Arrow reads, one line after the other; what cannot be used is a reject."""
    reading = _Reading(source, frozenset(known.tolist()), seconds)
    rows = ((number, line) for number, line in enumerate(lines(data, str(path)), 1) if line.strip())
    header = None
    for number, line in rows:
        cells = _cells(line)
        if header is None and not reading.begun and len(cells) in WIDTHS and is_header(cells):
            header = number, cells
        else:
            reading.add(number, cells)
    if header and not reading.begun:  # a header of nothing is a broken row
        reading.add(*header)
    _refuse_nothing(path, reading)
    columns = list(zip(*reading.rows, strict=True)) or [()] * len(_Row._fields)
    return Annotations(
        video=pa.array(columns[0], pa.string()),
        timestamp=np.array(columns[1], np.float64),
        box=np.array(columns[2], np.float64).reshape(-1, 4),
        action=np.array(columns[3], np.int32),
        person=pa.array(columns[4], pa.int64()),
        empty=reading.empty,
        rejects=reading.rejects,
    )


def _cells(line: str) -> list[str]:
    """The columns of a line; none where it is not UTF-8."""
    cells = fields(line, WIDTHS) if is_text(line) else []
    if not any(cells[2:]):  # a spreadsheet gives every row as many columns as the widest
        return cells[:2]
    while len(cells) > max(WIDTHS) and not cells[-1]:
        cells.pop()
    return cells


def _refuse_nothing(path: Path, reading: _Reading) -> None:
    dropped = [reject for reject in reading.rejects if reject.action == "dropped"]
    if dropped and not reading.rows and (reading.unboxed or not reading.empty):
        raise nothing_kept(path, "rows VIDEO,0902,x1,y1,x2,y2,action[,person]", dropped)
    if reading.unnamed and all(row.person is None for row in reading.rows):  # detections, say, with a score there
        raise nothing_kept(path, "person ids, its eighth column,", reading.unnamed)


def _keyframe(cells: list[str], seconds: tuple[float, float]) -> tuple[str, float]:
    """The video and second at which a row begins."""
    video, timestamp = cells[0], _number(cells[1])
    if not video:
        raise _OddRowError("no video")
    if not seconds[0] <= timestamp <= seconds[1]:
        raise _OddRowError(f"second {timestamp:g} is not between {seconds[0]:g} and {seconds[1]:g}, as AVA's are")
    name = file_name(video)
    return (name if name == video else Path(name).stem), timestamp


def _row(cells: list[str], allowed: frozenset[int], seconds: tuple[float, float]) -> _Row:
    if not cells:
        raise _OddRowError("it is not UTF-8")
    if len(cells) not in WIDTHS:
        raise _OddRowError(f"{len(cells)} columns where a row has 2, 7 or 8")
    video, timestamp = _keyframe(cells, seconds)
    box = [_number(text) for text in cells[2:6]]
    if not are_shares(np.array([box])).all():
        raise _OddRowError(unlike_shares(np.array(box)))
    action = _whole(cells[6])
    if action is None:
        raise _OddRowError(f"action {cells[6][:20]!r} is not a whole number")
    if action not in allowed:
        raise _OddRowError(f"action {cells[6][:20]!r} is not in the action list")
    return _Row(video, timestamp, box, action, _whole(cells[7]) if len(cells) == 8 else None)


def _number(text: str) -> float:
    plain = text.replace(",", ".")  # a decimal comma, behind separators that are none
    value = float(plain) if _NUMBER.fullmatch(plain) else math.nan
    if not math.isfinite(value):
        raise _OddRowError(f"{text[:20]!r} is not a number")
    return value


def _whole(text: str) -> int | None:
    matched = _WHOLE.fullmatch(text)
    return int(matched[1]) if matched else None
