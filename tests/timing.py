"""How long work takes, for ratios between two ways of doing it in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

ROUNDS = 5


def seconds(work: Callable[[], Any]) -> float:
    """The median time of some rounds, after one that compiles and warms up."""
    work()
    times = []
    for _ in range(ROUNDS):
        began = perf_counter()
        work()
        times.append(perf_counter() - began)
    return statistics.median(times)
