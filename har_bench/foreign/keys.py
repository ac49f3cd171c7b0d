"""Keys of foreign dicts and sets: hashing and comparing them costs no more than they weigh.

A tuple that holds a tuple twice that holds a tuple twice is hashed in exponential time, and numbers, tuples and
frozensets can be chosen so that all of them have one hash, which makes a dict of them quadratic. Text and bytes are
safe, as Python salts their hashes, and so are whole numbers of 64 bits, of which at most nine share one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from har_bench.errors import Malformed
from har_bench.foreign.budget import Budget

LARGEST = 1000
"""Values that a key may unfold into."""

ALIKE = 32
"""Keys of one hash that a dict or set may have."""

_SALTED = (str, bytes)
_NESTED = (tuple, frozenset)
_PLAIN = (bool, float, complex, type(None))


class Keys:
    """What is known of the keys of every container of one file."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._alike: dict[tuple[int, int], int] = {}
        self._counted: dict[int, Any] = {}

    def admit(self, container: Any, keys: Sequence[Any]) -> None:
        """Let ``keys`` into ``container``, which is a new or an old one, before they are hashed.

        Raises:
            Malformed: one is no key of data, unfolds into too much, or has the hash of many others.
        """
        if set(map(type, keys)) == {str}:
            self._budget.charge(sum(map(len, keys)))
            return
        for key in keys:
            self._budget.charge(_weight(key))
            if not isinstance(key, (*_SALTED, int)):
                self._count(container, hash(key))

    def _count(self, container: Any, code: int) -> None:
        place = id(container), code
        self._budget.charge(200)
        self._counted[id(container)] = container  # kept, so that no other container gets its id
        self._alike[place] = self._alike.get(place, 0) + 1
        if self._alike[place] > ALIKE:
            raise Malformed(f"has more than {ALIKE} keys of the same hash, as only files made to harm have")


def _weight(key: Any) -> int:
    """What hashing a key, or comparing it with another, costs."""
    waiting, cost, seen = [key], 0, 0
    while waiting:
        found = waiting.pop()
        seen += 1
        if isinstance(found, _SALTED):
            cost += len(found)
        elif isinstance(found, _NESTED):
            if seen + len(waiting) + len(found) > LARGEST:
                raise Malformed(f"has a key that unfolds into more than {LARGEST} values")
            waiting += found
        elif isinstance(found, np.generic):
            cost += found.nbytes
        elif isinstance(found, int):
            if not -(1 << 63) <= found < 1 << 64:
                raise Malformed("has a number of more than 64 bits as a key")
        elif not isinstance(found, _PLAIN):
            raise Malformed(f"has a key that is a {type(found).__name__}, which is not data")
    return cost + 8 * seen
