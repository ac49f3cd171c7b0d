"""Predictions beside the truth of a store: the one preparation that scoring, comparing and explaining begin with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench import remote
from har_bench.errors import HarBenchError, unknown
from har_bench.protocol import Batch, Protocol
from har_bench.protocol.clues import Clues
from har_bench.scoring.by_row import ByRow, strangers
from har_bench.scoring.by_sequence import BySequence
from har_bench.scoring.predictions import Predictions, open_predictions
from har_bench.scoring.ways import DIMENSIONS, Missing, Remedies, Way
from har_bench.store import Store, by_number, open_store


@dataclass
class Pairs:
    """True and predicted rows of everything that a protocol scores, part by part.

    Attributes:
        way: how they are scored.
        store: holds the truth.
        predictions: hold the predicted rows.
        selected: the rows of the store's ``sequences`` that are scored.
        engine: puts the rows side by side, and notes what does not fit.
        source: what the predictions were opened from.
        clues: what looked wrong so far.
    """

    way: Way
    store: Store
    predictions: Predictions
    selected: pa.Table
    engine: ByRow | BySequence
    source: Any
    clues: Clues = field(default_factory=dict)

    @cached_property
    def _by_part(self) -> dict[int, npt.NDArray[np.int64]]:
        """The selected rows of every part."""
        return dict(by_number(self.selected["part"].to_numpy()))

    def parts(self) -> list[int]:
        """The parts of the store that hold scored sequences."""
        return list(self._by_part)

    def part(self, number: int) -> tuple[Batch, Batch] | None:
        """True and predicted rows of one part; None when something does not fit."""
        return self.engine.batches(self.selected.take(self._by_part[number]), number)

    def batches(self) -> Iterator[tuple[Batch, Batch]]:
        """All of them; one part is in memory at a time.

        Raises:
            HarBenchError: rows do not fit; after the last part, so that all are named.
        """
        for number in self.parts():
            batches = self.part(number)
            if batches is not None:
                yield batches
        self.check()

    def check(self) -> None:
        """Raise one sentence about everything that did not fit.

        Raises:
            HarBenchError: something did not.
        """
        named = isinstance(self.source, str | Path)
        self.engine.problems.check(
            str(remote.as_url(self.source) or self.source) if named else self.predictions.taken_for
        )


def prepared(
    protocol: Protocol,
    store: str | Path | Store,
    predictions: Any,
    *,
    missing: Missing = "error",
    skeleton: str | None = None,
    remedies: Remedies | None = None,
    columns: Sequence[str] = (),
) -> Pairs:
    """Open the store and the predictions, and put their rows side by side.

    Args:
        protocol: chosen with its recipe and options; an empty accumulator of it is prepared.
        store: a converted dataset, or its path.
        predictions: see :func:`har_bench.scoring.predictions.open_predictions`.
        missing: see :class:`har_bench.scoring.ways.Way`.
        skeleton: see :class:`har_bench.scoring.ways.Way`.
        remedies: see :class:`har_bench.scoring.ways.Way`.
        columns: see :class:`har_bench.scoring.ways.Way`.

    Raises:
        HarBenchError: a store of another dataset, or predictions that cannot be opened.
    """
    if missing not in get_args(Missing):
        raise unknown("way to take missing predictions", missing, get_args(Missing))
    way = Way(protocol.fresh(), missing, skeleton, remedies or Remedies(), tuple(columns))
    opened = store if isinstance(store, Store) else open_store(store)
    pairs = paired(way, opened, predictions, selection(way.protocol, opened))
    fitting = way.protocol.for_joints(_joints(pairs), skeleton)
    if fitting is not way.protocol:
        way = replace(way, protocol=fitting)
        pairs = paired(way, opened, predictions, selection(fitting, opened))
    pairs.engine.problems.merge(strangers(pairs.predictions, opened))
    return pairs


def _joints(pairs: Pairs) -> int:
    """How many joints the first prediction has; 0 where there is none, or where predictions are no joints."""
    name = next(iter(pairs.predictions.names()), "")
    columns = pairs.predictions.of(name) or {}
    return next((columns[each].shape[1] for each in DIMENSIONS if each in columns and columns[each].ndim == 3), 0)


def paired(way: Way, store: Store, predictions: Any, selected: pa.Table) -> Pairs:
    """The selected sequences of an open store beside predictions; the protocol is prepared for the store."""
    way.protocol.prepare(store)
    given = open_predictions(predictions, way.protocol, store)
    side_by_side = ByRow if way.protocol.task == "pose" else BySequence
    return Pairs(way, store, given, selected, side_by_side(way, store, given), predictions)


def selection(protocol: Protocol, store: Store) -> pa.Table:
    """The rows of the store's ``sequences`` that a protocol scores.

    Raises:
        HarBenchError: a store of another dataset, or one without any sequence of the protocol's.
    """
    protocol.refuse_others(store)
    selected = protocol.select(store.sequences)
    if protocol.task == "pose":
        selected = selected.filter(pa.array(selected["rows"].to_numpy() > 0))
    if not selected.num_rows:
        raise HarBenchError(f"{store.path} has no sequence that {protocol.canonical} scores; is it part of the data?")
    return selected
