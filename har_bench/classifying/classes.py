"""What a protocol must know so that models of clips can learn for it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import pyarrow as pa


@runtime_checkable
class Classes(Protocol):
    """A protocol of clip classification whose classes count from 0."""

    @property
    def classes(self) -> int:
        """How many classes there are."""

    def class_of(self, sequences: pa.Table) -> list[int | None]:
        """The class of every row of ``sequences``; None where the store does not know it."""
