"""Predictions beside the truth of a store: the one preparation that scoring, comparing and explaining begin with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Protocol
from har_bench.scoring.by_row import ByRow, Missing, strangers
from har_bench.scoring.by_sequence import BySequence
from har_bench.scoring.predictions import Predictions, open_predictions
from har_bench.store import Store, open_store


@dataclass(frozen=True)
class Way:
    """How predictions are to be scored; what a worker process needs to do the same as this one.

    Attributes:
        protocol: an empty accumulator of the protocol.
        missing: missing and non-finite predictions are an ``error``, or ``count-as-error`` as the protocol says.
        skeleton: the predictions' joint layout; None is the protocol's one with their number of joints.
        columns: columns of the truth to read besides the protocol's own, where predictions answer single rows.
    """

    protocol: Protocol
    missing: Missing = "error"
    skeleton: str | None = None
    columns: tuple[str, ...] = ()


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
    """

    way: Way
    store: Store
    predictions: Predictions
    selected: pa.Table
    engine: ByRow | BySequence
    source: Any

    def parts(self) -> list[int]:
        """The parts of the store that hold scored sequences."""
        return np.unique(self.selected["part"].to_numpy()).tolist()  # type: ignore[no-any-return]

    def part(self, number: int) -> tuple[Batch, Batch] | None:
        """True and predicted rows of one part; None when something does not fit."""
        return self.engine.batches(self.selected.filter(pa.array(self.selected["part"].to_numpy() == number)), number)

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
        self.engine.problems.check(str(self.source) if named else self.predictions.taken_for)


def prepared(
    protocol: Protocol,
    store: str | Path | Store,
    predictions: Any,
    *,
    missing: Missing = "error",
    skeleton: str | None = None,
    columns: Sequence[str] = (),
) -> Pairs:
    """Open the store and the predictions, and put their rows side by side.

    Args:
        protocol: chosen with its recipe and options; an empty accumulator of it is prepared.
        store: a converted dataset, or its path.
        predictions: see :func:`har_bench.scoring.predictions.open_predictions`.
        missing: see :class:`Way`.
        skeleton: see :class:`Way`.
        columns: see :class:`Way`.

    Raises:
        HarBenchError: a store of another dataset, or predictions that cannot be opened.
    """
    way = Way(protocol.fresh(), missing, skeleton, tuple(columns))
    opened = store if isinstance(store, Store) else open_store(store)
    pairs = paired(way, opened, predictions, selection(way.protocol, opened))
    pairs.engine.problems.merge(strangers(pairs.predictions, opened))
    return pairs


def paired(way: Way, store: Store, predictions: Any, selected: pa.Table) -> Pairs:
    """The selected sequences of an open store beside predictions; the protocol is prepared for the store."""
    way.protocol.prepare(store)
    given = open_predictions(predictions, way.protocol, store)
    engine: ByRow | BySequence
    if way.protocol.task == "pose":
        engine = ByRow(way.protocol, store, given, way.missing, way.skeleton, way.columns)
    else:
        engine = BySequence(way.protocol, store, given, way.missing)
    return Pairs(way, store, given, selected, engine, predictions)


def selection(protocol: Protocol, store: Store) -> pa.Table:
    """The rows of the store's ``sequences`` that a protocol scores.

    Raises:
        HarBenchError: a store of another dataset, or one without any sequence of the protocol's.
    """
    if store.dataset != protocol.dataset:
        raise HarBenchError(
            f"{protocol.name} needs a {protocol.dataset} store and {store.path} is one of {store.dataset}; "
            f"`har-bench list protocols` names those of {store.dataset}"
        )
    selected = protocol.select(store.sequences)
    if protocol.task == "pose":
        selected = selected.filter(pa.array(selected["rows"].to_numpy() > 0))
    if not selected.num_rows:
        raise HarBenchError(f"{store.path} has no sequence that {protocol.canonical} scores; is it part of the data?")
    return selected
