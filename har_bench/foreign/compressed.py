"""Compressed files from strangers: unfolded in memory as far as a file of their size may, however small they are."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from har_bench.errors import Malformed, completing
from har_bench.foreign import opening
from har_bench.foreign.budget import Budget

_CHUNK, _PIECE = 1 << 14, 1 << 20
"""How many bytes are given to be unfolded, and wanted, at once."""

_STREAM = 1 << 12
"""What beginning another stream costs."""

_BROKEN = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError)
"""What damage makes them raise."""

_REMEDY = "download it again"
_LZ4 = b"\x04\x22\x4d\x18"
_OPENERS: tuple[tuple[bytes, Callable[[], Any]], ...] = (
    *((b"\x78" + level, zlib.decompressobj) for level in (b"\x01", b"\x5e", b"\x9c", b"\xda")),
    (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
    (b"\x5d\x00\x00", lzma.LZMADecompressor),
)
"""The first bytes of zlib, gzip, bzip2, xz and old lzma, and what undoes each."""


def read(path: Path) -> bytes:
    """What a file holds, unfolded when it is compressed, which its first bytes tell.

    Raises:
        HarBenchError: it is no file, is damaged, cut off or compressed with lz4, or unfolds into more than a file of
            its size may, see :mod:`har_bench.foreign.budget`.
    """
    with completing(path, _REMEDY):
        content = opening.content(path)
        return unfold(content, Budget(len(content)))


def beginning(path: Path, length: int) -> bytes:
    """The first bytes of what a file holds, unfolded when it is compressed, to see what it is.

    Raises:
        HarBenchError: it is no file, or damaged or cut off so early.
    """
    with completing(path, _REMEDY):
        size = opening.size_of(path)
        try:
            with opening.opened(path) as stream:
                head = stream.read(max(length, _CHUNK))
            opener = next((opener for magic, opener in _OPENERS if head.startswith(magic)), None)
            if opener is None:
                return head[:length]
            stream_of = opener()
            found: bytes = stream_of.decompress(head, length)
        except _BROKEN as error:
            raise Malformed(f"is damaged ({error})") from error
        if len(found) < length and len(head) == size and not stream_of.eof:
            raise Malformed("is cut off")
        return found


def unfold(data: bytes, budget: Budget) -> bytes:
    """What ``data`` holds when it is compressed, in one stream or in several; anything else comes back as it is.

    Raises:
        Malformed: as :func:`read`.
    """
    if data.startswith(_LZ4):
        raise Malformed("is compressed with lz4, which is not read here", "save it again with zlib")
    found = next(((magic, opener) for magic, opener in _OPENERS if data.startswith(magic)), None)
    if found is None:
        return data
    magic, opener = found
    pieces: list[bytes] = []
    position = 0
    try:
        while data.startswith(magic, position):
            budget.charge(_STREAM)
            position = _stream(data, position, opener(), budget, pieces)
    except _BROKEN as error:
        raise Malformed(f"is damaged ({error})") from error
    if data[position : position + _CHUNK].strip(b"\0"):
        raise Malformed("goes on after its compressed content", "unpack it and compress it as one")
    return b"".join(pieces)


def _stream(data: bytes, position: int, stream: Any, budget: Budget, pieces: list[bytes]) -> int:
    """Unfold the stream that begins at ``position``, piece by piece, and say where it ends."""
    waiting = b""
    while not stream.eof:
        if not waiting and getattr(stream, "needs_input", True):
            waiting = data[position : position + _CHUNK]
            position += len(waiting)
        piece = stream.decompress(waiting, _PIECE)
        if not piece and not waiting and not stream.eof:
            raise Malformed("is cut off")
        waiting = getattr(stream, "unconsumed_tail", b"")  # of zlib; the others keep theirs
        budget.charge(len(piece))
        pieces.append(piece)
    return position - len(stream.unused_data)
