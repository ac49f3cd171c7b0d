"""What a Parquet file's pages say that they hold, read before anything of them is unfolded.

A column whose every value is the same takes a few bytes for a hundred million rows, and the sizes that the end of the
file repeats are only a copy of what stands before each page. So the headers of all pages are gone through first: how
many values each has, and how large it becomes. Arrow gives a column's place only where all that is said of it is sound,
and ends the process where it is not; so its end is read here, too. Both are structs of Thrift's compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from har_bench.arrays import Bytes, Ints, kernel
from har_bench.errors import Malformed
from har_bench.foreign import opening

_TAIL = 8
"""Bytes behind the description of the file: its length and ``PAR1``."""

_DEEPEST = 64
_FILE, _GROUPS, _GROUP, _CHUNKS, _CHUNK, _META, _PAGE, _COUNT, _OTHER = range(9)
"""Where a field is: of the file, of a list of groups of rows, of a group, and so on; of a page, of its counts."""

_END, _BYTE, _DOUBLE, _TEXT, _STRUCT = 0, 3, 7, 8, 12
_CONTAINERS = (9, 10, _STRUCT)
"""Kinds of values: below a byte are truth values without any, between it and doubles integers, then lists and sets."""

_ROW = 6
_GROUP_OF, _VALUES, _PACKED, _UNFOLDED, _DATA, _DICTIONARY = range(_ROW)
"""What is kept of a column or of a page."""

_WIDTHS = {"BOOLEAN": 9, "INT32": 12, "INT64": 16, "INT96": 12, "FLOAT": 4, "DOUBLE": 8, "BYTE_ARRAY": 8}
"""Bytes that a value becomes: whole numbers are counted again as doubles; texts are read as numbers of a dictionary."""


class Column(NamedTuple):
    """A column of one group of rows.

    Attributes:
        group: the number of the group.
        name: the column's path, such as ``keypoints.list.element``.
        cost: bytes that reading it makes: its pages, unpacked, and its values.
    """

    group: int
    name: str
    cost: int


def columns(path: Path, schema: pq.ParquetSchema) -> Iterator[Column]:
    """Every column of every group of rows.

    Args:
        path: a Parquet file.
        schema: its columns.

    Raises:
        Malformed: the end of the file, or a page's header, is damaged.
    """
    leaves = [schema.column(number) for number in range(len(schema))]
    widths = [(_WIDTHS.get(leaf.physical_type) or max(leaf.length, 1)) + _levels(leaf) for leaf in leaves]
    with opening.mapped(path) as content:
        size = int.from_bytes(content[-_TAIL:-4], "little")
        begin = len(content) - _TAIL - size
        chunks = np.zeros((max(size // _ROW, 1), _ROW), np.int64)
        data = np.frombuffer(content, np.uint8)
        try:
            end, count = _walk(data, begin, _FILE, chunks) if begin > 0 else (-1, 0)
            sound = end >= 0 and _count_pages(data, chunks[:count])
        finally:
            del data  # the file is closed below
    if not sound:
        raise Malformed("has pages whose headers are damaged")
    for number, chunk in enumerate(chunks[:count].tolist()):
        if chunk[_GROUP_OF] != number // len(leaves):
            raise Malformed("has a group of rows with other columns than the file")
        leaf = number % len(leaves)
        yield Column(chunk[_GROUP_OF], leaves[leaf].path, chunk[_UNFOLDED] + chunk[_VALUES] * widths[leaf])


def _levels(leaf: pq.ColumnSchema) -> int:
    """Bytes that Arrow keeps beside a value while it reads: 16 bits of whether it is there, 16 of whose list it is."""
    return int(2 * (leaf.max_definition_level > 0) + 2 * (leaf.max_repetition_level > 0))


@kernel
def _count_pages(data: Bytes, chunks: Ints) -> bool:
    """Put the values and unfolded bytes of all pages of a column in its row; False where a header is damaged.

    Args:
        data: (N,) bytes of the file.
        chunks: (C, 6) columns.
    """
    page = np.zeros((1, _ROW), np.int64)
    for number in range(len(chunks)):
        chunk = chunks[number]
        at = chunk[_DATA]
        if chunk[_DICTIONARY] > 0 and (chunk[_DICTIONARY] < at or at == 0):  # 0: no page of values, as nobody is there
            at = chunk[_DICTIONARY]
        stop = at + chunk[_PACKED]
        if not (0 <= at <= stop <= len(data)):
            return False
        values = unfolded = 0
        while at < stop:
            page[:] = 0
            at, _ = _walk(data, at, _PAGE, page)
            if at < 0 or page[0, _PACKED] < 0 or page[0, _UNFOLDED] < 0 or page[0, _VALUES] < 0:
                return False
            at += page[0, _PACKED]
            values += page[0, _VALUES]
            unfolded += page[0, _UNFOLDED]
        chunk[_VALUES] = max(values, chunk[_VALUES])
        chunk[_UNFOLDED] = unfolded
    return True


@kernel
def _walk(data: Bytes, at: int, root: int, found: Ints) -> tuple[int, int]:
    """Go through a struct; structs and lists in it wait on a stack of place, field, values left, and their kind.

    Args:
        data: (N,) bytes.
        at: where the struct begins.
        root: ``_FILE`` or ``_PAGE``: which it is.
        found: (M, 6) gets the columns of a file, or the sizes of a page in its first row.

    Returns:
        Where it ends, -1 where it is damaged; and how many columns there are.
    """
    stack = np.zeros((_DEEPEST + 1, 4), np.int64)
    stack[0, :3] = root, 0, -1
    top, count, group = 0, 0, -1
    while 0 <= top < _DEEPEST and 0 <= at < len(data):
        kind, at = _next(data, at, stack[top])
        if kind == _END:
            top -= 1
        elif kind in _CONTAINERS:
            inner = _inside(stack[top, 0], stack[top, 1])
            top += 1
            stack[top] = inner, 0, -1, 0
            if kind != _STRUCT:
                stack[top, 2], stack[top, 3], at = _list(data, at)
            elif inner == _GROUP:
                group += 1
            elif inner == _META:
                if count >= len(found):
                    return -1, 0
                found[count, _GROUP_OF] = group
                count += 1
        else:
            value, at = _plain(data, at, kind)
            kept = _kept(stack[top, 0], stack[top, 1])
            if kept >= 0:
                found[max(count - 1, 0), kept] = value
    return at if top < 0 else -1, count


@kernel
def _next(data: Bytes, at: int, inside: Ints) -> tuple[int, int]:
    """The kind of the next value of a struct or list, and where it begins; the number of a struct's field is kept."""
    if inside[2] >= 0:
        inside[2] -= 1
        if inside[2] < 0:
            return _END, at
        return (_BYTE if inside[3] < _BYTE else inside[3]), at  # a truth value in a list has a byte of its own
    byte = data[at]
    at += 1
    if byte >> 4:
        inside[1] += byte >> 4
    elif byte:
        inside[1], at = _integer(data, at)
    return int(byte & 15), at


@kernel
def _list(data: Bytes, at: int) -> tuple[int, int, int]:
    """How many values of which kind a list has, and where they begin."""
    byte = data[at]
    at += 1
    length = int(byte >> 4)
    if length == 15 and at < len(data):
        length, at = _varint(data, at)
    if not 0 <= length <= len(data) - at:
        return 0, 0, -1
    return length, int(byte & 15), at


@kernel
def _plain(data: Bytes, at: int, kind: int) -> tuple[int, int]:
    """A number, or 0 for another value, and where it ends; -1 where it is damaged."""
    if kind < _BYTE:
        return 0, at
    if kind == _BYTE:
        return 0, at + 1
    if kind < _DOUBLE:
        return _integer(data, at)
    if kind == _DOUBLE:
        return 0, at + 8
    if kind != _TEXT:
        return 0, -1
    length, at = _varint(data, at)
    return 0, at + length if 0 <= length <= len(data) - at else -1


@kernel
def _integer(data: Bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


@kernel
def _inside(place: int, field: int) -> int:
    """Where a list or struct in a field is."""
    if place == _FILE and field == 4:
        return _GROUPS
    if place == _GROUPS:
        return _GROUP
    if place == _GROUP and field == 1:
        return _CHUNKS
    if place == _CHUNKS:
        return _CHUNK
    if place == _CHUNK and field == 3:
        return _META
    if place == _PAGE and field in (5, 7, 8):
        return _COUNT
    return _OTHER


@kernel
def _kept(place: int, field: int) -> int:
    """Which number of a row a field is; -1 for none."""
    if place == _META:
        if field == 5:
            return _VALUES
        if field == 7:
            return _PACKED
        if field == 9:
            return _DATA
        if field == 11:
            return _DICTIONARY
    if place == _PAGE and field == 2:
        return _UNFOLDED
    if place == _PAGE and field == 3:
        return _PACKED
    return _VALUES if place == _COUNT and field == 1 else -1


@kernel
def _varint(data: Bytes, at: int) -> tuple[int, int]:
    """A number in sevens of bits, and where it ends; -1 where it does not."""
    value = shift = 0
    while shift < 64 and 0 <= at < len(data):
        byte = int(data[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return 0, -1
