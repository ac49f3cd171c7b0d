"""Reading the tables of a result: what they are, and the numbers of one of their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from har_bench import registry
from har_bench.errors import HarBenchError
from har_bench.protocol.contract import Protocol
from har_bench.results import Reading, Result, Row


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


def points(rows: Sequence[Row], column: str) -> list[tuple[float, float]]:
    """A curve from left to right: each row's first column, and its number; rows without a number are left out."""
    heights = ((row[next(iter(row))], row[column]) for row in rows if column in row)
    return sorted(
        (at, height) for at, height in heights if isinstance(at, int | float) and isinstance(height, int | float)
    )
