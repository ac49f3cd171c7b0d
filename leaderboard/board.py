"""Entries grouped into boards: one dataset, one way of scoring, methods as rows and metrics as columns.

A column never holds two recipes. What sources print stays on boards of its own, under the source's own protocol text;
a printed number stands beside verified ones only where :data:`EQUALS` declares, with a reason, that both were scored
in the same way.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal, NamedTuple

from har_bench import registry
from har_bench.errors import HarBenchError, unknown

from .entries import DATASETS, SUMMARY, Entry, Readme, RepoFile, Reported, Value, Verified

Better = Literal["higher", "lower"]

PRIMARY = ("MPJPE", "AP", "mAP", "PCKh@0.5", "top-1 accuracy", "AUC")
"""Which metric ranks a board of reported entries: the first of these that it has, else the one printed first."""

SECTIONS = {"Kinetics400": "Kinetics-400"}
"""Spellings of one dataset, which make one section; the entries keep their own."""


@dataclass(frozen=True)
class Equal:
    """Published rows that were scored exactly as one of our recipes scores.

    Attributes:
        scoring: the canonical name of the recipe.
        scored: how many poses the published evaluation set has; a result that scored another number of them (a sample,
            a part of the data) stays on a board of its own.
        sources: the systems or repositories that print the rows.
        table: the table in which they print them.
        metrics: (protocol text, metric) as printed -> the recipe's metric.
        why: how we know.
    """

    scoring: str
    scored: int
    sources: frozenset[str]
    table: str
    metrics: Mapping[tuple[str, str], str]
    why: str

    def translate(self, entry: Reported) -> dict[str, Value]:
        """The entry's numbers by the recipe's metric names; empty unless the declaration covers them."""
        source = entry.source
        name = {Readme: "system", RepoFile: "repo"}.get(type(source))
        if name is None or getattr(source, name) not in self.sources or source.table != self.table:
            return {}
        renamed = ((self.metrics.get((entry.scoring, metric)), value) for metric, value in entry.values.items())
        return {metric: value for metric, value in renamed if metric}


EQUALS = (
    Equal(
        scoring="h36m/mpjpe:videopose3d",
        scored=543_344,
        sources=frozenset({"VideoPose3D"}),
        table="Results on Human3.6M",
        metrics={("H36M Protocol 1", "MPJPE"): "MPJPE", ("H36M Protocol 2", "P-MPJPE"): "P-MPJPE"},
        why="VideoPose3D prints what its own evaluation computes: every frame of S9 and S11, mean over the 15 actions.",
    ),
    Equal(
        scoring="mpii/pckh:hrnet",
        scored=2958,
        sources=frozenset({"leoxiaobin/deep-high-resolution-net.pytorch", "microsoft/human-pose-estimation.pytorch"}),
        table="Results on MPII val",
        metrics={("val, flip test", metric): metric for metric in ("PCKh@0.5", "PCKh@0.1")},
        why="Both repositories print what their shared evaluator computes; their “@0.1” reads the threshold 0.11, as "
        "the recipe does.",
    ),
)


class Column(NamedTuple):
    """A metric, or the part of a breakdown, of a board."""

    name: str
    unit: str
    better: Better


class Line(NamedTuple):
    """One entry of a board and its numbers by column."""

    entry: Entry
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Board:
    """A table of entries that may be compared.

    Attributes:
        dataset: the section it belongs to.
        scoring: the canonical name, or the sources' protocol text; the same for every line.
        breakdown: what a breakdown breaks down, such as ``MPJPE [mm] by action``; empty on a board of overall numbers.
        columns: in the order shown.
        primary: the column that ranks.
        lines: best first.
        notes: sentences that a reader of the numbers must know.
        slug: names the board in links; unique among the boards of one leaderboard.
        truth: tells boards of one scoring apart: the protocol's version and the store.
    """

    dataset: str
    scoring: str
    breakdown: str
    columns: tuple[Column, ...]
    primary: Column
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    slug: str = ""
    truth: str = ""

    @property
    def title(self) -> str:
        """The scoring without the links that sources put into their headings."""
        scoring = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", self.scoring)
        return scoring + (f": {self.breakdown}" if self.breakdown else "") + (f" ({self.truth})" if self.truth else "")

    def heading(self, column: Column) -> str:
        """A column's name with its unit; the title of a breakdown has it once for all."""
        return column.name if self.breakdown or not column.unit else f"{column.name} [{column.unit}]"

    @property
    def verified(self) -> bool:
        """Whether anything on the board was scored here."""
        return any(isinstance(line.entry, Verified) for line in self.lines)

    def best(self, column: Column) -> float:
        """The best number of a column; NaN, which equals nothing, when it ranks fewer than two lines."""
        numbers = [line.values[column.name].number for line in self.lines if column.name in line.values]
        if len(numbers) < 2:
            return math.nan
        return max(numbers) if column.better == "higher" else min(numbers)


def boards(entries: Iterable[Entry], datasets: Sequence[str] | None = None) -> list[Board]:
    """The boards of all entries: sections in the order of :data:`DATASETS`, boards with verified entries first.

    Args:
        entries: reported and verified.
        datasets: only these, by our names or the sources'; all when None.

    Raises:
        HarBenchError: a dataset of which there is no entry.
    """
    chosen = _select(list(entries), datasets)
    printed: dict[tuple[str, str], list[Reported]] = defaultdict(list)
    scored: dict[tuple[str, str, str, str], list[Verified]] = defaultdict(list)
    for entry in chosen:
        if isinstance(entry, Verified):
            fingerprint = "" if _equal(entry) else entry.result.fingerprints.get("store", "")
            scored[entry.dataset, entry.scoring, entry.result.version, fingerprint].append(entry)
        elif isinstance(entry, Reported):
            printed[_section(entry), entry.scoring].append(entry)
    ways = Counter((dataset, scoring) for dataset, scoring, _, _ in scored)
    families = [[_verified_board(group, printed, alone=ways[key[:2]] == 1)] for key, group in scored.items()]
    for (dataset, scoring), group in printed.items():
        families.append([_reported_board(dataset, scoring, group), *_breakdowns(dataset, scoring, group)])
    return _with_slugs([board for family in sorted(families, key=_position) for board in family])


def _select(entries: list[Entry], datasets: Sequence[str] | None) -> list[Entry]:
    if datasets is None:
        return entries
    known = {_section(entry) for entry in entries}
    chosen: set[str] = set()
    for name in datasets:
        title = DATASETS.get(name, name)
        matches = {section for section in known if _matches(section, title)}
        if not matches:
            raise unknown("dataset of the leaderboard", name, sorted(known))
        chosen |= matches
    return [entry for entry in entries if _section(entry) in chosen]


def _section(entry: Entry) -> str:
    return SECTIONS.get(entry.dataset, entry.dataset)


def _equal(entry: Verified) -> Equal | None:
    """The declaration that puts an entry beside published rows: same recipe, and the whole evaluation set scored."""
    for equal in EQUALS:
        if equal.scoring == entry.scoring and equal.scored in entry.result.counts.values():
            return equal
    return None


def _verified_board(group: list[Verified], printed: Mapping[tuple[str, str], list[Reported]], *, alone: bool) -> Board:
    """The board of one way of scoring on one ground truth, named as such unless it is alone with this scoring."""
    first = group[0]
    result, equal = first.result, _equal(first)
    lines = [Line(entry, entry.values) for entry in group]
    notes = [
        f"Protocol version {result.version}, ground truth {', '.join(sorted({_truth(entry) for entry in group}))}."
    ]
    declared = next((equal for equal in EQUALS if equal.scoring == first.scoring), None)
    if equal:
        lines += _translated(equal, printed)
        notes.append(f"Reported entries stand here because their scoring is known to be the same. {equal.why}")
    elif declared:
        notes.append(
            f"The published evaluation set has {declared.scored:,} poses and another number was scored here, so "
            "published numbers are not comparable and stand on their own boards."
        )
    names = list(dict.fromkeys([result.primary, *(name for line in lines for name in line.values)]))
    units = {name: value.unit for line in reversed(lines) for name, value in line.values.items()}
    directions = _directions(result.protocol)
    columns = tuple(Column(name, units[name], directions.get(name) or _better(units[name])) for name in names)
    store = first.result.fingerprints.get("store", "")[:12] or "unknown"
    return Board(
        dataset=first.dataset,
        scoring=first.scoring,
        breakdown="",
        columns=columns,
        primary=columns[0],
        lines=_ranked(lines, columns[0]),
        notes=tuple(notes),
        truth="" if alone else f"version {result.version}, store {store}",
    )


def _translated(equal: Equal, printed: Mapping[tuple[str, str], list[Reported]]) -> list[Line]:
    """Reported lines under the recipe's metric names; protocols of one setting and source become one line."""
    joined: dict[tuple[object, ...], Line] = {}
    for entry in (entry for group in printed.values() for entry in group):
        if values := equal.translate(entry):
            key = (entry.method, entry.year, entry.input, entry.training, entry.source)
            known = joined.get(key, Line(entry, {}))
            joined[key] = Line(known.entry, {**known.values, **values})
    return list(joined.values())


def _truth(entry: Verified) -> str:
    """The store in a few words: the start of its fingerprint, and how much of it was scored."""
    counts = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in entry.result.counts.items())
    store = entry.result.fingerprints.get("store", "of unknown fingerprint")[:12]
    return f"{store} ({counts})" if counts else store


def _directions(protocol: str) -> dict[str, Better]:
    """Which direction is better, as the protocol declares it; nothing for one that is not installed here."""
    if protocol not in registry.available("protocols"):
        return {}
    try:
        return {metric.name: metric.better for metric in registry.load("protocols", protocol).metrics}
    except HarBenchError:
        return {}


def _better(unit: str) -> Better:
    return "higher" if unit == "%" else "lower"


def _reported_board(dataset: str, scoring: str, group: list[Reported]) -> Board:
    lines = [Line(entry, entry.values) for entry in group if entry.values]
    units = {name: value.unit for line in lines for name, value in line.values.items()}
    columns = [Column(name, unit, _better(unit)) for name, unit in units.items()]
    columns.sort(key=lambda column: PRIMARY.index(column.name) if column.name in PRIMARY else len(PRIMARY))
    return Board(dataset, scoring, "", tuple(columns), columns[0], _ranked(lines, columns[0]))


def _breakdowns(dataset: str, scoring: str, group: list[Reported]) -> list[Board]:
    """One board per metric and axis, for the entries that print more of it than the overall number."""
    found: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for entry in group:
        for metric, axis in dict.fromkeys((part.metric, part.axis) for part in entry.parts):
            values = {part.item: value for part, value in entry.parts.items() if part[:2] == (metric, axis)}
            if values.keys() - {SUMMARY[axis]}:
                found[metric, axis].append(Line(entry, values))
    return [_breakdown(dataset, scoring, metric, axis, lines) for (metric, axis), lines in found.items()]


def _breakdown(dataset: str, scoring: str, metric: str, axis: str, lines: list[Line]) -> Board:
    units = {item: value.unit for line in lines for item, value in line.values.items()}
    items = sorted(units, key=lambda item: item != SUMMARY[axis])
    columns = [Column(item, units[item], _better(units[item])) for item in items]
    primary = columns[0]
    return Board(
        dataset, scoring, f"{metric} [{primary.unit}] by {axis}", tuple(columns), primary, _ranked(lines, primary)
    )


def _ranked(lines: Iterable[Line], primary: Column) -> tuple[Line, ...]:
    sign = -1 if primary.better == "higher" else 1

    def rank(line: Line) -> tuple[float, str, str, str]:
        value, entry = line.values.get(primary.name), line.entry
        setting = entry.file if isinstance(entry, Verified) else repr(entry)
        return (sign * value.number if value else math.inf, entry.method.casefold(), entry.method, setting)

    return tuple(sorted(lines, key=rank))


def _matches(dataset: str, title: str) -> bool:
    """Whether a section is the dataset of that title, or one of its versions (``AVA v2.2`` of ``AVA``)."""
    return dataset == title or dataset.startswith(f"{title} v")


def _position(family: list[Board]) -> tuple[int, str, bool, int, str, str]:
    """Sections in their order; in each, verified boards before reported ones, and long ones before short ones."""
    board = family[0]
    places = (place for place, title in enumerate(DATASETS.values()) if _matches(board.dataset, title))
    version = board.lines[0].entry.result.version if isinstance(board.lines[0].entry, Verified) else ""
    return (next(places, len(DATASETS)), board.dataset, not board.verified, -len(board.lines), board.scoring, version)


def _with_slugs(found: list[Board]) -> list[Board]:
    taken: set[str] = set()
    named = []
    for board in found:
        stem = re.sub(r"[^a-z0-9]+", "-", f"{board.dataset} {board.title}".casefold()).strip("-")[:80]
        slug = next(name for number in count(1) if (name := stem if number == 1 else f"{stem}-{number}") not in taken)
        taken.add(slug)
        named.append(replace(board, slug=slug))
    return named
