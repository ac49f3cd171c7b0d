"""Stores that tests of several protocols use."""

from __future__ import annotations

from pathlib import Path

import pytest

import har_bench


@pytest.fixture(scope="session")
def merl_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the MERL converter's own sample; its test video is 33_1."""
    folder = tmp_path_factory.mktemp("merl")
    har_bench.registry.load("converters", "merl").sample(folder / "raw")
    return har_bench.convert("merl", folder / "raw", folder / "store", quiet=True).path
