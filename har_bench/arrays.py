"""The arrays that this package passes around, each kind named once, and how loops over them are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Anything = npt.NDArray[Any]

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a loop over arrays for this machine when it is first called; the machine code is kept on disk."""
    from numba import njit

    return njit(cache=True, nogil=True, error_model="numpy")(function)  # type: ignore[no-any-return]
