"""Commands of the leaderboard: build, add, verify."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from har_bench.cli.app import NOWHERE, Sources, app
from har_bench.cli.terminal import complain, hand_over, say
from har_bench.entries.said import Said

boards = App(name="leaderboard", help="Tables and pages from a folder of results.")
app.command(boards)


NOTHING = Said()


@boards.command
def build(
    results: Path,
    site: Path,
    *,
    dataset: list[str] | None = None,
    protocol: list[str] | None = None,
    only: Literal["verified", "scored", "reported"] | None = None,
    reports: bool = False,
    stores: list[Path] | None = None,
    strict: bool = False,
) -> None:
    """Build Markdown, CSV, LaTeX and self-contained web pages from a folder of results.

    A result that cannot be (an impossible number, a protocol that never was, a file changed after it was written) is
    named, on the page too, and stands on no board; the others are published.

    Args:
        results: A folder of result files, or its URL; folders in it are searched too.
        site: The folder to write, or its URL.
        dataset: Only this dataset, such as h36m; may be repeated.
        protocol: Only this protocol, such as mpii/pckh or mpii/pckh:hrnet; may be repeated.
        only: Only what is verified, only what was scored here (verified or not), or only what sources report.
        reports: Write a report of each entry, too; with its store and predictions, where it is worst is drawn.
        stores: Stores, or folders that hold stores: each that an entry was scored on gets pages, as of `browse`.
        strict: Exit status 1 if a result was left out.
    """
    from har_bench import registry, remote
    from har_bench.cli.entry import FAILED

    refused = []

    def tell(problem: Any) -> None:
        complain(problem.sentence)
        refused.extend([problem] * problem.refused)

    folder, url = remote.destination_folder(site), remote.as_url(site)
    write = registry.load("leaderboards", "site")
    chosen: dict[str, Any] = {"datasets": dataset, "protocols": protocol, "only": only, "reports": reports}
    here = remote.fetch(results)
    if stores:
        from har_bench.studying.illustrating import Illustrations

        chosen["illustrations"] = Illustrations(here, stores, folder)
    for path in write(here, folder, on_problem=tell, **chosen):
        if path.parent != folder:  # a page of an entry or of two, which the first one links to
            continue
        say(f"{url}/{path.name}" if url else str(path))
    remote.publish(folder, site, last="index.html")
    if strict and refused:
        sys.exit(FAILED)


@boards.command
def add(
    result: Path,
    *,
    predictions: Path,
    stores: list[Path],
    to: Path = Path("results"),
    said: Annotated[Said, Parameter(name="*")] = NOTHING,
    url: str = "",
    jobs: int = 1,
    quiet: bool = False,
) -> None:
    """Enter a result into a folder of entries, once its predictions were scored again and every number is the same.

    The entry is a folder, DATASET/PROTOCOL/NAME, with result.json, predictions.parquet (compact, and to the last bit
    what was given), entry.toml and the record of the re-score, which makes it verified. It is never overwritten.

    Args:
        result: A result file of har-bench score or run.
        predictions: The file that it was scored from.
        stores: Stores, or folders that hold stores; found by fingerprint.
        to: The folder of all entries.
        said: Who made it, with what, and how.
        url: Where the predictions are to be had, if they are not to be kept in the folder.
        jobs: Processes.
        quiet: Show no progress.
    """
    from har_bench import results
    from har_bench.entries.card import Card
    from har_bench.studying.adding import add as enter

    fields = asdict(said)
    fields["name"] = said.name or results.read(result).model or result.stem
    card = Card(**fields)
    say(str(enter(result, to, predictions=predictions, stores=stores, card=card, url=url, jobs=jobs, quiet=quiet)))


@app.command
def report(
    result: Path,
    *,
    out: Path,
    store: Path | None = None,
    predictions: Path | None = None,
    worst: int = 4,
    command: str = "",
) -> None:
    """Write a result as one page that prints on a few sheets: a sentence first, numbers, pictures, how to get there.

    With the store and the predictions, the worst frames of the worst sequences are drawn.

    Args:
        result: A result file.
        out: The .html file.
        store: The converted dataset that it was scored on.
        predictions: The file that it was scored from.
        worst: How many of the worst sequences to draw.
        command: What made the predictions.
    """
    from har_bench import registry, results
    from har_bench.errors import HarBenchError
    from har_bench.files import destination
    from har_bench.showing.stills import worst_frames

    path = destination(out, ".html")
    if (store is None) != (predictions is None):
        raise HarBenchError("pictures of the worst need the store and the predictions; give both, or neither")
    drawn = []
    if store is not None and predictions is not None:
        found = results.read(result)
        drawn = worst_frames(store, {found.model or "predictions": predictions}, found.canonical, worst)
    say(str(registry.load("leaderboards", "report")(result, path, pictures=drawn, command=command)))


@boards.command
def compare(folder: Path, *, stores: list[Path], resamples: int = 10_000, quiet: bool = False) -> None:
    """Test every two verified entries of a board: could chance alone have put one before the other?

    The paired permutation tests are kept in the folder's separations.csv, by what they were made of, and `build` reads
    them: entries that are not separated share their ranks. What was tested before is not tested again.

    Args:
        folder: Of all entries.
        stores: Stores, or folders that hold stores; found by fingerprint.
        resamples: Exchanges of the permutation test.
        quiet: Show no progress.
    """
    from har_bench.entries.separations import SEPARATIONS
    from har_bench.studying.separating import separate

    tests = separate(folder, stores, resamples=resamples, quiet=quiet)
    say(f"{len(tests)} pairs in {folder / SEPARATIONS}" if tests else f"{folder} has no two entries to compare")


@boards.command
def verify(folder: Path, *, sources: Sources = NOWHERE, json: bool = False, quiet: bool = False) -> None:
    """Say of every result whether it can be believed: possible in itself, and equal when it is scored again.

    A line for each: `re-scored equal`; `predictions absent`, `store absent` or `version old`, where nothing speaks
    against it; or what is wrong, such as `fingerprint differs` or `edited after scoring`, with the reason. The exit
    status is 1 if any is wrong. Nothing is written.

    Args:
        folder: A folder of result files, or its URL; predictions may lie in it too.
        sources: Where else stores and predictions are looked for.
        json: Print a JSON list instead.
        quiet: Show no progress.
    """
    import msgspec

    from har_bench.cli.entry import FAILED
    from har_bench.studying import verifying

    found = verifying.verify(folder, **sources.arguments(), quiet=quiet)
    if json:
        hand_over(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        say("\n".join(verifying.lines(found)))
    if any(each.status == "wrong" for each in found):
        sys.exit(FAILED)
