"""The folder a store is made in: one process at a time, and one sentence when the disk is full."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from har_bench.errors import HarBenchError, completing
from har_bench.files import NO_ROOM, FullError, full
from har_bench.foreign import opening

LOCK = "lock"


@contextmanager
def partial_of(out: Path, *, resume: bool) -> Iterator[Path]:
    """Hold ``OUT.partial`` alone, where the store ``out`` grows; two conversions into one store would mix.

    Raises:
        HarBenchError: another process holds it, or it cannot be made.
    """
    partial = out.with_name(f"{out.name}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if partial.exists() and not resume:
            with _lock(partial):
                shutil.rmtree(partial)
        partial.mkdir(exist_ok=True)
    except OSError as error:
        raise HarBenchError(f"{partial} cannot be made ({error.strerror}); name a store somewhere else") from error
    with _lock(partial):
        yield partial


def finish(partial: Path, out: Path) -> None:
    """Rename a finished store into its place; an empty folder that is there gives way."""
    (partial / LOCK).unlink(missing_ok=True)
    if out.is_dir():
        out.rmdir()
    partial.rename(out)
    (out / LOCK).unlink(missing_ok=True)  # of a process that came too late


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
    busy = HarBenchError(f"{partial} is being written by another conversion; wait for it, or stop it")
    with suppress(FileNotFoundError), completing(partial / LOCK, "remove it"):
        opening.require_file(partial / LOCK)
    with (partial / LOCK).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        if not (partial / LOCK).exists():  # the other one has just renamed its finished store
            raise busy
        yield
