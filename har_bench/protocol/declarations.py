"""What a protocol declares of itself: metrics, recipes, tables, and how their numbers must hang together.

Nobody guesses from a name: comparisons, explanations, identities and boards read what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple, TypeVar

from msgspec.structs import replace

from har_bench.results import Reading, Row

UNITS: Mapping[str, tuple[float, float]] = {"%": (0.0, 100.0), "mm": (0.0, float("inf")), "px": (0.0, float("inf"))}
"""The bounds of a number in each unit."""


class Along(NamedTuple):
    """A number of a family that is ordered by a threshold (or by how many answers count).

    Attributes:
        family: what the members share, such as ``PCKh``.
        at: the threshold.
        rises: whether the number can only rise with it; else it can only fall.
    """

    family: str
    at: float
    rises: bool = True


@dataclass(frozen=True)
class Metric:
    """A number that a protocol computes.

    Attributes:
        name: as printed in tables, such as ``PCKh@0.5``.
        unit: ``%`` (0 to 100), ``mm``, ``px``; it bounds the number.
        better: which direction is better.
        about: one line with the definition.
        along: its place in a family of thresholds.
        per_frame: whether it is a mean over frames, so that every way of sharing out the sequences has the same
            frame-weighted mean.
        recall: of a precision over 101 recalls, the metric that bounds it.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    about: str
    along: Along | None = None
    per_frame: bool = False
    recall: str | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value that it can have."""
        return UNITS[self.unit]


@dataclass(frozen=True)
class Recipe:
    """A named published way to compute a protocol; subclasses add the degrees of freedom as fields.

    Attributes:
        name: as on the command line, such as ``hrnet``.
        about: what distinguishes it, in one sentence.
        oracle: the official tool whose digits it reproduces.
        cite: short reference of the paper or repository.
        inflates: why its numbers come out better than the same predictions deserve; empty where they do not.
    """

    name: str
    about: str
    oracle: str
    cite: str
    inflates: str = field(default="", kw_only=True)


R = TypeVar("R", bound=Recipe)


def by_name(*recipes: R) -> Mapping[str, R]:
    """A protocol's recipes by their names; the first is the default."""
    return MappingProxyType({recipe.name: recipe for recipe in recipes})


class Counted(NamedTuple):
    """A column that is a share in percent of whole numbers in two others.

    Attributes:
        share: the column in percent.
        hits: the column of hits.
        of: the column of what was counted.
    """

    share: str
    hits: str
    of: str


@dataclass(frozen=True)
class Table:
    """What a table of a result is.

    Attributes:
        title: its name in the result.
        measure: the column that is comparable with the primary number; by default the one of the primary's name.
        along: columns that form families of thresholds inside a row.
    """

    kind: ClassVar[Literal["groups", "curve", "facts"]] = "facts"

    title: str
    measure: str = ""
    along: Mapping[str, Along] | None = None

    def reading(self, rows: Sequence[Row], primary: str) -> Reading:
        """What a result says of its rows."""
        measure = self.measure or primary
        return Reading(kind=self.kind, measure=measure if any(measure in row for row in rows) else None)


@dataclass(frozen=True)
class Groups(Table):
    """A row for every group of the data; its first column and its texts name it.

    Attributes:
        shares_out: whether every scored sequence belongs to exactly one row.
        means: which metrics are means of some kind over a column of the rows, and so lie between its extremes.
        counted: columns that are shares of whole numbers.
        within: the column that is 1 in the rows that ``means`` are over, if not all are.
    """

    kind = "groups"

    shares_out: bool = False
    means: Mapping[str, str] | None = None
    counted: tuple[Counted, ...] = ()
    within: str = ""

    def reading(self, rows: Sequence[Row], primary: str) -> Reading:
        """What a result says of its rows."""
        return replace(super().reading(rows, primary), shares_out=self.shares_out)


@dataclass(frozen=True)
class Curve(Table):
    """A row for every point of a curve, over its first column.

    Attributes:
        measure: the column to draw; by default the primary's, else the first of ``rises`` and ``falls``.
        rises: columns that can only rise with it.
        falls: columns that can only fall.
        areas: metrics that are the mean height of a column.
    """

    kind = "curve"

    rises: tuple[str, ...] = ()
    falls: tuple[str, ...] = ()
    areas: Mapping[str, str] | None = None

    def reading(self, rows: Sequence[Row], primary: str) -> Reading:
        """What a result says of its rows."""
        found = super().reading(rows, primary)
        return found if found.measure else replace(found, measure=next(iter((*self.rises, *self.falls)), None))


@dataclass(frozen=True)
class Facts(Table):
    """Rows that are neither groups of the data nor points of a curve: how something was read, ways of averaging."""
