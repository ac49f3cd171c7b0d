"""The heaps of an HDF5 file, in which texts of varying length lie, looked at before HDF5 goes through them.

HDF5 goes from object to object by their sizes, and for ever where there is free space of no size. The layout is that of
the File Format Specification, version 3, III.E (global heap): ``GCOL``, version 1, three zero bytes and the size (8
bytes), then objects: index (2 bytes; 0 is free space), count (2), four more, size (8), and the content in eights.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from har_bench.arrays import Bytes, kernel
from har_bench.errors import Malformed
from har_bench.foreign import opening

_BEGIN = b"GCOL\x01\0\0\0"
_VARYING = 9
"""The class of a datatype whose elements are of varying length."""

_HEAD = 16
"""Bytes before the first object, and before the content of each."""


def refuse_endless(path: Path) -> None:
    """Refuse a file with a heap whose objects do not follow one another.

    Raises:
        Malformed: there is one.
    """
    with opening.mapped(path) as content:
        at = content.find(_BEGIN)
        while at >= 0:
            size = int.from_bytes(content[at + 8 : at + _HEAD], "little")
            if size > len(content) - at or not _follow(np.frombuffer(content[at : at + size], np.uint8)):
                raise Malformed(f"is damaged (the heap at byte {at})")
            at = content.find(_BEGIN, at + max(size, _HEAD))


def refuse_long_texts(path: Path, name: str) -> None:
    """Refuse a file whose attributes of a name, or of pieces ``name0`` …, have texts that are longer than the file.

    HDF5 makes room for a text before it looks for it. An attribute (IV.A.2.m) is a version, a byte, the sizes of name,
    datatype and dataspace (2 bytes each; in version 1 padded to eights), in version 3 another byte, and these three;
    then, of texts, length (4 bytes), heap (8) and index (4) of each.

    Raises:
        Malformed: there are such texts.
    """
    with opening.mapped(path) as content:
        for found in re.finditer(re.escape(name.encode()) + rb"\d*\0", content):
            at = found.start()
            for version, head in ((1, 8), (2, 8), (3, 9)):
                begin = at - head
                sizes = [int.from_bytes(content[begin + 2 * k : begin + 2 * k + 2], "little") for k in (1, 2, 3)]
                if begin >= 0 and content[begin] == version and sizes[0] == len(found[0]):
                    _, kind, space = sizes = [-(-size // 8) * 8 for size in sizes] if version == 1 else sizes
                    if kind and space and content[at + sizes[0]] & 15 == _VARYING:
                        _refuse_long(name, content, at + sum(sizes), content[at + sum(sizes[:2]) : at + sum(sizes)])


def _refuse_long(name: str, content: opening.Content, at: int, space: bytes) -> None:
    dims = np.frombuffer(space[8 if space[0] == 1 else 4 :][: 8 * space[1]].ljust(8 * space[1], b"\0"), "<u8")
    count = min(math.prod(dims.tolist()), (len(content) - at) // _HEAD)
    claimed = int(np.frombuffer(content[at : at + _HEAD * count], "<u4")[::4].sum(dtype=np.uint64))
    if claimed > len(content):
        raise Malformed(f"claims {claimed:,} bytes of texts in {name[:60]!r}")


@kernel
def _follow(heap: Bytes) -> bool:
    """Whether the objects of a heap fill it, one after the other.

    Args:
        heap: (N,) its bytes.
    """
    at = _HEAD
    while at + _HEAD <= len(heap):
        free = heap[at] == 0 and heap[at + 1] == 0
        size = 0
        for place in range(15, 7, -1):
            size = size * 256 + int(heap[at + place])
            if size > len(heap):
                return False
        taken = size if free else _HEAD + (size + 7) // 8 * 8
        if taken < _HEAD:
            return False
        at += taken
    return at <= len(heap)
