"""The sample of MERL Shopping."""

from __future__ import annotations

from pathlib import Path

import pytest

from har_bench.converters.merl import MERL


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("merl") / "raw"
    MERL.sample(out, seed=1)
    return out
