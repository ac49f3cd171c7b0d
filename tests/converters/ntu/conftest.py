"""The sample of NTU RGB+D 120."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sampled import Samples


@pytest.fixture(scope="module")
def raw(samples: Samples) -> Path:
    return samples.raw("ntu120", seed=1)
