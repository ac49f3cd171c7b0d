"""The web page: one self-contained HTML file that works from ``file://``, offline, and prints.

The page loads nothing: style and script are inlined, and its content security policy lets the browser run only these.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import groupby

import jinja2
from markupsafe import Markup

from har_bench.foreign import words

from . import pictures
from .board import Board
from .entries import Reported, Scored
from .tables import kind, latex, markdown, status

MOST_ROWS = 500
"""Rows of a breakdown that the page shows; the result file has them all."""


def page(boards: Sequence[Board], problems: Sequence[str] = ()) -> str:
    """The leaderboard as HTML5.

    Args:
        boards: in the order shown; boards of one dataset are neighbours.
        problems: sentences about files that are not published; the page shows them.
    """
    sections = [(dataset, list(group)) for dataset, group in groupby(boards, key=lambda board: board.dataset)]
    overall = [line.entry for board in boards if not board.breakdown for line in board.lines]
    style, script = _text("page.css"), _text("page.js")
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            sections=sections,
            problems=problems,
            n_reported=len({id(entry) for entry in overall if isinstance(entry, Reported)}),
            n_scored=sum(isinstance(entry, Scored) for entry in overall),
            n_boards=len(boards),
            style=Markup(style),  # noqa: S704 -- our own file
            script=Markup(script),  # noqa: S704 -- our own file
            style_hash=_digest(style),
            script_hash=_digest(script),
        )
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(status=status, kind=kind, number=words.number)
    environment.globals.update(
        markdown=markdown,
        latex=latex,
        strip=pictures.strip,
        pictures=pictures.pictures,
        interval_text=pictures.interval_text,
        columns=pictures.columns,
        most=MOST_ROWS,
    )
    return environment


def _text(name: str) -> str:
    return files("har_bench.leaderboard").joinpath("templates", name).read_text("utf-8")


def _digest(text: str) -> str:
    """The source expression by which a content security policy allows exactly this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
