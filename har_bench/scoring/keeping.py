"""Predictions as they are kept beside a result: small, and to the last bit what was given."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from har_bench.errors import HarBenchError
from har_bench.scoring.column_files import read_columns, write
from har_bench.scoring.columns import table_of
from har_bench.scoring.held import Predictions
from har_bench.storing import fingerprint

KEPT = "predictions.parquet"
LEVEL = 9
"""Of zstd: smaller files take several times as long and are a hundredth smaller."""

GROUP = 1 << 16
"""Rows that are compressed together, at least."""


def keep(path: Path, folder: Path) -> Path:
    """Write a copy of a file of predictions into a folder, and read it back.

    A file in our columns becomes ``predictions.parquet``, compressed, with every value, row and column as it was; one
    of the field's own files is copied as it is.

    Args:
        path: of the predictions.
        folder: where the copy goes.

    Raises:
        HarBenchError: the file is a folder, is damaged, or the copy does not hold the same values.
    """
    if path.is_dir():
        raise HarBenchError(f"{path} is a folder, which is not kept beside a result; say with --url where to get it")
    given = read_columns(path)
    if given is None:
        copy = folder / f"predictions{path.suffix}"
        shutil.copyfile(path, copy)
        return copy
    copy = folder / KEPT
    write(_gathered(_pieces(given)), copy, small=LEVEL)
    again = read_columns(copy)
    if again is None or _digest(given) != _digest(again):
        raise HarBenchError(f"{path} cannot be kept as Parquet without loss; say with --url where to get it")
    return copy


def _pieces(predictions: Predictions) -> Iterator[pa.Table]:
    """The rows of each sequence, in our columns."""
    for name in predictions.names():
        columns = predictions.of(name) or {}
        rows = len(next(iter(columns.values()), ()))
        yield table_of({"sequence": [name] * rows, **columns})


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in fewer tables, of at least :data:`GROUP` rows each."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) >= GROUP:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _digest(predictions: Predictions) -> str:
    return fingerprint.combined(fingerprint.of_table(piece) for piece in _pieces(predictions))
