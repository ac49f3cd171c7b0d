"""HTML pages: self-contained files that work from ``file://``, offline, and print.

A page loads nothing: style and script are inlined, and its content security policy lets the browser run only these.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from har_bench.foreign import words
from har_bench.protocol.readings import readings
from har_bench.results import Result

from . import charts, pictures
from .board import Board
from .entries import Scored
from .fields import COLUMNS, Field
from .tables import kind, status

MOST_ROWS = 500
"""Rows of a breakdown that a page shows; the result file has them all."""

HEADINGS = {"facts": "{}", "curve": "Over {}", "groups": "By {}"}


def render(template: str, **content: Any) -> str:
    """A page of a template."""
    house = _house(template == "page.html.jinja")
    return _environment().get_template(template).render(**{"pictured": False, **house, **content})


@cache
def _house(active: bool) -> dict[str, Any]:
    """Style and script of a page, and how the policy names them; there is nothing to do on a page of one entry."""
    style, script = text_of("page.css"), text_of("page.js") if active else ""
    return {
        "style": Markup(style),  # noqa: S704 -- our own file
        "script": Markup(script),  # noqa: S704 -- our own file
        "style_hash": digest(style),
        "script_hash": digest(script),
    }


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(text_of),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(status=status, kind=kind, number=words.number)
    environment.globals.update(
        charts=charts.charts,
        columns=pictures.columns,
        fields_shown=fields_shown,
        heading_of=heading_of,
        confidence=pictures.confidence,
        most=MOST_ROWS,
        said_of=said_of,
    )
    return environment


def text_of(name: str) -> str:
    """A template, the style or the script."""
    return files("har_bench.leaderboard").joinpath("templates", name).read_text("utf-8")


def digest(text: str) -> str:
    """The source expression by which a content security policy allows exactly this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def fields_shown(board: Board) -> Sequence[Field]:
    """The fields that at least one line of a board has."""
    return [field for field in COLUMNS if any(field.text(line.fields) for line in board.lines)]


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
    return [(heading, text) for heading, text in said.items() if text]
