"""How long work takes, for ratios between two ways of doing it in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

ROUNDS = 5


def seconds(*works: Callable[[], Any], rounds: int = ROUNDS, clock: Callable[[], float] = perf_counter) -> list[float]:
    """The median time of each work, in rounds of all of them, after one that compiles and warms up.

    A machine that slows down for a while slows down all of them.
    """
    times: list[list[float]] = [[] for _ in works]
    for number in range(rounds + 1):
        for work, spent in zip(works, times, strict=True):
            began = clock()
            work()
            if number:
                spent.append(clock() - began)
    return [statistics.median(spent) for spent in times]


def times_faster(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """How many times as long as ours theirs takes."""
    one, other = seconds(ours, theirs, rounds=rounds)
    return other / one


def processor_seconds(*works: Callable[[], Any], rounds: int = ROUNDS) -> list[float]:
    """As :func:`seconds`, but of the processor's time: what other processes of the machine take is not counted."""
    return seconds(*works, rounds=rounds, clock=process_time)
