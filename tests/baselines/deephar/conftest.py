"""Stores of samples, and the pictures of some of their people as stick figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from har_bench import Store
from har_bench.drawing.scenes import render
from tests.sampled import sampled

FILMED = {"h36m": 1, "ntu60": 1}
"""Of datasets of videos, how many sequences are drawn."""


class Drawn(NamedTuple):
    """A store and the folder with its pictures."""

    store: Store
    root: Path


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Drawn]:
    """The store of a dataset's sample, made when it is first asked for."""
    home, made = tmp_path_factory.mktemp("drawn"), {}

    def of(dataset: str) -> Drawn:
        if dataset not in made:
            store = sampled(dataset, home / dataset)
            split = "standard/train" if dataset == "h36m" else "xsub/train" if dataset == "ntu60" else None
            names = store.select(split)["sequence"].to_pylist()[: FILMED.get(dataset)]
            render(store, home / dataset / "raw", names)
            made[dataset] = Drawn(store, home / dataset / "raw")
        return made[dataset]

    return of
