"""Random access through key frames beside decoding from the start, as every exact reader without an index must."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")

from har_bench.media.video import open_video  # noqa: E402
from tests.clips import Image, encode, number_of  # noqa: E402

FRAMES = 240
WANTED = np.random.default_rng(0).integers(0, FRAMES, 40).tolist()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("video") / "clip.mp4", "libx264", FRAMES, b_frames=3)


def by_index(path: Path) -> list[Image]:
    with open_video(path) as video:
        return [video.frame(index) for index in WANTED]


def from_the_start(path: Path) -> list[Image]:
    found = []
    for index in WANTED:
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number == index:
                    found.append(frame.to_ndarray(format="rgb24"))
                    break
    return found


@pytest.mark.benchmark(group="40 random frames of 240, H.264, 12 frames a key frame")
@pytest.mark.parametrize("method", [by_index, from_the_start])
def test_random_access(benchmark: Any, path: Path, method: Any) -> None:
    found = benchmark.pedantic(method, (path,), rounds=5, warmup_rounds=1)
    assert [number_of(image) for image in found] == WANTED
    benchmark.extra_info["frames/s"] = len(WANTED) / benchmark.stats["mean"] if benchmark.stats else None


@pytest.mark.benchmark(group="opening: all packets, no picture")
def test_counting_frames(benchmark: Any, path: Path) -> None:
    def count() -> int:
        with open_video(path) as video:
            return video.n_frames

    assert benchmark(count) == FRAMES
