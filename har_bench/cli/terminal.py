"""What the command line shows: sentences and tables."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

from har_bench.errors import HarBenchWarning, listed, unknown
from har_bench.foreign import words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from har_bench.results import Result
    from har_bench.store import Store


_REASONS = 5
"""Of what was dropped or repaired, so many reasons are shown."""

_PARTICULAR = re.compile(r"'[^']*'|\"[^\"]*\"|[-+]?\d[\d.]*")
_NUMBERS = re.compile(r"[-+]?(\d[\d,.]*(e[-+]?\d+)?|nan|inf)( to [-+]?(\d[\d,.]*(e[-+]?\d+)?|nan|inf))?")
"""A number, or an interval."""

_MORE = re.compile(r" and (\d+) more$")


class UnheardError(Exception):
    """Standard output takes no more: ``closed`` by a reader who has seen enough, as ``head`` does, or full."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"its output cannot be written ({error.strerror}); make room or send it elsewhere")
        self.closed = isinstance(error, BrokenPipeError)


@contextmanager
def heard() -> Iterator[None]:
    """Where nothing but printing can fail.

    Raises:
        UnheardError: it did.
    """
    try:
        yield
    except OSError as error:
        raise UnheardError(error) from error


def say(text: str) -> None:
    """A sentence, or several lines; what would move the cursor or turn text around is left out."""
    _print(fitted(words.lines(text), sys.stdout))


def hand_over(text: str) -> None:
    """What another program reads: every line as it is."""
    _print(text)


def complain(sentence: str) -> None:
    """A sentence on standard error: what went wrong, or looks it. Where it is full, the work goes on unheard."""
    with suppress(OSError):
        print(fitted(f"har-bench: {words.one_line(sentence)}", sys.stderr), file=sys.stderr, flush=True)


def fitted(text: str, stream: TextIO | None) -> str:
    """Lines broken between words where a screen would break them inside; whole where no screen reads them.

    The rest of a line stands two blanks further in. ``TTY_COMPATIBLE=1`` in the environment says that it is a screen,
    as it does for Rich, and ``COLUMNS`` how wide it is.
    """
    if stream is None or not (os.environ.get("TTY_COMPATIBLE") == "1" or stream.isatty()):
        return text
    width = shutil.get_terminal_size().columns
    wrapper = textwrap.TextWrapper(max(width, 20), break_long_words=False, break_on_hyphens=False)
    broken: list[str] = []
    for line in text.split("\n"):
        wrapper.subsequent_indent = line[: len(line) - len(line.lstrip())] + "  "
        broken += wrapper.wrap(line) if len(line) > width else [line]
    return "\n".join(broken)


def _print(text: str) -> None:
    with heard():
        print(text)


@contextmanager
def warnings_as_sentences() -> Iterator[None]:
    """Show this package's warnings as sentences on standard error."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
            if issubclass(category, HarBenchWarning):
                complain(str(message))
            else:
                usual(message, category, *place, **options)

        warnings.showwarning = show
        yield


def show_table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A table under its title; names and numbers are never broken, words are.

    What is too wide for the screen comes in several pieces, one below the other, each with the first column.
    """
    from rich.console import Console

    say(title)
    columns, *rows = (tuple(words.one_line(cell, words.LONGEST) for cell in row) for row in (columns, *rows))
    console = Console()
    shown = [0]
    for place in range(1, len(columns)):
        if len(shown) > 1 and _least(console, _picked(columns, rows, [*shown, place])) > console.width:
            _show(console, _picked(columns, rows, shown))
            shown = [0]
        shown.append(place)
    _show(console, _picked(columns, rows, shown))


def _picked(columns: Sequence[str], rows: Sequence[Sequence[str]], places: Sequence[int]) -> RichTable:
    """Some of the columns."""
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for place in places:
        cells = [row[place] for row in rows]
        whole = place == 0 or all(map(_is_number, cells))
        least = max(map(cell_len, cells), default=0) if whole else None
        table.add_column(Text(columns[place]), no_wrap=whole, min_width=least)
    for row in rows:
        table.add_row(*(Text(row[place]) for place in places))  # a name in brackets is no markup
    return table


def _least(console: Console, table: RichTable) -> int:
    """The columns of the screen that a table needs."""
    return console.measure(table, options=console.options.update(max_width=10_000)).minimum


def _show(console: Console, table: RichTable) -> None:
    from rich.console import Console

    least, printed = _least(console, table), io.StringIO()
    wide_enough = Console(file=printed, width=max(console.width, least), force_terminal=console.is_terminal)
    wide_enough.print(table, soft_wrap=least > console.width)
    _print(printed.getvalue().removesuffix("\n"))


def _is_number(text: str) -> bool:
    return not text or _NUMBERS.fullmatch(text) is not None


def show_report(tables: Iterable[tuple[str, tuple[str, ...], Sequence[tuple[str, ...]]]], lines: Iterable[str]) -> None:
    """The first sentence, which is what there is to know; tables; the other sentences."""
    first, *others = lines
    say(first)
    for table in tables:
        show_table(*table)
    for line in others:
        say(line)


def show_store(store: Store) -> None:
    """What a store holds, and how that differs from what was published."""
    found = store.manifest
    counts = ", ".join(f"{rows:,} {name}" for name, rows in found.rows.items())
    say(f"{store.path}: {counts}; fingerprint {found.fingerprint[:16]}")
    for count in found.published:
        if count.expected != count.found:
            say(f"  differs from what was published: {count.what}: {count.found:,} here, {count.expected:,} published")
    if found.rejects:
        for line in _rejected(store.table("rejects").to_pylist()):
            say(f"  {line}")
        say(f"  every one is in the store's table rejects ({store.path})")


def _rejected(rejects: Iterable[dict[str, str]]) -> Iterator[str]:
    """How many records were dropped and how many places repaired; reasons that differ in names and numbers are one."""
    kinds: dict[str, dict[str, list[dict[str, str]]]] = {"dropped": {}, "repaired": {}}
    for each in rejects:
        kinds[each["action"]].setdefault(_PARTICULAR.sub("...", each["reason"]), []).append(each)
    for action, reasons in kinds.items():
        counted = sorted(((sum(map(_records, each)), each[0]) for each in reasons.values()), key=lambda one: -one[0])
        if counted:
            total = sum(count for count, _ in counted)
            place = "record" if action == "dropped" else "place"
            yield f"{action}: {total:,} {place}{'s' if total != 1 else ''}"
        for count, first in counted[:_REASONS]:
            yield f"  {count:,}: {first['reason']} (first: {first['source']}, {first['locator']})"
        if len(counted) > _REASONS:
            rest = sum(count for count, _ in counted[_REASONS:])
            yield f"  {rest:,}: {len(counted) - _REASONS} other reasons"


def _records(reject: dict[str, str]) -> int:
    """How many records an entry stands for: its locator may end with `` and 3 more``."""
    more = _MORE.search(reject["locator"])
    return 1 + int(more[1]) if more else 1


def show_result(result: Result, by: Sequence[str] = ()) -> None:
    """A result's metrics and counts, the breakdowns of the names in ``by``, and how fast the model was.

    Raises:
        HarBenchError: there is no such breakdown.
    """
    rows = []
    for name, value in result.metrics.items():
        interval = result.intervals.get(name)
        spread = f"{interval.low:.2f} to {interval.high:.2f}" if interval else ""
        rows.append((name, f"{value:.4f}", result.units.get(name, ""), spread))
    counts = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in result.counts.items())
    show_table(result.canonical, ("metric", "value", "unit", "95 % interval"), rows)
    say(f"{result.environment['predictions']}; {counts}")
    if "keypoints" in result.environment:
        say(f"2D keypoints: {result.environment['keypoints']}; the model takes {result.environment['joints']}")
    if left := result.tables.get("left_out"):  # a sequence, and why
        say(f"left out: {listed('{} ({})'.format(*row.values()) for row in left)}")
    for note in result.notes:
        say(f"note: {note}")
    for name in by:
        table = result.tables.get(name)
        if not table:
            filled = (title for title, rows in result.tables.items() if rows)
            raise unknown(f"breakdown of {result.canonical}", name, filled)
        cells = [tuple(_cell(value) for value in row.values()) for row in table]
        show_table(f"by {name}", tuple(table[0]), cells)
    if result.speed:
        say(_speed(result))


def _cell(value: str | float | None) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


SPEEDS = {
    "poses_per_second": "{:,.0f} poses/s",
    "ms_per_sequence": "{:,.1f} ms per sequence",
    "parameters": "{:,.0f} parameters",
    "training_seconds": "trained in {:,.0f} s",
    "peak_memory_mb": "peak memory {:,.0f} MB",
}
"""What is measured of a model, in words; a result has some of it."""


def _speed(result: Result) -> str:
    """How fast a model was, in a line."""
    told = [text.format(result.speed[name]) for name, text in SPEEDS.items() if name in result.speed]
    return ", ".join([*told, f"on {result.environment.get('device', 'cpu')}"])
