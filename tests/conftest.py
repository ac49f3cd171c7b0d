"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import REAL, present


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, visibly, what needs the research data when it is not here."""
    if not present():
        absent = pytest.mark.skip(reason=f"no research data at {REAL} (set HAR_BENCH_REAL_DATA)")
        for item in items:
            if item.get_closest_marker("real"):
                item.add_marker(absent)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of the research data; tests that use it are marked ``real``."""
    return REAL
