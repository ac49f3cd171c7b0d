"""Commands that show what there is: list, info, demo, and the leaderboard's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

from cyclopts import App

from har_bench.cli.app import app
from har_bench.cli.terminal import say, show_table

boards = App(name="leaderboard", help="Tables and pages from a folder of results.")
app.command(boards)


@app.command(name="list")
def list_all(
    kind: Literal["converters", "protocols", "baselines", "exporters", "views", "skeletons", "all"] = "all",
) -> None:
    """List what is installed: converters, protocols with their recipes, baselines, exporters, views, skeletons.

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
def demo(folder: Path = Path("demo")) -> None:
    """Walk through everything on synthetic data: sample, convert, run, score, leaderboard.

    Args:
        folder: Where everything is written; what an earlier demo left there is replaced.
    """
    from har_bench.cli.demo import demo as walk

    say(f"\nopen {walk(folder, say=say)}")


@boards.command
def build(
    results: Path,
    site: Path,
    *,
    dataset: list[str] | None = None,
    protocol: list[str] | None = None,
    only: Literal["scored", "reported"] | None = None,
) -> None:
    """Build Markdown, CSV, LaTeX and one self-contained web page from a folder of results.

    A result that cannot be (an impossible number, a protocol that never was, a file changed after it was written) is
    named and left out; the others are published, and the exit status is 1.

    Args:
        results: A folder of result files, or its URL; folders in it are searched too.
        site: The folder to write, or its URL.
        dataset: Only this dataset, such as h36m; may be repeated.
        protocol: Only this protocol, such as mpii/pckh or mpii/pckh:hrnet; may be repeated.
        only: Only what was scored here, or only what sources report.
    """
    from har_bench import registry, remote
    from har_bench.cli.entry import FAILED

    refused = []

    def tell(problem: Any) -> None:
        print(f"har-bench: {problem.sentence}", file=sys.stderr)
        refused.extend([problem] * problem.refused)

    folder, url = remote.destination_folder(site), remote.as_url(site)
    write = registry.load("leaderboards", "site")
    chosen = {"datasets": dataset, "protocols": protocol, "only": only}
    for path in write(remote.fetch(results), folder, on_problem=tell, **chosen):
        say(f"{url}/{path.name}" if url else str(path))
    remote.publish(folder, site, last="index.html")
    if refused:
        sys.exit(FAILED)


@boards.command
def verify(
    folder: Path,
    *,
    stores: list[Path] | None = None,
    predictions: list[Path] | None = None,
    jobs: int = 1,
    json: bool = False,
    quiet: bool = False,
) -> None:
    """Say of every result whether it can be believed: possible in itself, and equal when it is scored again.

    A line for each result file: `equal`, `unverified` (its predictions or its store are absent) or `wrong`, with the
    reason. The exit status is 1 if any is wrong. Nothing is written.

    Args:
        folder: A folder of result files, or its URL; predictions may lie in it too.
        stores: Stores, or folders that hold stores; found by fingerprint.
        predictions: More folders that hold predictions; found by fingerprint.
        jobs: Processes.
        json: Print a JSON list instead.
        quiet: Show no progress.
    """
    import msgspec

    from har_bench.cli.entry import FAILED
    from har_bench.studying import verifying

    found = verifying.verify(folder, stores=stores or [], predictions=predictions or [], jobs=jobs, quiet=quiet)
    for line in [msgspec.json.format(msgspec.json.encode(found)).decode()] if json else verifying.lines(found):
        say(line)
    if any(each.status == "wrong" for each in found):
        sys.exit(FAILED)
