"""Small inline SVG pictures for the page: a strip of scores, bars of a breakdown, a curve over thresholds.

They carry no style of their own: the page's CSS colours them by class, in light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from har_bench.foreign.words import number
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


class Drawing(NamedTuple):
    """A breakdown table with the column to look at."""

    key: str
    value: str
    points: list[tuple[str | float, float]]


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
        parts.append(
            Markup('<circle class="{}" cx="{:.1f}" cy="18" r="5"><title>{}</title></circle>').format(
                "disc" if here else "ring", x, hint
            )
        )
    better = f"{board.primary.better} is better"
    return _svg(STRIP, 56, "strip", f"{board.heading(board.primary)} of every entry; {better}", parts)


def pictures(result: Result) -> dict[str, Markup]:
    """A captioned picture of each breakdown table that has something to draw: a curve over numbers, else bars."""
    drawn = {}
    for name, rows in result.tables.items():
        if drawing := _drawing(name, rows, result.primary):
            unit = result.units.get(drawing.value, "")
            caption = f"{drawing.value} by {drawing.key}" + (f" [{unit}]" if unit else "")
            picture = _curve(drawing, caption) if _over_numbers(drawing) else _bars(drawing, caption)
            drawn[name] = Markup("{}<figcaption>{}</figcaption>").format(picture, caption)
    return drawn


def _drawing(name: str, rows: Sequence[Row], primary: str) -> Drawing | None:
    """Which column names the rows, and which to draw: the primary metric, else the first column of fractions."""
    every = columns(rows)
    if len(rows) < 2 or not every:
        return None
    key = name if name in every else every[0]
    drawable = [column for column in every if column != key and any(isinstance(row.get(column), float) for row in rows)]
    if not drawable:
        return None
    value = primary if primary in drawable else drawable[0]
    points = [(_label(row.get(key)), number) for row in rows if isinstance(number := row.get(value), int | float)]
    drawing = Drawing(key, value, points)
    return drawing if len(points) > 1 and (_over_numbers(drawing) or len(points) <= MOST_BARS) else None


def columns(rows: Sequence[Row]) -> list[str]:
    """The columns of a breakdown: those of every row, in the order in which they come."""
    return list(dict.fromkeys(column for row in rows for column in row))


def _label(key: str | int | float | None) -> str | float:
    return key if isinstance(key, str | float) else str(key)


def _over_numbers(drawing: Drawing) -> bool:
    return all(isinstance(label, float) for label, _ in drawing.points)


def _bars(drawing: Drawing, caption: str) -> Markup:
    """Horizontal bars from zero, one for each row, with its number."""
    top = max(max(value for _, value in drawing.points), 0.0) or 1.0
    room = WIDTH - LABEL - 60
    parts = []
    for index, (label, value) in enumerate(drawing.points):
        y = index * STEP
        text = str(label)
        shown = text if len(text) <= 19 else f"{text[:18]}…"
        parts.append(_text(LABEL - 8, y + 14, shown, "label", "end", hint=text))
        width = max(value, 0.0) / top * room
        parts.append(
            Markup('<rect class="bar" x="{}" y="{}" width="{:.1f}" height="12" rx="2"/>').format(LABEL, y + 4, width)
        )
        parts.append(_text(LABEL + width + 6, y + 14, number(value, 1), "label", "start"))
    return _svg(WIDTH, len(drawing.points) * STEP + 4, "bars", caption, parts)


def _curve(drawing: Drawing, caption: str) -> Markup:
    """A line through the points, both axes with their ticks."""
    points = sorted((float(label), value) for label, value in drawing.points)
    across = Axis(points[0][0], points[-1][0], 48, WIDTH - 16)
    up = Axis(min(0.0, *(value for _, value in points)), max(value for _, value in points), 178, 12)
    parts = [_line(across.start, up.start, across.stop, up.start, "axis")]
    parts += [_text(across.at(tick), 196, _number(tick), "tick", "middle") for tick in across.ticks()]
    for tick in up.ticks():
        parts.append(_line(across.start, up.at(tick), across.stop, up.at(tick), "grid"))
        parts.append(_text(across.start - 6, up.at(tick) + 4, _number(tick), "tick", "end"))
    path = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in points)
    parts.append(Markup('<polyline class="curve" points="{}"/>').format(path))
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
        step = next(
            (factor * 10.0**digits for factor in (1, 2, 5) if span / (factor * 10.0**digits) <= 5), 10.0 ** (digits + 1)
        )
        inside = range(math.ceil(self.low / step), math.floor(self.high / step + 1e-9) + 1)
        return [round(index * step, 10 - digits) for index in inside]


def _number(value: float) -> str:
    return f"{value:g}"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    pattern = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>')
    return pattern.format(kind, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, kind: str, anchor: str, *, hint: str = "") -> Markup:
    title = Markup("<title>{}</title>").format(hint) if hint and hint != text else Markup("")
    pattern = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}{}</text>')
    return pattern.format(kind, x, y, anchor, text, title)


def _svg(width: int, height: int, kind: str, caption: str, parts: Iterable[Markup]) -> Markup:
    pattern = Markup('<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return pattern.format(kind, width, height, caption, Markup("").join(map(escape, parts)))


def interval_text(interval: Interval) -> str:
    """``95 % interval 68.10 to 70.60, 1,000 resamples``."""
    resamples = f", {interval.resamples:,} resamples" if interval.resamples else ""
    ends = f"{number(interval.low)} to {number(interval.high)}"
    return f"{interval.level * 100:g} % interval {ends}{resamples}"
