"""What opening a foreign file may cost: memory, and work that grows with it, in proportion to the file's size.

A few bytes can ask for terabytes: a stream of zeros is compressed a thousandfold, a list may hold another one twice
and that one a third. So every reader has one :class:`Budget`, is charged what things cost before it makes them, and
stops where the file's size no longer explains it. ``docs/foreign.md`` tells users.
"""

from __future__ import annotations

import os

from har_bench.errors import HarBenchError, Malformed

FLOOR = 64 << 20
"""Bytes that even the smallest file may become."""

FACTOR = 32
"""Bytes that each byte of a file may become besides; pickles of small tuples come to 20, published files to 12."""

LARGE = 10_000_000
"""Bytes of a file of which each further one counts twice: a file of that size is seldom made only to harm."""

TRUST = "HAR_BENCH_UNFOLD_GB"
"""The environment variable by which somebody who trusts a file allows it so many gigabytes."""


def allowance(size: int, factor: int = FACTOR, floor: int = FLOOR) -> int:
    """How many bytes a file of ``size`` bytes may become, and at least ``floor``.

    Raises:
        HarBenchError: the environment variable :data:`TRUST` is no number.
    """
    text = os.environ.get(TRUST, "0")
    try:
        trusted = int(float(text) * (1 << 30))
    except (ValueError, OverflowError):
        raise HarBenchError(f"{TRUST} is {text!r}; set it to a number of gigabytes, such as 8") from None
    return max(floor + factor * (size + max(0, size - LARGE)), trusted)


class Budget:
    """What is left of the allowance of one file.

    Attributes:
        size: of the file [bytes].
        factor: how many bytes each of its bytes may become.
        floor: how many bytes it may become besides.
        allowed: the whole allowance [bytes].
        left: what of it is not yet spent [bytes].
    """

    def __init__(self, size: int, factor: int = FACTOR, floor: int = FLOOR, allowed: int | None = None) -> None:
        self.size = size
        self.factor = factor
        self.floor = floor
        self.allowed = self.left = allowance(size, factor, floor) if allowed is None else allowed

    def charge(self, cost: int) -> None:
        """Pay for something before it is made.

        Raises:
            Malformed: the file is too small for all that it asks for.
        """
        self.left -= cost
        if self.left < 0:
            raise self._exceeded()

    def require(self, cost: int) -> None:
        """Look whether there is a whole allowance for something that is counted apart.

        Raises:
            Malformed: as :meth:`charge`.
        """
        if cost > self.allowed:
            raise self._exceeded()

    def _exceeded(self) -> Malformed:
        return Malformed(
            f"unfolds into more than the {self.allowed:,} bytes that a file of {self.size:,} bytes may become",
            f"if you trust it, allow it more with {TRUST}=8 (gigabytes)",
        )

    def again(self) -> Budget:
        """A whole allowance of the same file, for what is counted apart."""
        return Budget(self.size, self.factor, self.floor, self.allowed)
