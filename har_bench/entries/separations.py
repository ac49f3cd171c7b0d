"""Paired tests between kept predictions, kept themselves: ``separations.csv`` in the folder of all entries.

A test needs the store and both sets of predictions; its p-value needs neither again, so it is kept by what it was made
of, and a page that is built elsewhere can say which entries chance alone might order.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from har_bench.errors import HarBenchError
from har_bench.files import write_whole
from har_bench.foreign import opening

SEPARATIONS = "separations.csv"


class Pair(NamedTuple):
    """Which two were compared, and how: canonical name, protocol version, and fingerprints; ``a`` before ``b``."""

    scored: str
    version: str
    store: str
    a: str
    b: str


class Tested(NamedTuple):
    """What came out.

    Attributes:
        p: two-sided p-value of the primary metric by the paired permutation test.
        difference: of the primary metric, b minus a.
        exchanges: how many were tried.
    """

    p: float
    difference: float
    exchanges: int


def pair_of(scored: str, version: str, store: str, first: str, second: str) -> Pair:
    """The pair of two fingerprints of predictions, whichever comes first."""
    return Pair(scored, version, store, *sorted((first, second)))


def read(folder: Path) -> dict[Pair, Tested]:
    """The tests kept in a folder; none where there is no file.

    Raises:
        HarBenchError: the file is damaged.
    """
    path = folder / SEPARATIONS
    if not path.exists():
        return {}
    try:
        content = opening.read(path, "remove it and compare the entries again").decode()
        rows = list(csv.DictReader(io.StringIO(content)))
        return {
            Pair(*(row[name] for name in Pair._fields)): Tested(
                float(row["p"]), float(row["difference"]), int(row["exchanges"])
            )
            for row in rows
        }
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise HarBenchError(f"{path} cannot be read ({error}); remove it and compare the entries again") from error


def write(folder: Path, tests: Iterable[tuple[Pair, Tested]]) -> Path:
    """Write all tests, in the order of their pairs."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*Pair._fields, *Tested._fields])
    writer.writerows([*pair, repr(test.p), repr(test.difference), test.exchanges] for pair, test in sorted(tests))
    return write_whole(folder / SEPARATIONS, out.getvalue().encode())
