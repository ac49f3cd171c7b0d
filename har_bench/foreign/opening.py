"""Foreign files as bytes: a file is opened when it is one, never a pipe or a device, which would not come to an end."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from har_bench.errors import Malformed, completing

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Whoever opens a pipe to read waits until somebody writes, unless told not to block; a file does not mind."""

Content = bytes | mmap.mmap
"""A file's bytes, read or mapped: both are indexed, sliced into bytes, and searched."""


def size_of(path: Path) -> int:
    """The size of a file [bytes], which is not 0.

    Raises:
        Malformed: nothing is there, or something else than a file, or it is empty or may not be read.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise _unreadable(error) from error
    _refuse_what_is_no_file(status.st_mode)
    if not status.st_size:
        raise _empty()
    return status.st_size


def require_file(path: Path) -> None:
    """Look at a path before a library opens it by its name, which would wait for whoever writes into a pipe.

    Raises:
        Malformed: a folder, a pipe or a device is there.
        OSError: nothing is there, or it may not be looked at.
    """
    _refuse_what_is_no_file(path.stat().st_mode)


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """A file, which may be empty, opened for the block.

    Raises:
        Malformed: nothing is there, or something else than a file, or it may not be read.
    """
    try:
        _refuse_what_is_no_file(path.stat().st_mode)  # a folder cannot be opened everywhere
        stream = os.fdopen(os.open(path, _FLAGS), "rb")
    except (OSError, ValueError) as error:
        raise _unreadable(error) from error
    with stream:
        _refuse_what_is_no_file(os.fstat(stream.fileno()).st_mode)  # it may have been exchanged meanwhile
        yield stream


def content(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        Malformed: as :func:`size_of`.
    """
    with opened(path) as stream:
        found = _bytes(stream)
    if not found:
        raise _empty()
    return found


def read(path: Path, remedy: str = "download it again") -> bytes:
    """The bytes of a file that may be empty.

    Raises:
        HarBenchError: nothing is there, or something else than a file, or it may not be read.
    """
    with completing(path, remedy), opened(path) as stream:
        return _bytes(stream)


def _bytes(stream: BufferedReader) -> bytes:
    """All of a file; nothing where its size is 0, as that of the system's own files that do not come to an end."""
    try:
        return stream.read() if os.fstat(stream.fileno()).st_size else b""
    except (OSError, MemoryError) as error:
        raise _unreadable(error) from error


@contextmanager
def mapped(path: Path) -> Iterator[Content]:
    """The bytes of a file, read from disk as they are looked at, for the block.

    Raises:
        Malformed: as :func:`size_of`.
    """
    size_of(path)
    with opened(path) as stream:
        try:
            found = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise _unreadable(error) from error
    try:
        yield found
    finally:
        with suppress(BufferError):  # something refers to them still, and they are let go with it
            found.close()


def _refuse_what_is_no_file(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise Malformed("is a folder", "name a file")
    if not stat.S_ISREG(mode):
        raise Malformed("is a pipe or a device and no file", "write what comes out of it to a file first")


def _empty() -> Malformed:
    return Malformed("is empty", "was it written or downloaded completely?")


def _unreadable(error: Exception) -> Malformed:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Malformed(f"cannot be read ({reason})", "give a file that is there and that you may read")
