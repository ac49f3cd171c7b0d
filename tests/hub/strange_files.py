"""Arrays and objects that strangers' files hold, and how a test reads bytes as such a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Load = Callable[[bytes], Any]
"""Reads bytes as a file called ``strange.pkl``."""
Strange = Callable[[Callable[[Path], Any]], Load]
"""Makes one of what reads a path."""

ARRAYS = {
    "floats": np.arange(12, dtype="f4").reshape(3, 4),
    "big-endian": np.arange(6, dtype=">i2").reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "empty": np.empty((0, 3)),
    "zero-dimensional": np.array(5, np.int64),
    "booleans": np.array([True, False]),
    "text": np.array(["ab", "ç"]),
    "bytes": np.array([b"ab", b"c"]),
    "complex": np.array([1 + 2j]),
}


def objects() -> np.ndarray:
    """A 2 x 2 object array with arrays, containers and text inside."""
    array = np.empty((2, 2), object)
    array[0, 0], array[0, 1] = np.arange(3.0), "text"
    array[1, 1] = {"inner": [np.float32(2.5), (np.ones(2),)]}
    return array
