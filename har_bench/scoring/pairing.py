"""Aligned batches as a stream: what every room around scores (comparing, explaining) reads a store through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Protocol
from har_bench.scoring.by_row import Aligner, Missing, strangers
from har_bench.scoring.by_sequence import Gatherer
from har_bench.scoring.predictions import Predictions, open_predictions
from har_bench.store import Store


def selection(protocol: Protocol, store: Store) -> pa.Table:
    """The rows of the store's ``sequences`` that a protocol scores.

    Raises:
        HarBenchError: a store of another dataset, or one without any sequence of the protocol's.
    """
    if store.dataset != protocol.dataset:
        raise HarBenchError(f"{protocol.name} needs a {protocol.dataset} store; {store.path} is one of {store.dataset}")
    selected = protocol.select(store.sequences)
    if protocol.task == "pose":
        selected = selected.filter(pa.array(selected["rows"].to_numpy() > 0))
    if not selected.num_rows:
        raise HarBenchError(f"{store.path} has no sequence that {protocol.canonical} scores; is it part of the data?")
    return selected


def engine(
    protocol: Protocol, store: Store, given: Predictions, missing: Missing = "error", skeleton: str | None = None
) -> Aligner | Gatherer:
    """What puts true and predicted rows side by side for a protocol's task; the protocol is prepared for the store."""
    protocol.prepare(store)
    if protocol.task == "pose":
        return Aligner(protocol, store, given, missing, skeleton)
    return Gatherer(protocol, store, given, missing)


def aligned(
    protocol: Protocol, store: Store, predictions: Any, *, missing: Missing = "error", skeleton: str | None = None
) -> Iterator[tuple[Batch, Batch]]:
    """True and predicted rows of everything a protocol scores, part by part; one part is in memory at a time.

    Args:
        protocol: says what it scores; it is not updated.
        store: holds the ground truth.
        predictions: see :func:`har_bench.scoring.predictions.open_predictions`.
        missing: missing and non-finite predictions are an ``error``, or ``count-as-error`` as the protocol says.
        skeleton: the predictions' joint layout; by default the protocol's one with their number of joints.

    Raises:
        HarBenchError: wrong store, or rows that do not fit; the latter after the last part, so that all are named.
    """
    selected = selection(protocol, store)
    given = open_predictions(predictions, protocol, store)
    pairing = engine(protocol, store, given, missing, skeleton)
    pairing.problems.merge(strangers(given, store))
    parts = selected["part"].to_numpy()
    for part in np.unique(parts).tolist():
        batches = pairing.batches(selected.filter(pa.array(parts == part)), part)
        if batches is not None:
            yield batches
    pairing.problems.check(given.taken_for)
