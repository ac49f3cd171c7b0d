"""A store that somebody else is making."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def held(store: Path) -> Iterator[None]:
    """Somebody converts into ``store`` as long as the block runs; skips the test where files have no locks."""
    fcntl = pytest.importorskip("fcntl")
    with store.with_name(f"{store.name}.partial.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
