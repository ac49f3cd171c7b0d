"""Synthetic results, as har-bench score would write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from har_bench.results import Interval, Result, write

STORE, PREDICTIONS = "5a" * 32, "9b" * 32

MakeResult = Callable[..., Result]


@pytest.fixture
def make_result() -> MakeResult:
    """A factory of results of ``h36m/mpjpe:videopose3d``; keyword arguments replace fields."""

    def make(**fields: Any) -> Result:
        defaults: dict[str, Any] = {
            "protocol": "h36m/mpjpe",
            "version": "1",
            "recipe": "videopose3d",
            "options": {},
            "dataset": "h36m",
            "primary": "MPJPE",
            "metrics": {"MPJPE": 46.8125, "P-MPJPE": 36.5},
            "units": {"MPJPE": "mm", "P-MPJPE": "mm"},
            "intervals": {"MPJPE": Interval(low=45.9, high=47.8, resamples=1000)},
            "tables": {"action": [{"action": "Walking", "MPJPE": 30.5}, {"action": "Sitting", "MPJPE": 60.25}]},
            "counts": {"sequences": 232, "poses": 543_344},
            "fingerprints": {"store": STORE, "predictions": PREDICTIONS},
            "versions": {"har_bench": "0.1.0"},
            "environment": {"platform": "Linux"},
            "model": "lifter",
        }
        return Result(**{**defaults, **fields})

    return make


@pytest.fixture
def save(make_result: MakeResult, tmp_path: Path) -> Callable[..., Path]:
    """Writes a synthetic result under ``results/`` and returns that folder."""

    def write_one(name: str = "lifter.json", **fields: Any) -> Path:
        write(make_result(**fields), tmp_path / "results" / name)
        return tmp_path / "results"

    return write_one
