"""Raw files: what they are called, whether they can be read, and whether they are still what was read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from har_bench.converter import Shard
from har_bench.errors import HarBenchError
from har_bench.files import printable as printable
from har_bench.files import relative as relative
from har_bench.storing import fingerprint
from har_bench.storing.manifest import Source

ABSENT = (-1, 0)
"""The :func:`stamp` of what is no file."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A raw file as a shard found it.

    Attributes:
        path: relative to the raw root.
        bytes: its size; -1 where it is a link to nothing, or a folder.
        changed: when it or its name was last changed [ns since 1970].
        blake3: of its bytes; empty where it could not be read.
    """

    path: str
    bytes: int
    changed: int
    blake3: str

    @property
    def source(self) -> Source:
        """What the manifest says of it."""
        return Source(path=self.path, bytes=self.bytes, blake3=self.blake3)


def stamp(path: Path) -> tuple[int, int]:
    """Size [bytes] and time of the last change [ns] of a file: with the same stamp it is taken for unchanged.

    The time is that of its content or of its status, whichever is later: a copy that keeps the old time is noticed.
    """
    try:
        found = path.stat()
    except OSError:
        return ABSENT
    return (found.st_size, max(found.st_mtime_ns, found.st_ctime_ns)) if stat.S_ISREG(found.st_mode) else ABSENT


def look(raw: Path, path: Path) -> Seen:
    """A raw file with the blake3 of its bytes."""
    size, changed = stamp(path)
    try:
        digest = fingerprint.of_file(path) if size >= 0 else ""
    except HarBenchError:
        digest = ""
    return Seen(path=relative(raw, path), bytes=size, changed=changed, blake3=digest)


def unchanged(path: Path, seen: Seen) -> bool:
    """Whether a file is still what was seen; it is read only when its stamp is another."""
    now = stamp(path)
    if now == (seen.bytes, seen.changed):
        return True
    return now[0] == seen.bytes and look(path.parent, path).blake3 == seen.blake3


def identity(raw: Path, shard: Shard) -> str:
    """What makes a shard the same shard when a conversion is resumed: its key and its files' names and sizes.

    Raises:
        HarBenchError: one of its files is a pipe or a device, which could be waited for without end.
    """
    for path in shard.sources:
        if _is_endless(path):
            raise HarBenchError(f"{path} is a pipe or a device and not a file; remove it, or put the file in its place")
    return "\t".join([printable(shard.key), *(f"{relative(raw, path)} {stamp(path)[0]}" for path in shard.sources)])


def readable(path: Path) -> bool:
    """Whether a file is there and may be read."""
    return stamp(path) != ABSENT and os.access(path, os.R_OK)


def _is_endless(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
