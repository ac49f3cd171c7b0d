"""The heaps of an HDF5 file, in which texts of varying length lie, looked at before HDF5 goes through them.

HDF5 goes from object to object by their sizes, and for ever where there is free space of no size. The layout is that of
the File Format Specification, version 3, III.E (global heap): ``GCOL``, version 1, three zero bytes and the size (8
bytes), then objects: index (2 bytes; 0 is free space), count (2), four more, size (8), and the content in eights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from har_bench.arrays import Bytes, kernel
from har_bench.errors import Malformed
from har_bench.foreign import opening

_BEGIN = b"GCOL\x01\0\0\0"
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
