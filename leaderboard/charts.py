"""Charts of a board: every score on an axis, the best so far over the years, accuracy against size and speed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate

from markupsafe import Markup

from . import svg
from .board import Board, Line
from .entries import Scored
from .fields import COLUMNS, Field
from .svg import Axis

STRIP = 720
WIDTH, HEIGHT = 420, 190
MOST_CLASSES = 5
"""Classes of input that have a line of their own."""

LEAST_DATED = 4
"""Dated numbers of a class that make a line."""

LINES = ("curve", "curve second", "curve third", "curve fourth", "curve fifth")


def charts(board: Board) -> list[tuple[Markup, str]]:
    """The charts of a board with their captions; those with too little to see are left out."""
    better = f"; {board.primary.better} is better" if board.primary.better else ""
    heading = board.heading(board.primary)
    drawn = [
        (strip(board) if board.scored_here else Markup(""), f"{heading} of every entry{better}"),
        (over_years(board), f"Best {heading} so far, by input{better}"),
        *(
            (
                against(board, field),
                f"{heading} against {field.label.lower()}{_devices(board, field)}; the line joins "
                "those that none beats in both",
            )
            for field in COLUMNS
            if field.name in ("parameters", "speed")
        ),
    ]
    return [(picture, caption) for picture, caption in drawn if picture]


def _devices(board: Board, field: Field) -> str:
    devices = {line.fields.device for line in board.lines if line.fields.device}
    return f" ({', '.join(sorted(devices))})" if field.name == "speed" and devices else ""


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
    parts = [svg.line(axis.start, 34, axis.stop, 34, "axis")]
    parts += [svg.text(axis.at(tick), 50, svg.number(tick), "tick", "middle") for tick in axis.ticks()]
    for entry, value in sorted(marks, key=lambda mark: isinstance(mark[0], Scored)):
        here = isinstance(entry, Scored)
        x = axis.at(value.number)
        if value.interval:
            parts.append(svg.line(axis.at(value.interval.low), 18, axis.at(value.interval.high), 18, "whisker"))
        hint = f"{entry.method}: {value.text} {value.unit} ({'scored here' if here else 'reported'})"
        look = "disc" if here else "ring"
        parts.append(svg.mark(x, 18, look, hint))
    better = f"{board.primary.better} is better"
    return svg.svg(STRIP, 56, "strip", f"{board.heading(board.primary)} of every entry; {better}", parts)


def over_years(board: Board) -> Markup:
    """The best number so far, a line for each class of input; empty where fewer than two years are known."""
    column = board.primary
    dated: dict[str, list[tuple[int, float, Line]]] = defaultdict(list)
    for line in board.lines:
        if line.fields.year and column.name in line.values and column.better:
            dated[line.fields.given].append((line.fields.year, line.values[column.name].number, line))
    classes = {name: sorted(found, key=lambda each: each[:2]) for name, found in dated.items()}
    classes = {name: found for name, found in classes.items() if len(found) >= LEAST_DATED}
    classes = dict(sorted(classes.items(), key=lambda each: -len(each[1]))[:MOST_CLASSES])
    every = [(year, value) for found in classes.values() for year, value, _ in found]
    if len({year for year, _ in every}) < 2:
        return Markup("")
    across = Axis(min(year for year, _ in every) - 0.2, max(year for year, _ in every) + 0.4, 48, WIDTH - 90)
    up = Axis(min(value for _, value in every), max(value for _, value in every), HEIGHT - 30, 12)
    parts = svg.frame(across, up)
    best = max if column.better == "higher" else min
    for look, (name, found) in zip(LINES, classes.items(), strict=False):
        for year, value, line in found:
            parts.append(svg.mark(across.at(year), up.at(value), "dot", f"{line.entry.method}: {value:g}, {year}"))
        steps = list(accumulate((value for _, value, _ in found), best))
        years = [across.at(year) for year, _, _ in found]
        places = list(_stairs(list(zip(years, map(up.at, steps), strict=True))))
        end = (across.stop, places[-1][1])
        parts.append(svg.path([*places, end], look))
        parts.append(svg.text(end[0] + 4, end[1] + 4, (name or "input not said")[:16], "label", "start"))
    return svg.svg(WIDTH, HEIGHT, "line", f"Best {column.name} so far over the years", parts)


def _stairs(places: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """A line that stays where it is until it jumps."""
    before: tuple[float, float] | None = None
    for x, y in places:
        if before is not None and before[1] != y:
            yield x, before[1]
        if before is None or before[1] != y:
            yield x, y
        before = (x, y)
    if before is not None:
        yield before


def against(board: Board, field: Field) -> Markup:
    """The primary number against a field, and the line of those that none beats in both; empty for fewer than three."""
    column = board.primary
    marks = [
        (float(size), line.values[column.name].number, line)
        for line in board.lines
        if column.name in line.values and column.better and isinstance(size := field.read(line.fields), int | float)
    ]
    if len({size for size, _, _ in marks}) < 3:
        return Markup("")
    across = Axis(min(0.0, *(size for size, _, _ in marks)), max(size for size, _, _ in marks), 48, WIDTH - 16)
    up = Axis(min(value for _, value, _ in marks), max(value for _, value, _ in marks), HEIGHT - 30, 12)
    parts = svg.frame(across, up)
    for size, value, line in marks:
        look = "disc" if isinstance(line.entry, Scored) else "ring"
        hint = f"{line.entry.method}: {value:g}, {field.label} {field.text(line.fields)}"
        parts.append(svg.mark(across.at(size), up.at(value), look, hint))
    front: list[tuple[float, float]] = []
    sign = -1 if field.least else 1
    for size, value, _ in sorted(marks, key=lambda each: (sign * each[0], -column.upwards(each[1]))):
        if not front or column.upwards(value) > column.upwards(front[-1][1]):
            front.append((size, value))
    parts.append(svg.path(((across.at(size), up.at(value)) for size, value in front), "curve"))
    return svg.svg(WIDTH, HEIGHT, "line", f"{column.name} against {field.label}", parts)
