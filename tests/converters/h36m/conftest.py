"""The sample of Human3.6M."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sampled import Samples


@pytest.fixture(scope="module")
def raw(samples: Samples) -> Path:
    return samples.raw("h36m", seed=1)
