"""The samples of AVA, and of datasets whose people are tracked."""

from __future__ import annotations

from pathlib import Path

import pytest

import har_bench
from har_bench import registry
from har_bench.converters.ava import AVA
from har_bench.store import Store


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ava") / "raw"
    AVA.sample(out, seed=1)
    return out


def sample(dataset: str, folder: Path) -> Store:
    registry.load("converters", dataset).sample(folder / "raw", seed=1)
    return har_bench.convert(dataset, folder / "raw", folder / "store", jobs=1, quiet=True)


@pytest.fixture(scope="module")
def penn(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return sample("penn_action", tmp_path_factory.mktemp("penn"))


@pytest.fixture(scope="module")
def ntu(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return sample("ntu60", tmp_path_factory.mktemp("ntu"))
