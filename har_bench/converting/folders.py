"""The folder a store is made in: one process at a time, and one sentence when the disk is full."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from har_bench.errors import HarBenchError, completing
from har_bench.files import NO_ROOM, FullError, full
from har_bench.foreign import opening


@contextmanager
def partial_of(out: Path, *, resume: bool) -> Iterator[Path]:
    """Hold ``OUT.partial`` alone, where the store ``out`` grows; two conversions into one store would mix.

    ``OUT.partial.lock`` beside it says who holds it; in the folder it would move with the finished store.

    Raises:
        HarBenchError: another process holds it, or it cannot be made.
    """
    partial = out.with_name(f"{out.name}.partial")
    with _makable(partial):
        out.parent.mkdir(parents=True, exist_ok=True)
    with _lock(partial):
        with _makable(partial):
            if partial.exists() and not resume:
                shutil.rmtree(partial)
            partial.mkdir(exist_ok=True)
        yield partial


def finish(partial: Path, out: Path) -> None:
    """Rename a finished store into its place; an empty folder that is there gives way."""
    if out.is_dir():
        out.rmdir()
    partial.rename(out)


@contextmanager
def kept(partial: Path, worth: Callable[[], bool], needed: Callable[[], int]) -> Iterator[None]:
    """Work in a partial folder: after an error it stays only if it is worth resuming; a full disk is one sentence.

    Args:
        partial: where the store grows.
        worth: whether a second run could go on with what is there.
        needed: estimates how much more would have been written [bytes].

    Raises:
        HarBenchError: for any OSError inside.
    """
    try:
        with _explained(partial, needed):
            yield
    except (HarBenchError, KeyboardInterrupt):
        if not worth():
            shutil.rmtree(partial, ignore_errors=True)
        raise


@contextmanager
def _explained(partial: Path, needed: Callable[[], int]) -> Iterator[None]:
    try:
        yield
    except (OSError, FullError) as error:
        if isinstance(error, OSError) and error.errno not in NO_ROOM:
            reason = error.strerror or error
            raise HarBenchError(f"{partial} cannot be written ({reason}); then resume with the same command") from error
        raise full(partial, needed()) from error


@contextmanager
def _lock(partial: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows has no flock: conversions there are not guarded against each other
        yield
        return
    path = partial.with_name(f"{partial.name}.lock")
    with _makable(partial), suppress(FileNotFoundError), completing(path, "remove it"):
        opening.require_file(path)
    with _makable(partial):
        handle = path.open("w")
    with handle:
        busy = HarBenchError(f"{partial} is being written by another conversion; wait for it, or stop it")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        if not _is_of(handle.fileno(), path):  # the other one has just finished, and removed its lock
            raise busy
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _is_of(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def _makable(partial: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise HarBenchError(f"{partial} cannot be made ({reason}); name a store somewhere else") from error
