"""What ``joblib.dump`` wrote, read without joblib and without running anything in it.

A joblib file is a pickle, compressed or not, in which each array is a ``NumpyArrayWrapper`` followed by the array's
bytes, raw, in the middle of the instructions.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from har_bench.errors import Malformed, completing
from har_bench.foreign import names, opening, pickles
from har_bench.foreign.budget import Budget
from har_bench.foreign.compressed import unfold
from har_bench.foreign.elements import shape_of
from har_bench.foreign.machine import Machine, Unbuilt


def load(path: Path) -> Any:
    """What a joblib file holds: nested dicts, lists, tuples, sets, numbers, text, bytes and NumPy arrays.

    It may be uncompressed, or compressed with zlib, gzip, bzip2, xz or lzma.

    Raises:
        HarBenchError: the file is broken, asks for anything but data, has an array of Python objects, or unfolds into
            more than a file of its size may, see :mod:`har_bench.foreign.budget`.
    """
    with completing(path, "download it again"):
        content = opening.content(path)
        budget = Budget(len(content))
        return pickles.value(unfold(content, budget), budget, {_WRAPPER: _wrapper})


_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")


def _wrapper(machine: Machine, *_: Any) -> Unbuilt:
    """An array's place: the bytes that follow its state are the array's."""

    def build(state: Any) -> Any:
        match state:
            case {"shape": shape, "dtype": np.dtype() as dtype, "order": order}:
                pass
            case _:
                raise Malformed("holds an array without a plain element type")
        if dtype.hasobject:
            raise Malformed("holds an array of Python objects")
        lengths = shape_of(shape, dtype.itemsize, machine.budget)
        if type(state.get("numpy_array_alignment_bytes")) is int:
            machine.take(machine.take(1)[0])  # the length of the padding, the padding
        return names.array(machine, machine.take(math.prod(lengths) * dtype.itemsize), dtype, lengths, order)

    return Unbuilt(build)
