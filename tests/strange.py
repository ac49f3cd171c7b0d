"""Values that are no predictions, or odd ones: what a user's variable may hold by mistake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st


def tensor(values: Any, **how: Any) -> Any:
    import torch

    return torch.tensor(np.asarray(values), **how)


ODD: list[Any] = [
    *(None, True, 3, 2.5, 1j, "text", b"bytes", object(), {}, {"a": {"b": [1]}}, {1}, [], [[]], [None], ["a", 1], [{}]),
    *([[1], [1, 2]], [1, [2]], ["1", "2"], [1.5, None], [10**400], [-1], [1 << 62], range(3), (x for x in "ab")),
    *(
        np.array(["a", None], object),
        np.array([np.zeros(2), np.zeros(3)], object),
        np.array(1 + 2j),
        np.zeros(3, "M8[s]"),
    ),
    *(
        np.zeros(2, [("x", float)]),
        np.float16([1, 2]),
        np.longdouble([1, 2]),
        np.uint64([1 << 63]),
        np.ma.masked_all(3),
    ),
    *(pd.Series([1, 2]), pd.DataFrame({"x": [np.zeros(2), 1]}), pd.array([1, None]), np.array([np.nan, np.inf])),
]
"""None of these is what any metric or protocol asks for; some are empty, ragged, text, complex, huge or nested."""


def filled(shape: tuple[int, ...], kind: str, value: float) -> np.ndarray:
    """An array of one value, or of what its kind of numbers makes of it."""
    with np.errstate(all="ignore"):
        return np.full(shape, value).astype(kind)


def odd() -> st.SearchStrategy[Any]:
    """One of :data:`ODD`, a tensor, or an array of any kind of numbers, of 0 to 4 dimensions."""
    shapes = st.lists(st.integers(0, 3), max_size=4).map(tuple)
    kinds = st.sampled_from(["f4", "f8", "i1", "i8", "u8", "?", "c16", "O", "U3", "S2", "f2"])
    fills = st.sampled_from([0.0, 1.0, -1.0, np.nan, np.inf, 1e300])
    arrays = st.builds(filled, shapes, kinds, fills)
    tensors = st.builds(lambda shape, grad: tensor(np.zeros(shape), requires_grad=grad), shapes, st.booleans())
    return st.one_of(st.sampled_from(ODD), arrays, tensors, arrays.map(lambda array: array.tolist()))
