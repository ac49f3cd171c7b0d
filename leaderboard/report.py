"""One result as a page that prints on a few sheets: a sentence, numbers, pictures, the worst, and how to get there."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from har_bench import registry
from har_bench.files import write_whole
from har_bench.foreign import words
from har_bench.foreign.words import number
from har_bench.protocol.readings import cells, readings
from har_bench.results import Result, read

from .entries import DATASETS, entry_of
from .pictures import pictures as pictures_of
from .rendering import render

MOST_PICTURES = 6
WORST = 8
"""Sequences that are named."""


def report(place: str | Path, out: Path, *, pictures: Sequence[tuple[str, bytes]] = (), command: str = "") -> Path:
    """Write the report of a result file.

    Args:
        place: the result file, a path or a URL.
        out: the page to write.
        pictures: captions and PNGs, such as of the worst sequences.
        command: what made the predictions, if that is known.

    Raises:
        HarBenchError: it is no result, or the page cannot be written.
    """
    result = entry_of(read(place), Path(place).name).result
    return write_whole(out, page_of(result, pictures, command).encode())


def page_of(result: Result, pictures: Sequence[tuple[str, bytes]] = (), command: str = "") -> str:
    """The report of a result whose texts are cleaned, as HTML; see :func:`report`."""
    drawn = {title: picture for title, picture in pictures_of(result).items() if title != "sequence"}
    return render(
        "report.html.jinja",
        pictured=bool(pictures),
        result=result,
        sentence=sentence(result),
        notes=result.notes[:5],
        drawn=list(drawn.values())[:MOST_PICTURES],
        measure=_measure(result),
        worst=_worst(result),
        pictures=[(caption, f"data:image/png;base64,{base64.b64encode(png).decode()}") for caption, png in pictures],
        command="\n".join(filter(None, [command, _command(result)])),
        facts=_facts(result),
    )


def sentence(result: Result) -> str:
    """What was found, in a sentence that can stand alone."""
    value, unit = result.metrics.get(result.primary), result.units.get(result.primary, "")
    interval = result.intervals.get(result.primary)
    counted = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in list(result.counts.items())[:3])
    dataset = DATASETS.get(result.dataset, result.dataset)
    said = "no number" if value is None else f"{number(value)} {unit}"
    between = f" (95 % interval {number(interval.low)} to {number(interval.high)})" if interval else ""
    return f"{result.primary} of {said}{between} on {dataset} by {result.canonical}, over {counted}."


def _measure(result: Result) -> str:
    reading = readings(result).get("sequence")
    return (reading.measure or "") if reading else ""


def _worst(result: Result) -> list[tuple[str, float]]:
    """The sequences with the worst numbers, if the result tells sequences apart."""
    column = _measure(result)
    numbers = cells(result.tables.get("sequence", []), column) if column else {}
    protocol = registry.installed("protocols", result.protocol)
    better = {metric.name: metric.better for metric in protocol.metrics} if protocol else {}
    ranked = sorted(numbers.items(), key=lambda each: each[1], reverse=better.get(column) == "lower")
    return ranked[:WORST] if column in better else []


def _command(result: Result) -> str:
    """The command that scores the same predictions."""
    options = "".join(f" --option {name}={value}" for name, value in result.options.items())
    return words.one_line(
        f"har-bench score {result.protocol} stores/{result.dataset} PREDICTIONS --recipe {result.recipe}{options}"
    )


def _facts(result: Result) -> list[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    prints = [(f"blake3 of the {name}", value) for name, value in result.fingerprints.items()]
    speed = ", ".join(f"{name} {value:,.6g}" for name, value in result.speed.items())
    environment = ", ".join(f"{name} {value}" for name, value in result.environment.items())
    facts = [("version of the protocol", result.version), *prints, ("versions", versions)]
    return [(name, value) for name, value in [*facts, ("speed", speed), ("environment", environment)] if value]
