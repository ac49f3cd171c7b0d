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
from har_bench.protocol.readings import readings
from har_bench.results import Result

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
            n_scored=sum(kind(entry) == "scored" for entry in overall),
            n_verified=sum(kind(entry) == "verified" for entry in overall),
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
        heading_of=heading_of,
        said_of=said_of,
    )
    return environment


HEADINGS = {"facts": "{}", "curve": "Over {}", "groups": "By {}"}


def heading_of(result: Result, title: str) -> str:
    """What stands above a table of a result: ``By action``, ``Over threshold``, or the name of mere facts."""
    reading = readings(result).get(title)
    heading = HEADINGS[reading.kind if reading else "facts"].format(title.replace("_", " "))
    return heading[:1].upper() + heading[1:]


def said_of(entry: Scored) -> list[tuple[str, str]]:
    """What the card of an entry says, in words."""
    if entry.card is None:
        return []
    causal = {None: "", True: "yes, it sees no later frame", False: "no"}[entry.card.causal]
    kept = entry.card.predictions
    said = {
        "Who": entry.card.who,
        "Paper": entry.card.paper,
        "Year": str(entry.card.year or ""),
        "Input": entry.card.input,
        "Frames": str(entry.card.frames or ""),
        "Extra data": entry.card.extra_data,
        "Causal": causal,
        "Code": entry.card.code,
        "Licence": entry.card.licence,
        "Command": entry.card.command,
        "Predictions": f"{kept.url} (blake3 {kept.blake3})" if kept else "beside the result",
    }
    return [(heading, words) for heading, words in said.items() if words]


def _text(name: str) -> str:
    return files("har_bench.leaderboard").joinpath("templates", name).read_text("utf-8")


def _digest(text: str) -> str:
    """The source expression by which a content security policy allows exactly this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
