"""What a store holds, counted in one pass: joints by their visibility, sizes of persons, classes, lengths, defects."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from har_bench.arrays import Floats, Ints
from har_bench.schema import to_numpy
from har_bench.store import Store

BINS = 16
CLASSES = ("action", "category", "act")
"""By what a dataset's sequences are told apart: the first of these that it has."""

MOST_CLASSES = 60
MOST_TRIED = 8
"""Sequences of a class or defect of which the first that can be drawn is its sample."""

LEVELS = ("absent", "occluded", "visible")


@dataclass(frozen=True)
class Histogram:
    """How many of what size: (B + 1,) edges and (B,) counts."""

    edges: Floats
    counts: Ints

    @property
    def rows(self) -> list[tuple[str, int]]:
        """The bins in words, but for empty ones before the first and after the last that has any."""
        ends = [f"{edge:,.0f}" if self.edges[-1] >= 10 else f"{edge:.2f}" for edge in self.edges]
        full = np.flatnonzero(self.counts)
        return [(f"{ends[at]} to {ends[at + 1]}", int(self.counts[at])) for at in range(full[0], full[-1] + 1)]


def histogram(numbers: Floats | Ints) -> Histogram | None:
    """Of finite numbers, up to their 99.5th percentile; None of none."""
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return None
    top = float(np.percentile(known, 99.5)) or 1.0
    counts, edges = np.histogram(np.minimum(known, top), BINS, (0.0, top))
    return Histogram(edges, counts)


@dataclass(frozen=True)
class Poses:
    """What the poses of a store are like.

    Attributes:
        joints: their names.
        levels: (J, 3) how often each is absent, occluded and visible; None where nobody says.
        sizes: heights of persons.
        unit: of the sizes.
    """

    joints: tuple[str, ...]
    levels: Ints | None
    sizes: Histogram | None
    unit: str


def poses_of(store: Store) -> Poses | None:
    """The poses of a store, part by part; None where it has none."""
    if not store.parts("poses"):
        return None
    names = store.schema("poses").names
    column = next((name for name in ("keypoints", "keypoints_3d") if name in names), None)
    joints = store.skeleton().joints if column else ()
    levels = np.zeros((len(joints), len(LEVELS)), np.int64) if "visibility" in names and joints else None
    sizes = []
    wanted = [name for name in (column or "", "visibility") if name in names and joints]
    for part in store.parts("poses") if wanted else ():
        table = store.read("poses", part, wanted)
        arrays = {name: to_numpy(table[name], table.schema.field(name)) for name in wanted}
        if levels is not None:
            for level in range(len(LEVELS)):
                levels[:, level] += (arrays["visibility"] == level).sum(axis=0)
        if column:
            sizes.append(_heights(arrays[column]))
    unit = "mm" if column == "keypoints_3d" else "px"
    return Poses(joints, levels, histogram(np.concatenate(sizes)) if sizes else None, unit)


def _heights(points: Any) -> Floats:
    """(n,) from the highest to the lowest joint of (n, J, D) points; NaN where none is known."""
    up = points[..., 1].astype(np.float64)
    known = np.isfinite(up)
    highest = np.where(known, up, -np.inf).max(axis=1)
    lowest = np.where(known, up, np.inf).min(axis=1)
    found: Floats = np.where(known.any(axis=1), highest - lowest, np.nan)
    return found


@dataclass(frozen=True)
class Class:
    """The sequences of one class: how many, how long, and some that have poses."""

    name: str
    sequences: int
    frames: int
    samples: tuple[str, ...]


def classes_of(store: Store) -> tuple[str, list[Class]]:
    """By what sequences are told apart, and the classes, the largest first."""
    table = store.sequences
    by = next((name for name in CLASSES if name in table.column_names and table[name].null_count < len(table)), "")
    kept = [name for name in ("sequence", "n_frames", "rows", by) if name in table.column_names]
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in table.select(kept).to_pylist():
        found[str(row.get(by) if row.get(by) is not None else "of no class")].append(row)
    classes = [
        Class(
            name,
            len(rows),
            sum(row.get("n_frames") or 0 for row in rows),
            tuple(row["sequence"] for row in rows if row.get("rows"))[:MOST_TRIED],
        )
        for name, rows in found.items()
    ]
    return by or "sequence", sorted(classes, key=lambda each: (-each.sequences, each.name))


def lengths_of(store: Store) -> Histogram | None:
    """Frames a sequence has."""
    table = store.sequences
    if "n_frames" not in table.column_names:
        return None
    return histogram(table["n_frames"].to_numpy().astype(np.float64))


@dataclass(frozen=True)
class Defect:
    """One kind of defect: how many sequences have it, and some that have poses."""

    name: str
    count: int
    samples: tuple[str, ...]


def defects_of(store: Store) -> list[Defect]:
    """What is marked as wrong with sequences, the most frequent first."""
    if "defects" not in store.sequences.column_names:
        return []
    counts: Counter[str] = Counter()
    samples: dict[str, list[str]] = defaultdict(list)
    for row in store.sequences.select(["sequence", "defects", "rows"]).to_pylist():
        for name in row["defects"] or ():
            counts[name] += 1
            if row["rows"]:
                samples[name].append(row["sequence"])
    return [Defect(name, count, tuple(samples[name][:MOST_TRIED])) for name, count in counts.most_common()]


def rejects_of(store: Store) -> list[tuple[str, str, int, str]]:
    """What was dropped or repaired of the raw records: the reason, what was done, how often, and the first place."""
    if not store.parts("rejects"):
        return []
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for row in store.table("rejects").to_pylist():
        key = (row["reason"], row["action"])
        counts[key] += 1
        first.setdefault(key, f"{row['source']}, {row['locator']}")
    return [(*key, count, first[key]) for key, count in counts.most_common(MOST_CLASSES)]
