"""The number by which a protocol ranks, of a model that is still learning."""

from __future__ import annotations

import math

import pyarrow as pa

from har_bench.baseline import Baseline
from har_bench.protocol import Protocol
from har_bench.scoring.engine import score
from har_bench.store import Store


def measured(model: Baseline, store: Store, protocol: Protocol) -> float:
    """Predict all that a protocol scores, and score it.

    Args:
        model: as it is now; its networks should be copies, as a training goes on with those it has.
        store: of the protocol's dataset.
        protocol: with its recipe and options.

    Returns:
        Its first metric; NaN where that is not finite.

    Raises:
        HarBenchError: see :func:`har_bench.score`.
    """
    predicted = pa.concat_tables(model.predict(store, protocol))
    return score(protocol, store, predicted, resamples=0).metrics.get(protocol.primary.name, math.nan)
