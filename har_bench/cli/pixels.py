"""Commands about images and videos: ``har-bench pose``, ``har-bench classify`` and ``har-bench weights``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from har_bench.cli.app import Settings, app, pairs
from har_bench.cli.terminal import say
from har_bench.errors import HarBenchError

weights = App(name="weights", help="Published weights: which there are, fetching them, and whether they are whole.")
app.command(weights)


@weights.command(name="list")
def list_weights() -> None:
    """List published files of weights: what each is for, size, checksum, licence; and where fetched ones are kept."""
    from har_bench.published import catalogue, folder
    from har_bench.published.fetching import lines

    for line in lines(catalogue().values()):
        say(line)
    say(f"`har-bench weights fetch NAME` puts one, or a set such as blazepose, into {folder()}")


@weights.command
def fetch(name: str, *, source: Annotated[Path | None, Parameter(name="--from")] = None) -> None:
    """Fetch published weights, or take them out of what you have, and compare their checksums.

        har-bench weights fetch blazepose                # pip downloads the package; two files are taken out of it
        har-bench weights fetch blazepose --from FOLDER  # without a network

    Args:
        name: A file or set of `har-bench weights list`.
        source: The file, a wheel or package that holds it, or a folder of such.
    """
    from har_bench.published.fetching import fetch as run

    run(name, source, say=say)


@weights.command
def verify() -> None:
    """Compare every fetched file with its published checksum; a damaged one is exit status 1."""
    from har_bench.published import folder
    from har_bench.published.cache import kept

    found = kept()
    for each in found:
        say(f"{each.path.name}: {each.state}")
    damaged = [each for each in found if each.state == "damaged"]
    if damaged:
        names = ", ".join(each.path.name for each in damaged)
        raise HarBenchError(f"{names} in {folder()} is not as published; remove it and fetch it again")
    say(f"{len(found)} files in {folder()}" if found else f"nothing was fetched into {folder()} yet")


@app.command
def pose(
    source: str,
    out: Path,
    *,
    model: str = "blazepose",
    layout: str | None = None,
    people: int = 0,
    overlay: Path | None = None,
    smooth: Annotated[bool, Parameter(negative="")] = False,
    every: int = 1,
    max_frames: int | None = None,
    fps: float | None = None,
    weights: Path | None = None,
    device: str | None = None,
    setting: Settings = None,
    quiet: bool = False,
) -> None:
    """Find people in pictures, and where their joints are.

        har-bench weights fetch blazepose
        har-bench pose holiday.mp4 poses.parquet --overlay holiday-poses.mp4
        har-bench pose photos/ poses.json --layout coco17

    Interrupted, the same command goes on where it stopped.

    Args:
        source: An image, a folder of images, a video, or the number of a webcam, such as 0.
        out: Where the poses go: .parquet, .json (as COCO) or .npz.
        model: A model of images from `har-bench list baselines`, or package.module:Name.
        layout: The joints to write, from `har-bench list skeletons`; the model's own by default.
        people: At most so many in a picture; 0 is everybody.
        overlay: Draw the poses on the pictures: .mp4, .gif, or .png (a contact sheet, if there are several).
        smooth: Steady the points of a film.
        every: Look at one frame in so many.
        max_frames: Look at no more than so many.
        fps: Frames per second, which make a folder of images a film.
        weights: Where the model's files are, if they were not fetched.
        device: Such as cpu or cuda:1; a GPU if there is one.
        setting: An option of the model, as name=value; may be repeated.
        quiet: Show no progress.
    """
    from har_bench.media.posing import pose as run

    settings = ({"device": device} if device else {}) | dict(pairs(setting))
    said = run(
        model,
        source,
        out,
        weights=weights,
        layout=layout,
        people=people,
        every=every,
        max_frames=max_frames,
        fps=fps,
        smooth="true" if smooth else "",
        overlay=overlay,
        settings=settings,
        quiet=quiet,
    )
    say(said)


@app.command
def classify(
    source: str,
    out: Path,
    *,
    weights: Path,
    model: str = "deephar",
    labels: str = "",
    overlay: Path | None = None,
    hop: int = 0,
    max_frames: int | None = None,
    fps: float | None = None,
    device: str | None = None,
    setting: Settings = None,
    quiet: bool = False,
) -> None:
    """Tell what somebody does in a film, clip by clip.

        har-bench classify batting.mp4 actions.json --weights weights_AR_merge_ep074_26-10-17.h5 --overlay seen.mp4

    Args:
        source: A video, the number of a webcam, such as 0, or a folder of images with --fps.
        out: Where the clips and their probabilities go: .json, .csv or .parquet.
        weights: The model's weights.
        model: A model of clips from `har-bench list baselines`, or package.module:Name.
        labels: The classes' names, one a line in a text file, or a protocol such as ntu60/xsub; else what it knows.
        overlay: Write the action on the pictures: .mp4, .gif, or .png (a contact sheet).
        hop: Frames between the beginnings of clips; half a clip by default.
        max_frames: Look at no more than so many.
        fps: Frames per second, which make a folder of images a film.
        device: Such as cpu or cuda:1; a GPU if there is one.
        setting: An option of the model, as name=value; may be repeated.
        quiet: Show no progress.
    """
    from har_bench.media.acting import classify as run

    settings = ({"device": device} if device else {}) | dict(pairs(setting))
    said = run(
        model,
        source,
        out,
        weights=weights,
        labels=labels,
        hop=hop,
        max_frames=max_frames,
        fps=fps,
        overlay=overlay,
        settings=settings,
        quiet=quiet,
    )
    say(said)
