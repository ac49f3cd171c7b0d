"""Reading the tables of a result: which column of a breakdown is comparable with the primary number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from har_bench.protocol import Metric
from har_bench.results import Row

Texts = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
"""A table for printing: title, columns and rows."""

NO_GROUPS = ("sequence", "average")
"""Tables whose rows have names and yet are no groups of the data: single sequences, ways of averaging."""


def breakdowns(
    tables: Mapping[str, list[Row]], primary: str, units: Mapping[str, str]
) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Every table whose rows are groups of the data: its title, the column to read, and that number of each row.

    Rows of groups begin with a name; those that begin with a number are points of a curve.

    Args:
        tables: of a result.
        primary: the metric that ranks.
        units: of all metrics.
    """
    for title, rows in tables.items():
        named = all(isinstance(next(iter(row.values())), str) for row in rows)
        column = measure(rows, primary, units) if named and title not in NO_GROUPS else None
        if column is not None:
            yield title, column, cells(rows, column)


def measure(rows: Sequence[Row], primary: str, units: Mapping[str, str]) -> str | None:
    """The column of a table to read the primary number from; None when the table has none in its unit.

    It is the primary metric itself, else the first column of decimals whose unit is known to be the primary's: another
    metric, or any name where all metrics share one unit (the AP of a class under mAP).
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if primary in columns:
        return primary
    shared = units[primary] if set(units.values()) == {units[primary]} else None
    for name in columns[1:]:  # the first one names the row
        values = [row.get(name) for row in rows if row.get(name) is not None]
        decimal = bool(values) and all(isinstance(value, float) for value in values)
        if decimal and units.get(name, shared) == units[primary]:
            return name
    return None


def cells(rows: Sequence[Row], column: str) -> dict[str, float]:
    """Each row's number by its name, which is its first column and every text; rows without a number are left out."""
    found = {}
    for row in rows:
        value = row.get(column)
        if isinstance(value, int | float):
            first = next(iter(row))
            found[", ".join(str(each) for name, each in row.items() if name == first or isinstance(each, str))] = float(
                value
            )
    return found


def worst_first(numbers: Mapping[str, float], metric: Metric) -> list[str]:
    """The names from the worst number to the best; equal ones by name."""
    sign = 1 if metric.better == "higher" else -1
    return sorted(numbers, key=lambda name: (sign * numbers[name], name))
