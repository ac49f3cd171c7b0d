"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from har_bench.errors import HarBenchError

UNFINISHED = ".unfinished"


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
    """A temporary path beside ``path`` that replaces it, synced to disk, when the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_bytes(content)
