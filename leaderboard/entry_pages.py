"""A page for every entry scored here, and for every two of a board that are worth comparing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, Protocol

from har_bench.foreign.words import number
from har_bench.protocol.readings import cells, points, readings
from har_bench.results import Result

from . import pictures
from .board import Board, Line
from .entries import Scored
from .rendering import render
from .report import page_of as report_of

MOST_PAIRED = 12
"""Entries of a board of which every two have a page, the best ones: of n entries there would be n² pages."""


REPORTS = "reports"
"""The folder of reports."""


class Illustrations(Protocol):
    """What stores and predictions that are here can show."""

    def store(self, fingerprint: str) -> str:
        """Where the site has a page of a store; empty for one that is not here."""

    def worst(self, result: Result) -> Sequence[tuple[str, bytes]]:
        """Captions and PNGs of where a result is worst; none where its predictions are not here."""


class Extras(NamedTuple):
    """What the pages of entries offer besides.

    Attributes:
        reports: whether each has a report.
        illustrations: what can be drawn.
    """

    reports: bool = False
    illustrations: Illustrations | None = None

    def offered(self, entry: Scored, slug: str) -> list[tuple[str, str]]:
        """Words and places of what an entry's page links to."""
        store = entry.result.fingerprints.get("store", "")
        browsed = self.illustrations.store(store) if self.illustrations else ""
        links = [("The store that it was scored on, with a sample of each class", browsed)] if browsed else []
        return [("Report for a few sheets of paper", f"{REPORTS}/{slug}.html"), *links] if self.reports else links


NO_EXTRAS = Extras()


def slugs_of(boards: Sequence[Board]) -> dict[str, str]:
    """A name for the page of every entry scored here, by the name of its file; unique whatever the case."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for file in sorted({each.entry.file for board in boards for each in _here(board)}):
        stem = re.sub(r"[^a-z0-9]+", "-", file.removesuffix(".json").removesuffix("/result").casefold()).strip("-")
        slug, count = stem[:80] or "entry", 1
        while slug in taken:
            count += 1
            slug = f"{stem[:80]}-{count}"
        taken.add(slug)
        found[file] = slug
    return found


class Here(NamedTuple):
    """A line of a board that was scored here."""

    line: Line
    entry: Scored


def _here(board: Board) -> list[Here]:
    return [Here(line, line.entry) for line in board.lines if isinstance(line.entry, Scored)]


def pages(boards: Sequence[Board], slugs: Mapping[str, str], extras: Extras = NO_EXTRAS) -> Iterator[tuple[str, str]]:
    """Every page of an entry and of two, and the reports, by its place in the site."""
    for board in boards:
        here = _here(board)
        places = {frozenset((a.entry.file, b.entry.file)): _place(a, b, slugs) for a, b in _pairs(here)}
        medians = pictures.medians([each.entry.result for each in here])
        for each in here:
            mine = ((other, places.get(frozenset((each.entry.file, other.entry.file)))) for other in here[:MOST_PAIRED])
            others = [(other.entry, place) for other, place in mine if place]
            slug = slugs[each.entry.file]
            offered = extras.offered(each.entry, slug)
            yield f"entries/{slug}.html", _entry_page(board, each, others, medians, offered)
            if extras.reports:
                drawn = extras.illustrations.worst(each.entry.result) if extras.illustrations else ()
                command = each.entry.card.command if each.entry.card else ""
                yield f"{REPORTS}/{slug}.html", report_of(each.entry.result, drawn, command)
        for a, b in _pairs(here):
            yield places[frozenset((a.entry.file, b.entry.file))], _comparison_page(board, a, b, slugs)


def _pairs(here: Sequence[Here]) -> Iterator[tuple[Here, Here]]:
    yield from combinations(here[:MOST_PAIRED], 2)


def _place(a: Here, b: Here, slugs: Mapping[str, str]) -> str:
    first, second = (slugs[each.entry.file][:60] for each in (a, b))
    return f"compare/{first}--{second}.html"


def _entry_page(
    board: Board,
    each: Here,
    others: Sequence[tuple[Scored, str]],
    medians: Mapping[str, Mapping[str, float]],
    offered: Sequence[tuple[str, str]],
) -> str:
    return render(
        "entry.html.jinja",
        board=board,
        entry=each.entry,
        sentence=_said(board, each.line),
        drawn=pictures.pictures(each.entry.result, medians),
        others=others,
        offered=offered,
    )


def _said(board: Board, line: Line) -> str:
    """The number that ranks, and where that puts it."""
    value, standing = line.values.get(board.primary.name), board.standing(line)
    if value is None:
        return f"No {board.primary.name} was measured."
    said = f"{board.primary.name} {value.text} {value.unit}"
    if standing is None:
        return f"{said}."
    places = f"place {standing.text} of the {len(board.here)} that were scored here"
    return f"{said}: {places}. {board.how_ranked}"


def _comparison_page(board: Board, a: Here, b: Here, slugs: Mapping[str, str]) -> str:
    first, second = a.entry, b.entry
    metrics = [
        {"name": name, "a": first.values[name].number, "b": second.values[name].number, "unit": first.values[name].unit}
        for name in first.values
        if name in second.values
    ]
    facts = [{**entry.result.environment, **_measured(entry)} for entry in (first, second)]
    differing = [
        (name, facts[0].get(name, ""), facts[1].get(name, ""))
        for name in dict.fromkeys([*facts[0], *facts[1]])
        if facts[0].get(name) != facts[1].get(name)
    ]
    return render(
        "comparison.html.jinja",
        board=board,
        a=first,
        b=second,
        sentence=_verdict(board, a.line, b.line),
        slugs=slugs,
        metrics=metrics,
        differing=differing,
        drawn=list(_drawn(first, second)),
    )


def _measured(entry: Scored) -> dict[str, str]:
    speed = entry.result.speed.items()
    return {name.replace("_", " "): f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for name, value in speed}


def _verdict(board: Board, a: Line, b: Line) -> str:
    """Which is better by how much, and whether that may be chance."""
    column = board.primary
    values = [line.values.get(column.name) for line in (a, b)]
    if values[0] is None or values[1] is None:
        return f"One of them has no {column.name}."
    difference = column.upwards(values[1].number) - column.upwards(values[0].number)
    if not difference:
        return f"Both have the same {column.name}."
    better = (b if difference > 0 else a).entry
    size = f"{number(abs(difference))} {column.unit}"
    p = board.p_value(a, b)
    if p is not None:
        how = f"p = {p:.2g} by a paired permutation test, not corrected for other pairs"
        return f"{better.method} is better by {size} {column.name} ({how})."
    ends = [value.interval for value in values if value and value.interval]
    if len(ends) < 2:
        return f"{better.method} is better by {size} {column.name}; whether by chance is not known."
    apart = ends[0].high < ends[1].low or ends[1].high < ends[0].low
    how = "their confidence intervals do not overlap" if apart else "their confidence intervals overlap: not separated"
    return f"{better.method} is better by {size} {column.name}; {how}."


def _drawn(first: Scored, second: Scored) -> Iterator[tuple[object, str]]:
    """Curves laid over each other, and groups side by side."""
    for title, reading in readings(first.result).items():
        column, names = reading.measure, (f"{first.method}", f"{second.method}")
        rows = [entry.result.tables.get(title, []) for entry in (first, second)]
        if column is None or reading.kind == "facts" or not all(rows):
            continue
        caption = f"{column} by {title}"
        if reading.kind == "curve":
            picture = pictures.curves([points(each, column) for each in rows], names, caption)
        else:
            picture = pictures.pairs([cells(each, column) for each in rows], names, caption)
        if picture:
            looks = ("solid", "dashed") if reading.kind == "curve" else ("disc", "ring")
            yield picture, f"{caption}: {names[0]} {looks[0]}, {names[1]} {looks[1]}"
