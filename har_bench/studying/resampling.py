"""Paired resampling of sequences: draws with replacement, exchanges of two systems, and each sequence alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from har_bench.arrays import Floats
from har_bench.progress import progress

SAME = 1 - 1e-9
"""A permuted difference of this share of the observed one counts as equal: sums in another order round otherwise."""

ROUNDING = 1e-12
"""Relative to the numbers, a difference (or, relative to differences, a standard deviation) of rounding only."""

Mixture = Callable[[Floats, Floats], Mapping[str, float]]
"""The metrics when sequence i counts a[i] times as the first system has it and b[i] times as the second has it."""


@dataclass(frozen=True)
class Draws:
    """The random numbers of a comparison, and what the differences of all metrics are under them.

    Attributes:
        mixture: computes the metrics.
        sequences: S, how many there are.
        resamples: how many draws.
        seed: of the random numbers.
        quiet: no progress.
    """

    mixture: Mixture
    sequences: int
    resamples: int
    seed: int
    quiet: bool

    @property
    def exact(self) -> bool:
        """Whether all exchanges are at most as many as the draws; one and its opposite have the same difference."""
        return self.sequences - 1 < self.resamples.bit_length()

    def difference(self, metrics: Sequence[str], drawn: Floats, exchanged: Floats) -> Floats:
        """(M,) B minus A with (S,) weights, the systems exchanged on some sequences; 0 where only rounding differs."""
        kept = drawn * (1 - exchanged)
        values = [self.mixture(*weights) for weights in ((kept, drawn - kept), (drawn - kept, kept))]
        first, second = (np.array([each.get(name, nan) for name in metrics]) for each in values)
        found = second - first
        return np.where(np.abs(found) <= ROUNDING * np.abs(first), 0.0, found)

    def bootstrap(self, metrics: Sequence[str]) -> Floats:
        """(R, M) differences over sequences drawn with replacement."""
        random, size, none = np.random.default_rng([self.seed, 0]), self.sequences, np.zeros(self.sequences)
        chosen = (random.integers(0, size, size) for _ in range(self.resamples))
        drawn = (np.bincount(places, minlength=size).astype(np.float64) for places in chosen)
        return self._all("bootstrap", self.resamples, (self.difference(metrics, weights, none) for weights in drawn))

    def permutations(self, metrics: Sequence[str]) -> Floats:
        """(P, M) differences with the systems exchanged on some sequences: on all subsets, or on random ones."""
        size, ones = self.sequences, np.ones(self.sequences)
        if self.exact:
            count = 2 ** (size - 1)
            bits = np.arange(size)
            tosses = ((number >> bits & 1).astype(np.float64) for number in range(count))
        else:
            random, count = np.random.default_rng([self.seed, 1]), self.resamples
            tosses = (random.integers(0, 2, size).astype(np.float64) for _ in range(count))
        return self._all("permutations", count, (self.difference(metrics, ones, toss) for toss in tosses))

    def p_values(self, metrics: Sequence[str]) -> tuple[int, Floats]:
        """How many exchanges were tried, and (M,) the share of them with a difference at least as large."""
        everything = np.ones(self.sequences)
        observed, permuted = self.difference(metrics, everything, 0 * everything), self.permutations(metrics)
        hits = (np.abs(permuted) >= np.abs(observed) * SAME).sum(axis=0)
        return len(permuted), hits / len(permuted) if self.exact else (1 + hits) / (1 + len(permuted))

    def own(self, metrics: Sequence[str]) -> Floats:
        """(S, M) differences of the sequences taken alone; NaN where a metric needs more than one sequence has."""
        none = np.zeros(self.sequences)
        single = (self.difference(metrics, row, none) for row in one_hot(self.sequences))
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._all("sequences", self.sequences, single)

    def _all(self, what: str, count: int, rows: Iterator[Floats]) -> Floats:
        with progress(what, count, quiet=self.quiet) as shown:
            found = []
            for row in rows:
                found.append(row)
                shown.advance()
        return np.array(found).reshape(count, -1)


def one_hot(size: int) -> Iterator[Floats]:
    """The weights that take one sequence alone, for each of them."""
    for place in range(size):
        row = np.zeros(size)
        row[place] = 1
        yield row


def ratio(value: float, spread: Floats) -> float | None:
    """A value over the standard deviation of some numbers; None when they do not vary beyond rounding."""
    known = spread[np.isfinite(spread)]
    deviation = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    return value / deviation if deviation > ROUNDING * float(np.abs(known).max()) else None
