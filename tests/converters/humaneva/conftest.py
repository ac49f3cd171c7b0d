"""The sample of HumanEva-I, a copy of it that a test may damage, and its store."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from har_bench.converters.humaneva import HumanEva
from har_bench.converters.humaneva import release as release
from har_bench.store import Store
from tests.humaneva_data import (
    convert,
)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("humaneva") / "raw"
    HumanEva.sample(out, seed=1)
    return out


@pytest.fixture
def own(raw: Path, tmp_path: Path) -> Path:
    """A copy of the sample that a test may damage."""
    return Path(shutil.copytree(raw, tmp_path / "raw"))


@pytest.fixture(scope="module")
def store(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return convert(raw, tmp_path_factory.mktemp("humaneva") / "store", format="both")
