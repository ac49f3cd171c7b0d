"""Who is best, who is second, and which entries chance alone might have put in their order.

Best and second are told within a class of input: a method that is given the true keypoints competes with none that is
given a detector's. Two entries are separated when a paired permutation test says so (Holm's correction over the pairs
of the board), or, where none was made, when their confidence intervals do not overlap. An entry's rank is then a range:
one more than the entries that are surely better, to the number of those that are not surely worse.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

Mark = Literal["", "best", "second"]

ALPHA = 0.05
"""Of the tests of a board, all together."""


class Standing(NamedTuple):
    """Where an entry may stand among those scored here.

    Attributes:
        low: the best rank that it can have.
        high: the worst.
    """

    low: int
    high: int

    @property
    def text(self) -> str:
        """``3``, or ``2–4``."""
        return f"{self.low}" if self.low == self.high else f"{self.low}–{self.high}"


class Number(NamedTuple):
    """A number with its confidence interval, where larger is better."""

    value: float
    low: float
    high: float


def marks(classes: Sequence[str], numbers: Sequence[float | None]) -> list[Mark]:
    """Which numbers are the best and the second of their class; larger is better, and equal numbers share a mark.

    A class of one has no best, and a class of two no second.
    """
    found: list[Mark] = [""] * len(numbers)
    of_class: dict[str, list[int]] = defaultdict(list)
    for at, (name, number) in enumerate(zip(classes, numbers, strict=True)):
        if number is not None and math.isfinite(number):
            of_class[name].append(at)
    for places in of_class.values():
        order = sorted({numbers[at] or 0.0 for at in places}, reverse=True)
        for at in places if len(places) > 1 else ():
            if numbers[at] == order[0]:
                found[at] = "best"
            elif numbers[at] == order[1] and len(places) > 2:
                found[at] = "second"
    return found


def holm(p: Mapping[tuple[int, int], float]) -> dict[tuple[int, int], bool]:
    """Which pairs differ by Holm's step-down procedure (1979) at :data:`ALPHA`."""
    found, going = {}, True
    for place, (pair, value) in enumerate(sorted(p.items(), key=lambda each: (each[1], each[0]))):
        going = going and value <= ALPHA / (len(p) - place)
        found[pair] = going
    return found


def standings(numbers: Sequence[Number], tests: Mapping[tuple[int, int], float]) -> list[Standing]:
    """The rank range of each number.

    Args:
        numbers: with their intervals; larger is better. One without an interval has infinite ends, and is separated
            from nobody.
        tests: p-values by pairs of places, the smaller place first.
    """
    lows, highs = (np.array([getattr(number, end) for number in numbers]) for end in ("low", "high"))
    better = len(numbers) - np.searchsorted(np.sort(lows), highs, "right")
    worse = np.searchsorted(np.sort(highs), lows, "left")
    for (first, second), differs in holm(tests).items():
        up, down = (first, second) if numbers[first].value > numbers[second].value else (second, first)
        apart = lows[up] > highs[down]
        change = int(differs) - int(apart)
        better[down] += change
        worse[up] += change
    return [Standing(int(1 + above), int(len(numbers) - below)) for above, below in zip(better, worse, strict=True)]


def said(tests: Iterable[object], pairs: int) -> str:
    """How the rank ranges of a board were found, in a sentence."""
    made = len(list(tests))
    tested = f"by a paired permutation test, Holm-corrected at {ALPHA:g}"
    intervals = "by their confidence intervals"
    how = tested if made == pairs else f"{intervals}, {made} of {pairs} pairs {tested}" if made else intervals
    return f"Ranks are ranges: entries that are not separated {how} share them."
