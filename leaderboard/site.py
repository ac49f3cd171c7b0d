"""The leaderboard's files, each of them whole or not there at all."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from har_bench.files import destination, write_whole

from .board import boards
from .entries import reported, verified
from .page import page
from .tables import csv_page, latex_page, markdown_page


def _warn(problem: str) -> None:
    warnings.warn(problem, stacklevel=3)


def build(
    results: Path,
    site: Path,
    *,
    datasets: Sequence[str] | None = None,
    on_problem: Callable[[str], None] = _warn,
) -> list[Path]:
    """Write ``index.html``, ``leaderboard.md``, ``leaderboard.csv`` and ``leaderboard.tex``.

    The same results give the same bytes.

    Args:
        results: a folder of result files, read recursively.
        site: the folder to write; made when absent.
        datasets: only these, by our names (``h36m``) or as sources print them (``Human3.6M``); all when None.
        on_problem: told, in a sentence that names the file, of each ``.json`` that is not a result; the others are
            published nevertheless. Warns by default.

    Returns:
        The files written.

    Raises:
        HarBenchError: there is no results folder, or no entry of a dataset.
    """
    scored, problems = verified(results)
    for problem in problems:
        on_problem(problem)
    found = boards([*scored, *reported()], datasets)
    shown = {id(line.entry): line.entry for board in found for line in board.lines}
    contents = {
        "index.html": page(found, problems),
        "leaderboard.md": markdown_page(found),
        "leaderboard.csv": csv_page(shown.values()),
        "leaderboard.tex": latex_page(found),
    }
    return [write_whole(destination(site / name), text.encode()) for name, text in contents.items()]
