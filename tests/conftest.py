"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.golden import REAL, present

# torch's threads only stand in each other's way where tests run side by side
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a first compilation of a kernel takes longer than hypothesis allows an example
settings.register_profile("har-bench", deadline=None)
settings.load_profile("har-bench")


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


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that had the research data and was told to use it, but ran no test on it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("HAR_BENCH_REQUIRE_REAL"):  # workers of pytest-xdist have no reporter
        return
    if not any("real" in report.keywords for report in reporter.stats.get("passed", [])):
        reporter.write_line(f"ERROR: no test ran on the research data at {REAL}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
