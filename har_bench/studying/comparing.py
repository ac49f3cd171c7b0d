"""Is one set of predictions better than another, or is it chance? Paired tests over the sequences both were scored on.

A paired bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993) draws sequences with replacement, the
same ones for both systems, and gives the interval of the difference. A paired permutation test (Good, Permutation,
Parametric and Bootstrap Tests of Hypotheses, 2005) exchanges the two systems on sequences chosen by coin tosses; its
p-value is the share of exchanges with a difference at least as large, (1 + hits) / (1 + draws) by Phipson and Smyth
(2010), or exact when all 2^S exchanges can be tried. Every number is recomputed by the recipe itself, whatever its
average; p-values are not corrected for the number of metrics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Protocol, make_protocol
from har_bench.protocol.readings import readings
from har_bench.results import Reading, Result, Row
from har_bench.scoring.engine import SEED
from har_bench.scoring.pairing import Pairs, prepared
from har_bench.scoring.ways import Missing, Remedies
from har_bench.store import Store, open_store
from har_bench.studying.breakdowns import Texts, breakdowns
from har_bench.studying.resampling import Draws, Mixture, ratio

RESAMPLES = 10_000
Found = Mapping[str, tuple[str, dict[str, float]]]
"""Breakdowns by title: the column that was read, and its number by row."""

SYSTEMS = ("A|", "B|")
"""What the sequences of either system are prefixed with, so that one accumulator can hold both."""


@dataclass(frozen=True)
class Difference:
    """One metric under two systems.

    Attributes:
        metric: its name.
        unit: of the two values and their difference.
        better: which direction is better.
        a: the first system's value.
        b: the second system's value.
        low: lower end of the difference's 95 % interval.
        high: upper end.
        p: two-sided p-value of the permutation test.
        effect: difference over its bootstrap standard deviation; None when that is zero.
        cohen: Cohen's d of the sequences' own differences, mean over standard deviation; None when they have none.
    """

    metric: str
    unit: str
    better: str
    a: float
    b: float
    low: float
    high: float
    p: float
    effect: float | None
    cohen: float | None

    @property
    def difference(self) -> float:
        """B minus A."""
        return self.b - self.a


@dataclass(frozen=True)
class Contrast:
    """The row of a breakdown in which two systems differ most."""

    table: str
    row: str
    column: str
    a: float
    b: float

    @property
    def difference(self) -> float:
        """B minus A."""
        return self.b - self.a


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same sequences.

    Attributes:
        canonical: the way they were scored, such as ``h36m/mpjpe:videopose3d``.
        names: of the two systems.
        sequences: how many sequences were resampled.
        resamples: bootstrap draws.
        permutations: exchanges tried; all of them when ``exact``.
        exact: whether every exchange was tried.
        seed: of the random numbers.
        differences: one per metric, the primary one first.
        contrasts: the row that differs most in each breakdown, the largest difference first.
        note: what a reader must know about precision; empty when nothing.
    """

    canonical: str
    names: tuple[str, str]
    sequences: int
    resamples: int
    permutations: int
    exact: bool
    seed: int
    differences: tuple[Difference, ...]
    contrasts: tuple[Contrast, ...]
    note: str = ""

    def tables(self) -> Iterator[Texts]:
        """The metrics and the breakdowns, for printing."""
        rows: list[tuple[str, ...]] = [
            (
                *(f"{each.metric} [{each.unit}]", f"{each.a:.4f}", f"{each.b:.4f}", f"{each.difference:+.4f}"),
                *(f"{each.low:+.4g} to {each.high:+.4g}", f"{each.p:.2g}", _short(each.effect), _short(each.cohen)),
            )
            for each in self.differences
        ]
        columns = ("metric", *self.names, "difference", "95 % interval", "p", "effect", "d")
        yield self.canonical, columns, rows
        if self.contrasts:
            found: list[tuple[str, ...]] = [
                (each.table, each.row, each.column, f"{each.a:.4f}", f"{each.b:.4f}", f"{each.difference:+.4f}")
                for each in self.contrasts
            ]
            yield "where they differ most", ("table", "row", "column", *self.names, "difference"), found

    def lines(self) -> list[str]:
        """The verdict on the primary metric, how it was reached, and any note."""
        first = self.differences[0]
        winner = self.names[int((first.difference > 0) == (first.better == "higher"))]
        low, high = (first.low, first.high) if first.difference >= 0 else (-first.high, -first.low)
        size = f"{abs(first.difference):.4g} {first.unit}"
        verdict = f"{winner} is better by {size} {first.metric}" if first.difference else "both score the same"
        tried = f"all {self.permutations:,}" if self.exact else f"{self.permutations:,} random"
        lines = [
            f"{verdict} (95 % interval {low:.4g} to {high:.4g}, p = {first.p:.2g})",
            f"{self.sequences:,} sequences; {self.resamples:,} bootstrap draws, {tried} exchanges, seed {self.seed}",
            "effect: the difference over its standard deviation; d: Cohen's, over the sequences' own differences",
        ]
        return [*lines, *([self.note] if self.note else [])]


def compare(
    protocol: str | Protocol,
    store: str | Path | Store,
    a: Any,
    b: Any,
    *,
    recipe: str | None = None,
    options: Mapping[str, Any] | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    missing: Missing = "error",
    skeleton: str | None = None,
    remedies: Remedies | None = None,
    names: tuple[str, str] | None = None,
    quiet: bool = True,
) -> Comparison:
    """Compare two sets of predictions under a paper's exact recipe.

    Args:
        protocol: such as ``mpii/pckh``, or with recipe and options ``h36m/mpjpe:videopose3d,every=64``.
        store: a converted dataset, or its path.
        a: a path, a table, a mapping or an array; see :func:`har_bench.scoring.predictions.open_predictions`.
        b: the other system's.
        recipe: such as ``hrnet``; the protocol's first one by default.
        options: the recipe's options by name, such as ``{"every": 64}``.
        resamples: draws of the bootstrap and, unless all exchanges are fewer, of the permutation test; each computes
            the recipe twice over both systems, so take fewer where that is dear (AP over many thousand images).
        seed: the same seed gives the same digits.
        missing: missing and non-finite predictions are an ``error``, or ``count-as-error`` as the protocol says.
        skeleton: the predictions' joint layout; by default the protocol's one with their number of joints.
        remedies: what is done to predicted coordinates first.
        names: of the systems; their files' names by default.
        quiet: no progress.

    Raises:
        HarBenchError: what :func:`har_bench.score` raises, for either system; or fewer than two sequences.
    """
    chosen = make_protocol(protocol, recipe, options)
    opened = store if isinstance(store, Store) else open_store(store)
    first, second = (
        _accumulated(
            prepared(chosen, opened, predictions, missing=missing, skeleton=skeleton, remedies=remedies), prefix
        )
        for predictions, prefix in zip((a, b), SYSTEMS, strict=True)
    )
    scores = first.compute(), second.compute()
    sequences, mixture = _mixture(first, second)
    return _compared(
        chosen,
        names or _names(a, b),
        (scores[0].metrics, scores[1].metrics),
        tuple(_groups(each.tables, chosen.readings(each.tables)) for each in scores),
        Draws(mixture, sequences, resamples, seed, quiet),
    )


def compare_results(a: Result, b: Result, *, resamples: int = RESAMPLES, seed: int = SEED) -> Comparison:
    """Compare two result files that have a table by sequence; less precise than :func:`compare`.

    The metrics and breakdowns are the results' own. The interval, p-value and effect are of the mean over the rows of
    the table, weighted by their frames where it tells them, which is the recipe's own average for some metrics only.

    Args:
        a: a result.
        b: another one, of the same protocol, version, recipe and options on the same store.
        resamples: draws of the bootstrap and, unless all exchanges are fewer, of the permutation test.
        seed: the same seed gives the same digits.

    Raises:
        HarBenchError: they were scored in different ways or on different truth, or have no common table.
    """
    for what, first, second in (
        ("scored as", f"{a.canonical} version {a.version}", f"{b.canonical} version {b.version}"),
        ("of the store", a.fingerprints.get("store", ""), b.fingerprints.get("store", "")),
    ):
        if first != second:
            raise HarBenchError(f"one result is {what} {first} and the other {second}; score both in the same way")
    sequences, mixture = _table_mixture(a, b)
    return _compared(
        make_protocol(a.protocol, a.recipe),
        (a.model or "A", b.model or "B") if a.model != b.model else ("A", "B"),
        (a.metrics, b.metrics),
        tuple(_groups(each.tables, readings(each)) for each in (a, b)),
        Draws(mixture, sequences, resamples, seed, quiet=True),
        "from tables by sequence: intervals and p-values are of means over their rows, less precise than comparing "
        "the predictions themselves",
    )


def _compared(
    protocol: Protocol,
    names: tuple[str, str],
    values: tuple[Mapping[str, float], Mapping[str, float]],
    groups: tuple[Found, ...],
    draws: Draws,
    note: str = "",
) -> Comparison:
    if draws.sequences < 2:
        raise HarBenchError(f"{protocol.canonical} was scored on one sequence; a comparison needs at least two")
    if draws.resamples < 1:
        raise HarBenchError(f"{draws.resamples} resamples are too few; give at least 1, and 10000 for a paper")
    a, b = values
    everything = np.ones(draws.sequences)
    possible = draws.mixture(everything, 0 * everything).keys() & draws.mixture(0 * everything, everything).keys()
    metrics = [
        metric
        for metric in protocol.metrics
        if metric.name in possible and isfinite(a.get(metric.name, nan)) and isfinite(b.get(metric.name, nan))
    ]
    tested = [metric.name for metric in metrics]
    drawn, own = draws.bootstrap(tested), draws.own(tested)
    tried, p = draws.p_values(tested)
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    differences = tuple(
        Difference(
            metric=metric.name,
            unit=metric.unit,
            better=metric.better,
            a=a[metric.name],
            b=b[metric.name],
            low=float(low[at]),
            high=float(high[at]),
            p=float(p[at]),
            effect=ratio(b[metric.name] - a[metric.name], drawn[:, at]),
            cohen=ratio(float(np.nanmean(own[:, at])), own[:, at]) if np.isfinite(own[:, at]).any() else None,
        )
        for at, metric in enumerate(metrics)
    )
    return Comparison(
        canonical=protocol.canonical,
        names=names,
        sequences=draws.sequences,
        resamples=draws.resamples,
        permutations=tried,
        exact=draws.exact,
        seed=draws.seed,
        differences=differences,
        contrasts=tuple(_contrasts(*groups)),
        note=note,
    )


def _accumulated(pairs: Pairs, prefix: str) -> Protocol:
    """The protocol, updated with all batches, the sequences' names prefixed."""
    protocol = pairs.way.protocol
    for truth, predictions in pairs.batches():
        protocol.update(_prefixed(truth, prefix), _prefixed(predictions, prefix))
    return protocol


def _prefixed(batch: Batch, prefix: str) -> Batch:
    place = batch.sequences.column_names.index("sequence")
    names = pa.array([prefix + name for name in batch.names()])
    return replace(batch, sequences=batch.sequences.set_column(place, "sequence", names))


def _mixture(first: Protocol, second: Protocol) -> tuple[int, Mixture]:
    """The number of sequences, and the metrics of both systems' sequences in one accumulator."""
    both = first.fresh()
    both.merge(first)
    both.merge(second)
    place = {name: number for number, name in enumerate(both.units())}
    names = sorted({name.split("|", 1)[1] for name in place})
    # a sequence that a system has no record of goes to a place of its own, which is cut off
    places = np.array([[place.get(prefix + name, len(place)) for name in names] for prefix in SYSTEMS])

    def mixture(a: Floats, b: Floats) -> Mapping[str, float]:
        weights = np.zeros(len(place) + 1)
        weights[places[0]], weights[places[1]] = a, b
        return both.metrics_of(weights[:-1])

    return len(names), mixture


def _table_mixture(a: Result, b: Result) -> tuple[int, Mixture]:
    """The same from two results' tables by sequence, as weighted means of their rows."""
    tables = [{row.get("sequence"): row for row in result.tables.get("sequence", [])} for result in (a, b)]
    if not tables[0] or tables[0].keys() != tables[1].keys():
        raise HarBenchError("the results have no table of the same sequences; compare the predictions themselves")
    names = sorted(tables[0], key=str)
    metrics = [name for name in a.metrics if all(name in row for table in tables for row in table.values())]
    if a.primary not in metrics:
        raise HarBenchError(f"the results' tables by sequence have no {a.primary}; compare the predictions themselves")
    values = np.array([[[table[name][metric] for metric in metrics] for name in names] for table in tables], float)
    frames = np.array([[table[name].get("frames", 1) for name in names] for table in tables], float)

    def mixture(first: Floats, second: Floats) -> Mapping[str, float]:
        weights = np.concatenate((first, second)) * frames.reshape(-1)
        rows = values.reshape(-1, len(metrics))
        counted = weights[:, None] * np.isfinite(rows)
        with np.errstate(invalid="ignore"):
            means = (counted * np.nan_to_num(rows)).sum(axis=0) / counted.sum(axis=0)
        return dict(zip(metrics, means.tolist(), strict=True))

    return len(names), mixture


def _groups(tables: Mapping[str, list[Row]], found: Mapping[str, Reading]) -> Found:
    return {title: (column, numbers) for title, column, numbers in breakdowns(tables, found)}


def _contrasts(a: Found, b: Found) -> list[Contrast]:
    """The row that differs most of every breakdown both have, the largest difference first."""
    found = []
    for title, (column, first) in a.items():
        second = b[title][1] if title in b else {}
        common = [name for name in first if name in second]
        if common:
            most = max(common, key=lambda name: abs(second[name] - first[name]))
            found.append(Contrast(title, most, column, first[most], second[most]))
    return sorted(found, key=lambda contrast: -abs(contrast.difference))


def _names(a: Any, b: Any) -> tuple[str, str]:
    """The systems' names: those of their files, where these tell them apart."""
    stems = [Path(each).stem if isinstance(each, str | Path) else "" for each in (a, b)]
    return (stems[0], stems[1]) if all(stems) and stems[0] != stems[1] else ("A", "B")


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"
