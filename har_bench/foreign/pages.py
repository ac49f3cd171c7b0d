"""What a Parquet file's pages say that they hold, read before anything of them is unfolded.

A column whose every value is the same takes a few bytes for a hundred million rows, and the sizes that the end of the
file repeats are only a copy of what stands before each page. So the headers of all pages are gone through first: how
many values each has, and how large it becomes. They are structs of Thrift's compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from har_bench.errors import Malformed
from har_bench.foreign import opening

_UNFOLDED, _PACKED = 2, 3
"""The fields of a page header: its sizes; the numbers of those that say how many values the page has follow."""
_DATA, _DICTIONARY, _DATA_V2 = 5, 7, 8
_FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 2, 3, 7, 8, 9, 10, 12
_DEEPEST = 8
_DAMAGED = "has a page whose header is damaged"

_WIDTHS = {"BOOLEAN": 1, "INT32": 8, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8, "BYTE_ARRAY": 8}
"""Bytes that a value becomes; texts are read as numbers of a dictionary, and pointed to."""


class Column(NamedTuple):
    """A column of one group of rows.

    Attributes:
        values: how many its pages say they have.
        unfolded: bytes of its pages, unpacked, those of its dictionary too.
        width: bytes that each value becomes besides.
    """

    values: int
    unfolded: int
    width: int

    @property
    def cost(self) -> int:
        """Bytes that reading the column makes."""
        return self.unfolded + self.values * self.width


def columns(path: Path, metadata: pq.FileMetaData) -> Iterator[tuple[int, str, Column]]:
    """Group, path and :class:`Column` of every column.

    Raises:
        Malformed: a page's header is damaged, or lies outside the file.
    """
    with opening.mapped(path) as content:
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group)
            for number in range(rows.num_columns):
                chunk = rows.column(number)
                width = _WIDTHS.get(chunk.physical_type) or max(metadata.schema.column(number).length, 1)
                yield group, chunk.path_in_schema, Column(*_pages(content, chunk), width)


def _pages(content: opening.Content, chunk: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """Values and unfolded bytes of all pages of a column."""
    begins = [chunk.data_page_offset]
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        begins.append(chunk.dictionary_page_offset)
    at = min(begins)
    stop = at + chunk.total_compressed_size
    if at < 0 or stop > len(content):
        raise Malformed("has pages that lie outside the file")
    values = unfolded = 0
    while at < stop:
        header, at = _struct(content, at)
        sizes = header.get(_UNFOLDED), header.get(_PACKED)
        if not all(isinstance(size, int) and size >= 0 for size in sizes):
            raise Malformed(_DAMAGED)
        unfolded += sizes[0]  # type: ignore[operator]
        at += sizes[1]  # type: ignore[operator]
        for kind in (_DATA, _DATA_V2, _DICTIONARY):
            inner = header.get(kind)
            count = inner.get(1) if isinstance(inner, dict) else 0
            values += count if isinstance(count, int) else 0
    return max(values, chunk.num_values), unfolded


Field = int | dict[int, "Field"] | None


def _struct(content: opening.Content, at: int, depth: int = 0) -> tuple[dict[int, Field], int]:
    """The numbers and structs of a struct by the numbers of its fields, and where it ends."""
    found: dict[int, Field] = {}
    number = 0
    while True:
        byte, at = _byte(content, at)
        if not byte:
            return found, at
        if byte >> 4:
            number += byte >> 4
        else:
            number, at = _integer(content, at)
        found[number], at = _value(content, at, byte & 15, depth)


def _value(content: opening.Content, at: int, kind: int, depth: int) -> tuple[Field, int]:
    if kind <= _FALSE:
        return None, at
    if kind in (_BYTE, _DOUBLE):
        return None, at + (1 if kind == _BYTE else 8)
    if kind < _DOUBLE:
        return _integer(content, at)
    if kind == _BINARY:
        length, at = _varint(content, at)
        return None, at + length
    if depth > _DEEPEST or kind not in (_LIST, _SET, _STRUCT):
        raise Malformed(_DAMAGED)
    if kind == _STRUCT:
        return _struct(content, at, depth + 1)
    return None, _list(content, at, depth)


def _list(content: opening.Content, at: int, depth: int) -> int:
    """Where a list, or a set, ends."""
    byte, at = _byte(content, at)
    length = byte >> 4
    if length == 15:
        length, at = _varint(content, at)
    if length > len(content) - at:
        raise Malformed(_DAMAGED)
    for _ in range(length):
        _, at = _value(content, at, max(byte & 15, _BYTE), depth + 1)
    return at


def _integer(content: opening.Content, at: int) -> tuple[int, int]:
    value, at = _varint(content, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(content: opening.Content, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte, at = _byte(content, at)
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise Malformed(_DAMAGED)


def _byte(content: opening.Content, at: int) -> tuple[int, int]:
    if not 0 <= at < len(content):
        raise Malformed(_DAMAGED)
    return content[at], at + 1
