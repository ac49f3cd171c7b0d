"""What MERL's authors released scores the same in one process and in two."""

from __future__ import annotations

import pytest

import har_bench
from har_bench.store import Store
from tests.golden import REAL


@pytest.mark.real
@pytest.mark.parametrize(
    ("protocol", "released"),
    [
        ("merl/midpoint-ap", "Results/DetectedActions"),
        ("merl/frame-map", "Results/framepreds.mat"),
        ("merl/segmental", "TCN_predictions_MERL/ED-TCN_L2_C3"),
    ],
)
def test_two_processes_give_the_same(merl_store: Store, protocol: str, released: str) -> None:
    path = REAL / "merl" / released
    one, two = (har_bench.score(protocol, merl_store, path, jobs=jobs, resamples=0) for jobs in (1, 2))
    assert one.metrics == two.metrics
    assert one.tables == two.tables
