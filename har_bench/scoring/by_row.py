"""Which predicted row belongs to which ground-truth row, and what is wrong with the ones that do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench import skeletons
from har_bench.arrays import Ints
from har_bench.errors import HarBenchError, closest, listed
from har_bench.protocol import Batch, Protocol
from har_bench.schema import shape_of, to_numpy
from har_bench.scoring.columns import DIMENSIONS, Columns, require
from har_bench.scoring.held import Predictions, RowPredictions
from har_bench.scoring.ways import Way
from har_bench.store import POINTS, Store

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

    def forgive(self, kind: str) -> None:
        """Drop what was found of a kind."""
        self.rows.pop(kind, None)
        self.first.pop(kind, None)

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


def strangers(predictions: Predictions, store: Store) -> Problems:
    """The predicted sequences that the store does not have."""
    problems = Problems()
    known = store.sequences["sequence"].to_pylist()
    unknown = sorted(set(predictions.names()) - set(known))
    if unknown:
        near = next((name for name in known if name.lstrip("0") == unknown[0]), None) or closest(unknown[0], known)
        there = f", where the store has {near!r}" if near else ""
        problems.add("unknown", len(unknown), f"sequence {unknown[0]!r}{there}")
    return problems


@dataclass
class ByRow:
    """Makes aligned batches of ground truth and predictions, part by part, and notes what does not fit.

    Attributes:
        way: how the predictions are taken.
        store: holds the ground truth.
        predictions: hold the rows to align with it.
        problems: everything found so far.
        layout: the layout that the predicted joints were taken for, once some were seen.
        gaps: how many of the rows of the last part had no usable prediction, and count as errors.
    """

    way: Way
    store: Store
    predictions: Predictions
    problems: Problems = field(default_factory=Problems)
    layout: str = ""
    gaps: int = 0

    @property
    def protocol(self) -> Protocol:
        """Says which rows are scored and which columns and joints it wants."""
        return self.way.protocol

    def batches(self, chosen: pa.Table, part: int) -> tuple[Batch, Batch] | None:
        """Ground truth and predictions of the chosen sequences of one part, row for row; None if they do not fit.

        Raises:
            HarBenchError: the predictions lack a column, or have joints of no known layout.
        """
        ordering = [self.protocol.row_order] if self.protocol.row_order else []
        columns = dict.fromkeys(["frame", "person", *self.protocol.truth_columns, *self.way.columns, *ordering])
        table = self.store.read("poses", part, list(columns))
        mask = self.protocol.keep(chosen, table)
        scored = np.ones(table.num_rows, bool) if mask is None else np.asarray(mask, bool)
        keys = {name: table[name].to_numpy() for name in ("frame", "person")}
        found, pieces, rows, starts, used = Problems(), [], [], [0], []
        for position, (name, first, count) in enumerate(_spans(chosen)):
            kept = np.flatnonzero(scored[first : first + count])
            if not len(kept):
                continue
            truth = {key: values[first : first + count] for key, values in keys.items()}
            pieces.append(self._piece(name, truth, kept, table.slice(first, count), found))
            rows.append(first + kept)
            starts.append(starts[-1] + len(kept))
            used.append(position)
        if self.way.missing == "count-as-error":
            found.forgive("missing")
        self.problems.merge(found)
        if not pieces or found.rows.keys() - {"missing"}:
            return None
        sequences, edges, self.gaps = chosen.take(used), np.asarray(starts), 0
        predicted = {name: self._predicted(name, pieces, sequences, edges) for name in self.protocol.prediction_columns}
        if self.problems.rows:
            return None
        taken = table if len(rows) == 1 and len(rows[0]) == table.num_rows else table.take(np.concatenate(rows))
        return Batch(sequences, edges, self._truth(taken)), Batch(sequences, edges, predicted)

    def _piece(
        self, name: str, truth: Columns, kept: Ints, table: pa.Table, problems: Problems
    ) -> tuple[Columns, Ints]:
        """The predicted columns of one sequence, and for each scored row its number in them (-1: missing)."""
        if isinstance(self.predictions, RowPredictions):
            if self.protocol.row_order is None:
                raise HarBenchError(
                    f"{self.predictions.called} do not say whose rows they are, and {self.protocol.name} has no "
                    "published row order; give a mapping from sequence to array"
                )
            numbers = table[self.protocol.row_order].take(kept).to_numpy().astype(np.int64)
            beyond = numbers >= len(self.predictions.array)
            if beyond.any():
                count = len(self.predictions.array)
                first = f"{name} is row {numbers.max()} of the published order, and there are {count}"
                problems.add("missing", int(beyond.sum()), first)
            return self.predictions.take(np.where(beyond, 0, numbers)), np.where(beyond, -1, np.arange(len(kept)))
        rows = self.predictions.of(name)
        if rows is None or not len(next(iter(rows.values()))):
            problems.add("missing", len(kept), f"all of {name}")
            return {}, np.full(len(kept), -1)
        require(self.protocol.prediction_columns, rows, self.predictions.called)
        return rows, align(name, truth, kept, rows, problems, called=self.predictions.called)

    def _predicted(
        self, column: str, pieces: Sequence[tuple[Columns, Ints]], sequences: pa.Table, starts: Ints
    ) -> npt.NDArray[Any]:
        """One aligned column, in the protocol's joint layout, gaps filled as the protocol says."""
        shapes = {rows[column].shape[1:] for rows, _ in pieces if column in rows}
        if len(shapes) > 1:
            what = f"the {column} of {self.predictions.called} differ in shape between sequences"
            raise HarBenchError(f"{what} ({listed(map(str, sorted(shapes)))}); give all one shape")
        shape = shapes.pop() if shapes else self._expected_shape(column)
        gathered = [
            rows[column][index] if column in rows else np.full((len(index), *shape), np.nan) for rows, index in pieces
        ]
        values = gathered[0] if len(gathered) == 1 else np.concatenate(gathered)
        values = self.way.remedies.of(column, values)
        if column in POINTS and self.protocol.skeletons:
            values = self._in_layout(column, values)
        gaps = np.concatenate([index < 0 for _, index in pieces])
        broken = ~np.isfinite(values).all(axis=tuple(range(1, values.ndim))) & ~gaps
        if self.way.missing == "error" and broken.any():
            row = int(np.argmax(broken))
            name = sequences["sequence"][int(np.searchsorted(starts, row, "right")) - 1].as_py()
            self.problems.add("non-finite", int(broken.sum()), f"a {column} of {name}")
        elif gaps.any() or broken.any():
            self.gaps = int((gaps | broken).sum())
            values = values.astype(np.promote_types(values.dtype, np.float32), copy=True)
            values[gaps] = self.protocol.missing
            values[~np.isfinite(values).all(axis=-1)] = self.protocol.missing
        return values

    def _expected_shape(self, column: str) -> tuple[int, ...]:
        """The shape of a predicted value where a whole part has no prediction to tell."""
        if column in POINTS and self.protocol.skeletons:
            return len(self.store.skeleton(self.protocol.skeletons[0])), DIMENSIONS[column]
        return ()

    def _in_layout(self, column: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Predicted joints in the protocol's first layout."""
        if values.ndim != 3 or values.shape[2] != DIMENSIONS[column]:
            what = f"the {column} of {self.predictions.called} have the shape {values.shape}"
            raise HarBenchError(f"{what}; give (frames, joints, {DIMENSIONS[column]})")
        asked = self.way.skeleton
        names = (*self.protocol.skeletons, self.store.skeleton().name) if asked is None else (asked,)
        accepted = [self.store.skeleton(name) for name in dict.fromkeys(names)]
        target = self.store.skeleton(self.protocol.skeletons[0])
        for source in accepted:
            if len(source) == values.shape[1]:
                self.layout = source.name
                return values if source.name == target.name else self._mapped(source, target).points(values)
        layouts = ", ".join(f"{len(source)} ({source.name})" for source in accepted)
        raise HarBenchError(
            f"the {column} of {self.predictions.called} have {values.shape[1]} joints, and {self.protocol.name} takes "
            f"{layouts} here; name their layout with --skeleton"
        )

    def _mapped(self, source: skeletons.Skeleton, target: skeletons.Skeleton) -> skeletons.Mapping:
        """How joints of another layout become the protocol's.

        Raises:
            HarBenchError: some are only near the protocol's, and nobody asked for that.
        """
        made = skeletons.mapping(source, target)
        near = [joint for joint, grade in zip(target.joints, made.grades, strict=True) if grade == "approximate"]
        if near and not self.way.remedies.approximate:
            raise HarBenchError(
                f"{self.predictions.called} have the joints of {source.name}, in which {len(near)} of {target.name}'s "
                f"{len(target)} are only approximate ({listed(near, 6)}), so this would not be the protocol's number; "
                f"predict {target.name}, or accept it with --approximate, which stands in the result"
            )
        return made

    def _truth(self, table: pa.Table) -> dict[str, npt.NDArray[Any]]:
        """The ground-truth columns as NumPy, joints in the protocol's layout."""
        joints = None
        if self.protocol.skeletons and self.protocol.skeletons[0] != self.store.skeleton().name:
            joints = skeletons.mapping(self.store.skeleton(), self.store.skeleton(self.protocol.skeletons[0]))
        columns = {}
        for name in table.column_names:
            field_ = table.schema.field(name)
            values = to_numpy(table[name], field_)
            if joints is not None and shape_of(field_)[:1] == (len(joints.source),):
                values = joints.visibility(values) if values.ndim == 2 else joints.points(values)
            columns[name] = values
        return columns


def _spans(chosen: pa.Table) -> Iterator[tuple[str, int, int]]:
    return zip(*(chosen[name].to_pylist() for name in ("sequence", "first_row", "rows")), strict=True)


def align(
    sequence: str,
    truth: Mapping[str, npt.NDArray[Any]],
    kept: Ints,
    rows: Columns,
    problems: Problems,
    *,
    called: str = "the predictions",
) -> Ints:
    """For each kept ground-truth row of a sequence, the number of its predicted row; -1 where there is none.

    Args:
        sequence: its name, for messages.
        truth: ``frame`` and ``person`` of all ground-truth rows of the sequence.
        kept: the numbers of the rows that are scored.
        rows: the predicted columns of the sequence, with or without ``frame`` and ``person``.
        problems: where missing, duplicate, unknown and unaligned rows are reported.
        called: what messages call the predictions.
    """
    count = len(next(iter(rows.values())))
    if "frame" not in rows:
        return _in_order(sequence, len(truth["frame"]), kept, count, problems)
    if "person" not in rows and len(np.unique(truth["frame"])) < len(truth["frame"]):
        several = f"{called} do not say who is who in {sequence}, which has frames with several persons"
        raise HarBenchError(f"{several}; add the column 'person'")
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


def _in_order(sequence: str, all_rows: int, kept: Ints, count: int, problems: Problems) -> Ints:
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

    def of(self, person: npt.NDArray[Any], frame: npt.NDArray[Any]) -> Ints:
        return (np.searchsorted(self.persons, person) << 32) + frame.astype(np.int64)

    def name(self, sequence: str, key: np.int64) -> str:
        return f"{sequence}, frame {int(key) & 0xFFFFFFFF}, person {self.persons[int(key) >> 32]}"
