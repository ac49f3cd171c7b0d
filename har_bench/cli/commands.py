"""The command line: ``har-bench convert | score | run | lift | compare | explain | rescore | list | info | …``.

Each command is a thin sentence over the Python function of the same name; nothing heavy is imported until it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from har_bench import __version__
from har_bench.cli.terminal import say, show_report, show_result, show_store, show_table
from har_bench.errors import HarBenchError
from har_bench.files import destination

if TYPE_CHECKING:
    from har_bench.store import Store

app = App(
    name="har-bench",
    version=__version__,
    suppress_keyboard_interrupt=False,
    help="""Prepare the datasets of human pose estimation and action recognition, and benchmark models on them.

    Convert each official download once, score any model's predictions with the exact recipe a paper used, and publish
    tables anybody can check:

        har-bench convert mpii raw/mpii stores/mpii
        har-bench score mpii/pckh stores/mpii preds.h5 --recipe hrnet --out results/mine.json
        har-bench leaderboard build results site

    New here? `har-bench demo` walks through all of it on synthetic data in under a minute.
    """,
)
boards = App(name="leaderboard", help="Tables and pages from a folder of results.")
app.command(boards)

Options = Annotated[list[str] | None, Parameter(name=["--option", "-o"], negative="")]
Settings = Annotated[list[str] | None, Parameter(name=["--set", "-s"], negative="")]
Missing = Literal["error", "count-as-error"]
By = Annotated[list[str] | None, Parameter(negative="")]
BySubject = Annotated[bool, Parameter(negative="")]


@app.command
def convert(
    dataset: str,
    raw: Path,
    out: Path,
    *,
    jobs: int = 0,
    scheduler: str | None = None,
    strict: bool = False,
    resume: bool = True,
    format: Literal["parquet", "hdf5", "both"] = "parquet",  # noqa: A002 - the option's name
    check_media: Annotated[bool, Parameter(negative="")] = False,
    option: Options = None,
    quiet: bool = False,
) -> None:
    """Convert a raw download into a store, once.

    An interrupted conversion goes on where it stopped when the same command is given again; a finished one does
    nothing. Records that cannot be used as they are go to the store's rejects table.

    Args:
        dataset: A converter from `har-bench list`, or package.module:Name.
        raw: The official download as it is; or a finished store, to repack it in another format.
        out: The folder of the store.
        jobs: Processes; 0 is one per processor. The store's bytes do not depend on it.
        scheduler: Address of a Dask scheduler, such as tcp://host:8786, to use instead of local processes.
        strict: Stop at the first record that cannot be used as it is.
        resume: Go on where an interrupted conversion stopped; --no-resume starts afresh.
        format: parquet for scoring and analytics, hdf5 for random-access training windows, or both.
        check_media: Compare the images and videos under RAW with the store: number of frames, size.
        option: An option of the converter, as name=value; may be repeated.
        quiet: Show no progress.
    """
    from har_bench.converting.engine import convert as run

    store = run(
        dataset,
        raw,
        out,
        jobs=jobs,
        scheduler=scheduler,
        strict=strict,
        resume=resume,
        format=format,
        quiet=quiet,
        **_pairs(option),
    )
    show_store(store)
    if check_media:
        _check_media(store, raw, jobs, quiet=quiet)


@app.command
def score(
    protocol: str,
    store: Path,
    predictions: Path,
    *,
    recipe: str | None = None,
    option: Options = None,
    out: Path | None = None,
    missing: Missing = "error",
    skeleton: str | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    device: str | None = None,
    resamples: int = 1000,
    by: By = None,
    by_subject: BySubject = False,
    model: str = "",
    quiet: bool = False,
) -> None:
    """Score any model's predictions with a paper's exact recipe.

    Args:
        protocol: Such as mpii/pckh, or with recipe and options h36m/mpjpe:videopose3d,every=64.
        store: A converted dataset.
        predictions: Parquet, HDF5 or CSV in our columns, or one of the field's own files (`har-bench info PROTOCOL`).
        recipe: Such as hrnet; the protocol's first recipe by default.
        option: An option of the recipe, as name=value, such as every=64; may be repeated.
        out: Where the result file goes.
        missing: What missing or non-finite predictions are: an error, or counted as errors.
        skeleton: The predictions' joint layout, from `har-bench list skeletons`; usually told by the number of joints.
        jobs: Processes; 0 is one per processor.
        scheduler: Address of a Dask scheduler to use instead of local processes.
        device: A torch device to compute on, such as cuda, where the protocol has a torch path; NumPy's path otherwise.
        resamples: Bootstrap resamples for the confidence intervals; 0 for none.
        by: Also show this breakdown, such as action, camera or joint; may be repeated.
        by_subject: The same as --by subject.
        model: Who made the predictions, for the leaderboard; the file's name by default.
        quiet: Show no progress.
    """
    from har_bench import results
    from har_bench.scoring.engine import score as run

    out = None if out is None else destination(out)
    result = run(
        protocol,
        store,
        predictions,
        recipe=recipe,
        missing=missing,
        skeleton=skeleton,
        jobs=jobs,
        scheduler=scheduler,
        device=device,
        resamples=resamples,
        model=model,
        quiet=quiet,
        **_pairs(option),
    )
    written = results.write(result, out) if out is not None else None
    show_result(result, [*(by or []), *(["subject"] if by_subject else [])])
    if written is not None:
        say(f"result: {written}")


@app.command
def run(
    baseline: str,
    store: Path,
    *,
    protocol: str,
    recipe: str | None = None,
    option: Options = None,
    setting: Settings = None,
    weights: Path | None = None,
    save: Path | None = None,
    device: str | None = None,
    bf16: Annotated[bool, Parameter(negative="")] = False,
    predictions: Path | None = None,
    out: Path | None = None,
    by: By = None,
    by_subject: BySubject = False,
    model: str = "",
    quiet: bool = False,
) -> None:
    """Train a baseline or load its weights, predict what a protocol scores, and score it.

        har-bench run videopose3d stores/h36m --protocol h36m/mpjpe --weights pretrained.bin --device cuda

    Args:
        baseline: A baseline from `har-bench list`, or package.module:Name.
        store: A converted dataset.
        protocol: Such as h36m/mpjpe.
        recipe: The protocol's recipe.
        option: An option of the recipe, as name=value; may be repeated.
        setting: An option of the baseline, as name=value; may be repeated.
        weights: Published or saved weights; without them the baseline learns from the store first.
        save: Where the learnt weights go.
        device: Such as cpu or cuda:1, for baselines that compute with torch; a GPU if there is one.
        bf16: Compute in bfloat16.
        predictions: Where the predictions go (Parquet); they are not kept by default.
        out: Where the result file goes.
        by: Also show this breakdown, such as action, camera or joint; may be repeated.
        by_subject: The same as --by subject.
        model: Name on the leaderboard; the baseline's own by default.
        quiet: Show no progress.
    """
    from har_bench import results
    from har_bench.running import run as execute

    out = None if out is None else destination(out)
    chosen = {"device": device or "", "precision": "bf16" if bf16 else ""}
    settings: dict[str, Any] = {name: value for name, value in chosen.items() if value} | _pairs(setting)

    result = execute(
        baseline,
        store,
        protocol=protocol,
        recipe=recipe,
        weights=weights,
        save=save,
        out=predictions,
        model=model,
        quiet=quiet,
        options=_pairs(option),
        **settings,
    )
    written = results.write(result, out) if out is not None else None
    show_result(result, [*(by or []), *(["subject"] if by_subject else [])])
    if written is not None:
        say(f"result: {written}")


@app.command
def lift(
    baseline: str,
    keypoints: Path,
    out: Path,
    *,
    weights: Path,
    layout: str | None = None,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    person: int | None = None,
    video: str | None = None,
    device: str | None = None,
    setting: Settings = None,
) -> None:
    """Lift the 2D keypoints of a person in any video to 3D joints.

        har-bench lift videopose3d detections.json joints.npy --weights w.bin --layout coco17 --width 1920 --height 1080

    Keypoints are what Detectron, AlphaPose, OpenPose or anybody wrote; docs/keypoints.md has the formats. Frames
    without a detection are interpolated.

    Args:
        baseline: A lifting model from `har-bench list`, or package.module:Name.
        keypoints: The file (OpenPose: the folder) of 2D keypoints.
        out: Where the joints go: .npy, .parquet or .json.
        weights: Published or saved weights.
        layout: The keypoints' joints, from `har-bench list skeletons`, where the file does not say.
        width: Of the video, in pixels, where the file does not say.
        height: Of the video, in pixels, where the file does not say.
        fps: Frames per second, where the file does not say.
        person: The tracker's id of the person; by default the best one of each frame.
        video: Which one, where the file holds several.
        device: Such as cpu or cuda:1; a GPU if there is one.
        setting: An option of the model, as name=value; may be repeated.
    """
    from har_bench.lifting.video import lift as run

    if (width is None) != (height is None):
        raise HarBenchError("a video has a width and a height; give both")
    size = (width, height) if width is not None and height is not None else None
    settings = ({"device": device} if device else {}) | _pairs(setting)
    said = run(
        baseline,
        keypoints,
        out,
        weights=weights,
        layout=layout,
        size=size,
        fps=fps,
        person=person,
        video=video,
        **settings,
    )
    say(said)


@app.command
def compare(
    protocol: str,
    store: Path,
    a: Path,
    b: Path,
    *,
    recipe: str | None = None,
    option: Options = None,
    missing: Missing = "error",
    resamples: int = 10_000,
    quiet: bool = False,
) -> None:
    """Compare two sets of predictions: paired bootstrap, permutation test, effect size, what differs most.

    Args:
        protocol: Such as mpii/pckh:hrnet.
        store: A converted dataset.
        a: One set of predictions.
        b: The other one.
        recipe: The protocol's recipe.
        option: An option of the recipe, as name=value; may be repeated.
        missing: What missing or non-finite predictions are: an error, or counted as errors.
        resamples: Draws of the bootstrap, and exchanges of the permutation test.
        quiet: Show no progress.
    """
    from har_bench.studying.comparing import compare as run

    found = run(
        protocol, store, a, b, recipe=recipe, missing=missing, resamples=resamples, quiet=quiet, **_pairs(option)
    )
    show_report(found.tables(), found.lines())


@app.command
def explain(
    protocol: str,
    store: Path,
    predictions: Path,
    *,
    recipe: str | None = None,
    option: Options = None,
    missing: Missing = "error",
    worst: int = 10,
    quiet: bool = False,
) -> None:
    """Say where the errors are: slices by joint, action, camera, subject, visibility, size; the worst sequences.

    Args:
        protocol: Such as h36m/mpjpe.
        store: A converted dataset.
        predictions: What `har-bench score` takes.
        recipe: The protocol's recipe.
        option: An option of the recipe, as name=value; may be repeated.
        missing: What missing or non-finite predictions are: an error, or counted as errors.
        worst: How many of the worst sequences to name.
        quiet: Show no progress.
    """
    from har_bench.studying.explaining import explain as run

    found = run(
        protocol, store, predictions, recipe=recipe, missing=missing, worst=worst, quiet=quiet, **_pairs(option)
    )
    show_report(found.tables(), found.lines())


@app.command
def rescore(results: Path, *, stores: list[Path], predictions: list[Path], jobs: int = 1, quiet: bool = False) -> None:
    """Score again the results of older protocol versions; the old files stay, the new ones stand beside them.

    Args:
        results: A folder of result files.
        stores: Stores, or folders that hold stores; found by fingerprint.
        predictions: Folders that hold the predictions; found by fingerprint.
        jobs: Processes.
        quiet: Show no progress.
    """
    from har_bench.studying import rescoring

    outcomes = rescoring.rescore(results, stores=stores, predictions=predictions, jobs=jobs, quiet=quiet)
    show_report(rescoring.tables(outcomes), rescoring.lines(outcomes))


@app.command(name="list")
def list_all(kind: Literal["converters", "protocols", "baselines", "views", "skeletons", "all"] = "all") -> None:
    """List what is installed: converters, protocols with their recipes, baselines, views and skeletons.

    Args:
        kind: Only these.
    """
    from har_bench.cli.describing import listing

    for title, rows in listing(kind).items():
        show_table(title, ("name", "what"), rows)


@app.command
def info(what: str) -> None:
    """Say what something is: a converter, protocol, baseline, skeleton, store, result or predictions file.

    Args:
        what: A name from `har-bench list`, or a path.
    """
    from har_bench.cli.describing import describe

    say(describe(what))


@app.command
def validate(store: Path, *, media: Path | None = None, jobs: int = 0, quiet: bool = False) -> None:
    """Check a store against its manifest: every value is read and its fingerprint compared.

    Args:
        store: A converted dataset.
        media: The raw folder, to compare its images and videos with the store: number of frames, size.
        jobs: Processes that read media; 0 is one per processor.
        quiet: Show no progress.
    """
    from har_bench.store import open_store

    opened = open_store(store)
    opened.validate()
    say(f"{store}: {sum(opened.manifest.rows.values()):,} rows, fingerprint {opened.fingerprint[:16]}, as converted")
    if media is not None:
        _check_media(opened, media, jobs, quiet=quiet)


@app.command
def sample(dataset: str, out: Path, *, seed: int = 0) -> None:
    """Write a tiny synthetic dataset in the official raw layout, quirks included.

    Args:
        dataset: A converter from `har-bench list`.
        out: The folder to write: a new or an empty one.
        seed: Another seed gives other people.
    """
    from har_bench import registry

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise HarBenchError(f"{out} is not empty, and a sample could overwrite a real download; name a new folder")
    registry.load("converters", dataset).sample(out, seed=seed)
    say(f"{out}: a raw {dataset} sample; next: har-bench convert {dataset} {out} stores/{dataset}")


@app.command
def demo(folder: Path = Path("demo")) -> None:
    """Walk through everything on synthetic data: sample, convert, run, score, leaderboard.

    Args:
        folder: Where everything is written; what an earlier demo left there is replaced.
    """
    from har_bench.cli.demo import demo as walk

    say(f"\nopen {walk(folder, say=say)}")


@boards.command
def build(results: Path, site: Path) -> None:
    """Build Markdown, CSV, LaTeX and one self-contained web page from a folder of results.

    Args:
        results: A folder of result files; folders in it are searched too.
        site: The folder to write.
    """
    from har_bench import registry

    publish = registry.load("leaderboards", "site")
    for path in publish(results, site, on_problem=lambda problem: print(f"har-bench: {problem}", file=sys.stderr)):
        say(str(path))


def _pairs(options: list[str] | None) -> dict[str, Any]:
    """``name=value`` options; numbers and true/false become what they look like."""
    import json

    pairs: dict[str, Any] = {}
    for option in options or []:
        name, equals, text = option.partition("=")
        if not equals:
            raise HarBenchError(f"the option {option!r} is not name=value")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        pairs[name.replace("-", "_")] = value if isinstance(value, bool | int | float) else text
    return pairs


def _check_media(store: Store, raw: Path, jobs: int, *, quiet: bool) -> None:
    """Say how the images and videos differ from the store; a difference is exit status 1."""
    from har_bench.media.checking import check_media

    report = check_media(store, raw, jobs=jobs, quiet=quiet)
    for line in report.lines():
        say(line)
    if not report.ok:
        sys.exit(1)


def main(words: Sequence[str] | None = None) -> None:
    """The entry point of the ``har-bench`` command: errors are one line on standard error, exit status 1."""
    try:
        app(sys.argv[1:] if words is None else words)
    except HarBenchError as error:
        print(f"har-bench: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("har-bench: stopped; given again, a conversion or a training with checkpoints goes on", file=sys.stderr)
        sys.exit(130)
