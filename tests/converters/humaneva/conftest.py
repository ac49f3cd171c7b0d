"""The sample of HumanEva-I, and its store."""

from __future__ import annotations

from pathlib import Path

import pytest

from har_bench.converters.humaneva import release as release
from har_bench.store import Store
from tests.humaneva_data import convert
from tests.sampled import Samples


@pytest.fixture(scope="module")
def raw(samples: Samples) -> Path:
    return samples.raw("humaneva", seed=1)


@pytest.fixture(scope="module")
def store(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return convert(raw, tmp_path_factory.mktemp("humaneva") / "store", format="both")
