"""The samples of AVA, and of datasets whose people are tracked."""

from __future__ import annotations

from pathlib import Path

import pytest

from har_bench.converters.ava import AVA
from har_bench.store import Store
from tests.sampled import Samples


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ava") / "raw"
    AVA.sample(out, seed=1)
    return out


@pytest.fixture(scope="module")
def penn(samples: Samples) -> Store:
    return samples("penn_action", seed=1)


@pytest.fixture(scope="module")
def ntu(samples: Samples) -> Store:
    return samples("ntu60", seed=1)
