"""Compressed bytes from strangers: unfolded in memory up to a limit, so that a small file cannot fill a machine."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Any

from har_bench.errors import HarBenchError

_OPENERS: tuple[tuple[bytes, Any], ...] = (
    (b"\x78", zlib.decompressobj),
    (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
    (b"\x5d\x00\x00", lzma.LZMADecompressor),
)
"""The first bytes of zlib, gzip, bzip2, xz and old lzma, and what undoes each."""

_LZ4 = b"\x04\x22\x4d\x18"


def unfold(data: bytes, *, limit: int, name: str) -> bytes:
    """What ``data`` holds when it is compressed, by its first bytes; anything else comes back as it is.

    Args:
        data: the bytes of a whole file.
        limit: how many bytes it may unfold into.
        name: what messages call it.

    Raises:
        HarBenchError: the file is damaged, cut off, too large, or compressed with lz4.
    """
    if data.startswith(_LZ4):
        raise HarBenchError(f"{name} is compressed with lz4, which is not read here; save it again with zlib")
    opener = next((opener for magic, opener in _OPENERS if data.startswith(magic)), None)
    if opener is None:
        return data
    stream = opener()
    try:
        found: bytes = stream.decompress(data, max_length=limit + 1)
    except (zlib.error, OSError, lzma.LZMAError, EOFError, MemoryError) as error:
        raise HarBenchError(f"{name} is damaged ({error}); download it again") from error
    if len(found) > limit:
        raise HarBenchError(f"{name} unfolds into more than the {limit} bytes that are allowed; it is refused")
    if not stream.eof:
        raise HarBenchError(f"{name} is cut off; download it again")
    if stream.unused_data:
        raise HarBenchError(f"{name} goes on after its compressed content; unpack it and compress it as one")
    return found
