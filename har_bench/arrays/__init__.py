"""The arrays that this package passes around: each kind named once, how they are taken in, how loops are compiled."""

from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.arrays.compiling import Kernel as Kernel
from har_bench.arrays.compiling import kernel as kernel
from har_bench.arrays.taking import numbers as numbers
from har_bench.arrays.taking import plain as plain
from har_bench.arrays.taking import taken as taken

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Anything = npt.NDArray[Any]
