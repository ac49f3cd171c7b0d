"""One sequence's poses as NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from har_bench import registry
from har_bench.errors import unknown
from har_bench.schema import to_numpy


class SequenceView:
    """One sequence's poses: every column of ``poses`` is an attribute, a NumPy array whose first axis is the row.

    Rows are in the order of (person, frame). ``info`` is the sequence's row of the ``sequences`` table.
    """

    def __init__(self, info: Mapping[str, Any], poses: pa.Table) -> None:
        self.info = dict(info)
        self.poses = poses

    def __getattr__(self, name: str) -> npt.NDArray[Any]:
        if name.startswith("__") or name not in self.poses.column_names:
            raise AttributeError(str(unknown(f"column of {self.info['sequence']}", name, self.poses.column_names)))
        return to_numpy(self.poses[name], self.poses.schema.field(name))

    def __len__(self) -> int:
        return int(self.poses.num_rows)

    def _repr_html_(self) -> str:
        """What a notebook shows: the sequence, and its columns with their shapes and units."""
        from har_bench.drawing.notebook import of_sequence

        return of_sequence(self)

    def view(self, name: str) -> npt.NDArray[Any]:
        """The arrays that a published selection rule makes of this sequence, such as NTU's ``ctrgcn``.

        Rules are views, not part of the conversion; ``har-bench list views`` names those installed.
        """
        array: npt.NDArray[Any] = registry.load("views", name)(self)
        return array
