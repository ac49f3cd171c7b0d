"""A board: a table of entries that may be compared, one dataset and one way of scoring.

A column never holds two recipes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from string import ascii_lowercase
from typing import Literal, NamedTuple

from har_bench import registry
from har_bench.entries.separations import Pair, Tested, pair_of
from har_bench.results import Result

from . import ranking
from .entries import Entry, Reported, Scored, Value
from .fields import Fields, fields_of
from .ranking import Mark, Number, Standing

Better = Literal["higher", "lower", ""]


class Column(NamedTuple):
    """A metric, or the part of a breakdown, of a board; ``better`` is empty where nobody declares it."""

    name: str
    unit: str
    better: Better

    def upwards(self, number: float) -> float:
        """The number, larger where it is better."""
        return -number if self.better == "lower" else number


@dataclass(frozen=True)
class Line:
    """One method and setting of a board.

    Attributes:
        entry: the first that says it.
        values: its numbers by column.
        also: other sources that print the same method and setting.
    """

    entry: Entry
    values: Mapping[str, Value]
    also: tuple[Reported, ...] = ()

    @cached_property
    def fields(self) -> Fields:
        """What is known of it besides its numbers."""
        found = fields_of(self.entry)
        years = [other.year for other in self.also if other.year]
        return found if found.year or not years else found._replace(year=min(years))

    @property
    def reported(self) -> tuple[Reported, ...]:
        """Everything that sources print of it."""
        return (*([self.entry] if isinstance(self.entry, Reported) else []), *self.also)


@dataclass(frozen=True)
class Board:
    """A table of entries that may be compared.

    Attributes:
        dataset: the section it belongs to.
        scoring: the canonical name, or the sources' protocol text; the same for every line.
        breakdown: what a breakdown breaks down, such as ``MPJPE [mm] by action``; empty on a board of overall numbers.
        columns: in the order shown.
        primary: the column that ranks.
        lines: best first.
        notes: sentences that a reader of the numbers must know.
        slug: names the board in links; unique among the boards of one leaderboard.
        truth: tells boards of one scoring apart: the protocol's version, the store and whose boxes a model was given.
        tests: paired tests that were kept.
    """

    dataset: str
    scoring: str
    breakdown: str
    columns: tuple[Column, ...]
    primary: Column
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    slug: str = ""
    truth: str = ""
    tests: Mapping[Pair, Tested] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The scoring without the links that sources put into their headings."""
        scoring = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", self.scoring)
        return scoring + (f": {self.breakdown}" if self.breakdown else "") + (f" ({self.truth})" if self.truth else "")

    @property
    def plain(self) -> str:
        """The title in words, for those who do not know our names: ``Cross-subject accuracy of NTU RGB+D 60``."""
        result = self.result
        protocol = registry.installed("protocols", result.protocol) if result else None
        if result is None or protocol is None:
            return self.title
        measured = re.split(r"[:;,](?!\d)", protocol.summary)[0]
        chosen = [f"recipe {result.recipe}"] if result.recipe != next(iter(protocol.recipes)) else []
        options = [f"{name} {value}" for name, value in result.options.items()]
        apart = [self.truth] if self.truth else []
        return ", ".join([measured[:1].upper() + measured[1:], *chosen, *options, *apart])

    @property
    def result(self) -> Result | None:
        """The first result on it, which says how all that were scored here were scored."""
        return next((line.entry.result for line in self.lines if isinstance(line.entry, Scored)), None)

    def is_of(self, protocol: str) -> bool:
        """Whether it is scored with a protocol, such as ``mpii/pckh``, or as a canonical name says."""
        return self.scoring == protocol or self.scoring.startswith((f"{protocol}:", f"{protocol},"))

    def heading(self, column: Column) -> str:
        """A column's name with its unit; the title of a breakdown has it once for all."""
        return column.name if self.breakdown or not column.unit else f"{column.name} [{column.unit}]"

    @property
    def scored_here(self) -> bool:
        """Whether anything on the board was scored here."""
        return any(isinstance(line.entry, Scored) for line in self.lines)

    @cached_property
    def here(self) -> list[Line]:
        """The lines that were scored here."""
        return [line for line in self.lines if isinstance(line.entry, Scored)]

    def mark(self, line: Line, column: Column) -> Mark:
        """Whether a line has the best or the second number of its column, among those that were given the same."""
        return self._marks[column].get(id(line), "")

    @cached_property
    def _marks(self) -> dict[Column, dict[int, Mark]]:
        """The marks of every column, found once for all cells that ask."""
        classes = [line.fields.given for line in self.lines]
        found = {}
        for column in self.columns:
            values = [line.values.get(column.name) for line in self.lines]
            numbers = [column.upwards(value.number) if value and column.better else None for value in values]
            found[column] = dict(zip(map(id, self.lines), ranking.marks(classes, numbers), strict=True))
        return found

    @cached_property
    def footnotes(self) -> dict[str, str]:
        """What sources say of single numbers, and the sign by which a cell refers to it: a, b, c and so on."""
        said = (value.note for line in self.lines for value in line.values.values() if value.note)
        return {note: ascii_lowercase[at] if at < 26 else str(at) for at, note in enumerate(dict.fromkeys(said))}

    def standing(self, line: Line) -> Standing | None:
        """The ranks that a line may have among those scored here; None for the others, and on a board of one."""
        return self._standings.get(id(line))

    @cached_property
    def _standings(self) -> dict[int, Standing]:
        lines = [line for line in self.here if self.primary.name in line.values]
        if len(lines) < 2 or not self.primary.better:
            return {}
        numbers = [_number(self.primary, line.values[self.primary.name]) for line in lines]
        return dict(zip(map(id, lines), ranking.standings(numbers, self._p_values(lines)), strict=True))

    def p_value(self, first: Line, second: Line) -> float | None:
        """The p-value of a kept test of two lines; None where none was made."""
        return self._p_values([first, second]).get((0, 1))

    def _p_values(self, lines: list[Line]) -> dict[tuple[int, int], float]:
        """Kept p-values by the places of two lines."""
        place = {
            line.entry.result.fingerprints["predictions"]: at
            for at, line in enumerate(lines)
            if isinstance(line.entry, Scored) and line.entry.verified
        }
        result = self.result
        found = {}
        for pair, test in self.tests.items():
            if (
                result
                and pair
                == pair_of(result.canonical, result.version, result.fingerprints.get("store", ""), pair.a, pair.b)
                and pair.a in place
                and pair.b in place
            ):
                found[min(place[pair.a], place[pair.b]), max(place[pair.a], place[pair.b])] = test.p
        return found

    @cached_property
    def how_ranked(self) -> str:
        """How the rank ranges were found, in a sentence; empty where there are none."""
        lines = [line for line in self.here if self.primary.name in line.values]
        pairs = len(lines) * (len(lines) - 1) // 2
        return ranking.said(self._p_values(lines), pairs) if self._standings else ""


def _number(column: Column, value: Value) -> Number:
    ends = (value.interval.low, value.interval.high) if value.interval else (-math.inf, math.inf)
    low, high = sorted(map(column.upwards, ends))
    return Number(column.upwards(value.number), low, high)
