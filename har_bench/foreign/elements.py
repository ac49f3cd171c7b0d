"""Types and shapes of arrays in foreign files: plain numbers and text, as many of them as the file has bytes for."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from har_bench.errors import Malformed
from har_bench.foreign.budget import Budget

DIMENSIONS = 64
"""The most that NumPy knows."""

_CODE = re.compile(r"[|<>=]?(b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,5}|O8?|\?)")


def element(code: object) -> np.dtype[Any]:
    """The type that a file calls ``code``; structures, dates and other types of NumPy's are refused.

    Raises:
        Malformed: another type.
    """
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        named = repr(code[:40]) if isinstance(code, str) else f"a {type(code).__name__}"
        raise Malformed(f"holds an array of type {named}, which is not a plain number or text")
    return np.dtype(code)


def shape_of(lengths: object, itemsize: int, budget: Budget, size: int | None = None) -> tuple[int, ...]:
    """A shape, once it is known to be one, and that of an array of ``size`` bytes.

    Args:
        lengths: what the file says.
        itemsize: of an element [bytes].
        budget: of the file; an empty array may not be long in its other dimensions, which somebody will count along.
        size: how many bytes the array has, where that is known.

    Raises:
        Malformed: it is no shape, or that of another size.
    """
    if (
        not isinstance(lengths, tuple)
        or len(lengths) > DIMENSIONS
        or not all(type(length) is int and 0 <= length < 1 << 63 for length in lengths)
    ):
        raise Malformed("holds an array whose shape is malformed")
    if size is not None and math.prod(lengths) * itemsize != size:
        raise Malformed(f"holds an array of shape {str(lengths)[:60]} whose content has another size")
    if math.prod(length or 1 for length in lengths) * itemsize > budget.allowed:
        raise Malformed(f"holds an array of shape {str(lengths)[:60]}, which is too large for the file")
    return lengths
