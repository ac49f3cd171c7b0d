"""Small disks of their own, to be filled."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """A small disk of its own; where mounting is not allowed the test is skipped."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("needs leave to mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def leave(disk: Path, kilobytes: int) -> Path:
    """Fill a disk up to so many kB with a file that is to be removed."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        file.write(bytes(max(shutil.disk_usage(disk).free - kilobytes * 1000, 0)))
    return filler
