"""What people have at hand, as arrays: lists, tensors and columns of objects, or a sentence about what they are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError

_NUMBERS = "fiub"


def taken(whose: str, **given: tuple[npt.ArrayLike, str]) -> tuple[npt.NDArray[Any], ...]:
    """What a metric was given, as arrays of numbers whose shapes belong together.

    >>> points, sizes = taken("pckh", predicted=([[[3, 4]]], "N J 2"), head_size=([10], "N"))
    >>> points.shape, sizes.dtype.name
    ((1, 1, 2), 'float64')

    Args:
        whose: what messages call the metric.
        given: for each argument its values and its axes: a number is a length, equal letters are equal lengths.
            After the axes may stand ``whole``, for whole numbers, or ``flags``, for truths.

    Returns:
        Real numbers as float32 or float64, whole ones as int64, truths as bool, in the order of the arguments.

    Raises:
        HarBenchError: one is ragged, text, complex or otherwise no array of such numbers, or a shape does not belong to
            the others.
    """
    arrays, lengths, fits = [], dict[str, int](), True
    for name, (values, text) in given.items():
        axes, kind = _parsed(text)
        array = _of_kind(numbers(values, f"{name} of {whose}"), kind, f"{name} of {whose}")
        arrays.append(array)
        fits = fits and array.ndim == len(axes)
        for axis, length in zip(axes, array.shape, strict=False):
            expected = int(axis) if axis.isdigit() else lengths.setdefault(axis, length)
            fits = fits and length == expected
    if not fits:
        wanted = ", ".join(f"{name} ({', '.join(_parsed(text)[0])})" for name, (_, text) in given.items())
        raise HarBenchError(f"{whose} needs {wanted}, and was given {', '.join(str(array.shape) for array in arrays)}")
    return tuple(arrays)


def _parsed(text: str) -> tuple[list[str], str]:
    """Axes and kind."""
    words = text.split()
    kind = words.pop() if words[-1:] in (["whole"], ["flags"]) else ""
    return words, kind


def _of_kind(array: npt.NDArray[Any], kind: str, what: str) -> npt.NDArray[Any]:
    if kind == "flags":
        if array.dtype.kind != "b" and not np.isin(array, (0, 1)).all():
            raise HarBenchError(f"{what} holds {array[~np.isin(array, (0, 1))][0]}; give true or false, or 1 or 0")
        return array.astype(bool, copy=False)
    if kind == "whole" and array.dtype.kind == "f":
        whole = (np.floor(array) == array) & (np.abs(array, dtype=np.float64) < 2.0**53)
        if not whole.all():
            raise HarBenchError(f"{what} holds {array[~whole][0]}; give whole numbers")
    if kind == "whole":
        return array.astype(np.int64, copy=False)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def plain(values: Any, what: str) -> npt.NDArray[Any]:
    """Lists, tensors (also those that require gradients, or are on a device) and arrays as NumPy.

    Args:
        values: anything that is an array.
        what: how messages call it.

    Returns:
        Values in this machine's order of bytes.

    Raises:
        HarBenchError: it is ragged, complex, a mapping, or no array at all.
    """
    if isinstance(values, Mapping | set | frozenset):
        raise HarBenchError(f"{what} is a {type(values).__name__}; give an array")
    try:
        array = np.asarray(_off_device(values) if hasattr(values, "detach") else values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise HarBenchError(f"{what} is no array ({error}); give rows of one length") from error
    if array.dtype.kind not in f"{_NUMBERS}OUS":
        raise HarBenchError(f"{what} holds {array.dtype} numbers; give real ones")
    if array.dtype.kind == "O" and not array.ndim:
        raise HarBenchError(f"{what} is a {type(values).__name__}; give an array")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            return array.astype(np.float64)
    if array.dtype.kind == "O" and not all(isinstance(each, str | None) for each in array.flat):
        return _unpacked(array, what)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _off_device(tensor: Any) -> npt.NDArray[Any]:
    tensor = tensor.detach().cpu()
    real = tensor.float() if "bfloat16" in str(tensor.dtype) else tensor
    array: npt.NDArray[Any] = real.resolve_conj().resolve_neg().numpy()
    return array


def numbers(values: Any, what: str) -> npt.NDArray[Any]:
    """:func:`plain`, refused unless it holds numbers."""
    array = plain(values, what)
    if array.dtype.kind not in _NUMBERS:
        first = next(iter(array.flat), None)
        raise HarBenchError(f"{what} holds {str(first)[:20]!r} and not numbers; give numbers")
    return array


def _unpacked(array: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
    """An array of objects that are all numbers, or all rows of numbers of one shape."""
    try:
        made = np.array([np.asarray(each) for each in array.flat])
        if made.dtype.kind in _NUMBERS:
            return made.reshape(*array.shape, *made.shape[1:])
        if array.ndim == 1 and made.ndim == 1 and made.dtype.kind in "US":
            return made
    except (ValueError, TypeError):
        pass
    raise HarBenchError(f"{what} holds values of several kinds or lengths; give numbers, in rows of one length")
