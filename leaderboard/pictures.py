"""Small inline SVG pictures for the page: a strip of scores, bars of a breakdown, a curve over thresholds.

They carry no style of their own: the page's CSS colours them by class, in light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from har_bench.protocol.readings import cells, points, readings
from har_bench.results import Interval, Result

from .board import Board
from .entries import Verified

WIDTH = 420
STRIP = 720
LABEL = 130
STEP = 20
MOST_BARS = 60
"""More bars than this (sequences, the classes of the largest datasets) are read in the table, not seen at a glance."""


def strip(board: Board) -> Markup:
    """Every score of the primary column on one axis: rings are reported, discs verified, a line its interval.

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
    for entry, value in sorted(marks, key=lambda mark: isinstance(mark[0], Verified)):
        verified = isinstance(entry, Verified)
        x = axis.at(value.number)
        if value.interval:
            parts.append(_line(axis.at(value.interval.low), 18, axis.at(value.interval.high), 18, "whisker"))
        hint = f"{entry.method}: {value.text} {value.unit} ({'verified' if verified else 'reported'})"
        parts.append(
            Markup('<circle class="{}" cx="{:.1f}" cy="18" r="5"><title>{}</title></circle>').format(
                "disc" if verified else "ring", x, hint
            )
        )
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
        parts.append(
            Markup('<rect class="bar" x="{}" y="{}" width="{:.1f}" height="12" rx="2"/>').format(LABEL, y + 4, width)
        )
        parts.append(_text(LABEL + width + 6, y + 14, f"{value:.1f}", "label", "start"))
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
    parts.append(Markup('<polyline class="curve" points="{}"/>').format(path))
    return _svg(WIDTH, 204, "line", caption, parts)


class Axis(NamedTuple):
    """A linear scale from numbers to pixels."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, number: float) -> float:
        """The pixel of a number; the middle when the axis has no length."""
        span = self.high - self.low
        return self.start + (self.stop - self.start) * ((number - self.low) / span if span else 0.5)

    def ticks(self) -> list[float]:
        """About five round numbers inside the axis."""
        span = self.high - self.low
        if not span:
            return [self.low]
        power = 10.0 ** math.floor(math.log10(span / 4))
        step = next((power * factor for factor in (1, 2, 5) if span / (power * factor) <= 5), power * 10)
        first = math.ceil(self.low / step)
        return [round(index * step, 10) for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


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
    return f"{interval.level * 100:g} % interval {interval.low:.2f} to {interval.high:.2f}{resamples}"
