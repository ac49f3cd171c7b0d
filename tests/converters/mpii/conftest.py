"""The sample of MPII, and what the converter makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from har_bench.converter import Tables
from tests.mpii_data import convert
from tests.sampled import Samples


@pytest.fixture(scope="module")
def sample(samples: Samples) -> Path:
    return samples.raw("mpii")


@pytest.fixture(scope="module")
def converted(sample: Path) -> Tables:
    return convert(sample)
