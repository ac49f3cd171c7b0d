"""Pickles and ``.npz`` archives that other people's programs read, with any NumPy and whatever wrote them here.

The same values always give the same bytes.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from har_bench.arrays import Anything
from har_bench.files import whole

_PROTOCOL = 3
"""The last one in which names are text; all of Python 3 reads it."""

_ARRAYS = "numpy.core.multiarray"
"""Where NumPy of every age finds what makes an array; NumPy 2 would write a name that those before 1.26 lack."""


class _Portable(pickle._Pickler):
    def save_global(self, obj: Any, name: str | None = None) -> None:
        """A function or class by its name."""
        if getattr(obj, "__module__", None) != "numpy._core.multiarray":
            super().save_global(obj, name)  # type: ignore[misc]
            return
        self.write(pickle.GLOBAL + f"{_ARRAYS}\n{obj.__name__}\n".encode())  # type: ignore[attr-defined]
        self.memoize(obj)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Rows:
    """An array that is written as it is made, for it would not fit into memory.

    Attributes:
        shape: of the whole.
        dtype: of its elements.
        blocks: arrays of it along the first axis, in their order.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Iterable[Anything]


def write_pickle(path: Path, value: Any) -> Path:
    """Write nested containers, numbers, text and arrays, whole or not at all; returns ``path``."""
    with whole(path) as temporary, temporary.open("wb") as stream:
        _Portable(stream, _PROTOCOL).dump(value)
    return path


def write_npz(path: Path, members: Mapping[str, Any], *, packed: bool = True) -> Path:
    """Write an archive for ``numpy.load``, whole or not at all; returns ``path``.

    Args:
        path: the file.
        members: an array, :class:`Rows`, or anything that :func:`write_pickle` takes, by name; what is no array is
            read back by ``archive[name].item()`` with ``allow_pickle``.
        packed: whether to compress.
    """
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with whole(path) as temporary, zipfile.ZipFile(temporary, "w", method) as archive:
        for name, value in members.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = method
            with archive.open(member, "w", force_zip64=True) as stream:
                for block in _blocks(value):
                    stream.write(block)
    return path


def _blocks(value: Any) -> Iterator[bytes | memoryview]:
    """The bytes of an ``.npy``, piece by piece."""
    if isinstance(value, Rows):
        yield _header(value.dtype, value.shape)
        for block in value.blocks:
            yield from _bytes(np.asarray(block, value.dtype))
        return
    array = value if isinstance(value, np.ndarray) else np.array(value, object)
    yield _header(array.dtype, array.shape)
    if array.dtype.hasobject:
        held = io.BytesIO()
        _Portable(held, _PROTOCOL).dump(array)
        yield held.getbuffer()
    else:
        yield from _bytes(array)


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    held = io.BytesIO()
    fields = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(held, fields)
    return held.getvalue()


def _bytes(array: Anything) -> Iterator[memoryview]:
    """An array's memory in pieces of 64 MB, for a zip member takes no longer ones well."""
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    for start in range(0, len(flat), 1 << 26):
        yield flat[start : start + (1 << 26)].data
