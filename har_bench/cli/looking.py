"""Commands that show what there is: list, info, demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from har_bench.cli.app import Settings, app, pairs
from har_bench.cli.terminal import say, show_table


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
def check(baseline: str, file: Path, *, setting: Settings = None) -> None:
    """Say at which step a file of your own differs from what a model's published numbers were made of.

        har-bench check lart ava-val_1j20qq1JyX4_000150_0_128.pkl --set annotations=stores/ava

    The steps are in the order in which such a file is made, so the first one that differs is the one to mend. The exit
    status is 1 if any does.

    Args:
        baseline: A baseline that has such a check: lart, of a tracklet.
        file: The file.
        setting: An option of the baseline, as name=value; may be repeated.
    """
    from har_bench.cli.entry import FAILED
    from har_bench.running import make_baseline

    found = make_baseline(baseline, dict(pairs(setting))).check(file)
    words = {True: "as published", False: "DIFFERS", None: "not compared"}
    rows = [(str(place), each.step, words[each.ok], each.found) for place, each in enumerate(found, 1)]
    show_table(file.name, ("", "step", "", "what was found"), rows)
    first = next((each for each in found if each.ok is False), None)
    if first is not None:
        say(f"differs first in {first.step}: {first.found}")
        sys.exit(FAILED)
    say("nothing differs")


@app.command
def demo(folder: Path = Path("demo")) -> None:
    """Walk through everything on synthetic data: sample, convert, run, score, leaderboard.

    Args:
        folder: Where everything is written; what an earlier demo left there is replaced.
    """
    from har_bench.cli.demo import demo as walk

    say(f"\nopen {walk(folder, say=say)}")
