"""Stores of the synthetic samples that converters write."""

from __future__ import annotations

from pathlib import Path

import har_bench
from har_bench import registry
from har_bench.store import Store


class Samples:
    """Stores that are made once for all tests, which change nothing in them."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._made: dict[tuple[str, int], Store] = {}

    def __call__(self, dataset: str, *, seed: int = 0) -> Store:
        """The store of a dataset's sample."""
        if (dataset, seed) not in self._made:
            self._made[dataset, seed] = sampled(dataset, self._home / f"{dataset}-{seed}", seed=seed)
        return self._made[dataset, seed]


def sampled(dataset: str, home: Path, *, seed: int = 0) -> Store:
    """A dataset's sample under ``home``: its ``raw`` files, and the ``store`` made from them."""
    registry.load("converters", dataset).sample(home / "raw", seed=seed)
    return har_bench.convert(dataset, home / "raw", home / "store", jobs=1, quiet=True)
