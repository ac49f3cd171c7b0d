"""Stores of the synthetic samples that converters write."""

from __future__ import annotations

from pathlib import Path

import har_bench
from har_bench import registry
from har_bench.store import Store


def sampled(dataset: str, home: Path, *, seed: int = 0) -> Store:
    """A dataset's sample under ``home``: its ``raw`` files, and the ``store`` made from them."""
    registry.load("converters", dataset).sample(home / "raw", seed=seed)
    return har_bench.convert(dataset, home / "raw", home / "store", jobs=1, quiet=True)
