"""What must hold inside every result, whatever the predictions: a number that breaks one of these is wrong.

Only theorems are here. Three that look true are not:

* P-MPJPE may exceed MPJPE: the similarity minimises squared distances, and the metric averages distances. What holds
  is P-MPJPE <= sqrt(J) MPJPE, since mean <= root mean square <= sqrt(J) mean over J joints.
* AP may rise with the threshold where some truth is ignored (crowds, unlabelled persons), as a match with an ignored
  truth takes a false positive away. Recall may not, and AP may not where nothing is ignored: greedy matching at a
  lower threshold covers, detection by detection, every truth that it covers at a higher one.
* AP may exceed AR a little: AP's 101 recall points hold at most (100 AR + 1) of them at or below the recall reached.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeGuard

from har_bench.errors import HarBenchError
from har_bench.results import Result, Row

SLACK = 1e-9
"""Relative tolerance: what sums of doubles in another order may differ by."""

RISING, FALLING = True, False
FAMILIES = tuple(
    (re.compile(pattern), rising)
    for pattern, rising in (
        (r"(?P<stem>(?:.*[ -])?(?:3D)?PCKh?)@(?P<at>\d+(?:\.\d+)?)", RISING),
        (r"(?P<stem>top)[- ]?(?P<at>\d+)", RISING),
        (r"(?P<stem>[Rr]ecall|AR)@(?P<at>\d+)", RISING),  # of the best k: a whole number is no threshold
        (r"(?P<stem>AP|AR)(?P<at>\d\d)", FALLING),
        (r"(?P<stem>m?AP|AR)@(?P<at>0?\.\d+)", FALLING),
        (r"(?P<stem>F1)@(?P<at>\d+)", FALLING),
    )
)
"""Names that differ only in a threshold (or in how many answers count), and how the number moves with it."""

CURVES = ((re.compile(r"(?:[PN]-)?(?:3D)?PCKh?"), RISING), (re.compile(r"m?AP|AR|F1|[Rr]ecall"), FALLING))
"""The same for the columns of a table by threshold or tIoU."""

PER_FRAME = re.compile(r"(?:[PN]-)?(?:MPJPE|3DPCK@\d+|AUC)")
"""Metrics whose rows are means over frames: rows of any grouping have one frame-weighted mean."""

PARTITIONS = ("action", "subject", "camera", "sequence")
"""Tables in which every scored sequence belongs to exactly one row."""


def check(result: Result) -> list[str]:
    """The identities that a result breaks, each in words; empty when it breaks none."""
    return [problem for identity in IDENTITIES for problem in identity(result)]


def require(result: Result) -> None:
    """Refuse a result that contradicts itself.

    Raises:
        HarBenchError: an identity is broken; the sentence names all of them.
    """
    broken = check(result)
    if broken:
        raise HarBenchError(
            f"{result.canonical} contradicts itself: {'; '.join(broken)}; this is a defect of the protocol, not of "
            "the predictions: please report it"
        )


def ranges(result: Result) -> Iterator[str]:
    """Numbers are finite, ratios lie in 0 to 100, lengths and counts are not negative, intervals are in order."""
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


def thresholds(result: Result) -> Iterator[str]:
    """PCK, top-k and recall@k rise with their threshold, AR, F1 and (see above) AP fall: in metrics and in rows."""
    yield from _ordered(result, result.metrics, "")
    for title, rows in result.tables.items():
        for row in rows:
            yield from _ordered(result, row, f" in a row of the table {title!r}")


def curves(result: Result) -> Iterator[str]:
    """The columns of a table by threshold move one way, and an AUC lies between its curve's ends."""
    for title in ("threshold", "tiou"):
        yield from _curve(result, title, result.tables.get(title, []))


def _curve(result: Result, title: str, rows: Sequence[Row]) -> Iterator[str]:
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(value for value in row.values() if isinstance(value, str)), []).append(row)
    for column in dict.fromkeys(name for row in rows for name in row):
        rising = next((rising for pattern, rising in CURVES if pattern.fullmatch(column)), None)
        if rising is None or (column in ("AP", "mAP") and _ignores(result)):
            continue
        for group in groups.values():
            points = ((row.get(title), row.get(column)) for row in group)
            known = sorted((at, value) for at, value in points if _is_number(at) and _is_number(value))
            for (_, low), (_, high) in pairwise(known):
                if _above(low, high) if rising else _above(high, low):
                    yield f"{column} goes from {low:g} to {high:g} as the {title} rises"
        area = re.sub("(?:3D)?PCKh?$", "AUC", column)
        values = _numbers(rows, column)
        if area != column and area in result.metrics and len(groups) == 1 and values:
            yield from _beyond(area, result.metrics[area], values, f"its curve {column}")


def precision_and_recall(result: Result) -> Iterator[str]:
    """AP over 101 recall points is at most (100 AR + 100 %) / 101."""
    for name, value in result.metrics.items():
        recall = result.metrics.get(f"AR{name[2:]}")
        if name.startswith("AP") and recall is not None and _above(value, 100 * (recall + 1) / 101):
            yield f"{name} is {value:g}, more than {recall:g} % recall allow"


def alignments(result: Result) -> Iterator[str]:
    """Better aligned errors are at most sqrt(J) times the others: similarity, scale, none."""
    joints = len(result.tables.get("joint", []))
    names = [name for name in ("P-MPJPE", "N-MPJPE", "MPJPE") if name in result.metrics]
    for better, worse in pairwise(names if joints else []):
        low, high = result.metrics[better], result.metrics[worse]
        if low - math.sqrt(joints) * high > 1e-3:  # mm: the alignment itself is solved in floating point
            yield f"{better} is {low:g} mm, more than sqrt({joints}) times {worse} which is {high:g} mm"


def counts(result: Result) -> Iterator[str]:
    """Rows that share out the sequences add up to the counts, and hits are some of the joints counted."""
    for title in PARTITIONS:
        rows = result.tables.get(title, [])
        for name in result.counts:
            if not rows or any(name not in row for row in rows):
                continue
            total = sum(_numbers(rows, name))
            if total != result.counts[name]:
                yield f"the table {title!r} has {total:g} {name}, and {result.counts[name]} were counted"
    for title, rows in result.tables.items():
        for row in rows:
            yield from _hits(title, row)


def means(result: Result) -> Iterator[str]:
    """Tables agree with each other and with the numbers above them.

    The frame-weighted mean of an error is the same over actions, subjects, cameras and sequences; an error lies
    between its smallest and largest sequence and joint, a PCK between its joints, a mean AP between its classes.
    """
    for name in result.units:
        if PER_FRAME.fullmatch(name):
            found = dict(_frame_weighted(result, name))
            for (first, value), (second, other) in pairwise(found.items()):
                if _differ(value, other):
                    yield f"the frame-weighted {name} is {value:.6g} by {first} and {other:.6g} by {second}"
    for name, value in result.metrics.items():
        for title, column in _convex(name):
            rows = [row for row in result.tables.get(title, []) if row.get("in_mean", 1)]
            values = _numbers(rows, column)
            if values and len(values) == len(rows):
                yield from _beyond(name, value, values, f"the table {title!r}")


IDENTITIES: tuple[Callable[[Result], Iterator[str]], ...] = (
    *(ranges, thresholds, curves, precision_and_recall, alignments, counts, means),
)


def _convex(name: str) -> Iterator[tuple[str, str]]:
    """The tables, and their columns, over which a metric is a mean of some kind."""
    if PER_FRAME.fullmatch(name):
        yield from (("sequence", name), ("joint", name))
    elif FAMILIES[0][0].fullmatch(name):
        yield "joint", name
    elif name == "mAP" or name.startswith("mAP@"):
        yield from (("class", name[1:]), ("label", name[1:]))


def _frame_weighted(result: Result, name: str) -> Iterator[tuple[str, float]]:
    for title in PARTITIONS:
        rows = result.tables.get(title, [])
        values, frames = _numbers(rows, name), _numbers(rows, "frames")
        if rows and len(values) == len(frames) == len(rows) and sum(frames):
            weighted = (value * count for value, count in zip(values, frames, strict=True))
            yield title, math.fsum(weighted) / math.fsum(frames)


def _hits(title: str, row: Row) -> Iterator[str]:
    """``hits@0.5`` of ``count`` joints are the percentage in the column ``…@0.5``."""
    count = row.get("count")
    for name, hits in row.items():
        if not (name.startswith("hits@") and _is_number(hits) and _is_number(count)):
            continue
        if not 0 <= hits <= count:
            yield f"a row of the table {title!r} has {hits} {name} of {count}"
        for other, share in row.items():
            same = other != name and other.endswith(name.removeprefix("hits"))
            if same and _is_number(share) and _differ(share * count, 100 * hits):
                yield f"a row of the table {title!r} has {other} {share:g} %, and {hits} hits of {count}"


def _ordered(result: Result, numbers: Mapping[str, object], where: str) -> Iterator[str]:
    families: dict[tuple[str, bool], list[tuple[float, str, float]]] = {}
    for name, value in numbers.items():
        for pattern, rising in FAMILIES:
            found = pattern.fullmatch(name)
            if found and isinstance(value, int | float) and not (found["stem"].endswith("AP") and _ignores(result)):
                families.setdefault((found["stem"], rising), []).append((float(found["at"]), name, float(value)))
    for (_, rising), members in families.items():
        for (_, first, low), (_, second, high) in pairwise(sorted(members)):
            if _above(low, high) if rising else _above(high, low):
                yield f"{first} is {low:g} and {second} is {high:g}{where}"


def _ignores(result: Result) -> bool:
    """Whether some truth was ignored, so that AP need not fall as the threshold rises.

    A protocol that can ignore truth has counts with ``ignored`` in their names; one of truth, not of detections, that
    is 0 says that there was none.
    """
    ignored = {name: value for name, value in result.counts.items() if "ignored" in name}
    truths = [value for name, value in ignored.items() if not name.startswith("detections")]
    return any(truths) if truths else bool(ignored)


def _outside(what: str, values: Iterable[float], unit: str) -> Iterator[str]:
    for value in values:
        if not math.isfinite(value):
            yield f"{what} is {value}"
        elif unit in ("%", "mm", "px") and (_above(0, value) or (unit == "%" and _above(value, 100))):
            yield f"{what} is {value:g} {unit}"


def _beyond(name: str, value: float, values: Sequence[float], where: str) -> Iterator[str]:
    if _above(min(values), value) or _above(value, max(values)):
        yield f"{name} is {value:g}, and {where} goes from {min(values):g} to {max(values):g}"


def _above(first: float, second: float) -> bool:
    """Whether a number is larger than another by more than rounding."""
    return first - second > SLACK * max(1.0, abs(first), abs(second))


def _differ(first: float, second: float) -> bool:
    return _above(first, second) or _above(second, first)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float)


def _numbers(rows: Sequence[Row], column: str) -> list[float]:
    """The numbers in a column, without its nulls and texts."""
    return [float(value) for row in rows if isinstance(value := row.get(column), int | float)]
