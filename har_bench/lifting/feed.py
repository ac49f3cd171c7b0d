"""The batches of an epoch: labelled windows, and unlabelled ones where there are any."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count

from har_bench.lifting.windows import Batch, Pool
from har_bench.training import Share

Batches = tuple[Batch, Batch | None]
"""Labelled windows, and unlabelled ones where there are any."""


class Feed:
    """An epoch's batches: labelled windows, and with them unlabelled ones from some epoch on.

    With unlabelled windows an epoch is a pass over those, and the labelled ones are repeated as often as needed.
    """

    def __init__(self, labelled: Pool, unlabelled: tuple[Pool, int] | None, size: int, seed: int) -> None:
        self.labelled, self.unlabelled, self.size, self.seed = labelled, unlabelled, size, seed

    @property
    def steps(self) -> int:
        """About how many batches an epoch has; a sequence's frames that are left out are counted."""
        pools = [self.labelled, *([self.unlabelled[0]] if self.unlabelled else [])]
        return max(int(-(-pools[-1].windows // self.size)), 1)

    def __call__(self, share: Share) -> Iterator[Batches]:
        """An epoch's batches for one process."""
        seed = self.seed + share.epoch
        if self.unlabelled is None or share.epoch < self.unlabelled[1]:
            yield from ((batch, None) for batch in self.labelled.epoch(seed, self.size, share))
            return
        passes = (self.labelled.epoch(seed + 7919 * turn, self.size, share) for turn in count())
        yield from zip(chain.from_iterable(passes), self.unlabelled[0].epoch(seed, self.size, share), strict=False)
