"""Commands about numbers: score, targets, run, compare, explain, rescore."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from har_bench.cli.app import NOWHERE, UNTAUGHT, Learner, Options, Recipe, Shown, Sources, app, pairs, written
from har_bench.cli.terminal import say, show_report, show_result
from har_bench.errors import HarBenchError

if TYPE_CHECKING:
    from har_bench.results import Result

PLAIN, ALL = Recipe(), Shown()


@app.command
def score(
    protocol: str,
    store: Path,
    predictions: Path | None = None,
    *,
    ensemble: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    weights: str = "",
    fuse: Literal["probabilities", "logits", "sums"] | None = None,
    how: Recipe = PLAIN,
    out: Path | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    device: str | None = None,
    resamples: int = 1000,
    shown: Shown = ALL,
    model: str = "",
    quiet: bool = False,
) -> None:
    """Score any model's predictions with a paper's exact recipe.

        har-bench score mpii/pckh stores/mpii preds.h5 --recipe hrnet --out results/mine.json
        har-bench score ntu60/xsub stores/ntu60 --ensemble joint.pkl bone.pkl --weights 0.6,0.4 --fuse logits

    Args:
        protocol: Such as mpii/pckh, or with recipe and options h36m/mpjpe:videopose3d,every=64.
        store: A converted dataset, its folder or URL.
        predictions: Parquet, HDF5 or CSV in our columns, or one of the field's own files (`har-bench info PROTOCOL`).
        ensemble: Files of class scores in the place of predictions, fused by the names of their sequences.
        weights: Of those files, such as 0.6,0.4; equal ones by default.
        fuse: What their numbers are: probabilities (averaged), logits (softmax first), or sums (added as they are).
        how: The recipe and its options.
        out: Where the result file goes, a path or a URL.
        jobs: Processes; 0 is one per processor.
        scheduler: Address of a Dask scheduler to use instead of local processes.
        device: A torch device to compute on, such as cuda, where the protocol has a torch path; NumPy's path otherwise.
        resamples: Bootstrap resamples for the confidence intervals; 0 for none.
        shown: The breakdowns to show.
        model: Who made the predictions, for the leaderboard; the file's name by default.
        quiet: Show no progress.
    """
    from har_bench.scoring import score as run

    destination = written(out)
    shown.check(protocol, how.recipe, pairs(how.option))
    result = run(
        protocol,
        store,
        _given(predictions, ensemble, weights, fuse),
        model=model,
        **how.arguments(),
        jobs=jobs,
        scheduler=scheduler,
        device=device,
        resamples=resamples,
        quiet=quiet,
    )
    _published(result, destination, shown, shown.names)


def _given(predictions: Path | None, files: list[Path] | None, weights: str, fuse: Any) -> Any:
    """One file of predictions, or an ensemble of some.

    Raises:
        HarBenchError: neither or both, or weights that are no numbers.
    """
    from har_bench.scoring.ensembles import Ensemble

    if (predictions is None) == (files is None):
        raise HarBenchError("nothing is to be scored, or two things at once; give predictions, or --ensemble FILES")
    if files is None:
        if weights or fuse:
            raise HarBenchError("--weights and --fuse are of an --ensemble; leave them out")
        return predictions
    try:
        shares = tuple(float(word) for word in weights.split(",")) if weights else ()
    except ValueError as error:
        raise HarBenchError(f"--weights is {weights!r}; give a number for each file, such as 0.6,0.4") from error
    return Ensemble(tuple(files), shares, fuse)


@app.command
def targets(protocol: str, store: Path, out: Path, *, recipe: str | None = None, option: Options = None) -> None:
    """List the rows that a protocol scores, in the order in which an array of predictions has them.

    Args:
        protocol: Such as h36m/mpjpe, or with recipe and options h36m/mpjpe:videopose3d,every=64.
        store: A converted dataset.
        out: The .parquet file to write: sequence, frame and person of poses, else the sequences.
        recipe: A recipe of the protocol.
        option: An option of the recipe, as name=value; may be repeated.
    """
    from har_bench.files import destination
    from har_bench.scoring.column_files import write
    from har_bench.store import open_store

    path = destination(out, ".parquet")
    rows = open_store(store).targets(protocol, recipe, pairs(option))
    write([rows], path)
    say(f"{path}: {rows.num_rows:,} rows")


@app.command
def run(
    baseline: str,
    store: Path,
    *,
    protocol: str,
    recipe: str | None = None,
    option: Options = None,
    learner: Learner = UNTAUGHT,
    weights: Path | None = None,
    save: Path | None = None,
    seeds: int = 1,
    predictions: Path | None = None,
    out: Path | None = None,
    shown: Shown = ALL,
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
        learner: The baseline's options.
        weights: Published or saved weights; without them the baseline learns from the store first.
        save: Where the learnt weights go.
        seeds: Train so many times, each with the next seed; the result is the first one's, beside mean and spread.
        predictions: Where the predictions go (Parquet); they are not kept by default.
        out: Where the result file goes.
        shown: The breakdowns to show.
        model: Name on the leaderboard; the baseline's own by default.
        quiet: Show no progress.
    """
    from har_bench.results import OF_RUNS
    from har_bench.running import run as once
    from har_bench.running import run_seeds

    destination = written(out)
    shown.check(protocol, recipe, pairs(option))
    execute = once if seeds == 1 else partial(run_seeds, seeds)
    result = execute(
        baseline,
        store,
        protocol=protocol,
        recipe=recipe,
        options=pairs(option),
        weights=weights,
        save=save,
        out=predictions,
        model=model,
        quiet=quiet,
        settings=learner.settings(),
    )
    made = [name for name in OF_RUNS if name in result.tables]
    _published(result, destination, shown, list(dict.fromkeys((*made, *shown.names))))


@app.command
def train(
    baseline: str,
    stores: list[Path],
    *,
    save: Path,
    protocol: str | None = None,
    recipe: str | None = None,
    option: Options = None,
    learner: Learner = UNTAUGHT,
    quiet: bool = False,
) -> None:
    """Train a baseline without predicting anything; some learn from several stores.

        har-bench train deephar stores/mpii --protocol mpii/pckh --set images=raw/mpii --save mpii.safetensors

    Args:
        baseline: A baseline from `har-bench list`, or package.module:Name.
        stores: Converted datasets; the protocol's is the first.
        save: Where the learnt weights go.
        protocol: Such as mpii/pckh: its training split of the first store is learnt from; some baselines do without.
        recipe: The protocol's recipe.
        option: An option of the recipe, as name=value; may be repeated.
        learner: The baseline's options.
        quiet: Show no progress.
    """
    from har_bench.running import train as learn

    machine = learn(
        baseline,
        stores,
        save=save,
        protocol=protocol,
        recipe=recipe,
        quiet=quiet,
        options=pairs(option),
        settings=learner.settings(),
    )
    last = dict(machine.history[-1]) if machine.history else {}
    epochs = f"{int(last.pop('epoch'))} epochs, " if "epoch" in last else ""
    told = ", ".join(f"{name} {value:.4g}" for name, value in last.items() if name != "lr")
    say(f"{save}: {epochs}{told or 'trained'}")


@app.command
def compare(
    protocol: str,
    store: Path,
    a: Path,
    b: Path,
    *,
    how: Recipe = PLAIN,
    resamples: int = 10_000,
    quiet: bool = False,
) -> None:
    """Compare two sets of predictions: paired bootstrap, permutation test, effect size, what differs most.

    Args:
        protocol: Such as mpii/pckh:hrnet.
        store: A converted dataset.
        a: One set of predictions.
        b: The other one.
        how: The recipe and its options.
        resamples: Draws of the bootstrap, and exchanges of the permutation test.
        quiet: Show no progress.
    """
    from har_bench.studying import compare as run

    found = run(protocol, store, a, b, **how.arguments(), resamples=resamples, quiet=quiet)
    show_report(found.tables(), found.lines())


@app.command
def explain(
    protocol: str, store: Path, predictions: Path, *, how: Recipe = PLAIN, worst: int = 10, quiet: bool = False
) -> None:
    """Say where the errors are: slices by joint, action, camera, subject, visibility, size; the worst sequences.

    Args:
        protocol: Such as h36m/mpjpe.
        store: A converted dataset.
        predictions: What `har-bench score` takes.
        how: The recipe and its options.
        worst: How many of the worst sequences to name.
        quiet: Show no progress.
    """
    from har_bench.studying import explain as run

    found = run(protocol, store, predictions, **how.arguments(), worst=worst, quiet=quiet)
    show_report(found.tables(), found.lines())


@app.command
def rescore(results: Path, *, sources: Sources = NOWHERE, quiet: bool = False) -> None:
    """Score again the results of older protocol versions; the old files stay, the new ones stand beside them.

    Without stores and predictions it says which results are of an older version.

    Args:
        results: A folder of result files.
        sources: Where stores and predictions are looked for.
        quiet: Show no progress.
    """
    from har_bench.studying import rescoring

    outcomes = rescoring.rescore(results, **sources.arguments(), quiet=quiet)
    show_report(rescoring.tables(outcomes), rescoring.lines(outcomes))


def _published(result: Result, out: str | Path | None, shown: Shown, breakdowns: Sequence[str]) -> None:
    """Write a result where it was asked for, and show it."""
    from har_bench import results

    if out is not None:
        results.write(result, out)
    show_result(result, breakdowns)
    shown.say_latex(result)
    if out is not None:
        say(f"result: {out}")
