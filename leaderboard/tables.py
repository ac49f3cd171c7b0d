"""Boards as Markdown and LaTeX, and every number of every entry as one CSV row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from har_bench.foreign import words
from har_bench.foreign.words import latex as latex_escape
from har_bench.foreign.words import one_line

from .board import Board, Column, Line
from .entries import SUMMARY, Entry, Part, Reported, Scored, Value
from .equals import EQUALS

MARKDOWN_SPECIALS = re.compile(r"([\\`*_{}\[\]<>|&~#!])")
CSV_COLUMNS = (
    "status", "dataset", "scoring", "same_as", "method", "year", "input", "setting", "training", "metric", "axis",
    "item", "value", "unit", "ci_low", "ci_high", "ci_level", "primary", "note", "source", "source_url", "file",
    "protocol", "version", "recipe", "store", "predictions", "har_bench",
)  # fmt: skip


def markdown_escape(text: str) -> str:
    """Text that Markdown prints as it is, inside a table cell too."""
    return MARKDOWN_SPECIALS.sub(r"\\\1", one_line(text))


def status(entry: Entry) -> str:
    """``verified`` (a re-score is recorded), ``scored here`` or ``reported``."""
    return {"verified": "verified", "scored": "scored here", "reported": "reported"}[kind(entry)]


def kind(entry: Entry) -> str:
    """``verified``, ``scored`` or ``reported``: what a style sheet and a filter call it."""
    return ("verified" if entry.verified else "scored") if isinstance(entry, Scored) else "reported"


def provenance(entry: Entry) -> str:
    """Where the numbers of an entry come from, in one line."""
    if isinstance(entry, Scored):
        prints = (f"{name} {value[:12]}" for name, value in entry.result.fingerprints.items())
        return ", ".join([f"result file {entry.file}", *prints])
    return entry.source.text if isinstance(entry, Reported) else ""


SETTINGS: tuple[tuple[str, Callable[[Line], str]], ...] = (
    ("Input", lambda line: line.entry.input),
    ("Setting", lambda line: line.entry.setting),
    ("Training", lambda line: line.fields.extra),
    ("Year", lambda line: str(line.fields.year or "")),
)
"""What is said of a method besides its name; a table leaves out what none of its lines has."""

Marks = Mapping[str, str]
"""Patterns for the best and the second number of a class."""

MARKDOWN_MARKS: Marks = {"best": "**%s**", "second": "<ins>%s</ins>", "": "%s"}
LATEX_MARKS: Marks = {"best": r"\textbf{%s}", "second": r"\underline{%s}", "": "%s"}
PLAIN_MARKS: Marks = {"best": "%s", "second": "%s", "": "%s"}


def settings(board: Board) -> list[tuple[str, Callable[[Line], str]]]:
    """The settings that at least one line of the board has."""
    return [(name, read) for name, read in SETTINGS if any(map(read, board.lines))]


def sources(line: Line) -> str:
    """Where the numbers of a line come from, all sources that print it."""
    return "; ".join(dict.fromkeys(map(provenance, (line.entry, *line.also))))


def cell(board: Board, line: Line, column: Column, marks: Marks) -> str:
    """A number, its confidence interval and everything printed of it; empty when there is none.

    Args:
        board: the column's board.
        line: the entry.
        column: the metric.
        marks: how the best and the second of those that were given the same stand out.
    """
    value = line.values.get(column.name)
    if value is None:
        return ""
    text = marks[board.mark(line, column)] % value.text
    if len(value.printed) > 1:
        text += f" (printed: {', '.join(value.printed)})"
    return (
        f"{text} [{words.number(value.interval.low)}, {words.number(value.interval.high)}]" if value.interval else text
    )


def markdown(board: Board) -> str:
    """A board as an aligned Markdown table, best values bold and second ones underlined."""
    extra = settings(board)
    header = ["Method", "Status", *(name for name, _ in extra), *(board.heading(column) for column in board.columns)]
    rows = []
    for line in board.lines:
        said = [line.entry.method, status(line.entry), *(read(line) for _, read in extra)]
        numbers = [cell(board, line, column, MARKDOWN_MARKS) for column in board.columns]
        rows.append([*map(markdown_escape, said), *numbers, markdown_escape(sources(line))])
    return _aligned([*map(markdown_escape, header), "Source"], rows, numbers=len(board.columns))


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int) -> str:
    """A pipe table whose columns line up; ``numbers`` columns after the words are aligned to the right."""
    widths = [max(3, *(len(row[index]) for row in [header, *rows])) for index in range(len(header))]
    last = len(header) - (header[-1] == "Source")
    right = range(last - numbers, last)

    def line(row: Sequence[str]) -> str:
        padded = (
            text.rjust(width) if index in right else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = [f"{'-' * (width - 1)}:" if index in right else "-" * width for index, width in enumerate(widths)]
    return "\n".join([line(header), line(rule), *map(line, rows)]) + "\n"


def markdown_page(found: Iterable[Board]) -> str:
    """Every board as Markdown, under a heading per dataset."""
    parts = [
        "# Leaderboard\n",
        "**verified**: scored here, and scored again from the kept predictions. **scored here**: by har_bench, "
        "predictions not kept. **reported**: copied from the source named. Best numbers are bold and second ones "
        "underlined among methods that are given the same input.\n",
    ]
    section = ""
    for board in found:
        if board.dataset != section:
            section = board.dataset
            parts.append(f"## {markdown_escape(section)}\n")
        parts.append(f"### {markdown_escape(board.plain)}\n")
        if board.plain != board.title:
            parts.append(f"`{board.scoring}`\n")
        parts += [f"{markdown_escape(note)}\n" for note in board.notes]
        parts.append(markdown(board))
    return "\n".join(parts)


def scored_markdown(found: Iterable[Board], protocol: str) -> str:
    """What was scored here with a protocol as small Markdown tables for a README, one for each way of scoring.

    Args:
        found: all boards.
        protocol: such as ``mpii/pckh``, or a canonical name such as ``mpii/pckh:hrnet``.
    """
    parts = []
    for board in found:
        lines = [line for line in board.lines if isinstance(line.entry, Scored)]
        if lines and board.is_of(protocol):
            header = ["Model", *(board.heading(column) for column in board.columns)]
            rows = [
                [
                    markdown_escape(line.entry.method),
                    *(cell(board, line, column, PLAIN_MARKS) for column in board.columns),
                ]
                for line in lines
            ]
            table = _aligned([*map(markdown_escape, header)], rows, numbers=len(board.columns))
            parts.append(f"`{board.scoring}`\n\n{table}")
    return "\n".join(parts)


def latex(board: Board) -> str:
    """A board as a LaTeX table (package ``booktabs``), best numbers bold, second underlined, sources in comments."""
    extra = [(name, read) for name, read in settings(board) if name != "Year"]
    heads = ["Method", "Status", *(name for name, _ in extra)]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_escape(f'{board.dataset}: {board.title}')}}}",
        rf"\label{{tab:{board.slug}}}",
        rf"\begin{{tabular}}{{{'l' * len(heads)}{'r' * len(board.columns)}}}",
        r"\toprule",
        _latex_row([*heads, *(latex_escape(board.heading(column)) for column in board.columns)]),
        r"\midrule",
    ]
    for line in board.lines:
        texts = [line.entry.method, status(line.entry), *(read(line) for _, read in extra)]
        numbers = [cell(board, line, column, LATEX_MARKS) for column in board.columns]
        lines.append(f"{_latex_row([*map(latex_escape, texts), *numbers])} % {one_line(sources(line))}")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def latex_page(found: Iterable[Board]) -> str:
    """Every board as a LaTeX table; include the file where ``booktabs`` is loaded."""
    return "\n".join(["% needs \\usepackage{booktabs}\n", *map(latex, found)])


def csv_page(entries: Iterable[Entry]) -> str:
    """One row per entry and number, with everything that says where the number comes from."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in csv_rows(entries):
        writer.writerow({column: words.cell(each) for column, each in row.items()})
    return out.getvalue()


def csv_rows(entries: Iterable[Entry]) -> Iterator[dict[str, object]]:
    """The row of every number, by column."""
    for entry in entries:
        shared = _csv_entry(entry)
        for part, value in _numbers(entry):
            yield {**shared, **_csv_number(entry, part, value)}


def _numbers(entry: Entry) -> Iterable[tuple[Part, Value]]:
    """Each number once: an overall number that a breakdown prints as its mean is not said twice."""
    said = {part.metric for part in entry.parts if part.item == SUMMARY[part.axis]}
    yield from ((Part(metric, "", ""), value) for metric, value in entry.values.items() if metric not in said)
    yield from entry.parts.items()


def _csv_entry(entry: Entry) -> dict[str, object]:
    row: dict[str, object] = {
        "status": status(entry),
        "dataset": entry.dataset,
        "scoring": entry.scoring,
        "method": entry.method,
        "input": entry.input,
        "setting": entry.setting,
    }
    if isinstance(entry, Reported):
        same = [equal.scoring for equal in EQUALS if equal.translate(entry)]
        row |= {"year": entry.year or "", "training": entry.training, "same_as": "".join(same)}
        row |= {"source": entry.source.text, "source_url": entry.source.url}
    if isinstance(entry, Scored):
        result = entry.result
        row |= {"file": entry.file, "protocol": result.protocol, "version": result.version, "recipe": result.recipe}
        row |= {name: result.fingerprints.get(name, "") for name in ("store", "predictions")}
        row["har_bench"] = result.versions.get("har_bench", "")
    return row


def _csv_number(entry: Entry, part: Part, value: Value) -> dict[str, object]:
    exact = repr(value.number) if isinstance(entry, Scored) else value.text
    row: dict[str, object] = {**part._asdict(), "value": exact, "unit": value.unit, "note": value.note}
    if isinstance(entry, Scored):
        row["primary"] = "yes" if part.metric == entry.result.primary else ""
    if value.interval:
        row |= {"ci_low": value.interval.low, "ci_high": value.interval.high, "ci_level": value.interval.level}
    return row
