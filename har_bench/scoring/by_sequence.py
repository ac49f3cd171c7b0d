"""Batches for tasks in which a sequence's predictions are no answers to single rows: detection, labelling, clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Ints
from har_bench.errors import HarBenchError, listed
from har_bench.protocol import Batch, Protocol
from har_bench.schema import one_array, to_numpy
from har_bench.scoring.by_row import Problems
from har_bench.scoring.columns import Columns, require
from har_bench.scoring.held import Predictions
from har_bench.scoring.ways import Way
from har_bench.store import Store


@dataclass
class BySequence:
    """Puts the true and the predicted rows of the same sequences side by side, each with its own offsets.

    Truth comes from ``protocol.truth_table``; every predicted row of a chosen sequence is handed over, in its order.

    Attributes:
        way: how the predictions are taken. Where gaps are errors, a sequence without predictions, if the protocol needs
            one, and non-finite numbers are problems; else they are left to the protocol.
        store: holds the ground truth.
        predictions: hold the predicted rows.
        problems: everything found so far.
        gaps: how many sequences of the last part had no prediction, and count as errors.
    """

    way: Way
    store: Store
    predictions: Predictions
    problems: Problems = field(default_factory=Problems)
    gaps: int = 0

    @property
    def protocol(self) -> Protocol:
        """Says which rows and columns it wants."""
        return self.way.protocol

    def batches(self, chosen: pa.Table, part: int) -> tuple[Batch, Batch] | None:
        """True and predicted rows of the chosen sequences of one part; None when something does not fit.

        Raises:
            HarBenchError: the predictions lack a column.
        """
        names = chosen["sequence"].to_pylist()
        pieces = [self._piece(name) for name in names]
        starts = np.cumsum([0, *(_length(piece) for piece in pieces)])
        present = [piece for piece in pieces if _length(piece)]
        self.gaps = len(pieces) - len(present) if self.protocol.complete else 0
        columns = {name: self._column(name, present) for name in self._columns(present)}
        if self.way.missing == "error" and self.protocol.finite:
            self._refuse_broken(columns, names, starts)
        if self.problems.rows:
            return None
        return self._truth(chosen, part), Batch(chosen, starts, columns)

    def _piece(self, name: str) -> Columns:
        rows = self.predictions.of(name)
        if rows is None or not _length(rows):
            if self.protocol.complete and self.way.missing == "error":
                self.problems.add("missing", 1, f"all of {name}")
            return {}
        require(self.protocol.prediction_columns, rows, self.predictions.called)
        return rows

    def _columns(self, present: Sequence[Columns]) -> list[str]:
        """The columns to hand over: the required ones, and the optional ones that every piece has."""
        optional = [name for name in self.protocol.optional_columns if all(name in piece for piece in present)]
        return [*self.protocol.prediction_columns, *(optional if present else ())]

    def _column(self, name: str, present: Sequence[Columns]) -> npt.NDArray[Any]:
        shapes = {piece[name].shape[1:] for piece in present}
        if len(shapes) > 1:
            what = f"the {name} of {self.predictions.called} differ in shape between sequences"
            raise HarBenchError(f"{what} ({listed(map(str, sorted(shapes)))}); give all one shape")
        if not present:
            return np.zeros(0)
        return self.way.remedies.of(name, np.concatenate([piece[name] for piece in present]))

    def _refuse_broken(self, columns: Columns, names: Sequence[str], starts: Ints) -> None:
        for name, values in columns.items():
            if values.dtype.kind == "f" and len(values):  # a part may have no predicted row
                broken = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
                if broken.any():
                    first = names[int(np.searchsorted(starts, int(np.argmax(broken)), "right")) - 1]
                    self.problems.add("non-finite", int(broken.sum()), f"a {name} of {first}")

    def _truth(self, chosen: pa.Table, part: int) -> Batch:
        """The true rows of the chosen sequences that the protocol keeps."""
        source, columns = self.protocol.truth_table, self.protocol.truth_columns
        if source == "sequences":
            table, starts = chosen.select(list(columns)), np.arange(chosen.num_rows + 1)
        else:
            keys = ("sequence", "frame", "person") if source == "poses" else ("sequence", "start", "stop", "label")
            wanted = list(dict.fromkeys((*keys, *columns)))
            if part not in self.store.parts(source):
                empty = self.store.schema(source).empty_table().select(wanted)
                return Batch(chosen, np.zeros(chosen.num_rows + 1, np.int64), _arrays(empty))
            table = self.store.read(source, part, wanted)
            mask = self.protocol.keep(chosen, table)
            if mask is not None:
                table = table.filter(pa.array(np.asarray(mask, bool)))
            table, starts = _by_sequence(table, chosen["sequence"])
        return Batch(chosen, starts, _arrays(table))


def _length(rows: Columns) -> int:
    return len(next(iter(rows.values()))) if rows else 0


def _by_sequence(table: pa.Table, names: pa.ChunkedArray) -> tuple[pa.Table, Ints]:
    """The rows of the named sequences, in the order of the names, and where each begins; both are sorted by name."""
    places = pc.index_in(one_array(table["sequence"]), one_array(names))
    table = table.filter(pc.is_valid(places))
    counts = np.bincount(places.drop_null().to_numpy(), minlength=len(names))
    return table, np.cumsum([0, *counts])


def _arrays(table: pa.Table) -> dict[str, npt.NDArray[Any]]:
    return {name: to_numpy(table[name], table.schema.field(name)) for name in table.column_names}
