"""The sample."""

from __future__ import annotations

from pathlib import Path

import pytest

from har_bench.converters.ava import AVA


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ava") / "raw"
    AVA.sample(out, seed=1)
    return out
