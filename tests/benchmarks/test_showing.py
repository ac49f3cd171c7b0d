"""Drawing poses: much faster than matplotlib's figures, moving pictures in seconds, a viewer that keeps up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench.browsing import browse
from har_bench.drawing import films
from har_bench.showing import viewer
from har_bench.showing.painting import Painter
from har_bench.showing.stage import Cast, Points, Stage, with_error
from har_bench.skeletons import skeleton
from tests import chromium, enlarged
from tests.timing import processor_seconds, times_faster

FRAMES = 243
FEW = 10


def walk(frames: int, bones: Any) -> Any:
    """(F, 1, J, 3) mm of somebody who sways."""
    random = np.random.default_rng(0)
    time = np.arange(frames)[:, None, None, None] / 50
    shape = (1, 1, len(bones), 3)
    place: Any = 100 * np.sin(2 * np.pi * (0.7 * time + random.random(shape))) + random.normal(0, 300, shape)
    return place + np.array([0, 0, 4000])


def stage(frames: int, name: str = "h36m32") -> Stage:
    """The truth and a system, in the picture and in space."""
    bones = skeleton(name)
    casts = [
        Cast(each, Points(moved[..., :2] / 8 + 500, bones), Points(moved, bones))
        for each, moved in (("truth", walk(frames, bones)), ("mine", walk(frames, bones) + 20.0))
    ]
    return Stage("walk", np.arange(frames), (casts[0], with_error(casts[1], casts[0])), 50.0, (1000, 1000))


def drawn(scene: Stage, frames: int) -> int:
    return sum(picture.nbytes for picture, _ in zip(Painter(scene).frames(), range(frames), strict=False))


@pytest.mark.benchmark(group="show, frames of two persons, in the picture and in space")
def test_pictures_beside_matplotlib_s(benchmark: BenchmarkFixture) -> None:
    """The same lines and joints in axes of the same size, as figures are usually saved frame by frame."""
    pytest.importorskip("matplotlib", reason="no matplotlib: pip install 'har-bench[test]'")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scene = stage(FEW)

    def theirs() -> None:
        for at in range(FEW):
            figure = Figure(figsize=(9.6, 4.8), dpi=100)
            canvas = FigureCanvasAgg(figure)
            flat, deep = figure.add_subplot(121), figure.add_subplot(122, projection="3d")
            for cast in scene.casts:
                assert cast.image is not None
                assert cast.space is not None
                for axes, points in ((flat, cast.image), (deep, cast.space)):
                    places = points.places[at, 0]
                    axes.scatter(*places.T)
                    for ends in points.bones.lines:
                        axes.plot(*places[list(ends)].T)
            canvas.draw()
            np.asarray(canvas.buffer_rgba())

    benchmark.pedantic(drawn, (scene, FEW), rounds=1, warmup_rounds=0)
    if benchmark.stats:
        times = times_faster(lambda: drawn(scene, FEW), theirs, rounds=3)
        benchmark.extra_info["times as fast as matplotlib"] = round(times, 1)
        assert times >= 15


@pytest.mark.benchmark(group="show, 243 frames to a GIF")
def test_a_moving_picture(benchmark: BenchmarkFixture, tmp_path: Path, smaller: int) -> None:
    scene = stage(FRAMES // smaller)

    def write() -> None:
        with films.canvas(tmp_path / "walk.gif", scene.fps) as canvas:
            for picture in Painter(scene).frames():
                canvas.add(picture)

    benchmark.pedantic(write, rounds=1, warmup_rounds=0)
    if benchmark.stats:
        (spent,) = processor_seconds(write, rounds=1)
        benchmark.extra_info["seconds of the processor"] = round(spent, 1)
        assert spent <= 5


@chromium.needed
@pytest.mark.benchmark(group="show, the viewer in a browser")
def test_the_viewer_keeps_up(benchmark: BenchmarkFixture, browser: Any, tmp_path: Path, smaller: int) -> None:
    (tmp_path / "walk.html").write_text(viewer.page(stage(1000 // smaller)), "utf-8")
    draw = """async (frames) => {
      const began = performance.now();
      for (let frame = 0; frame < frames; frame += 1) {
        go(frame);
        await new Promise((done) => requestAnimationFrame(done));
      }
      return frames / ((performance.now() - began) / 1000);
    }"""
    with chromium.opened(browser, tmp_path / "walk.html") as (page, _):
        page.locator("body[data-ready=yes]").wait_for()
        rate = benchmark.pedantic(page.evaluate, (draw, 100 // smaller), rounds=1, warmup_rounds=0)
    benchmark.extra_info["frames a second"] = round(rate)
    if benchmark.stats:
        assert rate >= 30


@pytest.mark.benchmark(group="browse, 500,000 poses")
def test_a_whole_store(benchmark: BenchmarkFixture, tmp_path: Path, smaller: int) -> None:
    store = enlarged.stores(tmp_path)("penn_action", parts=20, copies=61 // smaller)
    benchmark.extra_info["poses"] = store.manifest.rows["poses"]
    benchmark.pedantic(browse, (store, tmp_path / "site"), rounds=1, warmup_rounds=0)
    if benchmark.stats:
        (spent,) = processor_seconds(lambda: browse(store, tmp_path / "site"), rounds=1)
        benchmark.extra_info["seconds of the processor"] = round(spent, 1)
        assert spent < 30
