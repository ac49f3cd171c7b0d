"""The sample of NTU RGB+D 120."""

from __future__ import annotations

from pathlib import Path

import pytest

from har_bench.converters.ntu import NTU120


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ntu") / "raw"
    NTU120.sample(out, seed=1)
    return out
