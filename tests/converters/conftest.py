"""What the tests of every converter may ask for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def own(raw: Path, tmp_path: Path) -> Path:
    """A copy of the sample that a test may damage."""
    return Path(shutil.copytree(raw, tmp_path / "raw"))
