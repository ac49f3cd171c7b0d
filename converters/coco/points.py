"""The joints of one annotation, however they are written: a flat list, or one list for each joint."""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple

import msgspec
import numpy as np

from .mending import Odd, number, shown
from .readable import NOT_FINITE, value

_LARGE = 1e300
"""Numbers below are finite, whichever type they are of."""


class Points(NamedTuple):
    """The values of an annotation's joints.

    Attributes:
        values: one joint after the other; NaN where there is no finite number.
        width: how many each joint has; 0 if the list is flat and does not tell.
        texts: whether some are texts of numbers, or flags.
    """

    values: list[float]
    width: int
    texts: bool

    def shape(self, named: int = 0) -> tuple[int, int]:
        """How many joints these are, and how many values each has: three, or else two.

        Args:
            named: how many joints have names: if they have two values each, those are no v.

        Raises:
            Odd: neither fits.
        """
        widths = (self.width,) if self.width else (3, 2)
        if not self.width and len(self.values) == 2 * named and not self._graded():
            widths = (2,)
        for width in widths:
            if len(self.values) % width == 0:
                return len(self.values) // width, width
        raise Odd(f"{len(self.values)} values are neither three nor two for each joint")

    def _graded(self) -> bool:
        """Whether every third value is a v: then these are other joints than those with names."""
        return len(self.values) % 3 == 0 and set(self.values[2::3]) <= {0.0, 1.0, 2.0}


def points(raw: msgspec.Raw) -> Points:
    """The joints of a json: ``[x, y, v, ...]`` or ``[[x, y, v], ...]``, with or without v; null has none.

    Raises:
        Odd: it is neither, and says what it is.

    >>> points(msgspec.Raw(b'[[1, 2, 2], [3, "4", null]]'))
    Points(values=[1.0, 2.0, 2.0, 3.0, 4.0, nan], width=3, texts=True)
    """
    try:
        given = value(bytes(raw)) or []
    except ValueError as error:
        raise Odd(f"they are no json ({error})") from error
    if not isinstance(given, list):
        raise Odd(f"they are {shown(raw)} and no list")
    width = 0
    if any(isinstance(each, list) for each in given):
        widths = {len(each) if isinstance(each, list) else 0 for each in given}
        width = max(widths)
        if len(widths) > 1 or width not in (2, 3):
            raise Odd("they are lists that are not all of two or of three numbers")
        given = list(chain.from_iterable(given))
    if all(type(each) in (int, float) and -_LARGE < each < _LARGE for each in given):
        return Points(list(map(float, given)), width, texts=False)
    flags = [isinstance(each, bool) for each in given]
    if any(flag for at, flag in enumerate(flags) if at % (width or 3) < 2):
        raise Odd("a coordinate is true or false")
    texts = any(flags) or any(isinstance(each, str) and each != NOT_FINITE for each in given)
    return Points([_number(each) for each in given], width, texts)


def _number(given: Any) -> float:
    if given is None or given == NOT_FINITE:
        return np.nan
    if isinstance(given, float) and not np.isfinite(given):
        return np.nan
    try:
        return float(given) if isinstance(given, bool) else number(given)
    except Odd:
        raise Odd(f"{given!r:.40} among them is no number") from None
