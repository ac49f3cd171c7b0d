"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from har_bench.published import folder
from tests import chromium
from tests.golden import REAL, fetched, present
from tests.sampled import Samples

# torch's threads only stand in each other's way where tests run side by side
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a first compilation of a kernel takes longer than hypothesis allows an example
settings.register_profile("har-bench", deadline=None)
settings.load_profile("har-bench")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, visibly, what needs the research data or fetched weights when they are not here."""
    if not fetched():
        absent = pytest.mark.skip(reason=f"no weights in {folder()} (har-bench weights fetch blazepose)")
        for item in items:
            if item.get_closest_marker("weights"):
                item.add_marker(absent)
    if not present():
        absent = pytest.mark.skip(reason=f"no research data at {REAL} (set HAR_BENCH_REAL_DATA)")
        for item in items:
            if item.get_closest_marker("real"):
                item.add_marker(absent)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of the research data; tests that use it are marked ``real``."""
    return REAL


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """Stores of converters' samples."""
    return Samples(tmp_path_factory.mktemp("samples"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that had research data or weights and was told to use them, but ran no test on them."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # workers of pytest-xdist have none
        return
    places = {"real": f"the research data at {REAL}", "weights": f"the weights in {folder()}"}
    for marker, place in places.items():
        required = os.environ.get(f"HAR_BENCH_REQUIRE_{marker.upper()}")
        if required and not any(marker in report.keywords for report in reporter.stats.get("passed", [])):
            reporter.write_line(f"ERROR: no test ran on {place}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser for the tests of one module, which are marked ``chromium.needed``."""
    with chromium.started() as started:
        yield started
