"""Files of predictions in our columns: Parquet, CSV and HDF5."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from har_bench import files
from har_bench.errors import HarBenchError
from har_bench.foreign import hdf5
from har_bench.schema import vector
from har_bench.scoring.columns import DIMENSIONS, Columns, as_arrays, by_sequence, check_names, table_of
from har_bench.scoring.held import Predictions
from har_bench.storing import fingerprint

BROKEN = (OSError, pa.ArrowException, UnicodeDecodeError, ValueError, OverflowError)
"""What libraries raise for a damaged file."""


class ParquetPredictions(Predictions):
    """A Parquet file whose sequences are contiguous: read as they are asked for, so memory stays flat."""

    def __init__(self, path: Path, runs: Mapping[str, slice], taken_for: str) -> None:
        super().__init__({}, taken_for, fingerprint.of_file(path))
        self.path, self.runs = path, runs
        self._file = pq.ParquetFile(path)
        groups = range(self._file.metadata.num_row_groups)
        self._starts = np.cumsum([0, *(self._file.metadata.row_group(group).num_rows for group in groups)])
        self._group: tuple[int, pa.Table] | None = None

    def names(self) -> Iterable[str]:
        """The sequences that have rows."""
        return self.runs.keys()

    def of(self, sequence: str) -> Columns | None:
        """One sequence's rows; only the row groups that hold them are read."""
        rows = self.runs.get(sequence)
        if rows is None:
            return None
        try:
            return as_arrays(pa.concat_tables(self._tables(rows)))
        except BROKEN as error:
            raise HarBenchError(f"{self.path} is damaged ({_first(error)}); write it again") from error

    def _tables(self, rows: slice) -> Iterator[pa.Table]:
        first, last = (int(np.searchsorted(self._starts, row, "right")) - 1 for row in (rows.start, rows.stop - 1))
        for group in range(first, last + 1):
            if self._group is None or self._group[0] != group:
                self._group = group, self._file.read_row_group(group)
            start, stop = (int(row) for row in self._starts[group : group + 2])
            low = max(rows.start, start)
            yield self._group[1].slice(low - start, min(rows.stop, stop) - low)


def read_columns(path: Path) -> Predictions | None:
    """A file in our columns, known by its suffix; None when it has another.

    Raises:
        HarBenchError: the file is damaged, or its columns are not ours.
    """
    hdf = ("HDF5", _hdf5)
    readers = {".parquet": ("Parquet", _parquet), ".csv": ("CSV", _csv), ".h5": hdf, ".hdf5": hdf}
    if path.suffix.lower() not in readers:
        return None
    kind, reader = readers[path.suffix.lower()]
    try:
        return reader(path)
    except HarBenchError as error:
        text = str(error)
        raise error if str(path) in text else HarBenchError(f"{path}: {text}") from error
    except BROKEN as error:
        raise HarBenchError(f"{path} is damaged, or no {kind} file ({_first(error)}); write it again") from error


def _first(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def _parquet(path: Path) -> Predictions:
    taken_for = "Parquet in our columns"
    names = pq.read_schema(path).names
    check_names(names)
    keys = pq.read_table(path, columns=["sequence"])["sequence"]
    if keys.null_count or not (pa.types.is_string(keys.type) or pa.types.is_large_string(keys.type)):
        return Predictions(by_sequence(pq.read_table(path)), taken_for, fingerprint.of_file(path))
    runs = pc.run_end_encode(keys.combine_chunks().cast(pa.string()))
    ends, found = runs.run_ends.to_numpy(), runs.values.to_pylist()
    if len(set(found)) < len(found):  # some sequence is scattered: sorting it needs it in memory
        return Predictions(by_sequence(pq.read_table(path)), taken_for, fingerprint.of_file(path))
    spans = dict(zip(found, map(slice, np.r_[0, ends[:-1]].tolist(), ends.tolist()), strict=True))
    return ParquetPredictions(path, spans, taken_for)


def _csv(path: Path) -> Predictions:
    """CSV in our columns; a vector is spread over columns ``keypoints_0``, ``keypoints_1`` … in row-major order."""
    text = decoded(path.read_bytes(), path)
    first = text.partition("\n")[0]
    mark = max(",;\t", key=first.count)
    names = [name.strip().strip('"') for name in first.rstrip("\r").split(mark)]
    if "sequence" not in names and not all(name.isidentifier() for name in names):
        raise HarBenchError(
            f"{path}: the first row must name the columns, 'sequence' among them, and is {first.strip()[:60]!r}; add a "
            "header"
        )
    check_names(names)
    kinds = {"sequence": pa.string()}  # a name such as Penn Action's 0001 is no number
    spread = pa.csv.read_csv(
        io.BytesIO(text.encode()),
        read_options=pa.csv.ReadOptions(column_names=names, skip_rows=1),
        parse_options=pa.csv.ParseOptions(delimiter=mark),
        convert_options=pa.csv.ConvertOptions(column_types=kinds, strings_can_be_null=False),
    )
    return Predictions(by_sequence(_gathered(path, spread)), "CSV in our columns", fingerprint.of_file(path))


def _gathered(path: Path, spread: pa.Table) -> pa.Table:
    """The columns ``name_0``, ``name_1`` … of a vector, in one."""
    parts: dict[str, dict[int, pa.ChunkedArray]] = {}
    columns: dict[str, Any] = {}
    for name in spread.column_names:
        stem, _, number = name.rpartition("_")
        if stem in DIMENSIONS and number.isdecimal():
            parts.setdefault(stem, {})[int(number)] = spread[name]
        else:
            columns[name] = spread[name]
    for name, found in parts.items():
        if sorted(found) != list(range(len(found))):
            raise HarBenchError(f"{path}: the columns {name}_0 to {name}_{max(found)} have gaps; give all of them")
        for number, values in found.items():
            if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
                raise HarBenchError(f"{path}: the column {name}_{number} holds {values.type}; give numbers")
        columns[name] = vector(np.stack([found[number].to_numpy() for number in range(len(found))], axis=1))
    return pa.table(columns)


def decoded(content: bytes, path: Path) -> str:
    """The text of a file in UTF-8 or UTF-16, with or without a byte order mark.

    Raises:
        HarBenchError: it is no text.
    """
    kind = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(kind)
    except UnicodeDecodeError as error:
        raise HarBenchError(f"{path} is no text ({error.reason}); write it as UTF-8") from error


def _hdf5(path: Path) -> Predictions:
    """HDF5 in our columns: one dataset per column at the top of the file, text as strings."""
    with hdf5.open_file(path) as file:
        if "sequence" not in file:
            there = ", ".join(file) or "nothing"
            raise HarBenchError(f"{path} has no dataset 'sequence' (it has {there}); write one dataset per column")
        groups = [name for name in file if not hasattr(file[name], "dtype")]
        if groups:
            raise HarBenchError(f"{path} has a group {groups[0]!r}; write one dataset per column")
        columns = {name: file[name].asstr()[:] if file[name].dtype.kind == "O" else file[name][:] for name in file}
    if columns["sequence"].dtype.kind == "S":
        columns["sequence"] = np.char.decode(columns["sequence"], "utf-8")
    return Predictions(by_sequence(table_of(columns)), "HDF5 in our columns", fingerprint.of_file(path))


def write(tables: Iterable[pa.Table], path: Path) -> int:
    """Write predictions in our columns as Parquet, whole or not at all; returns the number of rows."""
    rows = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.whole(path) as temporary:
        writer = None
        for table in tables:
            writer = writer or pq.ParquetWriter(temporary, table.schema, compression="zstd")
            writer.write_table(table)
            rows += table.num_rows
        if writer is None:
            raise HarBenchError(f"there is nothing to write to {path}: the baseline predicted no row")
        writer.close()
    return rows
