"""Entries grouped into boards: one dataset, one way of scoring, methods as rows and metrics as columns.

A column never holds two recipes. What sources print stays on boards of its own, under the source's own protocol text;
a printed number stands beside those scored here only where :data:`EQUALS` declares, with a reason, that both were
scored in the same way.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

from har_bench import registry
from har_bench.errors import unknown
from har_bench.results import Result

from .entries import DATASETS, SUMMARY, Entry, Readme, RepoFile, Reported, Scored, Value

Better = Literal["higher", "lower"]

PRIMARY = ("MPJPE", "AP", "mAP", "PCKh@0.5", "top-1 accuracy", "AUC")
"""Which metric ranks a board of reported entries: the first of these that it has, else the one printed first."""

SECTIONS = {"Kinetics400": "Kinetics-400"}
"""Spellings of one dataset, which make one section; the entries keep their own."""


MACHINE = {"platform", "processors"}
"""What a result's environment says of the machine, which is no setting of a method."""

MOST_SETTINGS = 6
"""Settings that tell entries of one method apart."""


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
        truth: tells boards of one scoring apart: the protocol's version, the store and whose boxes a model was given.
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

    def is_of(self, protocol: str) -> bool:
        """Whether it is scored with a protocol, such as ``mpii/pckh``, or as a canonical name says."""
        return self.scoring == protocol or self.scoring.startswith((f"{protocol}:", f"{protocol},"))

    def heading(self, column: Column) -> str:
        """A column's name with its unit; the title of a breakdown has it once for all."""
        return column.name if self.breakdown or not column.unit else f"{column.name} [{column.unit}]"

    @property
    def scored_here(self) -> bool:
        """Whether anything on the board was scored here."""
        return any(isinstance(line.entry, Scored) for line in self.lines)

    def best(self, column: Column) -> float:
        """The best number of a column; NaN, which equals nothing, when it ranks fewer than two lines."""
        return self._bests[column]

    @cached_property
    def _bests(self) -> dict[Column, float]:
        """The best number of every column, found once for all cells that ask."""
        found = {}
        for column in self.columns:
            numbers = [line.values[column.name].number for line in self.lines if column.name in line.values]
            best = max if column.better == "higher" else min
            found[column] = best(numbers) if len(numbers) > 1 else math.nan
        return found


def boards(
    entries: Iterable[Entry], datasets: Sequence[str] | None = None, protocols: Sequence[str] | None = None
) -> list[Board]:
    """The boards of all entries: sections in the order of :data:`DATASETS`, boards with something scored here first.

    Args:
        entries: reported and scored here.
        datasets: only these, by our names or the sources'; all when None.
        protocols: only boards of these, such as ``mpii/pckh`` or ``mpii/pckh:hrnet``; all when None.

    Raises:
        HarBenchError: a dataset or protocol of which there is no entry.
    """
    chosen = _select(list(entries), datasets)
    printed: dict[tuple[str, str], list[Reported]] = defaultdict(list)
    scored: dict[tuple[str, str, str, str, str], list[Scored]] = defaultdict(list)
    for entry in chosen:
        if isinstance(entry, Scored):
            fingerprint = "" if _equal(entry) else entry.result.fingerprints.get("store", "")
            scored[entry.dataset, entry.scoring, entry.result.version, fingerprint, _boxes(entry)].append(entry)
        elif isinstance(entry, Reported):
            printed[_section(entry), entry.scoring].append(entry)
    ways = Counter((dataset, scoring) for dataset, scoring, *_ in scored)
    families = [[_scored_board(group, printed, alone=ways[key[:2]] == 1)] for key, group in scored.items()]
    for (dataset, scoring), group in printed.items():
        families.append([_reported_board(dataset, scoring, group), *_breakdowns(dataset, scoring, group)])
    found = _with_slugs([board for family in sorted(families, key=_position) for board in family])
    for name in protocols or ():
        if not any(board.is_of(name) for board in found):
            raise unknown("board", name, dict.fromkeys(board.scoring for board in found if board.scored_here))
    return [board for board in found if protocols is None or any(map(board.is_of, protocols))]


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


def _equal(entry: Scored) -> Equal | None:
    """The declaration that puts an entry beside published rows: same recipe, and the whole evaluation set scored."""
    for equal in EQUALS:
        if equal.scoring == entry.scoring and equal.scored in entry.result.counts.values():
            return equal
    return None


def _scored_board(group: list[Scored], printed: Mapping[tuple[str, str], list[Reported]], *, alone: bool) -> Board:
    """The board of one way of scoring on one ground truth, named as such unless it is alone with this scoring."""
    group = _told_apart(group)
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
    store = result.fingerprints.get("store", "")[:12] or "unknown"
    apart = [] if alone else [f"version {result.version}", f"store {store}"]
    if _boxes(first):
        apart.append(f"boxes: {_boxes(first)}")
    return Board(
        dataset=first.dataset,
        scoring=first.scoring,
        breakdown="",
        columns=columns,
        primary=columns[0],
        lines=_ranked(lines, columns[0]),
        notes=tuple(notes),
        truth=", ".join(apart),
    )


def _told_apart(group: list[Scored]) -> list[Scored]:
    """Entries of one method with the settings in which they differ; with their files where they differ in none.

    Those whose cards tell them apart keep what the cards say.
    """
    by_method: dict[tuple[str, str], list[Scored]] = defaultdict(list)
    for entry in group:
        by_method[entry.method, entry.setting].append(entry)
    told = []
    for same in by_method.values():
        facts = [entry.result.environment for entry in same]
        names = [name for name in dict.fromkeys(name for each in facts for name in each) if name not in MACHINE]
        differing = [name for name in names if len({each.get(name) for each in facts}) > 1][:MOST_SETTINGS]
        for entry, each in zip(same, facts, strict=True):
            setting = ", ".join(f"{name} {each[name]}" for name in differing if name in each) or entry.file
            told.append(replace(entry, setting=setting if len(same) > 1 else entry.setting))
    return told


def _translated(equal: Equal, printed: Mapping[tuple[str, str], list[Reported]]) -> list[Line]:
    """Reported lines under the recipe's metric names; protocols of one setting and source become one line."""
    joined: dict[tuple[object, ...], Line] = {}
    for entry in (entry for group in printed.values() for entry in group):
        if values := equal.translate(entry):
            key = (entry.method, entry.year, entry.input, entry.training, entry.source)
            known = joined.get(key, Line(entry, {}))
            joined[key] = Line(known.entry, {**known.values, **values})
    return list(joined.values())


def _boxes(entry: Scored) -> str:
    """Where a model of pixels was told to look: one that is given the true boxes competes with none that finds them."""
    return entry.result.environment.get("boxes", "")


def _truth(entry: Scored) -> str:
    """The store in a few words: the start of its fingerprint, and how much of it was scored."""
    counts = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in entry.result.counts.items())
    store = entry.result.fingerprints.get("store", "of unknown fingerprint")[:12]
    return f"{store} ({counts})" if counts else store


def _directions(protocol: str) -> dict[str, Better]:
    """Which direction is better, as the protocol declares it; nothing for one that is not installed here."""
    found = registry.installed("protocols", protocol)
    return {metric.name: metric.better for metric in found.metrics} if found else {}


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
        setting = entry.file if isinstance(entry, Scored) else repr(entry)
        return (sign * value.number if value else math.inf, entry.method.casefold(), entry.method, setting)

    return tuple(sorted(lines, key=rank))


def _matches(dataset: str, title: str) -> bool:
    """Whether a section is the dataset of that title, or one of its versions (``AVA v2.2`` of ``AVA``)."""
    return dataset == title or dataset.startswith(f"{title} v")


def _position(family: list[Board]) -> tuple[int, str, bool, tuple[str, int, int], int, str, str]:
    """Sections in their order; in each, boards scored here first, default recipes and long ones before others."""
    board = family[0]
    places = (place for place, title in enumerate(DATASETS.values()) if _matches(board.dataset, title))
    result = next((line.entry.result for line in board.lines if isinstance(line.entry, Scored)), None)
    return (
        next(places, len(DATASETS)),
        board.dataset,
        not board.scored_here,
        _recipe_order(result) if result else ("", 0, 0),
        -len(board.lines),
        board.scoring,
        result.version if result else "",
    )


def _recipe_order(result: Result) -> tuple[str, int, int]:
    """Protocols by name, their default recipe first, and a recipe as published before any other choice of options."""
    protocol = registry.installed("protocols", result.protocol)
    recipes = list(protocol.recipes) if protocol else []
    return (result.protocol, recipes.index(result.recipe) if result.recipe in recipes else 0, len(result.options))


def _with_slugs(found: list[Board]) -> list[Board]:
    last: Counter[str] = Counter()
    named = []
    for board in found:
        stem = slug = re.sub(r"[^a-z0-9]+", "-", f"{board.dataset} {board.title}".casefold()).strip("-")[:80]
        while slug in last:
            last[stem] += 1
            slug = f"{stem}-{last[stem]}"
        last[slug] = 1
        named.append(replace(board, slug=slug))
    return named
