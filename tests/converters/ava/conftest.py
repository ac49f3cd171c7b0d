"""The samples of AVA, and of a dataset whose people are tracked."""

from __future__ import annotations

from pathlib import Path

import pytest

from har_bench.store import Store
from tests.sampled import Samples


@pytest.fixture(scope="module")
def raw(samples: Samples) -> Path:
    return samples.raw("ava", seed=1)


@pytest.fixture(scope="module")
def penn(samples: Samples) -> Store:
    return samples("penn_action", seed=1)
