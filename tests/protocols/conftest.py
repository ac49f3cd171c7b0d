"""Stores that tests of several protocols use."""

from __future__ import annotations

from pathlib import Path

import pytest

import har_bench
from har_bench.store import Store
from tests.golden import REAL


@pytest.fixture(scope="session")
def merl_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the MERL converter's own sample; its test video is 33_1."""
    folder = tmp_path_factory.mktemp("merl")
    har_bench.registry.load("converters", "merl").sample(folder / "raw")
    return har_bench.convert("merl", folder / "raw", folder / "store", quiet=True).path


@pytest.fixture(scope="session")
def merl_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """MERL's real labels and list of frames."""
    return har_bench.convert("merl", REAL / "merl", tmp_path_factory.mktemp("merl") / "store", quiet=True)
