"""The arrays that this package passes around, each kind named once, and how loops over them are compiled."""

from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.arrays.compiling import Kernel as Kernel
from har_bench.arrays.compiling import kernel as kernel

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Anything = npt.NDArray[Any]
