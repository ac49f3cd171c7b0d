"""The sample of Human3.6M."""

from __future__ import annotations

from pathlib import Path

import pytest

from har_bench.converters.h36m import Human36M


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("h36m") / "raw"
    Human36M.sample(out, seed=1)
    return out
