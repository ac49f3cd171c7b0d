"""The leaderboard's files, each of them whole or not there at all."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from har_bench.entries import separations
from har_bench.errors import HarBenchWarning
from har_bench.files import destination, write_whole

from .board import Board
from .data import data_page
from .entries import Entry, Problem, reported, scored
from .entry_pages import NO_EXTRAS, REPORTS, Extras, Illustrations, pages, slugs_of
from .grouping import boards
from .page import page
from .tables import csv_page, latex_page, markdown_page

WRITERS = 16
"""Pages that are written at once: each waits until the disk has it."""

OURS = b'<meta name="generator" content="har_bench">'


def _warn(problem: Problem) -> None:
    warnings.warn(problem.sentence, HarBenchWarning, stacklevel=3)


def build(
    results: Path,
    site: Path,
    *,
    datasets: Sequence[str] | None = None,
    protocols: Sequence[str] | None = None,
    only: Literal["verified", "scored", "reported"] | None = None,
    reports: bool = False,
    illustrations: Illustrations | None = None,
    on_problem: Callable[[Problem], None] = _warn,
) -> list[Path]:
    """Write ``index.html``, ``leaderboard.md``, ``.csv``, ``.tex``, ``data.json``, and a page per entry and per two.

    The same results give the same bytes.

    Args:
        results: a folder of result files, read recursively.
        site: the folder to write; made when absent.
        datasets: only these, by our names (``h36m``) or as sources print them (``Human3.6M``); all when None.
        protocols: only boards of these, such as ``mpii/pckh`` or ``mpii/pckh:hrnet``; all when None.
        only: only what is verified, only what was scored here (verified or not), or only what sources report.
        reports: write a report of each entry that was scored here, too.
        illustrations: what can be drawn with stores and predictions that are here: in reports, and a page of each store
            that an entry was scored on.
        on_problem: told of each ``.json`` file that is no result, or none that can be; the others are published
            nevertheless. Warns by default.

    Returns:
        The files written.

    Raises:
        HarBenchError: there is no results folder, or no entry of a dataset or protocol.
    """
    entries, problems = scored(results)
    for problem in problems:
        on_problem(problem)
    here = {
        None: entries,
        "scored": entries,
        "verified": [entry for entry in entries if entry.verified],
        "reported": [],
    }[only]
    chosen: list[Entry] = [*here, *(reported() if only in (None, "reported") else ())]
    found = boards(chosen, datasets, protocols, separations.read(results))
    shown = {id(entry): entry for board in found for line in board.lines for entry in (line.entry, *line.also)}
    tables = {
        "leaderboard.md": markdown_page(found),
        "leaderboard.csv": csv_page(shown.values()),
        "leaderboard.tex": latex_page(found),
        "data.json": data_page(shown.values()),
    }
    extras = Extras(reports, illustrations)
    first, *others = html_pages(found, [problem.sentence for problem in problems], extras)
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="pages") as pool:
        written = list(pool.map(lambda each: _written(site / each[0], each[1]), [first, *tables.items(), *others]))
    _remove_others(site, written)
    return written


def html_pages(
    found: Sequence[Board], problems: Sequence[str] = (), extras: Extras = NO_EXTRAS
) -> Iterator[tuple[str, str]]:
    """Every page by its place in the site, the first one first.

    Args:
        found: the boards.
        problems: sentences about files that are not published.
        extras: what is offered besides.
    """
    slugs = slugs_of(found)
    yield "index.html", page(found, slugs, problems)
    yield from pages(found, slugs, extras)


def _written(path: Path, text: str) -> Path:
    """Write a page, unless it is there already: of thousands, few have changed."""
    content = text.encode()
    if not (path.is_file() and path.read_bytes() == content):
        write_whole(destination(path), content)
    return path


def _remove_others(site: Path, written: Sequence[Path]) -> None:
    """Remove our own pages of entries that are gone; another program's files stay."""
    for folder in ("entries", "compare", REPORTS):
        for path in set((site / folder).glob("*.html")) - set(written):
            if path.is_file() and OURS in path.read_bytes()[:2000]:
                path.unlink()
