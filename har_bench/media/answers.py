"""What was told of a film, in a file: a list as .json, or a row for each answer as .csv or .parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from har_bench.files import write_whole
from har_bench.foreign import words

SUFFIXES = (".json", ".csv", ".parquet")


def write_answers(
    path: Path, rows: Sequence[Mapping[str, Any]], *, table: pa.Table | None = None, whole: Mapping[str, Any]
) -> None:
    """Write answers in the form that the file's ending names.

    Args:
        path: the file.
        rows: an answer each; a .csv and, unless there is a ``table``, a .parquet have these. No text among them is a
            formula to a spreadsheet, whoever named the classes.
        table: what a .parquet has instead.
        whole: what a .json has.
    """
    if path.suffix == ".parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(list(rows)) if table is None else table, sink)
        content = sink.getvalue().to_pybytes()
    elif path.suffix == ".csv":
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: words.cell(value) for name, value in row.items()} for row in rows)
        content = text.getvalue().encode()
    else:
        content = msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"
    write_whole(path, content)
