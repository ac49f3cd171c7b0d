"""Entries of the leaderboard: `reported` (copied from a paper or README) and `scored here` (a result file).

The reported rows ship in ``data/reported.json``, each with its source; a value keeps the digits that its source
printed, and only a fraction (.903) is rewritten as percent (90.3).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from har_bench.entries import folder as homes
from har_bench.entries.card import Card
from har_bench.entries.outcomes import ResultError, first_of
from har_bench.errors import HarBenchError
from har_bench.foreign import words
from har_bench.protocol.checking import require
from har_bench.results import Interval, NoResultError, Result, read

DATASETS = {
    "h36m": "Human3.6M",
    "humaneva": "HumanEva-I",
    "mpii": "MPII",
    "coco": "COCO keypoints",
    "penn_action": "Penn Action",
    "ntu60": "NTU RGB+D 60",
    "ntu120": "NTU RGB+D 120",
    "merl": "MERL Shopping",
    "ava": "AVA",
}
"""How sources print the names of our datasets; the order is that of the leaderboard's sections."""

SUMMARY = {"action": "Avg", "joint": "Mean"}
"""The item of a published breakdown that is the overall number."""


class Readme(msgspec.Struct, frozen=True, tag_field="kind", tag="readme"):
    """The README of a system, at no known commit; ``repo`` is where it is today."""

    system: str
    table: str
    repo: str = ""

    @property
    def short(self) -> str:
        """A few words for a narrow column."""
        return f"README of {self.system}"

    @property
    def text(self) -> str:
        """Everything a reader needs to find the row."""
        return f"{self.short}, “{self.table}”"

    @property
    def url(self) -> str:
        """Where to read it, or nothing."""
        return f"https://github.com/{self.repo}#readme" if self.repo else ""


class RepoFile(msgspec.Struct, frozen=True, tag_field="kind", tag="repo_file"):
    """A file of a public repository at one commit."""

    repo: str
    commit: str
    path: str
    table: str

    @property
    def short(self) -> str:
        """A few words for a narrow column."""
        return self.repo

    @property
    def text(self) -> str:
        """Everything a reader needs to find the row."""
        return f"{self.repo}, {self.path} at commit {self.commit[:10]}, “{self.table}”"

    @property
    def url(self) -> str:
        """Where to read it."""
        return f"https://github.com/{self.repo}/blob/{self.commit}/{self.path}"


class Paper(msgspec.Struct, frozen=True, tag_field="kind", tag="paper"):
    """A table of a paper on arXiv."""

    title: str
    arxiv: str
    table: str
    note: str = ""

    @property
    def short(self) -> str:
        """A few words for a narrow column."""
        return f"arXiv {self.arxiv}"

    @property
    def text(self) -> str:
        """Everything a reader needs to find the row."""
        return f"{self.title}, arXiv {self.arxiv}, {self.table}" + (f" ({self.note})" if self.note else "")

    @property
    def url(self) -> str:
        """Where to read it."""
        return f"https://arxiv.org/abs/{self.arxiv}"


class Page(msgspec.Struct, frozen=True, tag_field="kind", tag="page"):
    """A page that collects other people's numbers."""

    table: str
    note: str
    title: str = ""
    url: str = ""

    @property
    def short(self) -> str:
        """A few words for a narrow column."""
        return self.title or self.url.removeprefix("https://").removeprefix("www.").split("/")[0]

    @property
    def text(self) -> str:
        """Everything a reader needs to find the row."""
        return f"{self.title or self.url}, “{self.table}” ({self.note})"


Source = Readme | RepoFile | Paper | Page


class ReportedRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One printed number: a row of ``data/reported.json``; ``source`` is an index into the file's sources."""

    dataset: str
    protocol: str
    metric: str
    value: float
    unit: Literal["fraction", "%", "mm"]
    method: str
    source: int
    year: int | None = None
    input: str = ""
    training: str = ""
    action: str = ""
    joint: str = ""
    note: str = ""


class ReportedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout of ``data/reported.json``; ``better`` says of every metric which direction is better."""

    schema: int
    about: str
    status: Literal["reported"]
    better: dict[str, Literal["higher", "lower"]]
    sources: tuple[Source, ...]
    rows: tuple[ReportedRow, ...]


class Value(NamedTuple):
    """One number of an entry: as a float, and as it is shown (percent, mm, px).

    Attributes:
        number: what ranks.
        text: with the digits of its source.
        unit: of both.
        note: what the source says of it.
        interval: its confidence interval.
        printed: every text that sources print of it, where they differ or are several.
    """

    number: float
    text: str
    unit: str
    note: str = ""
    interval: Interval | None = None
    printed: tuple[str, ...] = ()


class Part(NamedTuple):
    """Which part of a breakdown a number is for: ``Part("MPJPE", "action", "Walk")``."""

    metric: str
    axis: str
    item: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A method under one way of scoring.

    Attributes:
        dataset: the section of the leaderboard, as sources print it.
        scoring: the source's own protocol text, or the canonical name of protocol, recipe and options.
        method: who made the predictions.
        values: the overall numbers by metric.
        parts: the numbers of published breakdowns.
        input: what the method was given, such as a detector's keypoints.
        setting: what tells it from other entries of its method on the same board.
    """

    dataset: str
    scoring: str
    method: str
    values: Mapping[str, Value]
    parts: Mapping[Part, Value] = field(default_factory=dict)
    input: str = ""
    setting: str = ""


@dataclass(frozen=True, kw_only=True)
class Reported(Entry):
    """An entry copied from a source; nothing about it was reproduced here."""

    source: Source
    year: int | None = None
    training: str = ""


@dataclass(frozen=True, kw_only=True)
class Scored(Entry):
    """An entry scored here from predictions.

    Attributes:
        result: what was scored.
        file: the name of its file under the results folder.
        card: who made it and how; None for a result that lies alone.
        verified: whether a re-score of its predictions is recorded, and everything is as it was then.
    """

    result: Result
    file: str
    card: Card | None = None
    verified: bool = False


def published(value: float, unit: str, note: str = "") -> Value:
    """A printed number with its own digits, fractions as percent: ``0.903`` becomes ``90.3``, never ``90.30``."""
    if unit != "fraction":
        return Value(value, repr(value), unit, note)
    percent = Decimal(repr(value)).scaleb(2)
    text = f"{percent:f}"
    return Value(float(percent), text if "." in text else f"{text}.0", "%", note)


@cache
def reported_file() -> ReportedFile:
    """The reported rows that ship with har_bench."""
    raw = files("har_bench.leaderboard").joinpath("data", "reported.json").read_bytes()
    return msgspec.json.decode(raw, type=ReportedFile)


def directions() -> dict[str, Literal["higher", "lower"]]:
    """Which direction of a printed metric is better."""
    return reported_file().better


def reported(shipped: ReportedFile | None = None) -> list[Reported]:
    """Rows of one method, setting and source joined into entries, in the order of the file."""
    shipped = shipped or reported_file()
    groups: dict[tuple[str, str, str, int | None, str, str, int], list[ReportedRow]] = defaultdict(list)
    for row in shipped.rows:
        groups[row.dataset, row.protocol, row.method, row.year, row.input, row.training, row.source].append(row)
    return [_reported(rows, shipped.sources) for rows in groups.values()]


def _reported(rows: list[ReportedRow], sources: tuple[Source, ...]) -> Reported:
    first = rows[0]
    values: dict[str, Value] = {}
    parts: dict[Part, Value] = {}
    for row in rows:
        value = published(row.value, row.unit, row.note)
        axis, item = ("action", row.action) if row.action else ("joint", row.joint)
        if item:
            parts[Part(row.metric, axis, item)] = value
        if item in ("", SUMMARY[axis]):
            values[row.metric] = value
    return Reported(
        dataset=first.dataset,
        scoring=first.protocol,
        method=first.method,
        values=values,
        parts=parts,
        source=sources[first.source],
        year=first.year,
        input=first.input,
        training=first.training,
    )


class Problem(NamedTuple):
    """A ``.json`` file that is not published.

    Attributes:
        sentence: the file, what is wrong with it, and the remedy.
        refused: whether it was to be a result; another program's file is only passed over.
        outcome: what is wrong, by name; empty for another program's file.
    """

    sentence: str
    refused: bool
    outcome: str = ""


def scored(folder: Path) -> tuple[list[Scored], list[Problem]]:
    """The results under a folder, and one sentence about each file that is none, or none that can be published.

    Raises:
        HarBenchError: there is no such folder.
    """
    if not folder.is_dir():
        raise HarBenchError(f"{folder} is not a folder; give the folder with the result files of har-bench score")
    found, problems, known = [], [], []
    for path in sorted(folder.rglob("*.json"), key=lambda path: path.relative_to(folder).as_posix()):
        name = words.one_line(path.relative_to(folder).as_posix(), words.LONGEST)
        try:
            result = read(path)
            require(result, name)
            home = homes.opened(path, result)
            if home:
                known.append(home)
                _require_whole(home, known, name)
        except HarBenchError as error:
            sentence = str(error).replace(words.one_line(str(path)), name)
            outcome = error.outcome if isinstance(error, ResultError) else "unreadable"
            ours = not isinstance(error, NoResultError)
            problems.append(Problem(sentence, refused=ours, outcome=outcome if ours else ""))
        else:
            found.append(entry_of(result, name, home))
    return found, problems


def _require_whole(home: homes.Entry, known: list[homes.Entry], name: str) -> None:
    """Refuse an entry that is not what was scored again, or whose name another one before it has.

    Raises:
        ResultError: it is not, or has.
    """
    wrong = list(home.findings())
    if twin := homes.twins(known).get(home.folder):
        wrong.append(twin)
    if wrong:
        told = "; ".join(finding.words for finding in wrong)
        raise ResultError(first_of(wrong), f"{name} cannot be published: {told}; add it again")


def entry_of(result: Result, file: str, home: homes.Entry | None = None) -> Scored:
    """A result as an entry; texts in it are shortened to what is shown, and lose what hides or turns text around.

    Args:
        result: what was scored.
        file: the name of its file.
        home: its folder, if it has one of its own.
    """
    result = msgspec.convert(words.cleaned(msgspec.to_builtins(result)), Result)
    card = msgspec.convert(words.cleaned(msgspec.to_builtins(home.card)), Card) if home else None
    keypoints = result.environment.get("keypoints")
    return Scored(
        dataset=DATASETS.get(result.dataset, result.dataset),
        scoring=result.canonical,
        method=(card and card.name) or result.model or Path(file).stem,
        input=(card and card.input) or (f"2D keypoints: {keypoints}" if keypoints else ""),
        setting=card.setting if card else "",
        values={
            name: Value(number, words.number(number), result.units.get(name, ""), interval=result.intervals.get(name))
            for name, number in result.metrics.items()
        },
        result=result,
        file=file,
        card=card,
        verified=home is not None and home.verified,
    )
