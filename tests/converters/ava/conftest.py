"""The samples of AVA, and of datasets whose people are tracked."""

from __future__ import annotations

from pathlib import Path

import pytest

from har_bench.converters.ava import AVA
from har_bench.store import Store
from tests.sampled import sampled


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ava") / "raw"
    AVA.sample(out, seed=1)
    return out


@pytest.fixture(scope="module")
def penn(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return sampled("penn_action", tmp_path_factory.mktemp("penn"), seed=1)


@pytest.fixture(scope="module")
def ntu(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return sampled("ntu60", tmp_path_factory.mktemp("ntu"), seed=1)
