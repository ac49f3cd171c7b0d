"""What must hold inside every result, whatever the predictions: a number that breaks one of these is wrong.

Which numbers hang together is declared by the protocol (:mod:`har_bench.protocol.declarations`). Only theorems are
here. Three that look true are not:

* P-MPJPE may exceed MPJPE: the similarity minimises squared distances, and the metric averages distances. What holds
  is P-MPJPE <= sqrt(J) MPJPE, since mean <= root mean square <= sqrt(J) mean over J joints.
* AP may rise with the threshold where some truth is ignored (crowds, unlabelled persons), as a match with an ignored
  truth takes a false positive away. Recall may not, and AP may not where nothing is ignored: greedy matching at a
  lower threshold covers, detection by detection, every truth that it covers at a higher one.
* AP may exceed AR a little: AP's 101 recall points hold at most (100 AR + 1) of them at or below the recall reached.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from har_bench import registry
from har_bench.entries.outcomes import Finding
from har_bench.errors import HarBenchError
from har_bench.protocol.declarations import UNITS, Along, Counted, Curve, Groups, Table
from har_bench.results import Result, Row

if TYPE_CHECKING:
    from har_bench.protocol.contract import Protocol

    Declared = type[Protocol] | None

T = TypeVar("T", bound=Table)

SLACK = 1e-9
"""Relative tolerance: what sums of doubles in another order may differ by."""


def check(result: Result, protocol: Declared = None) -> list[str]:
    """The identities that a result breaks, each in words; empty when it breaks none.

    Args:
        result: of any protocol.
        protocol: whose declarations hold, if the result is of its version; by default the installed one of the
            result's name. Without any, numbers are held against their units only.
    """
    return [finding.words for finding in findings(result, protocol)]


def findings(result: Result, protocol: Declared = None) -> list[Finding]:
    """The same, each by its kind: a value that cannot be, or one that disagrees with the tables and other metrics."""
    declared = protocol or registry.installed("protocols", result.protocol)
    if declared is not None and declared.version != result.version:
        declared = None
    broken = [*curves(result, declared), *tables(result, declared)]
    if declared is not None:
        broken += [*thresholds(result, declared), *precision_and_recall(result, declared)]
        broken += [*alignments(result, declared), *counts(result, declared), *means(result, declared)]
    return [
        *(Finding("value impossible", words) for words in ranges(result)),
        *(Finding("disagrees with its tables", words) for words in broken),
    ]


def require(result: Result, protocol: Declared = None) -> None:
    """Refuse a result that contradicts itself.

    Raises:
        HarBenchError: an identity is broken; the sentence names all of them.
    """
    broken = check(result, protocol)
    if broken:
        raise HarBenchError(
            f"{result.canonical} contradicts itself: {'; '.join(broken)}; this is a defect of the protocol, not of "
            "the predictions: please report it"
        )


def _tables(result: Result, declared: Declared, kind: type[T]) -> Iterator[tuple[T, list[Row]]]:
    """The tables of a kind that the result has."""
    for table in declared.tables if declared else ():
        if isinstance(table, kind) and table.title in result.tables:
            yield table, result.tables[table.title]


def ranges(result: Result) -> Iterator[str]:
    """Numbers are finite and within the bounds of their unit, counts are not negative, intervals are in order."""
    for name, value in result.metrics.items():
        yield from _outside(name, [value], result.units.get(name, ""))
    for name, interval in result.intervals.items():
        yield from _outside(f"the interval of {name}", [interval.low, interval.high], result.units.get(name, ""))
        if _above(interval.low, interval.high):
            yield f"the interval of {name} is {interval.low:g} to {interval.high:g}"
    for title, rows in result.tables.items():
        for name, unit in result.units.items():
            yield from _outside(f"{name} in the table {title!r}", _numbers(rows, name), unit)
    yield from (f"the count {name} is {value}" for name, value in result.counts.items() if value < 0)


def thresholds(result: Result, declared: type[Protocol]) -> Iterator[str]:
    """Numbers of a family rise or fall with their threshold: among the metrics and inside each row of a table."""
    families = {metric.name: metric.along for metric in declared.metrics if metric.along}
    yield from _ordered(declared, result.metrics, families, "")


def tables(result: Result, declared: Declared) -> Iterator[str]:
    """The same inside every row of the tables whose columns are families."""
    for table, rows in _tables(result, declared, Table):
        for row in rows if table.along else ():
            yield from _ordered(declared, row, table.along or {}, f" in a row of the table {table.title!r}")


def curves(result: Result, declared: Declared) -> Iterator[str]:
    """The columns of a curve move one way, and an area lies between its curve's ends."""
    for table, rows in _tables(result, declared, Curve):
        groups: dict[tuple[object, ...], list[Row]] = {}
        for row in rows:
            groups.setdefault(tuple(value for value in row.values() if isinstance(value, str)), []).append(row)
        for columns, rising in ((table.rises, True), (table.falls, False)):
            for column in columns:
                if _may_rise(declared, column):
                    continue
                for group in groups.values():
                    yield from _one_way(table.title, column, group, rising=rising)
        for area, column in (table.areas or {}).items() if len(groups) == 1 else ():
            values = _numbers(rows, column)
            if area in result.metrics and values:
                yield from _beyond(area, result.metrics[area], values, f"its curve {column}")


def _one_way(title: str, column: str, rows: Sequence[Row], *, rising: bool) -> Iterator[str]:
    points = ((next(iter(row.values())), row.get(column)) for row in rows)
    known = sorted((at, value) for at, value in points if _is_number(at) and _is_number(value))
    for (_, low), (_, high) in pairwise(known):
        if _above(low, high) if rising else _above(high, low):
            yield f"{column} goes from {low:g} to {high:g} as the {title} rises"


def precision_and_recall(result: Result, declared: type[Protocol]) -> Iterator[str]:
    """AP over 101 recall points is at most (100 AR + 100 %) / 101."""
    for metric in declared.metrics:
        value, recall = result.metrics.get(metric.name), result.metrics.get(metric.recall or "")
        if value is not None and recall is not None and _above(value, 100 * (recall + 1) / 101):
            yield f"{metric.name} is {value:g}, more than {recall:g} % recall allow"


def alignments(result: Result, declared: type[Protocol]) -> Iterator[str]:
    """Better aligned errors are at most sqrt(J) times the others: similarity, scale, none."""
    joints = len(result.tables.get("joint", []))
    names = [name for name in declared.chain if name in result.metrics]
    for better, worse in pairwise(names if joints else []):
        low, high = result.metrics[better], result.metrics[worse]
        if low - math.sqrt(joints) * high > 1e-3:  # mm: the alignment itself is solved in floating point
            yield f"{better} is {low:g} mm, more than sqrt({joints}) times {worse} which is {high:g} mm"


def counts(result: Result, declared: type[Protocol]) -> Iterator[str]:
    """Rows that share out the sequences add up to the counts, and hits are some of what was counted."""
    for table, rows in _tables(result, declared, Groups):
        for name in result.counts if table.shares_out else ():
            if not rows or any(name not in row for row in rows):
                continue
            total = sum(_numbers(rows, name))
            if total != result.counts[name]:
                yield f"the table {table.title!r} has {total:g} {name}, and {result.counts[name]} were counted"
        for row in rows:
            for counted in table.counted:
                yield from _hits(table.title, row, counted)


def _hits(title: str, row: Row, counted: Counted) -> Iterator[str]:
    share, hits, of = (row.get(name) for name in counted)
    if not (_is_number(hits) and _is_number(of)):
        return
    if not 0 <= hits <= of:
        yield f"a row of the table {title!r} has {hits} {counted.hits} of {of}"
    elif _is_number(share) and _differ(share * of, 100 * hits):
        yield f"a row of the table {title!r} has {counted.share} {share:g} %, and {hits} hits of {of}"


def means(result: Result, declared: type[Protocol]) -> Iterator[str]:
    """Tables agree with each other and with the numbers above them.

    The frame-weighted mean of an error is the same over actions, subjects, cameras and sequences; a mean lies between
    the smallest and the largest number that it is of.
    """
    for metric in declared.metrics:
        if metric.per_frame:
            found = dict(_frame_weighted(result, declared, metric.name))
            for (first, value), (second, other) in pairwise(found.items()):
                if _differ(value, other):
                    yield f"the frame-weighted {metric.name} is {value:.6g} by {first} and {other:.6g} by {second}"
    for table, rows in _tables(result, declared, Groups):
        for name, column in (table.means or {}).items():
            inside = [row for row in rows if not table.within or row.get(table.within)]
            values = _numbers(inside, column)
            if name in result.metrics and values and len(values) == len(inside):
                yield from _beyond(name, result.metrics[name], values, f"the table {table.title!r}")


def _frame_weighted(result: Result, declared: type[Protocol], name: str) -> Iterator[tuple[str, float]]:
    for table, rows in _tables(result, declared, Groups):
        values, frames = _numbers(rows, name), _numbers(rows, "frames")
        if table.shares_out and rows and len(values) == len(frames) == len(rows) and sum(frames):
            weighted = (value * count for value, count in zip(values, frames, strict=True))
            yield table.title, math.fsum(weighted) / math.fsum(frames)


def _may_rise(declared: Declared, family: str) -> bool:
    """Whether a precision need not fall as its threshold rises, since some truth is ignored."""
    return declared is not None and declared.ignores_truth and family.endswith("AP")


def _ordered(
    declared: Declared, numbers: Mapping[str, object], families: Mapping[str, Along], where: str
) -> Iterator[str]:
    members: dict[tuple[str, bool], list[tuple[float, str, float]]] = {}
    for name, along in families.items():
        value = numbers.get(name)
        if _is_number(value) and not _may_rise(declared, along.family):
            members.setdefault((along.family, along.rises), []).append((along.at, name, float(value)))
    for (_, rising), family in members.items():
        for (_, first, low), (_, second, high) in pairwise(sorted(family)):
            if _above(low, high) if rising else _above(high, low):
                yield f"{first} is {low:g} and {second} is {high:g}{where}"


def _outside(what: str, values: Iterable[float], unit: str) -> Iterator[str]:
    low, high = UNITS.get(unit, (-math.inf, math.inf))
    for value in values:
        if not math.isfinite(value):
            yield f"{what} is {value}"
        elif _above(low, value) or _above(value, high):
            yield f"{what} is {value:g} {unit}"


def _beyond(name: str, value: float, values: Sequence[float], where: str) -> Iterator[str]:
    if _above(min(values), value) or _above(value, max(values)):
        yield f"{name} is {value:g}, and {where} goes from {min(values):g} to {max(values):g}"


def _above(first: float, second: float) -> bool:
    """Whether a number is larger than another by more than rounding."""
    if math.isinf(first) or math.isinf(second):
        return first > second
    return first - second > SLACK * max(1.0, abs(first), abs(second))


def _differ(first: float, second: float) -> bool:
    return _above(first, second) or _above(second, first)


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float)


def _numbers(rows: Sequence[Row], column: str) -> list[float]:
    """The numbers in a column, without its nulls and texts."""
    return [float(value) for row in rows if isinstance(value := row.get(column), int | float)]
