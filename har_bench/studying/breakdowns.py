"""Reading the tables of a result: which are groups of the data, and the column comparable with the primary number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from har_bench import registry
from har_bench.errors import HarBenchError
from har_bench.protocol import Metric, Protocol
from har_bench.results import Reading, Result, Row

Texts = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
"""A table for printing: title, columns and rows."""

SINGLE = "sequence"
"""The table whose rows are single sequences: it is read as the list of the worst, and not as groups."""


def readings(result: Result) -> Mapping[str, Reading]:
    """What the tables of a result are: as it says, else, for an older file, as its protocol now declares them."""
    if result.readings or not result.tables:
        return result.readings
    try:
        protocol: type[Protocol] = registry.load("protocols", result.protocol)
    except HarBenchError:  # of a stranger's package that is not here
        return {}
    return {
        table.title: table.reading(result.tables[table.title], result.primary)
        for table in protocol.tables
        if table.title in result.tables
    }


def breakdowns(
    tables: Mapping[str, list[Row]], readings: Mapping[str, Reading]
) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Every table of groups with a column to read: its title, that column, and its number of each row.

    Args:
        tables: of a result.
        readings: what they are.
    """
    for title, rows in tables.items():
        reading = readings.get(title)
        if reading and reading.kind == "groups" and reading.measure and title != SINGLE:
            yield title, reading.measure, cells(rows, reading.measure)


def cells(rows: Sequence[Row], column: str) -> dict[str, float]:
    """Each row's number by its name, which is its first column and every text; rows without a number are left out."""
    found = {}
    for row in rows:
        value = row.get(column)
        if isinstance(value, int | float):
            first = next(iter(row))
            name = ", ".join(str(each) for key, each in row.items() if key == first or isinstance(each, str))
            found[name] = float(value)
    return found


def worst_first(numbers: Mapping[str, float], metric: Metric) -> list[str]:
    """The names from the worst number to the best; equal ones by name."""
    sign = 1 if metric.better == "higher" else -1
    return sorted(numbers, key=lambda name: (sign * numbers[name], name))
