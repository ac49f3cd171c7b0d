"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from har_bench.errors import HarBenchError

UNFINISHED = ".unfinished"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""No room on the disk, no room for this user, no file so large, no writing at all."""


def destination(path: str | Path) -> Path:
    """Where a file will be written; its folder is made. To be asked before the hours of work that fill the file.

    Raises:
        HarBenchError: a folder is there, or the folder it would be in cannot be made or written to.
    """
    path = Path(path)
    if path.is_dir():
        raise HarBenchError(f"{path} is a folder; name the file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarBenchError(f"{path} cannot be written ({error.strerror}); name a file somewhere else") from error
    if not os.access(path.parent, os.W_OK):
        raise HarBenchError(f"{path} cannot be written (its folder is read-only); name a file somewhere else")
    return path


def relative(raw: Path, path: Path) -> str:
    """A raw file's path under the raw root, as manifests print it."""
    base = raw if raw.is_dir() else raw.parent
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it, synced to disk, when the block ends well.

    The block must close what it opens. Whatever goes wrong in it, ``path`` stays as it was and nothing else is left.

    Raises:
        HarBenchError: the disk is full, or ``path`` cannot be replaced.
    """
    # as much of the name as leaves room for the rest, where 255 bytes are allowed
    stem = path.name.encode()[:200].decode(errors="ignore")
    temporary = path.with_name(f".{stem}.{os.getpid()}{UNFINISHED}")
    try:
        yield temporary
        with temporary.open("r+b") as handle:  # Windows syncs only what may be written to
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno in _FULL or Path(error.filename or "") == temporary:
            raise HarBenchError(
                f"{path} cannot be written ({error.strerror}); make room or name another file"
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> Path:
    """Write ``content`` to ``path``, whole or not at all; returns ``path``.

    Raises:
        HarBenchError: see :func:`whole`.
    """
    with whole(path) as temporary:
        temporary.write_bytes(content)
    return path
