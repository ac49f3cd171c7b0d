"""Zip archives from strangers, whose members are read one by one as bytes, never written to disk.

The table of contents is read once. What a member says of its size is charged before anything is unfolded, and checked.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from har_bench.errors import Malformed
from har_bench.foreign import opening

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, struct.error, MemoryError)
"""What a damaged archive makes ``zipfile`` raise, unknown features (NotImplementedError) included."""

_LOCAL = struct.Struct("<4s22x2H")
"""A member's own header: its signature, and the lengths of name and extra field."""

_ENCRYPTED = 1
_PIECE = 1 << 20


class Archive:
    """An archive, of which only the table of contents is in memory, and nothing is kept open.

    Attributes:
        path: the file.
        size: of the file [bytes].
        members: what the table of contents says of each, by name.
    """

    def __init__(self, path: Path) -> None:
        """Read the table of contents.

        Raises:
            Malformed: it is no zip archive, or one that no honest tool writes.
        """
        self.path = path
        self.size = opening.size_of(path)
        try:
            with opening.opened(path) as stream, zipfile.ZipFile(stream) as archive:
                infos = archive.infolist()
        except _BROKEN as error:
            raise Malformed(f"is no zip archive, or a damaged one ({error})") from error
        members: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            name = info.filename
            if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name or name in members:
                raise Malformed(f"has a member called {name[:60]!r}, as no honest archive does")
            members[name] = info
        self.members: Mapping[str, zipfile.ZipInfo] = members

    def start(self, stream: IO[bytes], name: str) -> int:
        """Where in the file, opened as ``stream``, a member's bytes are; the stream is left there.

        Raises:
            Malformed: they are not where the table of contents says.
        """
        offset = self.members[name].header_offset
        head = b""
        if 0 <= offset < self.size:
            stream.seek(offset)
            head = stream.read(_LOCAL.size)
        if len(head) < _LOCAL.size or head[:4] != b"PK\x03\x04":
            raise Malformed(f"is damaged at its member {name[:60]!r}")
        return stream.seek(sum(_LOCAL.unpack(head)[1:]), 1)

    def read(self, name: str) -> bytearray:
        """A member's content, as many bytes as the table of contents says, which the caller has paid for.

        Raises:
            Malformed: the member is damaged, encrypted, or compressed in a way that NumPy and torch do not use.
        """
        content = bytearray(self.members[name].file_size)
        self.fill(name, memoryview(content))
        return content

    def fill(self, name: str, content: memoryview) -> None:
        """Read a member into memory of its size.

        Raises:
            Malformed: as :meth:`read`.
        """
        info = self.members[name]
        if info.flag_bits & _ENCRYPTED or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Malformed(f"has a member {name[:60]!r} that is encrypted, or neither stored nor deflated")
        try:
            with opening.opened(self.path) as stream:
                self.start(stream, name)
                filled = _fill(stream, info, content)
        except _BROKEN as error:
            raise Malformed(f"is damaged at its member {name[:60]!r} ({error})") from error
        if filled != len(content) or zlib.crc32(content) != info.CRC:
            raise Malformed(f"is damaged at its member {name[:60]!r} (its checksum or its size is another)")


def _fill(stream: IO[bytes], info: zipfile.ZipInfo, content: memoryview) -> int:
    """How many bytes of a member there are; no more than ``content`` holds are unfolded."""
    filled = 0
    for piece in _pieces(stream, info):
        content[filled : filled + len(piece)] = piece[: len(content) - filled]
        filled += len(piece)
        if filled > len(content):
            break
    return filled


def _pieces(stream: IO[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
    left = info.compress_size
    unfolding = zlib.decompressobj(-zlib.MAX_WBITS) if info.compress_type == zipfile.ZIP_DEFLATED else None
    while left > 0 and (packed := stream.read(min(left, _PIECE))):
        left -= len(packed)
        if unfolding is None:
            yield packed
            continue
        while piece := unfolding.decompress(packed, _PIECE):
            yield piece
            packed = unfolding.unconsumed_tail
