"""Commands that show what there is: list, info, demo, and the leaderboard's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from cyclopts import App

from har_bench.cli.app import app
from har_bench.cli.terminal import say, show_table

boards = App(name="leaderboard", help="Tables and pages from a folder of results.")
app.command(boards)


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
        results: A folder of result files, or its URL; folders in it are searched too.
        site: The folder to write, or its URL.
    """
    from har_bench import registry, remote

    folder, url = remote.destination_folder(site), remote.as_url(site)
    write = registry.load("leaderboards", "site")
    for path in write(remote.fetch(results), folder, on_problem=_complain):
        say(f"{url}/{path.name}" if url else str(path))
    remote.publish(folder, site, last="index.html")


def _complain(problem: str) -> None:
    print(f"har-bench: {problem}", file=sys.stderr)
