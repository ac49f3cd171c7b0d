"""The commands that draw poses: one sequence, or a site of a whole store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from har_bench.cli.app import app, pairs
from har_bench.cli.terminal import say
from har_bench.errors import HarBenchError


@app.command
def show(
    store: Path,
    sequence: str | None = None,
    *,
    out: Path,
    predictions: list[str] | None = None,
    protocol: str | None = None,
    frames: str | None = None,
    media: Path | None = None,
    layout: str | None = None,
    camera: bool = False,
    beside: bool = False,
    worst: int | None = None,
) -> None:
    """Draw a sequence of a store, and predictions over it; or what `har-bench lift` and `har-bench pose` wrote.

        har-bench show stores/h36m "S9/Walking 1/54138969" --predictions mine=preds.npz --frames 0:250 --out walk.gif
        har-bench show joints.parquet --out joints.html

    Joints in the picture stand on it where the media is there, else on a blank canvas; joints in space follow the root
    over a ground grid. The truth is saturated, predictions are pale, the left side has squares and the right discs,
    occluded joints are hollow; each frame says how far predictions are off.

    Args:
        store: A converted dataset, or a file of joints: .parquet, .json, .npz, .npy, .trc, .bvh, .csv or .h5.
        sequence: Of the store or file; of a file the first by default.
        out: A .png, .gif or .mp4, or an .html viewer.
        predictions: A system's predictions, as NAME=FILE; may be repeated.
        protocol: How predictions are read, such as h36m/mpjpe; by default the dataset's first that scores poses.
        frames: From A to before B, as A:B.
        media: The folder of the raw download, to draw on its images or videos.
        layout: The joints of a file, from `har-bench list skeletons`, where it does not say.
        camera: See space from where the camera stood, instead of from aside and above.
        beside: A panel in space for each system, instead of one over another.
        worst: Instead of a sequence: so many on which the first system scores worst, into OUT-1, OUT-2 …
    """
    from har_bench.showing import show as draw
    from har_bench.showing import show_worst

    given = dict(pairs(predictions))
    how: dict[str, Any] = {"span": _span(frames), "media": media, "beside": beside, "as_recorded": camera}
    if worst is None:
        say(str(draw(store, sequence, out, predictions=given, protocol=protocol, layout=layout, **how)))
        return
    if protocol is None:
        raise HarBenchError("which sequences are the worst depends on how they are scored; give --protocol")
    for path in show_worst(store, out, worst, predictions=given, protocol=protocol, **how):
        say(str(path))


@app.command
def browse(store: Path, out: Path, *, media: Path | None = None) -> None:
    """Write what a store holds as a small static site: counts, splits, visibility, sizes, defects and samples.

    Each class and each defect has a picture, and a viewer that is opened when asked for.

    Args:
        store: A converted dataset.
        out: The folder to write.
        media: The folder of the raw download, to draw samples on its pictures; mind the dataset's licence.
    """
    from har_bench.browsing import browse as write

    say(str(write(store, out, media=media)))


def _span(text: str | None) -> tuple[int, int] | None:
    """``A:B``; either end may be left out."""
    if text is None:
        return None
    first, colon, last = text.partition(":")
    try:
        if colon:
            return int(first or 0), int(last or 2**31 - 1)
    except ValueError:
        pass
    raise HarBenchError(f"--frames {text} is no span; write it as A:B, such as 0:250")
