"""Commands that show what there is: list, info, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from har_bench.cli.app import app
from har_bench.cli.terminal import say, show_table


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
def info(what: str, *, latex: bool = False) -> None:
    """Say what something is: a converter, protocol, baseline, skeleton, store, result or predictions file.

    Args:
        what: A name from `har-bench list`, or a path.
        latex: Of a result: print the one row that a paper's table needs, for LaTeX with booktabs.
    """
    from har_bench.cli.describing import describe

    if latex:
        from har_bench import results
        from har_bench.protocol.latex import row

        say(row(results.read(what)))
        return
    say(describe(what))


@app.command
def demo(folder: Path = Path("demo")) -> None:
    """Walk through everything on synthetic data: sample, convert, run, score, leaderboard.

    Args:
        folder: Where everything is written; what an earlier demo left there is replaced.
    """
    from har_bench.cli.demo import demo as walk

    say(f"\nopen {walk(folder, say=say)}")
