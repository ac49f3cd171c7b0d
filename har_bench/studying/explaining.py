"""Where the errors are: the primary number by slices of the data, and the sequences that score worst.

A slice by joint, class, action, camera or subject is the result's own table where the protocol makes one; otherwise
the recipe is computed again over the sequences of each value. Slices by visibility and by person size are scored
afresh: by joint and by row where predictions answer single rows (the pose task), by the mean size of a sequence's
persons elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats
from har_bench.progress import progress
from har_bench.protocol import Batch, Metric, Protocol, make_protocol
from har_bench.protocol.readings import cells
from har_bench.results import Row
from har_bench.schema import to_numpy
from har_bench.scoring.pairing import Pairs, prepared
from har_bench.scoring.ways import Missing, Remedies
from har_bench.store import Store, open_store
from har_bench.studying.breakdowns import SINGLE, Texts, breakdowns, worst_first
from har_bench.studying.resampling import one_hot

LABELS = ("action", "camera", "subject")
"""Columns of the store's sequences to slice by, where the result has no table of that name."""

SIZES = {"area": "px²", "bbox": "px²", "head_size": "px"}
"""Columns of poses that tell how large a person is, the first one there is taken; a box counts as its area."""

SEEN = {1: "occluded or inferred", 2: "visible"}

AMOUNTS = {
    **{f"{one}s": one for one in ("frame", "sequence", "image", "person", "action", "object", "segment")},
    "count": "joint",
}
"""Columns of tables that tell how much is in a row, and what of."""

TERCILES = ("small", "medium", "large")


@dataclass(frozen=True)
class Slice:
    """One value of a way of slicing.

    Attributes:
        name: the value.
        number: the primary metric, or what the table has in its place.
        count: how much is in it, with a unit.
    """

    name: str
    number: float
    count: str


@dataclass(frozen=True)
class Explanation:
    """Where one system is good and bad.

    Attributes:
        canonical: the way it was scored.
        metric: the primary metric.
        overall: its value.
        slices: by what was sliced; each list from the worst to the best.
        worst: the sequences that score worst, the worst first.
        notes: what could not be sliced, and why.
    """

    canonical: str
    metric: Metric
    overall: float
    slices: Mapping[str, list[Slice]]
    worst: list[Slice]
    notes: list[str] = field(default_factory=list)

    def tables(self) -> Iterator[Texts]:
        """The slices and the worst sequences, for printing."""
        columns = (f"{self.metric.name} [{self.metric.unit}]", "against all", "of")
        titled = {f"by {name}": slices for name, slices in self.slices.items()}
        for title, slices in (titled | {f"the {len(self.worst)} worst sequences": self.worst}).items():
            rows: list[tuple[str, ...]] = [
                (each.name, f"{each.number:.4f}", f"{each.number - self.overall:+.4f}", each.count) for each in slices
            ]
            yield title, ("slice", *columns), rows

    def lines(self) -> list[str]:
        """The overall number, the widest spread over slices, and the notes."""
        lines = [f"{self.canonical}: {self.metric.name} is {self.overall:.4f} {self.metric.unit}"]
        spread = {name: abs(each[0].number - each[-1].number) for name, each in self.slices.items() if len(each) > 1}
        if spread:
            widest = max(spread, key=lambda name: spread[name])
            first, last = self.slices[widest][0], self.slices[widest][-1]
            lines.append(f"it varies most by {widest}: {first.name} {first.number:.2f}, {last.name} {last.number:.2f}")
        return lines + self.notes


def explain(
    protocol: str | Protocol,
    store: str | Path | Store,
    predictions: Any,
    *,
    recipe: str | None = None,
    options: Mapping[str, Any] | None = None,
    worst: int = 10,
    missing: Missing = "error",
    skeleton: str | None = None,
    remedies: Remedies | None = None,
    quiet: bool = True,
) -> Explanation:
    """Slice the primary number of a paper's exact recipe, and name the sequences that score worst.

    Args:
        protocol: such as ``mpii/pckh``, or with recipe and options ``h36m/mpjpe:videopose3d,every=64``.
        store: a converted dataset, or its path.
        predictions: a path, a table, a mapping or an array; see :func:`har_bench.scoring.predictions.open_predictions`.
        recipe: such as ``hrnet``; the protocol's first one by default.
        options: the recipe's options by name, such as ``{"every": 64}``.
        worst: how many sequences to name.
        missing: missing and non-finite predictions are an ``error``, or ``count-as-error`` as the protocol says.
        skeleton: the predictions' joint layout; by default the protocol's one with their number of joints.
        remedies: what is done to predicted coordinates first.
        quiet: no progress.

    Raises:
        HarBenchError: what :func:`har_bench.score` raises.
    """
    opened = store if isinstance(store, Store) else open_store(store)
    chosen = make_protocol(protocol, recipe, options)
    size = _size_column(opened)
    columns = _columns(chosen, opened, size) if chosen.task == "pose" else ()
    pairs = prepared(
        chosen, opened, predictions, missing=missing, skeleton=skeleton, remedies=remedies, columns=columns
    )
    chosen = pairs.way.protocol
    slicer = _Slicer(chosen, columns, size)
    for truth, predicted in shown(pairs, "scoring", quiet=quiet):
        chosen.update(truth, predicted)
        slicer.measure(truth)
    scores = chosen.compute()
    slices: dict[str, list[Slice]] = {}
    everything = _counted(len(chosen.units()), "sequence")
    for title, _, numbers in breakdowns(scores.tables, chosen.readings(scores.tables)):
        amounts = _amounts(scores.tables[title])
        told = {name: (number, amounts.get(name, everything)) for name, number in numbers.items()}
        slices[title] = _ranked(told, chosen.primary)
    for title, groups in _groups(chosen, opened).items():
        if title not in slices and len(groups) > 1:
            slices[title] = _by_weights(chosen, groups)
    notes = []
    if chosen.task == "pose":
        for truth, predicted in shown(pairs, "slicing", quiet=quiet) if slicer.wanted else ():
            slicer.update(truth, predicted)
        slices |= slicer.slices()
        notes = slicer.notes(opened)
    elif size is not None:
        slices["person size"] = _by_weights(chosen, _sized(chosen, opened, size))
    rows = scores.tables.get(SINGLE, [])
    amounts = _amounts(rows)
    names = {name: (number, amounts.get(name, "1 sequence")) for name, number in _alone(chosen, rows).items()}
    return Explanation(
        canonical=chosen.canonical,
        metric=chosen.primary,
        overall=scores.metrics[chosen.primary.name],
        slices={title: found for title, found in slices.items() if found},
        worst=_ranked(names, chosen.primary)[:worst],
        notes=notes,
    )


class _Slicer:
    """Scores rows by person size, and joints by visibility, with an accumulator per slice.

    Attributes:
        protocol: whose empty accumulators score the slices.
        columns: of the truth, besides the protocol's own, that slicing reads.
        size: the column that tells a person's size, if there is one.
    """

    def __init__(self, protocol: Protocol, columns: Sequence[str], size: str | None) -> None:
        self.protocol, self.columns, self.size = protocol, columns, size
        self.sizes: list[Floats] = []
        self.parts: dict[tuple[str, str], Protocol] = {}
        self.counts: dict[tuple[str, str], int] = {}

    @property
    def wanted(self) -> bool:
        """Whether there is anything to slice by."""
        return bool(self.sizes) or "visibility" in self.columns

    def measure(self, truth: Batch) -> None:
        """Note the sizes of a batch's persons: the terciles need all of them before the first row is sliced."""
        if self.size is not None and self.size in truth.columns:
            extent = _extent(truth[self.size])
            if np.isfinite(extent).any():
                self.sizes.append(extent[np.isfinite(extent)])

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Score a batch once per slice."""
        if self.sizes and self.size is not None:
            place = np.searchsorted(self.edges, extent := _extent(truth[self.size]), "right")
            for number, name in enumerate(_tercile_names(self.edges, SIZES[self.size])):
                rows = np.flatnonzero((place == number) & np.isfinite(extent))
                self._add("person size", name, _rows(truth, rows), _rows(predictions, rows), len(rows))
        if "visibility" in truth.columns:
            for state, name in SEEN.items():
                joints = truth["visibility"] == state
                points = np.where(joints[..., None], truth["keypoints"], np.nan)
                seen = replace(truth, columns={**truth.columns, "keypoints": points})
                self._add("visibility", name, seen, predictions, int(joints.sum()))

    def _add(self, title: str, name: str, truth: Batch, predictions: Batch, count: int) -> None:
        part = self.parts.setdefault((title, name), self.protocol.fresh())
        self.counts[title, name] = self.counts.get((title, name), 0) + count
        if count:
            part.update(truth, predictions)

    @cached_property
    def edges(self) -> Floats:
        """The two sizes between the terciles; final once a slice was scored."""
        return _tercile_edges(np.concatenate(self.sizes))

    def slices(self) -> dict[str, list[Slice]]:
        """What was scored, each list from the worst to the best."""
        found: dict[str, dict[str, tuple[float, str]]] = {}
        metric = self.protocol.primary
        for (title, name), part in self.parts.items():
            count = self.counts[title, name]
            if count:
                amount = _counted(count, "joint" if title == "visibility" else "person")
                found.setdefault(title, {})[name] = part.metrics_of()[metric.name], amount
        return {title: _ranked(numbers, metric) for title, numbers in found.items()}

    def notes(self, store: Store) -> list[str]:
        """What the store cannot be sliced by."""
        notes = []
        if not self.sizes:
            notes.append(f"no slices by person size: poses of {store.path} have none of {', '.join(SIZES)}")
        if "visibility" not in self.columns:
            notes.append("no slices by visibility: the protocol scores no 2D joints, or the store does not mark them")
        return notes


def shown(pairs: Pairs, what: str, *, quiet: bool) -> Iterator[tuple[Batch, Batch]]:
    """All batches, with progress by parts."""
    with progress(what, len(pairs.parts()), quiet=quiet) as bar:
        for batches in pairs.batches():
            yield batches
            bar.advance()


def _columns(protocol: Protocol, store: Store, size: str | None) -> tuple[str, ...]:
    """The columns of the truth that slicing needs: visibility of 2D joints, and a person's size."""
    flat = "keypoints" in protocol.truth_columns and _has(store, "visibility")
    return (*([size] if size is not None else ()), *(["visibility"] if flat else ()))


def _has(store: Store, column: str) -> bool:
    return bool(store.parts("poses")) and column in store.schema("poses").names


def _size_column(store: Store) -> str | None:
    """The first column of poses that tells a size and is not empty."""
    for column in SIZES:
        if _has(store, column):
            first = store.read("poses", store.parts("poses")[0], [column])
            if np.isfinite(_extent(to_numpy(first[column], first.schema.field(column)))).any():
                return column
    return None


def _extent(values: npt.NDArray[Any]) -> Floats:
    """(N,) sizes of persons from a column of :data:`SIZES`; NaN where there is none."""
    numbers = values.astype(np.float64)
    extent = numbers[:, 2] * numbers[:, 3] if numbers.ndim == 2 else numbers
    return np.where(extent > 0, extent, np.nan)


def _tercile_edges(sizes: Floats) -> Floats:
    return np.quantile(sizes, [1 / 3, 2 / 3])


def _tercile_names(edges: Floats, unit: str) -> list[str]:
    low, high = (f"{edge:,.4g} {unit}" for edge in edges)
    return [f"{TERCILES[0]} (below {low})", f"{TERCILES[1]} ({low} to {high})", f"{TERCILES[2]} ({high} or more)"]


def _rows(batch: Batch, rows: npt.NDArray[np.int64]) -> Batch:
    """Some rows of a batch, by their sorted numbers, without the sequences that have none of them."""
    sequence = np.searchsorted(batch.starts, rows, "right") - 1
    used, counts = np.unique(sequence, return_counts=True)
    columns = {name: values[rows] for name, values in batch.columns.items()}
    return Batch(batch.sequences.take(used), np.cumsum([0, *counts]), columns)


def _groups(protocol: Protocol, store: Store) -> dict[str, dict[str, list[str]]]:
    """The scored sequences by action, camera and subject, where the store knows these."""
    units = set(protocol.units())
    found: dict[str, dict[str, list[str]]] = {}
    for label in LABELS:
        for name, value in zip(*(store.sequences[column].to_pylist() for column in ("sequence", label)), strict=True):
            if name in units and value is not None:
                found.setdefault(label, {}).setdefault(str(value), []).append(name)
    return found


def _sized(protocol: Protocol, store: Store, size: str) -> dict[str, list[str]]:
    """The scored sequences by terciles of the mean size of their persons."""
    units, means = set(protocol.units()), {}
    for part in store.parts("poses"):
        table = store.read("poses", part, ["sequence", size])
        names = table["sequence"].combine_chunks().dictionary_encode()
        codes, extent = names.indices.to_numpy(), _extent(to_numpy(table[size], table.schema.field(size)))
        known = np.isfinite(extent)
        totals = np.bincount(codes[known], extent[known], len(names.dictionary))
        counts = np.bincount(codes[known], minlength=len(names.dictionary))
        for name, total, count in zip(names.dictionary.to_pylist(), totals, counts, strict=True):
            if name in units and count:
                means[name] = total / count
    if not means:
        return {}
    edges = _tercile_edges(np.array(list(means.values())))
    found: dict[str, list[str]] = {}
    for name, mean in means.items():
        title = _tercile_names(edges, SIZES[size])[int(np.searchsorted(edges, mean, "right"))]
        found.setdefault(title, []).append(name)
    return found


def _by_weights(protocol: Protocol, groups: Mapping[str, list[str]]) -> list[Slice]:
    """The recipe over the sequences of each group alone."""
    place = {name: number for number, name in enumerate(protocol.units())}
    found = {}
    for group, names in groups.items():
        weights = np.zeros(len(place))
        weights[[place[name] for name in names]] = 1
        found[group] = _primary(protocol, weights), _counted(len(names), "sequence")
    return _ranked(found, protocol.primary)


def _alone(protocol: Protocol, rows: Sequence[Row]) -> dict[str, float]:
    """The primary number of each sequence: from the protocol's own table, else by the recipe over it alone."""
    if any(protocol.primary.name in row for row in rows):
        return cells(rows, protocol.primary.name)
    units = protocol.units()
    return {name: _primary(protocol, weights) for name, weights in zip(units, one_hot(len(units)), strict=True)}


def _amounts(rows: Sequence[Row]) -> dict[str, str]:
    """How much is in each row of a table, by the row's name; nothing where the table does not tell."""
    column = next((each for each in AMOUNTS if rows and each in rows[0]), None)
    return (
        {} if column is None else {name: _counted(int(n), AMOUNTS[column]) for name, n in cells(rows, column).items()}
    )


def _primary(protocol: Protocol, weights: Floats) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return protocol.metrics_of(weights).get(protocol.primary.name, math.nan)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("s" if number != 1 else "")


def _ranked(numbers: Mapping[str, tuple[float, str]], metric: Metric) -> list[Slice]:
    """Slices from the worst to the best, without those that have no number."""
    known = {name: number for name, (number, _) in numbers.items() if math.isfinite(number)}
    return [Slice(name, *numbers[name]) for name in worst_first(known, metric)]
