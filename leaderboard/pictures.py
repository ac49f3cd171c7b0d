"""Small inline SVG pictures for the page: a strip of scores, bars of a breakdown, a curve over thresholds.

They carry no style of their own: the page's CSS colours them by class, in light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from har_bench.foreign.words import number
from har_bench.protocol.readings import cells, points, readings
from har_bench.results import Interval, Result, Row

from .board import Board
from .entries import Scored

WIDTH = 420
STRIP = 720
LABEL = 130
STEP = 20
MOST_BARS = 60
"""More bars than this (sequences, the classes of the largest datasets) are read in the table, not seen at a glance."""

LEAST, MOST = 1e-300, 1e300
"""Lengths of an axis that can be divided."""


def strip(board: Board) -> Markup:
    """Every score of the primary column on one axis: rings are reported, discs scored here, a line its interval.

    Empty for fewer than three scores: there is nothing to see.
    """
    primary = board.primary.name
    marks = [(line.entry, line.values[primary]) for line in board.lines if primary in line.values]
    if len(marks) < 3:
        return Markup("")
    ends = [value.number for _, value in marks]
    ends += [end for _, value in marks if value.interval for end in (value.interval.low, value.interval.high)]
    axis = Axis(min(ends), max(ends), 24, STRIP - 24)
    parts = [_line(axis.start, 34, axis.stop, 34, "axis")]
    parts += [_text(axis.at(tick), 50, _number(tick), "tick", "middle") for tick in axis.ticks()]
    for entry, value in sorted(marks, key=lambda mark: isinstance(mark[0], Scored)):
        here = isinstance(entry, Scored)
        x = axis.at(value.number)
        if value.interval:
            parts.append(_line(axis.at(value.interval.low), 18, axis.at(value.interval.high), 18, "whisker"))
        hint = f"{entry.method}: {value.text} {value.unit} ({'scored here' if here else 'reported'})"
        look = "disc" if here else "ring"
        parts.append(f'<circle class="{look}" cx="{x:.1f}" cy="18" r="5"><title>{escape(hint)}</title></circle>')
    better = f"{board.primary.better} is better"
    return _svg(STRIP, 56, "strip", f"{board.heading(board.primary)} of every entry; {better}", parts)


def pictures(result: Result) -> dict[str, Markup]:
    """A captioned picture of each table that is said to be a curve, or groups with a column to compare.

    Nothing is drawn of a table of unknown kind, of fewer than two rows with a number, or of more than
    :data:`MOST_BARS` groups.
    """
    drawn = {}
    for title, reading in readings(result).items():
        rows, column = result.tables.get(title, []), reading.measure
        if column is None or reading.kind == "facts":
            continue
        unit = result.units.get(column, "")
        caption = f"{column} by {title}" + (f" [{unit}]" if unit else "")
        if reading.kind == "curve":
            picture = _curve(points(rows, column), caption)
        else:
            picture = _bars(cells(rows, column), caption)
        if picture:
            drawn[title] = Markup("{}<figcaption>{}</figcaption>").format(picture, caption)
    return drawn


def columns(rows: Sequence[Row]) -> list[str]:
    """The columns of a breakdown: those of every row, in the order in which they come."""
    return list(dict.fromkeys(column for row in rows for column in row))


def _bars(numbers: Mapping[str, float], caption: str) -> Markup:
    """Horizontal bars from zero, one for each row, with its number; empty where they are too few or too many."""
    if not 2 <= len(numbers) <= MOST_BARS:
        return Markup("")
    top = max(*numbers.values(), 0.0) or 1.0
    room = WIDTH - LABEL - 60
    parts = []
    for index, (text, value) in enumerate(numbers.items()):
        y = index * STEP
        shown = text if len(text) <= 19 else f"{text[:18]}…"
        parts.append(_text(LABEL - 8, y + 14, shown, "label", "end", hint=text))
        width = max(value, 0.0) / top * room
        parts.append(f'<rect class="bar" x="{LABEL}" y="{y + 4}" width="{width:.1f}" height="12" rx="2"/>')
        parts.append(_text(LABEL + width + 6, y + 14, number(value, 1), "label", "start"))
    return _svg(WIDTH, len(numbers) * STEP + 4, "bars", caption, parts)


def _curve(line: Sequence[tuple[float, float]], caption: str) -> Markup:
    """A line through points from left to right, both axes with their ticks; empty for fewer than two."""
    if len(line) < 2:
        return Markup("")
    across = Axis(line[0][0], line[-1][0], 48, WIDTH - 16)
    up = Axis(min(0.0, *(height for _, height in line)), max(height for _, height in line), 178, 12)
    parts = [_line(across.start, up.start, across.stop, up.start, "axis")]
    parts += [_text(across.at(tick), 196, _number(tick), "tick", "middle") for tick in across.ticks()]
    for tick in up.ticks():
        parts.append(_line(across.start, up.at(tick), across.stop, up.at(tick), "grid"))
        parts.append(_text(across.start - 6, up.at(tick) + 4, _number(tick), "tick", "end"))
    path = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in line)
    parts.append(f'<polyline class="curve" points="{path}"/>')
    return _svg(WIDTH, 204, "line", caption, parts)


class Axis(NamedTuple):
    """A linear scale from numbers to pixels."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, number: float) -> float:
        """The pixel of a number; the middle when the axis has no length that a float can hold."""
        span = self.high - self.low
        share = (number - self.low) / span if span and math.isfinite(span) else 0.5
        return self.start + (self.stop - self.start) * share

    def ticks(self) -> list[float]:
        """About five round numbers inside the axis; its ends where there is none between that a float can hold."""
        span = self.high - self.low
        if not LEAST < span < MOST or span < 1e-12 * max(abs(self.low), abs(self.high)):
            return sorted({self.low, self.high})
        digits = math.floor(math.log10(span / 4))
        power = 10.0**digits
        step = next((power * factor for factor in (1, 2, 5) if span / (power * factor) <= 5), power * 10)
        inside = range(math.ceil(self.low / step), math.floor(self.high / step + 1e-9) + 1)
        return [round(index * step, 10 - digits) for index in inside]


def _number(value: float) -> str:
    return f"{value:g}"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str, *, hint: str = "") -> str:
    title = f"<title>{escape(hint)}</title>" if hint and hint != text else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}{title}</text>'


def _svg(width: int, height: int, kind: str, caption: str, parts: Iterable[str]) -> Markup:
    """A picture of parts whose foreign texts are escaped already, which is many times as fast as escaping them here."""
    head = f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(caption)}">'
    return Markup(f"{head}{''.join(parts)}</svg>")  # noqa: S704 -- see above


def interval_text(interval: Interval) -> str:
    """``95 % interval 68.10 to 70.60, 1,000 resamples``."""
    resamples = f", {interval.resamples:,} resamples" if interval.resamples else ""
    ends = f"{number(interval.low)} to {number(interval.high)}"
    return f"{interval.level * 100:g} % interval {ends}{resamples}"
