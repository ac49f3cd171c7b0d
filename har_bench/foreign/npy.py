"""NumPy's ``.npy`` files, alone or as members of an archive: the header is read by its grammar, and never evaluated."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from har_bench.arrays import Anything
from har_bench.errors import Malformed, completing
from har_bench.foreign import opening, pickles
from har_bench.foreign.budget import Budget
from har_bench.foreign.elements import element, shape_of

_MAGIC = b"\x93NUMPY"
LONGEST = 10_012
"""Bytes of magic, lengths and header; NumPy reads no longer header either."""

_FIELDS = {
    "descr": r"""["']descr["']\s*+:\s*+["']([^"']*)["']""",
    "fortran_order": r"""["']fortran_order["']\s*+:\s*+(True|False)""",
    "shape": r"""["']shape["']\s*+:\s*+\(([\dL\s,]*)\)""",
}
_DICT = re.compile(r"\s*+\{(?:\s*+(?:%s)\s*+,?)*\s*+\}\s*+" % "|".join(_FIELDS.values()))  # noqa: UP031 - braces
_REMEDY = "write it again with numpy.save"


class Header(NamedTuple):
    """What an ``.npy`` says of its array.

    Attributes:
        dtype: of its elements.
        shape: of the array.
        order: ``C`` or ``F``.
        start: where in the file its content begins.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: str
    start: int

    def mapped(self, path: Path, start: int) -> Anything:
        """The array on disk, of a file in which the ``.npy`` begins at ``start``; it cannot be changed."""
        order: Any = self.order
        return np.memmap(path, self.dtype, "r", start + self.start, self.shape, order)

    @property
    def size(self) -> int:
        """Of the content [bytes], where it is no pickle."""
        return math.prod(self.shape) * self.dtype.itemsize


def load(path: Path) -> Anything:
    """The array of an ``.npy`` file; numbers stay on disk until they are looked at, and cannot be changed.

    An array of Python objects goes through :mod:`har_bench.foreign.pickles`.

    Raises:
        HarBenchError: the file is damaged, says another shape than it has, or holds more than data.
    """
    with completing(path, _REMEDY), opening.mapped(path) as content:
        budget = Budget(len(content))
        found = header(content[:LONGEST], len(content), budget)
        if found.dtype.hasobject:
            return _objects(content[found.start :], budget)
    if not found.size:
        return np.empty(found.shape, found.dtype)
    return found.mapped(path, 0)


def array(content: bytearray, budget: Budget) -> Anything:
    """The array of a whole ``.npy`` in memory, whose numbers are not copied.

    Raises:
        Malformed: as :func:`load`.
    """
    found = header(bytes(content[:LONGEST]), len(content), budget)
    if found.dtype.hasobject:
        return _objects(bytes(content[found.start :]), budget)
    if not found.size:
        return np.empty(found.shape, found.dtype)
    flat: Anything = np.frombuffer(content, found.dtype, offset=found.start)
    order: Any = found.order
    return flat.reshape(found.shape, order=order)


def header(beginning: bytes, size: int, budget: Budget) -> Header:
    """What an ``.npy`` says of its array.

    Args:
        beginning: its first bytes.
        size: how many it has.
        budget: of the file.

    Raises:
        Malformed: it is no ``.npy``, its type is no plain one, or its shape does not explain its size.
    """
    width = {b"\x01": 2, b"\x02": 4, b"\x03": 4}.get(beginning[6:7], 0)
    start = 8 + width + int.from_bytes(beginning[8 : 8 + width], "little")
    text = beginning[8 + width : start].decode("latin1")
    if not beginning.startswith(_MAGIC) or not width or start > len(beginning) or not _DICT.fullmatch(text):
        raise Malformed("has no .npy header of a plain array", _REMEDY)
    values = {name: re.findall(pattern, text) for name, pattern in _FIELDS.items()}
    if any(len(each) != 1 for each in values.values()):
        raise Malformed("has an .npy header without type, order or shape", _REMEDY)
    dtype = element(values["descr"][0])
    shape = _shape(values["shape"][0])
    order = "F" if values["fortran_order"][0] == "True" else "C"
    lengths = shape_of(shape, dtype.itemsize, budget, None if dtype.hasobject else size - start)
    return Header(dtype, lengths, order, start)


def _shape(text: str) -> tuple[int, ...]:
    """The lengths between the brackets, which Python 2 writes with an L."""
    words = text.replace("L", "").split(",")
    if not all(len(word.strip()) < 20 and len(word.split()) < 2 for word in words):
        raise Malformed("has an .npy header whose shape is malformed", _REMEDY)
    return tuple(int(word) for word in words if word.strip())


def _objects(content: bytes, budget: Budget) -> Anything:
    budget.charge(len(content))
    loaded = pickles.value(content, budget)
    if not isinstance(loaded, np.ndarray):
        raise Malformed(f"holds a {type(loaded).__name__} where its header says array", _REMEDY)
    return loaded
