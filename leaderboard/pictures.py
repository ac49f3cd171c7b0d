"""Small inline SVG pictures of a result: bars of a breakdown beside the board's median, curves laid over each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from markupsafe import Markup

from har_bench.foreign.words import number
from har_bench.protocol.readings import cells, points, readings
from har_bench.results import Interval, Result, Row

from . import svg
from .svg import Axis

WIDTH = 420
LABEL = 130
STEP = 20
MOST_BARS = 60
"""More bars than this (sequences, the classes of the largest datasets) are read in the table, not seen at a glance."""

LINES = ("curve", "curve other")

Groups = Mapping[str, float]
Points = Sequence[tuple[float, float]]


def pictures(result: Result, usual: Mapping[str, Groups] | None = None) -> dict[str, Markup]:
    """A captioned picture of each table that is said to be a curve, or groups with a column to compare.

    Nothing is drawn of a table of unknown kind, of fewer than two rows with a number, or of more than
    :data:`MOST_BARS` groups.

    Args:
        result: what was scored.
        usual: the median of several results by table and group, which is marked.
    """
    drawn = {}
    for title, reading in readings(result).items():
        rows, column = result.tables.get(title, []), reading.measure
        if column is None or reading.kind == "facts":
            continue
        unit = result.units.get(column, "")
        caption = f"{column} by {title}" + (f" [{unit}]" if unit else "")
        if reading.kind == "curve":
            picture = curves([points(rows, column)], [result.model], caption)
        else:
            beside = (usual or {}).get(title, {})
            picture = _bars(cells(rows, column), beside, caption)
            caption += "; the line is the board's median" if beside else ""
        if picture:
            drawn[title] = Markup("{}<figcaption>{}</figcaption>").format(picture, caption)
    return drawn


def medians(results: Sequence[Result]) -> dict[str, Groups]:
    """The median over several results of every group, by table; of fewer than three results none."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results if len(results) > 2 else ():
        for title, reading in readings(result).items():
            if reading.kind == "groups" and reading.measure and len(result.tables.get(title, [])) <= MOST_BARS:
                for name, value in cells(result.tables.get(title, []), reading.measure).items():
                    found[title][name].append(value)
    return {title: {name: median(values) for name, values in groups.items()} for title, groups in found.items()}


def columns(rows: Sequence[Row]) -> list[str]:
    """The columns of a breakdown: those of every row, in the order in which they come."""
    return list(dict.fromkeys(column for row in rows for column in row))


def _bars(numbers: Groups, usual: Groups, caption: str) -> Markup:
    """Horizontal bars from zero, one for each row, with its number; empty where they are too few or too many."""
    if not 2 <= len(numbers) <= MOST_BARS:
        return Markup("")
    top = max(*numbers.values(), *usual.values(), 0.0) or 1.0
    room = WIDTH - LABEL - 60
    parts = []
    for index, (name, value) in enumerate(numbers.items()):
        y = index * STEP
        width = max(value, 0.0) / top * room
        parts.append(_label(name, y))
        parts.append(f'<rect class="bar" x="{LABEL}" y="{y + 4}" width="{width:.1f}" height="12" rx="2"/>')
        if name in usual:
            x = LABEL + max(usual[name], 0.0) / top * room
            parts.append(svg.line(x, y + 2, x, y + 18, "usual"))
        parts.append(svg.text(LABEL + width + 6, y + 14, number(value, 1), "label", "start"))
    return svg.svg(WIDTH, len(numbers) * STEP + 4, "bars", caption, parts)


def _label(name: str, y: float) -> str:
    shown = name if len(name) <= 19 else f"{name[:18]}…"
    return svg.text(LABEL - 8, y + 14, shown, "label", "end", hint=name)


def pairs(numbers: Sequence[Groups], names: Sequence[str], caption: str) -> Markup:
    """Two numbers for each group, joined by a line: a disc the first, a ring the second."""
    both = [name for name in numbers[0] if name in numbers[1]]
    if not 2 <= len(both) <= MOST_BARS:
        return Markup("")
    values = [each[name] for each in numbers for name in both]
    axis = Axis(min(values), max(values), LABEL + 6, WIDTH - 12)
    parts = []
    for index, name in enumerate(both):
        y = index * STEP + 10
        first, second = (axis.at(each[name]) for each in numbers)
        parts += [_label(name, index * STEP), svg.line(first, y, second, y, "grid")]
        parts.append(svg.mark(first, y, "disc", f"{names[0]}: {number(numbers[0][name])}"))
        parts.append(svg.mark(second, y, "ring", f"{names[1]}: {number(numbers[1][name])}"))
    bottom = len(both) * STEP
    parts += [svg.text(axis.at(tick), bottom + 14, svg.number(tick), "tick", "middle") for tick in axis.ticks()]
    return svg.svg(WIDTH, bottom + 20, "bars", caption, parts)


def curves(lines: Sequence[Points], names: Sequence[str], caption: str) -> Markup:
    """Lines from left to right, both axes with their ticks; empty for fewer than two points."""
    if any(len(line) < 2 for line in lines):
        return Markup("")
    every = [point for line in lines for point in line]
    across = Axis(min(x for x, _ in every), max(x for x, _ in every), 48, WIDTH - 16)
    up = Axis(min(0.0, *(height for _, height in every)), max(height for _, height in every), 178, 12)
    parts = svg.frame(across, up)
    for line, look, name in zip(lines, LINES, names, strict=False):
        parts.append(svg.path(((across.at(x), up.at(y)) for x, y in line), look))
        if len(lines) > 1:
            end = line[-1]
            parts.append(svg.text(across.at(end[0]) - 4, up.at(end[1]) + 12, name[:24], "label", "end"))
    return svg.svg(WIDTH, 204, "line", caption, parts)


def confidence(intervals: Mapping[str, Interval]) -> tuple[str, dict[str, str]]:
    """What stands above a column of intervals, and in it by metric: what all share is said once.

    >>> confidence({"MPJPE": Interval(low=68.1, high=70.6, resamples=1000)})
    ('95 % interval, 1,000 resamples', {'MPJPE': '68.10 to 70.60'})
    """
    ends = {name: f"{number(each.low)} to {number(each.high)}" for name, each in intervals.items()}
    made = {name: f"{each.level * 100:g} % interval" + _resamples(each) for name, each in intervals.items()}
    if len(set(made.values())) == 1:
        return next(iter(made.values())), ends
    return "Confidence", {name: f"{ends[name]} ({how})" for name, how in made.items()}


def _resamples(interval: Interval) -> str:
    return f", {interval.resamples:,} resamples" if interval.resamples else ""
