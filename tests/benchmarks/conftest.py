"""How large a benchmark's data are."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def smaller(request: pytest.FixtureRequest) -> int:
    """How many times smaller data are than said: 1 where times are taken, 10 where only the answers are compared."""
    return 1 if request.config.getoption("benchmark_enable") else 10
