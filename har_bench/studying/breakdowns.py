"""The tables of a result that are groups of the data, by the column comparable with the primary number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from har_bench.protocol import Metric
from har_bench.protocol.readings import cells
from har_bench.results import Reading, Row

Texts = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
"""A table for printing: title, columns and rows."""

SINGLE = "sequence"
"""The table whose rows are single sequences: it is read as the list of the worst, and not as groups."""


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


def worst_first(numbers: Mapping[str, float], metric: Metric) -> list[str]:
    """The names from the worst number to the best; equal ones by name."""
    sign = 1 if metric.better == "higher" else -1
    return sorted(numbers, key=lambda name: (sign * numbers[name], name))
