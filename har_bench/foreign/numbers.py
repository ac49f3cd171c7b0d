"""Arrays of numbers made of what foreign files hold in their place: nested lists, lists of arrays, or arrays."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from har_bench.arrays import Anything
from har_bench.errors import Malformed

_SCALARS = (bool, int, float, np.number, np.bool_)
_LISTS = (list, tuple)


def numbers(value: Any) -> Anything:
    """``value`` as an array of real numbers or truths.

    ``np.asarray`` would make text as wide as the longest, objects of uneven lists, and an array of objects of
    anything else; here they are refused before anything is made of them.

    Args:
        value: an array, which is given back as it is; or lists and tuples, nested evenly, of numbers or of arrays of
            one shape. It comes from a reader of this folder, so it is not larger than its file explains.

    Raises:
        Malformed: it is something else.

    >>> numbers([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    if isinstance(value, np.ndarray):
        return _numeric(value)
    level: list[Any] = [value]
    shape: tuple[int, ...] = ()
    while level and all(isinstance(each, _LISTS) for each in level):
        lengths = set(map(len, level))
        if len(lengths) > 1:
            raise Malformed(f"has lists of {min(lengths)} and of {max(lengths)} where an array of numbers should be")
        shape += tuple(lengths)
        level = list(chain.from_iterable(level))
    if all(issubclass(kind, _SCALARS) for kind in set(map(type, level))):
        try:
            return _numeric(np.asarray(level)).reshape(shape)
        except (OverflowError, ValueError) as error:
            raise Malformed(f"has numbers that do not fit into an array ({error})") from error
    other = next((type(each).__name__ for each in level if not isinstance(each, (*_SCALARS, np.ndarray))), None)
    if other is not None:
        raise Malformed(f"has a {other} where an array of numbers should be")
    arrays = [_numeric(np.asarray(each)) for each in level]
    if len({each.shape for each in arrays}) > 1:
        raise Malformed("has arrays of several shapes where one array of numbers should be")
    return np.stack(arrays).reshape((*shape, *arrays[0].shape))


def _numeric(array: Anything) -> Anything:
    if array.dtype.kind not in "biuf":
        raise Malformed(f"has an array of {array.dtype} where numbers should be")
    return array
