"""Commands about images and videos: ``har-bench pose``, ``har-bench classify`` and ``har-bench weights``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from har_bench.cli.app import UNTOLD, USUAL, Keypoints, Model, app
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
    how: Model = USUAL,
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
        how: The model's options.
        quiet: Show no progress.
    """
    from har_bench.media.posing import pose as run

    said = run(
        model,
        source,
        out,
        weights=weights,
        layout=layout,
        people=people,
        every=every,
        smooth="true" if smooth else "",
        max_frames=max_frames,
        fps=fps,
        overlay=overlay,
        settings=how.settings(),
        quiet=quiet,
    )
    say(said)


@Parameter(name="*")
@dataclass
class Skeletons:
    """How a model of skeletons looks at keypoints.

    Attributes:
        window: Of keypoints: seconds about the middle of each second that are looked at.
        pictures: Of keypoints: the film behind them, for --overlay.
        pose_model: Of a film and a model of skeletons: the model of images that finds the keypoints.
    """

    window: float = 2.0
    pictures: Path | None = None
    pose_model: str = "blazepose"


SEEN = Skeletons()


@app.command
def classify(
    source: str,
    out: Path,
    *,
    weights: Path,
    model: str = "",
    labels: str = "",
    overlay: Path | None = None,
    hop: int = 0,
    max_frames: int | None = None,
    fps: float | None = None,
    of: Keypoints = UNTOLD,
    seen: Skeletons = SEEN,
    how: Model = USUAL,
    quiet: bool = False,
) -> None:
    """Tell what people do: in a film clip by clip, or, by their skeletons, each person in every second.

        har-bench classify batting.mp4 actions.json --weights weights_AR_merge_ep074_26-10-17.h5 --overlay seen.mp4
        har-bench classify detections.json actions.csv --model stgcn --weights w.safetensors --fps 25

    Args:
        source: A video, the number of a webcam, such as 0, or a folder of images with --fps; or 2D keypoints
            (docs/keypoints.md), for a model of skeletons.
        out: Where the clips and their probabilities go: .json, .csv or .parquet.
        weights: The model's weights.
        model: A model of clips from `har-bench list baselines`, or package.module:Name; by default the one that saved
            the weights, or else deephar.
        labels: The classes' names, one a line in a text file, or a protocol such as ntu60/xsub; else what it knows.
        overlay: Write the action on the pictures: .mp4, .gif, or .png (a contact sheet).
        hop: Of a model of pictures: frames between the beginnings of clips; half a clip by default.
        max_frames: Of a model of pictures: look at no more than so many.
        fps: Frames per second, which make a folder of images a film, and of keypoints where the file does not say.
        of: What is said of keypoints.
        seen: How a model of skeletons looks at them.
        how: The model's options.
        quiet: Show no progress.
    """
    from har_bench.classifying.model import ClipModel
    from har_bench.running import make_baseline

    shared: dict[str, Any] = {"labels": labels, "overlay": overlay, "fps": fps, "quiet": quiet}
    made: Any = make_baseline(model or _saved_by(weights), how.settings())
    if isinstance(made, ClipModel):
        from har_bench.classifying.telling import tell

        if hop or max_frames:
            raise HarBenchError("--hop and --max-frames are of models of pictures; leave them out, --window is yours")
        made.load(weights)
        say(tell(made, source, out, **of.arguments(), **asdict(seen), device=how.device or "", **shared))
        return
    from har_bench.media.acting import classify as run

    say(run(made, source, out, weights=weights, hop=hop, max_frames=max_frames, **shared))


def _saved_by(weights: Path) -> str:
    """The baseline that a file of ours says it is of; deephar of all other files."""
    from har_bench import registry
    from har_bench.training import weights as files

    said = files.read(weights).options.get("baseline") if weights.suffix == ".safetensors" else None
    known = registry.available("baselines")
    return next((name for name, entry in known.items() if said and entry.attr == said), "deephar")
