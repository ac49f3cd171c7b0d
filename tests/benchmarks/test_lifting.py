"""Training windows gathered by index beside a loop that cuts and pads each; the strided form beside the dilated one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

torch = pytest.importorskip("torch")

from har_bench.baselines.videopose3d.model import Architecture, TemporalModel  # noqa: E402
from har_bench.lifting.clips import Clip  # noqa: E402
from har_bench.lifting.windows import Reel, Span  # noqa: E402
from har_bench.skeletons import skeleton  # noqa: E402
from tests.timing import times_faster  # noqa: E402

BATCH, PAD = 1024, 13
H36M17 = skeleton("h36m17")


def test_windows(benchmark: BenchmarkFixture) -> None:
    random = np.random.default_rng(0)
    shapes = ((2000, 17, 2), (2000, 17, 3), 9)
    clips = [Clip(*(random.normal(size=shape).astype(np.float32) for shape in shapes)) for _ in range(20)]
    reel = Reel([each for clip in clips for each in (clip, clip.mirrored(H36M17, H36M17))], Span(1, PAD))
    numbers = random.permutation(len(reel))[:BATCH]

    def loop() -> Any:
        """One window after the other: slice, pad at the ends, mirror."""
        windows = []
        for number in numbers:
            clip, rest = divmod(int(number), 4000)
            mirrored, frame = divmod(rest, 2000)
            points = clips[clip].points
            low, high = frame - PAD, frame + PAD + 1
            window = points[max(low, 0) : min(high, 2000)]
            window = np.pad(window, ((max(-low, 0), max(high - 2000, 0)), (0, 0), (0, 0)), "edge")
            windows.append(window[:, H36M17.flip] * np.float32([-1, 1]) if mirrored else window)
        return np.stack(windows)

    np.testing.assert_array_equal(reel.windows(numbers).points, loop())
    ratio = times_faster(lambda: reel.windows(numbers), loop)
    benchmark.extra_info["times faster than a loop over windows, though poses and cameras come along"] = round(ratio, 1)
    benchmark(reel.windows, numbers)
    assert ratio > 5


@pytest.mark.parametrize("arc", ["3,3,3", "3,3,3,3"])
def test_strided_form(arc: str, benchmark: BenchmarkFixture) -> None:
    model = TemporalModel(Architecture(tuple(map(int, arc.split(","))), channels=128)).train()
    points = torch.randn(64, model.architecture.receptive_field, 17, 2)

    def step(strided: bool) -> None:
        model.zero_grad()
        model(points, strided).square().mean().backward()

    ratio = times_faster(lambda: step(True), lambda: step(False))
    benchmark.extra_info["times faster than the dilated form"] = round(ratio, 1)
    benchmark(step, True)
    assert ratio > 1.5
