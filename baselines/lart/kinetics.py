"""Which of Kinetics' classes a film is of: from Kinetics' own csv, as the tracklets have no such labels."""

from __future__ import annotations

from collections.abc import Mapping

from har_bench import remote
from har_bench.errors import HarBenchError
from har_bench.foreign import compressed
from har_bench.foreign.texts import fields, lines

from .network import KINETICS

COLUMNS = ("label", "youtube_id")
WIDTHS = range(len(COLUMNS), 8)
"""Columns that a csv may have; that of 2017 has label, youtube_id, time_start, time_end, split, is_cc."""


def classes_of(place: str) -> Mapping[str, int]:
    """By film the number of its class: the place of its label in the alphabet of all labels of the csv, from 0.

    Raises:
        HarBenchError: it has no columns ``label`` and ``youtube_id``, or more classes than Kinetics-400.
    """
    path = remote.fetch(place)
    header, *rows = lines(compressed.read(path), str(path)) or [""]
    names = fields(header, WIDTHS)
    if not set(COLUMNS) <= set(names):
        raise HarBenchError(f"{path} has no columns label and youtube_id; give a csv of Kinetics-400 with its header")
    label, film = (names.index(name) for name in COLUMNS)
    cells = [fields(row, {len(names)}) for row in rows if row.strip()]
    short = next((number for number, row in enumerate(cells) if len(row) <= max(label, film)), None)
    if short is not None:
        raise HarBenchError(f"{path} has a row of {len(cells[short])} columns and not {len(names)}; download it again")
    known = sorted({row[label] for row in cells})
    if len(known) > KINETICS:
        raise HarBenchError(
            f"{path} has {len(known)} classes, and the network tells {KINETICS} apart; give a csv of Kinetics-400"
        )
    numbers = {name: number for number, name in enumerate(known)}
    return {row[film]: numbers[row[label]] for row in cells}
