"""How large a value is when everything that it holds more than once is counted as often as it is held.

Whoever turns a value into an array, into JSON or into text unfolds it in this way, so a reader refuses what would not
fit before it hands it out. What comes through is finite: nothing in it holds itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import numpy as np

from har_bench.errors import Malformed
from har_bench.foreign.budget import Budget
from har_bench.foreign.machine import CONTAINER

DEEPEST = 100
"""Containers that may lie inside each other; in files of this field, ten do."""

_FLAT = frozenset((bool, int, float, complex, type(None), slice))
_TEXTS = frozenset((str, bytes, bytearray))
_CONTAINERS = frozenset((list, tuple, dict, OrderedDict, set, frozenset))
_KNOWN = _FLAT | _TEXTS | _CONTAINERS


def weigh(value: Any, budget: Budget) -> None:
    """Refuse a value that is too large when unfolded, too deep, holds itself, or holds what is not data.

    Args:
        value: what a reader has made of a file.
        budget: a whole allowance of the file.

    Raises:
        Malformed: it is one of these.
    """
    level = _inner([value], budget)
    for _ in range(DEEPEST):
        if not level:
            return
        level = [found for container in level for found in _inner(_elements(container), budget)]
    raise Malformed(f"is nested more than {DEEPEST} deep, or holds itself")


def _elements(container: Any) -> Iterable[Any]:
    """What a container holds, keys included."""
    if isinstance(container, dict):
        return [*container.keys(), *container.values()]
    return container.ravel().tolist() if isinstance(container, np.ndarray) else container


def _inner(found: Iterable[Any], budget: Budget) -> list[Any]:
    """Pay for the elements of a container; those that hold others are given back."""
    elements = list(found)
    budget.charge(CONTAINER + 8 * len(elements))
    kinds = set(map(type, elements)) - _FLAT
    if kinds & _TEXTS:
        budget.charge(sum(len(each) for each in elements if type(each) in _TEXTS))
    containers = [each for each in elements if type(each) in _CONTAINERS] if kinds & _CONTAINERS else []
    if kinds - _CONTAINERS - _TEXTS:
        others = [each for each in elements if type(each) not in _KNOWN]
        if not all(isinstance(each, np.ndarray | np.generic | np.dtype) for each in others):
            raise Malformed("holds a function or an array without its content, which is not data")
        arrays = [each for each in others if not isinstance(each, np.dtype)]
        budget.charge(sum(each.nbytes for each in arrays))
        containers += [each for each in arrays if each.dtype.hasobject]
    return containers
