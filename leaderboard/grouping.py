"""Entries grouped into boards.

What sources print stays on boards of its own, under the source's own protocol text; a printed number stands beside
those scored here only where :data:`har_bench.leaderboard.equals.EQUALS` declares, with a reason, that both were scored
in the same way.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from har_bench import registry
from har_bench.entries.separations import Pair, Tested
from har_bench.errors import unknown
from har_bench.results import Result

from .board import Better, Board, Column, Line
from .entries import DATASETS, SUMMARY, Entry, Reported, Scored, directions
from .equals import EQUALS, Equal, equal_of
from .printed import joined

PRIMARY = ("MPJPE", "AP", "mAP", "PCKh@0.5", "top-1 accuracy", "AUC")
"""Which metric ranks a board of reported entries: the first of these that it has, else the one printed first."""

SECTIONS = {"Kinetics400": "Kinetics-400"}
"""Spellings of one dataset, which make one section; the entries keep their own."""


MACHINE = {"platform", "processors"}
"""What a result's environment says of the machine, which is no setting of a method."""

MOST_SETTINGS = 6
"""Settings that tell entries of one method apart."""


def boards(
    entries: Iterable[Entry],
    datasets: Sequence[str] | None = None,
    protocols: Sequence[str] | None = None,
    tests: Mapping[Pair, Tested] | None = None,
) -> list[Board]:
    """The boards of all entries: sections in the order of :data:`DATASETS`, boards with something scored here first.

    Args:
        entries: reported and scored here.
        datasets: only these, by our names or the sources'; all when None.
        protocols: only boards of these, such as ``mpii/pckh`` or ``mpii/pckh:hrnet``; all when None.
        tests: paired tests that were kept.

    Raises:
        HarBenchError: a dataset or protocol of which there is no entry.
    """
    chosen = _select(list(entries), datasets)
    printed: dict[tuple[str, str], list[Reported]] = defaultdict(list)
    scored: dict[tuple[str, str, str, str, str], list[Scored]] = defaultdict(list)
    for entry in chosen:
        if isinstance(entry, Scored):
            fingerprint = "" if equal_of(entry) else entry.result.fingerprints.get("store", "")
            scored[entry.dataset, entry.scoring, entry.result.version, fingerprint, _boxes(entry)].append(entry)
        elif isinstance(entry, Reported):
            printed[_section(entry), entry.scoring].append(entry)
    ways = Counter((dataset, scoring) for dataset, scoring, *_ in scored)
    families = [
        [_scored_board(group, printed, alone=ways[key[:2]] == 1, tests=tests or {})] for key, group in scored.items()
    ]
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


def _scored_board(
    group: list[Scored],
    printed: Mapping[tuple[str, str], list[Reported]],
    *,
    alone: bool,
    tests: Mapping[Pair, Tested],
) -> Board:
    """The board of one way of scoring on one ground truth, named as such unless it is alone with this scoring."""
    group = _told_apart(group)
    first = group[0]
    result, equal = first.result, equal_of(first)
    lines = [Line(entry, entry.values) for entry in group] + (_translated(equal, printed) if equal else [])
    names = list(dict.fromkeys([result.primary, *(name for line in lines for name in line.values)]))
    units = {name: value.unit for line in reversed(lines) for name, value in line.values.items()}
    better = _directions(result.protocol)
    columns = tuple(Column(name, units[name], better.get(name, "")) for name in names)
    store = result.fingerprints.get("store", "")[:12] or "unknown"
    apart = [] if alone else [f"version {result.version}", f"store {store}"]
    if _boxes(first):
        apart.append(f"boxes: {_boxes(first)}")
    board = Board(
        dataset=first.dataset,
        scoring=first.scoring,
        breakdown="",
        columns=columns,
        primary=columns[0],
        lines=_ranked(lines, columns[0]),
        truth=", ".join(apart),
        tests=tests,
    )
    notes = (*_notes(group, equal), board.how_ranked)
    return replace(board, notes=tuple(filter(None, notes)))


def _notes(group: list[Scored], equal: Equal | None) -> Iterable[str]:
    """What a reader of the numbers must know."""
    result = group[0].result
    if inflates := _recipe_of(result, "inflates"):
        yield f"Inflating recipe: {inflates}."
    truths = ", ".join(sorted({_truth(entry) for entry in group}))
    yield f"Protocol version {result.version}, ground truth {truths}."
    declared = next((equal for equal in EQUALS if equal.scoring == group[0].scoring), None)
    if equal:
        yield f"Reported entries stand here because their scoring is known to be the same. {equal.why}"
    elif declared:
        yield (
            f"The published evaluation set has {declared.scored:,} of them and another number was scored here, so "
            "published numbers are not comparable and stand on their own boards."
        )


def _recipe_of(result: Result, what: str) -> str:
    """What the recipe of a result says of itself; nothing for one that is not installed here."""
    protocol = registry.installed("protocols", result.protocol)
    recipe = protocol.recipes.get(result.recipe) if protocol else None
    return str(getattr(recipe, what, ""))


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
    lines: dict[tuple[object, ...], Line] = {}
    for entry in (entry for group in printed.values() for entry in group):
        if values := equal.translate(entry):
            key = (entry.method, entry.year, entry.input, entry.training, entry.source)
            known = lines.get(key, Line(entry, {}))
            lines[key] = Line(known.entry, {**known.values, **values})
    return joined(lines.values(), _directions(equal.scoring.partition(":")[0]))


def _directions(protocol: str) -> dict[str, Better]:
    """Which direction is better, as the protocol declares it; nothing for one that is not installed here."""
    found = registry.installed("protocols", protocol)
    return {metric.name: metric.better for metric in found.metrics} if found else {}


def _boxes(entry: Scored) -> str:
    """Where a model of pixels was told to look: one that is given the true boxes competes with none that finds them."""
    return entry.result.environment.get("boxes", "")


def _truth(entry: Scored) -> str:
    """The store in a few words: the start of its fingerprint, and how much of it was scored."""
    counts = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in entry.result.counts.items())
    store = entry.result.fingerprints.get("store", "of unknown fingerprint")[:12]
    return f"{store} ({counts})" if counts else store


def _reported_board(dataset: str, scoring: str, group: list[Reported]) -> Board:
    lines = joined((Line(entry, entry.values) for entry in group if entry.values), directions())
    units = {name: value.unit for line in lines for name, value in line.values.items()}
    columns = [Column(name, unit, directions().get(name, "")) for name, unit in units.items()]
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
    better: Better = directions().get(metric, "")
    units = {item: value.unit for line in lines for item, value in line.values.items()}
    items = sorted(units, key=lambda item: item != SUMMARY[axis])
    columns = [Column(item, units[item], better) for item in items]
    primary = columns[0]
    ranked = _ranked(joined(lines, dict.fromkeys(items, better)), primary)
    return Board(dataset, scoring, f"{metric} [{primary.unit}] by {axis}", tuple(columns), primary, ranked)


def _ranked(lines: Iterable[Line], primary: Column) -> tuple[Line, ...]:
    """Best first, those without the number last; by name where nobody declares which direction is better."""

    def rank(line: Line) -> tuple[bool, float, str, str, str]:
        value, entry = line.values.get(primary.name), line.entry
        setting = entry.file if isinstance(entry, Scored) else repr(entry)
        number = -primary.upwards(value.number) if value and primary.better else 0.0
        return (value is None, number, entry.method.casefold(), entry.method, setting)

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
