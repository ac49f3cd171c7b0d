"""Which predicted row belongs to which ground-truth row, and what is wrong with the ones that do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError
from har_bench.predictions import Columns

Rows = npt.NDArray[np.int64]

REMEDIES = {
    "missing": "predict them, or accept them with --missing count-as-error",
    "non-finite": "mend them, or accept them with --missing count-as-error",
    "duplicate": "keep one prediction per person and frame",
    "unknown": "are they of this store, with 0-based frames and its person ids?",
    "unaligned": "predict every frame of a sequence, or every scored one, or add a column 'frame'",
}


@dataclass
class Problems:
    """What does not fit, by kind: how many rows, and the first of them in words. Mergeable."""

    rows: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, rows: int, first: str) -> None:
        """Record ``rows`` rows of a kind; the alphabetically first description is kept, whatever the order."""
        if rows:
            self.rows[kind] = self.rows.get(kind, 0) + rows
            self.first[kind] = min(first, self.first.get(kind, first))

    def merge(self, other: Problems) -> None:
        """Take over another worker's findings."""
        for kind, rows in other.rows.items():
            self.add(kind, rows, other.first[kind])

    def check(self, what: str) -> None:
        """Raise one sentence about everything found, if anything was.

        Raises:
            HarBenchError: there were problems.
        """
        if self.rows:
            parts = [
                f"{self.rows[kind]} {kind} (first: {self.first[kind]}; {REMEDIES[kind]})"
                for kind in REMEDIES
                if kind in self.rows
            ]
            raise HarBenchError(f"{what} cannot be scored: rows {'; '.join(parts)}")


def align(sequence: str, truth: Mapping[str, npt.NDArray[Any]], kept: Rows, rows: Columns, problems: Problems) -> Rows:
    """For each kept ground-truth row of a sequence, the number of its predicted row; -1 where there is none.

    Args:
        sequence: its name, for messages.
        truth: ``frame`` and ``person`` of all ground-truth rows of the sequence.
        kept: the numbers of the rows that are scored.
        rows: the predicted columns of the sequence, with or without ``frame`` and ``person``.
        problems: where missing, duplicate, unknown and unaligned rows are reported.
    """
    count = len(next(iter(rows.values())))
    if "frame" not in rows:
        return _in_order(sequence, len(truth["frame"]), kept, count, problems)
    if "person" not in rows and len(np.unique(truth["frame"])) < len(truth["frame"]):
        raise HarBenchError(f"{sequence} has frames with several persons; add the column 'person' to the predictions")
    keys = _Keys(truth["person"], rows["person"]) if "person" in rows else _Keys(np.zeros(1, np.int64))
    nobody = np.zeros(max(count, len(truth["frame"])), np.int64)
    given = keys.of(rows.get("person", nobody[:count]), rows["frame"])
    wanted = keys.of(truth["person"] if "person" in rows else nobody[: len(truth["frame"])], truth["frame"])
    order = np.argsort(given, kind="stable")
    ordered = given[order]
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(twice):
        problems.add("duplicate", len(twice), keys.name(sequence, ordered[twice[0]]))
    strange = given[~np.isin(given, wanted)]
    if len(strange):
        problems.add("unknown", len(strange), keys.name(sequence, strange.min()))
    place = np.minimum(np.searchsorted(ordered, wanted[kept]), max(count - 1, 0))
    found = ordered[place] == wanted[kept] if count else np.zeros(len(kept), bool)
    absent = np.flatnonzero(~found)
    if len(absent):
        problems.add("missing", len(absent), keys.name(sequence, wanted[kept][absent[0]]))
    return np.where(found, order[place] if count else -1, -1)


def _in_order(sequence: str, all_rows: int, kept: Rows, count: int, problems: Problems) -> Rows:
    if count == all_rows:
        return kept
    if count == len(kept):
        return np.arange(count)
    described = f"{sequence} has {count} predictions for {all_rows} frames"
    if len(kept) != all_rows:
        described += f", {len(kept)} of them scored"
    problems.add("unaligned", count, described)
    return np.full(len(kept), -1)


class _Keys:
    """One number per (person, frame) pair; person ids may be any int64 (NTU's have 17 digits)."""

    def __init__(self, *persons: npt.NDArray[np.int64]) -> None:
        self.persons = np.unique(np.concatenate(persons))

    def of(self, person: npt.NDArray[Any], frame: npt.NDArray[Any]) -> Rows:
        return (np.searchsorted(self.persons, person) << 32) + frame.astype(np.int64)

    def name(self, sequence: str, key: np.int64) -> str:
        return f"{sequence}, frame {int(key) & 0xFFFFFFFF}, person {self.persons[int(key) >> 32]}"
