"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from har_bench.errors import HarBenchError

UNFINISHED = ".unfinished"

URL = re.compile(r"([a-z][a-z0-9+.-]+):(?:/+(.*))?", re.IGNORECASE | re.DOTALL)
"""A place on another machine; ``Path`` makes one slash of two, or none."""


class FullError(HarBenchError):
    """There is no room for a file; who writes many of them says how much is needed."""


NO_ROOM = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
"""No room on the disk, or none for this user."""

_NOT_EMPTY = {errno.ENOTEMPTY, errno.EEXIST}

_NO_WRITING = {errno.EFBIG, errno.EROFS}
"""No file so large, no writing at all."""


def full(place: Path, needed: int) -> FullError:
    """What to say of a full disk.

    Args:
        place: the file or folder that was being written.
        needed: about how much more would have been [bytes].
    """
    above = next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists())
    sizes = f"about {_megabytes(needed)} MB more are needed and {_megabytes(shutil.disk_usage(above).free)} MB are free"
    return FullError(f"the disk of {place} is full: {sizes}; make room, then resume with the same command")


def _megabytes(size: int) -> str:
    """Rounded up; of few, the tenths too."""
    return f"{-(-size // 1_000_000):,}" if size >= 10_000_000 else f"{-(-size // 100_000) / 10:.1f}"


def destination(path: str | Path, *suffixes: str) -> Path:
    """Where a file will be written; its folder is made. To be asked before the hours of work that fill the file.

    Args:
        path: the file.
        suffixes: how its name must end, where a reader goes by that.

    Raises:
        HarBenchError: another suffix, a URL, a folder is there, or the folder it would be in cannot be made or written
            to.
    """
    path = Path(path)
    _refuse_url(path)
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


def _refuse_url(path: Path) -> None:
    if URL.fullmatch(str(path)):
        raise HarBenchError(f"{path} is a URL, and this is written on this machine only; name a path, and copy it then")


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
    try:
        return printable(path.relative_to(raw if raw.is_dir() else raw.parent).as_posix())
    except ValueError:  # it is somewhere else
        return printable(path.name)


def printable(text: str) -> str:
    """A name as valid Unicode: bytes that are no UTF-8 are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def destination_folder(path: str | Path) -> Path:
    """Where a folder will be written, which is not made yet. To be asked before the hours of work that fill it.

    Raises:
        HarBenchError: a URL, a file is there, or the folder it would be in cannot be made or written to.
    """
    path = Path(path)
    _refuse_url(path)
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
def whole(path: Path, size: int = 0) -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it, synced to disk, when the block ends well.

    The block must close what it opens. Whatever goes wrong in it, ``path`` stays as it was and nothing else is left.

    Args:
        path: the file.
        size: how large it will be, where that is known [bytes]; for the error of a full disk.

    Raises:
        HarBenchError: the disk is full, or ``path`` cannot be replaced.
    """
    temporary = _temporary(path)
    try:
        yield temporary
        with temporary.open("r+b") as handle:  # Windows syncs only what may be written to
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno in NO_ROOM:
            written = temporary.stat().st_size if temporary.exists() else 0
            temporary.unlink(missing_ok=True)
            raise full(path, max(size, written)) from error
        if error.errno in _NO_WRITING or Path(error.filename or "") == temporary:
            reason = os.strerror(error.errno) if error.errno else error
            raise HarBenchError(f"{path} cannot be written ({reason}); make room or name another file") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path``, an absent or empty folder, that takes its place when the block ends well.

    Raises:
        HarBenchError: the disk is full, a file in the folder cannot be written, or somebody else filled ``path``
            meanwhile.
    """
    path = destination_folder(path)
    temporary = _temporary(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.is_dir():
            path.rmdir()
        temporary.rename(path)
    except OSError as error:
        if error.errno in NO_ROOM:
            written = sum(each.stat().st_size for each in temporary.rglob("*") if each.is_file())
            shutil.rmtree(temporary, ignore_errors=True)
            raise full(path, written) from error
        if error.errno in _NOT_EMPTY and path.exists():
            made = f"{path} was made by another command meanwhile"
            raise HarBenchError(f"{made}; use what it holds, or name another folder") from error
        raise HarBenchError(f"{path} cannot be written ({error.strerror}); name a folder somewhere else") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary(path: Path) -> Path:
    """Where a file or folder grows before it takes its place."""
    # as much of the name as leaves room for the rest, where 255 bytes are allowed
    stem = os.fsencode(path.name)[:200].decode(errors="ignore")
    # random, for two machines that share the folder may have processes of one number
    return path.with_name(f".{stem}.{secrets.token_hex(6)}{UNFINISHED}")


def put(path: Path, content: bytes) -> None:
    """Write a file into a folder that :func:`whole_folder` makes: of very many, none is synced alone."""
    path.write_bytes(content)


def write_whole(path: Path, content: bytes) -> Path:
    """Write ``content`` to ``path``, whole or not at all; returns ``path``.

    Raises:
        HarBenchError: see :func:`whole`.
    """
    with whole(path, len(content)) as temporary:
        temporary.write_bytes(content)
    return path
