"""Where the time of a picture goes: decoding, cropping, each network and runtime; memory while a film is seen."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from har_bench.media.crops import around
from har_bench.media.images import read_image
from har_bench.media.samplers import opencv_warp

torch = pytest.importorskip("torch")

from tests.baselines.blazepose.eyes import RUNTIMES, eyes  # noqa: E402
from tests.pictures import film  # noqa: E402
from tests.timing import seconds  # noqa: E402

PICTURE = np.asarray(
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)).resize((640, 480))
)
CROP = around((300, 220), (260, 260), (256, 256), rotation=0.2)


def ours() -> Any:
    return opencv_warp(PICTURE, CROP, "edge")


def pillow() -> Any:
    """Pillow's own affine transformation: other grey levels, and no way to repeat the edge."""
    rows = tuple(CROP.inverse.reshape(-1))
    return np.asarray(
        Image.fromarray(PICTURE).transform((256, 256), Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR)
    )


@pytest.mark.benchmark(group="a turned crop of 256 x 256")
@pytest.mark.parametrize("method", [ours, pillow])
def test_cropping(benchmark: Any, method: Any) -> None:
    assert benchmark(method).shape == (256, 256, 3)


def test_an_exact_crop_costs_no_more_than_pillow_s() -> None:
    assert seconds(ours) < 3 * seconds(pillow)


@pytest.mark.benchmark(group="decoding a JPEG of 640 x 480")
def test_decoding(benchmark: Any, tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.fromarray(PICTURE).save(content, "JPEG")
    (tmp_path / "a.jpg").write_bytes(content.getvalue())
    assert benchmark(read_image, tmp_path / "a.jpg").shape == (480, 640, 3)


@pytest.mark.weights
@pytest.mark.benchmark(group="a crop through a network, one core")
@pytest.mark.parametrize("network", ["detect", "look"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_networks(benchmark: Any, runtime: str, network: str) -> None:
    side = {"detect": 224, "look": 256}[network]
    crop = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        benchmark(getattr(eyes(runtime).networks, network), crop)
    finally:
        torch.set_num_threads(before)


PEAK = """
import resource, sys
from har_bench.media.posing import pose
from tests.pictures import Finder
pose(Finder(), sys.argv[1], sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="asks the system for the most memory that a process had")
def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    """Six hundred frames of 384 x 288 would be 200 MB."""
    pytest.importorskip("av")
    peaks = []
    for frames in (60, 660):
        people = [[(10 + number % 100, 20, 30, 60)] for number in range(frames)]
        clip = film(tmp_path / f"{frames}.mp4", people, size=(384, 288))
        words = [sys.executable, "-c", PEAK, str(clip), str(tmp_path / f"{frames}.parquet")]
        done = subprocess.run(
            words, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < peaks[0] + 60, f"{peaks} MB"
