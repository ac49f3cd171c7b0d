"""The first page: every board, with filters; details of an entry stand on a page of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby

from .board import Board
from .fields import COLUMNS
from .rendering import render
from .tables import kind

MOST_LINKS = 12
"""Boards of a dataset that the menu names; a keyboard must come past it."""

MOST_SHOWN = 200
"""Rows of a board that are laid out before somebody asks for all of them; the script has the same number."""

STATUSES = {"verified": "verified", "scored": "scored here", "reported": "reported"}


def page(boards: Sequence[Board], slugs: Mapping[str, str], problems: Sequence[str] = ()) -> str:
    """The leaderboard as HTML5.

    Args:
        boards: in the order shown; boards of one dataset are neighbours.
        slugs: of the pages of entries, by the names of their files.
        problems: sentences about files that are not published; the page shows them.
    """
    lines = [line for board in boards if not board.breakdown for line in board.lines]
    every = {id(entry): entry for line in lines for entry in (line.entry, *line.also)}  # some stand on two boards
    counted = Counter(map(kind, every.values()))
    return render(
        "page.html.jinja",
        sections=[(dataset, list(group)) for dataset, group in groupby(boards, key=lambda board: board.dataset)],
        problems=problems,
        slugs=slugs,
        counts={name: counted[name] for name in STATUSES},
        statuses=STATUSES,
        filters=COLUMNS,
        most_links=MOST_LINKS,
        most_shown=MOST_SHOWN,
    )
