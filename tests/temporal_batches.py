"""Batches of whole sequences for tests of temporal protocols."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from har_bench.protocol import Batch


def batch(sequences: pa.Table, columns: dict[str, Any], owner: np.ndarray) -> Batch:
    """Rows of sequences, ``owner`` their indices, as a batch."""
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(sequences.num_rows + 1))
    return Batch(sequences, starts, {name: np.asarray(values)[order] for name, values in columns.items()})


def merl_videos(count: int, seed: int, rows: int = 36) -> pa.Table:
    """The store's columns of some test videos of 36 images, one behind the other."""
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "sequence": [f"{30 + index}_1" for index in range(count)],
            "splits": [["standard/test"]] * count,
            "results_row": [1 + rows * index for index in range(count)],
            "results_thumb": [4] * count,
            "results_labels": [np.repeat(random.integers(0, 6, rows // 4), 4).tolist() for _ in range(count)],
        }
    )
