"""The sample of MPII, and what the converter makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from har_bench.converter import Tables
from har_bench.converters.mpii import MPII
from tests.mpii_data import (
    convert,
)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("sample")
    MPII.sample(raw)
    return raw


@pytest.fixture(scope="module")
def converted(sample: Path) -> Tables:
    return convert(sample)
