"""What a bootstrap asks of a protocol a thousand times."""

from __future__ import annotations

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.protocol import Protocol


def one_resample(benchmark: BenchmarkFixture, protocol: Protocol) -> dict[str, float]:
    """Time the metrics of one draw of all that was scored; and give them."""
    units = len(protocol.units())
    weights = np.bincount(np.random.default_rng(0).integers(0, units, units), minlength=units).astype(float)
    protocol.metrics_of(weights)
    return benchmark(protocol.metrics_of, weights)  # type: ignore[no-any-return]
