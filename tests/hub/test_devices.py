"""The most memory that was held: of this process alone, and since it was asked to forget."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from har_bench import devices
from har_bench.devices import RESET, forget_peak_memory, peak_memory_mb

LARGE = 40_000_000
"""Doubles: 320 MB."""


def held_by_a_child(code: str) -> float:
    words = [sys.executable, "-c", f"from har_bench.devices import *; {code}; print(peak_memory_mb())"]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def test_the_peak_is_at_least_what_is_held() -> None:
    array = np.ones(LARGE)
    peak = peak_memory_mb()
    assert peak is None or peak > array.nbytes / 1e6


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its own peak")
def test_a_process_does_not_answer_for_the_one_that_started_it() -> None:
    array = np.ones(LARGE)
    assert held_by_a_child("pass") < array.nbytes / 1e6 / 2


@pytest.mark.skipif(not RESET.exists(), reason="only Linux lets a process forget its peak")
def test_the_peak_is_forgotten() -> None:
    before = held_by_a_child(f"import numpy; numpy.ones({LARGE})")
    after = held_by_a_child(f"import numpy; numpy.ones({LARGE}); forget_peak_memory()")
    assert before > 320 > 160 > after


def test_where_the_system_does_not_tell_there_is_no_peak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on Windows, which has neither the folder nor the module."""
    monkeypatch.setattr(devices, "STATUS", tmp_path / "status")
    monkeypatch.setattr(devices, "RESET", tmp_path / "absent" / "clear_refs")
    assert (peak_memory_mb() or 0) > 10  # getrusage's
    monkeypatch.setitem(sys.modules, "resource", None)
    forget_peak_memory()
    assert peak_memory_mb() is None
