"""What the protocols of MERL Shopping's test videos have in common."""

from __future__ import annotations

from typing import ClassVar, Literal

import pyarrow as pa

from har_bench.protocol import Protocol

from .merl_files import released, scored_videos


class OfMERL(Protocol):
    """Of the classes of all images of the test videos, as ``Results/frame_names.txt`` released them."""

    version = "1"
    task = "temporal"
    truth_table: ClassVar[Literal["segments", "sequences"]] = "sequences"
    truth_columns: tuple[str, ...] = ("sequence",)
    train_split = "standard/train"

    def select(self, sequences: pa.Table) -> pa.Table:
        """The test videos."""
        return released(scored_videos(sequences), self.canonical)
