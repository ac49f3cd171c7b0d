"""Stores of the synthetic samples that converters write."""

from __future__ import annotations

from pathlib import Path

import har_bench
from har_bench import registry
from har_bench.results import Result
from har_bench.store import Store


class Samples:
    """Raw files and stores that are made once for all tests, which change nothing in them."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._made: dict[tuple[str, int], Store] = {}

    def __call__(self, dataset: str, *, seed: int = 0) -> Store:
        """The store of a dataset's sample."""
        if (dataset, seed) not in self._made:
            raw = self.raw(dataset, seed=seed)
            self._made[dataset, seed] = har_bench.convert(dataset, raw, raw.with_name("store"), jobs=1, quiet=True)
        return self._made[dataset, seed]

    def raw(self, dataset: str, *, seed: int = 0) -> Path:
        """The files of a dataset's sample."""
        raw = self._home / f"{dataset}-{seed}" / "raw"
        if not raw.exists():
            registry.load("converters", dataset).sample(raw, seed=seed)
        return raw


def sampled(dataset: str, home: Path, *, seed: int = 0) -> Store:
    """A dataset's sample under ``home``: its ``raw`` files, and the ``store`` made from them."""
    registry.load("converters", dataset).sample(home / "raw", seed=seed)
    return har_bench.convert(dataset, home / "raw", home / "store", jobs=1, quiet=True)


def two_stores(dataset: str, home: Path) -> Path:
    """The folder under ``home`` of two stores of a dataset, from samples that differ: its name, and ``other``."""
    for seed, name in enumerate((dataset, "other")):
        registry.load("converters", dataset).sample(home / "raw" / name, seed=seed)
        har_bench.convert(dataset, home / "raw" / name, home / "stores" / name, jobs=1, quiet=True)
    return home / "stores"


def noise(way: str, store: Path, predictions: Path) -> Result:
    """The truth with noise, written to ``predictions``, and what it scores."""
    har_bench.run("oracle-noise", store, protocol=way, out=predictions)
    return har_bench.score(way, store, predictions, resamples=50, missing="count-as-error")
