"""Lists of numbers in a json, such as the joints of an annotation: as arrays, without a Python object per number.

A record's list is declared as :class:`msgspec.Raw`, so that the decoder leaves it as text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.arrays import Bytes, Floats, Ints, kernel

_POWERS = np.asarray(10.0 ** np.arange(16), np.float64)
"""Of up to 15 digits, both the number without its point and the power that divides it are exact doubles, so that the
quotient is the nearest double: what a json reader gives."""

_DECODER = msgspec.json.Decoder(list[float] | None)


def numbers(texts: Sequence[msgspec.Raw]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The numbers of json lists, one list after the other; null is an empty list.

    They are the doubles that Python's json makes of them, which also knows NaN and Infinity.

    Args:
        texts: (N,) of valid json.

    Returns:
        The (M,) numbers, and how many each of the N lists has.

    Raises:
        msgspec.DecodeError: one is no list of numbers.
    """
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    text = np.frombuffer(b"".join(texts), np.uint8)
    values = np.empty((len(text) + 1) // 2)
    lengths = np.empty(len(texts), np.int64)
    total = _plain(text, sizes.cumsum(), _POWERS, values, lengths)
    odd = np.flatnonzero(lengths < 0).tolist()
    if not odd:
        return values[:total], lengths
    first, pieces = 0, []  # numbers with exponents or many digits, null, or no numbers at all
    for row, length in enumerate(lengths.tolist()):
        if length < 0:
            pieces.append(_decoded(texts[row]))
            lengths[row] = len(pieces[-1])
        else:
            pieces.append(values[first : first + length])
            first += length
    return np.concatenate(pieces), lengths


def _decoded(text: msgspec.Raw) -> Floats:
    """The numbers of one list."""
    try:
        return np.array(_DECODER.decode(text) or (), np.float64)
    except msgspec.DecodeError:
        if b"NaN" not in bytes(text) and b"Infinity" not in bytes(text):
            raise
    found = json.loads(bytes(text))
    return np.array(msgspec.convert(found, list[float]), np.float64)


@kernel
def _plain(text: Bytes, stops: Ints, powers: Floats, values: Floats, lengths: Ints) -> int:
    """Numbers of at most 15 digits and without exponents.

    Args:
        text: (B,) bytes of N valid jsons, one after the other.
        stops: (N,) int64, where each ends.
        powers: (16,) of ten.
        values: gets the numbers of the lists that hold nothing else.
        lengths: (N,) int64 that gets how many each list has; -1 if it holds anything else.

    Returns:
        How many numbers there are.
    """
    at = total = 0
    for row in range(len(stops)):
        first, stop = total, stops[row]
        plain = text[at] == 91
        at += 1
        digits = places = number = 0
        negative = fraction = False
        while plain and at < stop:
            byte = text[at]
            at += 1
            if 48 <= byte <= 57:
                number = 10 * number + (byte - 48)
                digits += 1
                places += fraction
                plain = digits <= 15
            elif byte in (44, 93):
                if digits:
                    value = number / powers[places]
                    values[total] = -value if negative and (number or fraction) else value  # -0 is an integer, 0
                    total += 1
                digits = places = number = 0
                negative = fraction = False
            elif byte == 46:
                fraction = True
            elif byte == 45:
                negative = True
            else:
                plain = byte in (32, 9, 10, 13)
        if plain:
            lengths[row] = total - first
        else:
            lengths[row], total = -1, first
        at = stop
    return total
