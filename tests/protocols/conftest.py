"""Stores that tests of several protocols use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import har_bench
from har_bench.store import Store
from tests.golden import REAL
from tests.sampled import Samples


@pytest.fixture(scope="session")
def merl_sample(samples: Samples) -> Path:
    """A store of the MERL converter's own sample; its test video is 33_1."""
    return samples("merl").path


@pytest.fixture(scope="session")
def merl_unreleased(samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The same without the classes of its images, which Results/frame_names.txt has."""
    folder = tmp_path_factory.mktemp("merl")
    raw = Path(shutil.copytree(samples.raw("merl"), folder / "raw"))
    (raw / "Results" / "frame_names.txt").unlink()
    return har_bench.convert("merl", raw, folder / "store", quiet=True)


@pytest.fixture(scope="session")
def merl_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """MERL's real labels and list of frames."""
    return har_bench.convert("merl", REAL / "merl", tmp_path_factory.mktemp("merl") / "store", quiet=True)
