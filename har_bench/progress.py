"""Progress on anything longer than a second: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PLAIN_EVERY_S = 5.0


class Progress:
    """Counts finished units of work, rows and bytes."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total = what, total
        self.done = self.rows = self.bytes = 0
        self.part = 0.0
        self.note = ""
        self.began = self.spoke = time.monotonic()

    def advance(self, *, rows: int = 0, bytes_read: int = 0, note: str = "") -> None:
        """One more unit is finished; a note says what came of it, such as a loss."""
        self.done += 1
        self.rows += rows
        self.bytes += bytes_read
        self.note = note
        self.part = 0.0
        self._show(1)

    def tell(self, note: str, *, part: float = 0.0) -> None:
        """Say how far the unit at work is; ``part`` of it is finished, where that is known."""
        self.note, self.part = note, part
        self._show(0)

    def _show(self, finished: int) -> None:
        """Where it is shown, that so many more units are finished."""

    def line(self) -> str:
        """The state in words: units, rows per second, megabytes per second, time left."""
        elapsed = max(time.monotonic() - self.began, 1e-6)
        parts = [f"{self.what}: {self.done}/{self.total}"]
        if self.rows:
            parts += [f"{self.rows:,} rows", f"{self.rows / elapsed:,.0f} rows/s"]
        if self.bytes:
            parts.append(f"{self.bytes / elapsed / 1e6:,.1f} MB/s")
        parts += filter(None, [self.note])
        if done := self.done + self.part:
            parts.append(f"{elapsed / done * (self.total - done):,.0f} s left")
        return ", ".join(parts)


@contextmanager
def progress(what: str, total: int, *, done: int = 0, quiet: bool = False) -> Iterator[Progress]:
    """Show progress on standard error while the block runs; nothing when ``quiet``."""
    if quiet or not sys.stderr.isatty():
        state = _Plain(what, total, quiet=quiet)
        state.total -= done
        yield state
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(TextColumn("{task.description}"), BarColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, completed=done)
        yield _Barred(what, total - done, bar=bar, task=task)


class _Plain(Progress):
    def __init__(self, what: str, total: int, *, quiet: bool) -> None:
        super().__init__(what, total)
        self.quiet = quiet

    def _show(self, finished: int) -> None:
        del finished
        if not self.quiet and time.monotonic() - self.spoke > PLAIN_EVERY_S:
            self.spoke = time.monotonic()
            with suppress(OSError):  # nobody needs it
                print(self.line(), file=sys.stderr, flush=True)  # noqa: T201 - this is the place that prints


class _Barred(Progress):
    def __init__(self, what: str, total: int, *, bar: object, task: object) -> None:
        super().__init__(what, total)
        self.bar, self.task = bar, task

    def _show(self, finished: int) -> None:
        self.bar.update(self.task, advance=finished, description=self.line())  # type: ignore[attr-defined]
