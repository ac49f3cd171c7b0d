"""How a model does, while it learns, on sequences that it does not learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Singles
from har_bench.errors import HarBenchError
from har_bench.lifting.clips import MM_PER_M, Clip, Source

ERROR = "held_out_mm"
"""What the mean distance of joints is called beside the losses."""

TEST = "test"


def without(sequences: pa.Table, subjects: Sequence[str]) -> tuple[pa.Table, pa.Table]:
    """The sequences of other subjects, which are learnt from, and those of these, which are held out.

    Raises:
        HarBenchError: a subject is not there, or nobody else is.
    """
    there = sorted(set(sequences["subject"].to_pylist()))
    if absent := sorted(set(subjects) - set(there)):
        raise HarBenchError(f"{', '.join(absent)} cannot be held out; there are {', '.join(there)} to train on")
    if set(there) <= set(subjects):
        raise HarBenchError(f"{', '.join(there)} are all who are trained on; hold out fewer")
    chosen = pc.is_in(sequences["subject"], pa.array(subjects))
    return sequences.filter(pc.invert(chosen)), sequences.filter(chosen)


class HeldOut:
    """The clips of some sequences, in memory.

    Args:
        source: reads the clips.
        sequences: which ones, rows of the store's table.
    """

    def __init__(self, source: Source, sequences: pa.Table) -> None:
        parts = np.unique(sequences["part"].to_numpy()).tolist()
        self.clips: list[Clip] = [clip for part in parts for clip, _ in source.clips(part, sequences)]
        if not self.clips:
            raise HarBenchError(f"{source.store.path} has no frames of those held out; choose others")

    def error(self, lift: Callable[[Singles], Singles]) -> float:
        """The mean distance of joints [mm] over all frames, of poses (T, K, 3) [m] about the root."""
        total, joints = 0.0, 0
        for clip in self.clips:
            truth = clip.poses.copy()
            truth[:, 0] = 0
            apart = np.linalg.norm(lift(clip.points) - truth, axis=-1)
            total += float(apart.sum(dtype=np.float64))
            joints += apart.size
        return total / joints * MM_PER_M
