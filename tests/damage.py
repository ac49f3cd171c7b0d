"""Files with some bytes changed, the same ones each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from har_bench import HarBenchError

LIKELY = (0, 1, 127, 255)
"""Bytes that lengths, kinds and signs are most sensitive to."""


def damaged(content: bytes, times: int, seed: int = 0, *, most: int = 5) -> Iterator[bytes]:
    """So many copies, each with 1 to ``most`` bytes changed: one in five to any, the others to a likely one."""
    random = np.random.default_rng(seed)
    for _ in range(times):
        copy = np.frombuffer(content, np.uint8).copy()
        places = random.integers(0, len(copy), random.integers(1, most + 1))
        copy[places] = random.choice([*LIKELY, random.integers(256)], len(places))
        yield copy.tobytes()


def refused(read: Callable[[bytes], Any], copies: Iterator[bytes]) -> float:
    """The share of copies that a reader refuses with a HarBenchError; any other exception is the caller's."""
    told = []
    for copy in copies:
        try:
            read(copy)
            told.append(False)
        except HarBenchError:
            told.append(True)
    return sum(told) / len(told)
