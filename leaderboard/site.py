"""The leaderboard's files, each of them whole or not there at all."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from har_bench.errors import HarBenchWarning
from har_bench.files import destination, write_whole

from .board import boards
from .entries import Entry, Problem, reported, scored
from .page import page
from .tables import csv_page, latex_page, markdown_page


def _warn(problem: Problem) -> None:
    warnings.warn(problem.sentence, HarBenchWarning, stacklevel=3)


def build(
    results: Path,
    site: Path,
    *,
    datasets: Sequence[str] | None = None,
    protocols: Sequence[str] | None = None,
    only: Literal["verified", "scored", "reported"] | None = None,
    on_problem: Callable[[Problem], None] = _warn,
) -> list[Path]:
    """Write ``index.html``, ``leaderboard.md``, ``leaderboard.csv`` and ``leaderboard.tex``.

    The same results give the same bytes.

    Args:
        results: a folder of result files, read recursively.
        site: the folder to write; made when absent.
        datasets: only these, by our names (``h36m``) or as sources print them (``Human3.6M``); all when None.
        protocols: only boards of these, such as ``mpii/pckh`` or ``mpii/pckh:hrnet``; all when None.
        only: only what is verified, only what was scored here (verified or not), or only what sources report.
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
    found = boards(chosen, datasets, protocols)
    shown = {id(line.entry): line.entry for board in found for line in board.lines}
    contents = {
        "index.html": page(found, [problem.sentence for problem in problems]),
        "leaderboard.md": markdown_page(found),
        "leaderboard.csv": csv_page(shown.values()),
        "leaderboard.tex": latex_page(found),
    }
    return [write_whole(destination(site / name), text.encode()) for name, text in contents.items()]
