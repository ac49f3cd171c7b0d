"""A real browser without a window, for what only a browser can judge; tests skip, visibly, where there is none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
GIVEN = os.environ.get("HAR_BENCH_CHROMIUM")
PROGRAM = GIVEN or next(filter(None, map(shutil.which, NAMES)), None)

needed = pytest.mark.skipif(
    PROGRAM is None, reason="no Chromium: apt-get install chromium, or name it in HAR_BENCH_CHROMIUM"
)


class Shown(NamedTuple):
    """What became of a page.

    Attributes:
        dom: its elements after its script has run.
        complaints: what the browser said of it, such as errors and refusals of its policy.
    """

    dom: str
    complaints: list[str]


def shown(path: Path, address: str = "", *, width: int = 1440) -> Shown:
    """Open a page from a file, let its script run, and look at it."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--virtual-time-budget=5000")
    size = f"--window-size={width},1200"
    done = subprocess.run(
        [str(PROGRAM), *options, size, "--dump-dom", f"{path.as_uri()}{address}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return Shown(done.stdout, re.findall(r".*CONSOLE.*", done.stderr))
