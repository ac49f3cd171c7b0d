"""Windows of a store for training loops, beside slicing its sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from tests.sampled import sampled
from tests.timing import times_faster

LENGTH, BATCH = 27, 64


def test_a_window_beside_a_slice_of_its_sequence(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    store = sampled("h36m", tmp_path)
    windows = store.windows(LENGTH, columns=["keypoints", "keypoints_3d"])
    chosen = np.random.default_rng(0).permutation(len(windows))[:BATCH].tolist()

    def sliced() -> list[Any]:
        """The sequence's frames around one, the first or last being repeated."""
        found = []
        for number in chosen:
            where = windows.where(number)
            view = store.sequence(where.sequence)
            rows = np.clip(np.arange(LENGTH) + where.frame - LENGTH // 2, 0, len(view) - 1)
            found.append({"keypoints": view.keypoints[rows], "keypoints_3d": view.keypoints_3d[rows]})
        return found

    def one_by_one() -> list[Any]:
        return [windows[number] for number in chosen]

    for ours, theirs in zip(one_by_one(), sliced(), strict=True):
        assert all(np.array_equal(ours[name], theirs[name], equal_nan=True) for name in theirs)
    ratio = times_faster(one_by_one, sliced)
    benchmark.extra_info["times faster than slices of sequences"] = round(ratio, 1)
    benchmark.extra_info["times faster in one batch"] = round(times_faster(lambda: windows[chosen], sliced), 1)
    benchmark(one_by_one)
    assert ratio > 20
