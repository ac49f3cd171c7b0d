"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from har_bench.errors import HarBenchError

UNFINISHED = ".unfinished"


class FullError(HarBenchError):
    """There is no room for a file; who writes many of them says how much is needed."""


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""No room on the disk, no room for this user, no file so large, no writing at all."""


def destination(path: str | Path, *suffixes: str) -> Path:
    """Where a file will be written; its folder is made. To be asked before the hours of work that fill the file.

    Args:
        path: the file.
        suffixes: how its name must end, where a reader goes by that.

    Raises:
        HarBenchError: another suffix, a folder is there, or the folder it would be in cannot be made or written to.
    """
    path = Path(path)
    if path.is_dir():
        raise HarBenchError(f"{path} is a folder; name the file to write")
    refuse_suffix(path, *suffixes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarBenchError(f"{path} cannot be written ({error.strerror}); name a file somewhere else") from error
    if not os.access(path.parent, os.W_OK):
        raise HarBenchError(f"{path} cannot be written (its folder is read-only); name a file somewhere else")
    return path


def refuse_suffix(place: str | Path, *suffixes: str) -> None:
    """Refuse a file whose name does not end as its readers expect.

    Raises:
        HarBenchError: it does not.
    """
    if suffixes and Path(place).suffix not in suffixes:
        endings = " or ".join(filter(None, (", ".join(suffixes[:-1]), suffixes[-1])))
        raise HarBenchError(f"{place} would not be read by its name; name a file that ends in {endings}")


def relative(raw: Path, path: Path) -> str:
    """A raw file's path under the raw root, as manifests print it."""
    base = raw if raw.is_dir() else raw.parent
    return printable(path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name)


def printable(text: str) -> str:
    """A name as valid Unicode: bytes that are no UTF-8 are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def destination_folder(path: str | Path) -> Path:
    """Where a folder will be written, which is not made yet. To be asked before the hours of work that fill it.

    Raises:
        HarBenchError: a file is there, or the folder it would be in cannot be made or written to.
    """
    path = Path(path)
    if not is_utf8(path):
        raise HarBenchError(f"{path} cannot be written (its name is not UTF-8); name a folder somewhere else")
    try:
        if path.exists() and not path.is_dir():
            raise HarBenchError(f"{path} is a file; name a folder to write")
        path.with_name(f"{path.name}.partial").exists()  # an OSError when the name is too long
        above = next(folder for folder in (path.absolute().parent, *path.absolute().parents) if folder.exists())
        writable = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
        if path.is_dir():
            next(path.iterdir(), None)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise HarBenchError(f"{path} cannot be written ({reason}); name a folder somewhere else") from error
    if not writable:
        reason = "is read-only" if above.is_dir() else "is a file"
        raise HarBenchError(f"{path} cannot be written ({above} {reason}); name a folder somewhere else")
    return path


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Look at what a user named, which may be closed to this user or lie on a disk that fails.

    Raises:
        HarBenchError: for any OSError inside.
    """
    try:
        yield
    except OSError as error:
        where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else path
        raise HarBenchError(
            f"{where} cannot be read ({error.strerror or error}); mend that, or name another"
        ) from error


def is_utf8(path: Path) -> bool:
    """Whether a path's name can be given to libraries that know text only; Linux knows other names."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it, synced to disk, when the block ends well.

    The block must close what it opens. Whatever goes wrong in it, ``path`` stays as it was and nothing else is left.

    Raises:
        HarBenchError: the disk is full, or ``path`` cannot be replaced.
    """
    # as much of the name as leaves room for the rest, where 255 bytes are allowed
    stem = path.name.encode()[:200].decode(errors="ignore")
    # random, for two machines that share the folder may have processes of one number
    temporary = path.with_name(f".{stem}.{secrets.token_hex(6)}{UNFINISHED}")
    try:
        yield temporary
        with temporary.open("r+b") as handle:  # Windows syncs only what may be written to
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno in _FULL or Path(error.filename or "") == temporary:
            kind = FullError if error.errno in _FULL else HarBenchError
            raise kind(f"{path} cannot be written ({error.strerror}); make room or name another file") from error
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
