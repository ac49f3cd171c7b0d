"""Files of predictions in our columns: Parquet, CSV and HDF5."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from har_bench import files
from har_bench.arrays import Ints
from har_bench.errors import HarBenchError, Malformed, completing, unknown
from har_bench.foreign import hdf5, opening, pages
from har_bench.foreign.budget import Budget
from har_bench.foreign.texts import has_decimal_comma
from har_bench.schema import vector
from har_bench.scoring.columns import (
    DIMENSIONS,
    NUMBERS,
    WHOLE,
    Columns,
    as_arrays,
    by_sequence,
    check_names,
    is_readable,
    sequences,
    table_of,
)
from har_bench.scoring.held import Predictions
from har_bench.storing import fingerprint

BROKEN = (
    OSError,
    pa.ArrowException,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    RuntimeError,
)
"""What libraries raise for a damaged file."""

_SHORT = 1 << 20  # bytes of a CSV that one thread reads, which can tell lines

HELD = 448 << 20
"""Bytes that the rows of even the smallest file may become, where all rows may be the same."""

_ORDERED = 32
"""Bytes that it takes to put a row to those of its sequence."""


class ParquetPredictions(Predictions):
    """A Parquet file whose sequences are contiguous: read as they are asked for, so memory stays flat."""

    def __init__(self, opened: _Opened, names: Sequence[str], starts: Ints, taken_for: str) -> None:
        """Sequence ``names[at]`` begins in row ``starts[at]``."""
        super().__init__({}, taken_for, fingerprint.of_file(opened.path))
        self._opened = opened
        self._runs = {name: at for at, name in enumerate(names)}
        self._edges = np.append(starts, opened.starts[-1])
        self._group: tuple[int, pa.Table] | None = None

    def names(self) -> Iterable[str]:
        """The sequences that have rows."""
        return self._runs.keys()

    def __len__(self) -> int:
        return int(self._edges[-1] - self._edges[0]) if len(self._runs) else 0

    def of(self, sequence: str) -> Columns | None:
        """One sequence's rows; only the row groups that hold them are read."""
        run = self._runs.get(sequence)
        if run is None:
            return None
        with _named(self._opened.path, "Parquet"):
            rows = slice(*self._edges[run : run + 2].tolist())
            self._opened.refuse_large(rows)
            return as_arrays(pa.concat_tables(self._tables(rows)))

    def _tables(self, rows: slice) -> Iterator[pa.Table]:
        starts = self._opened.starts
        first, last = (int(np.searchsorted(starts, row, "right")) - 1 for row in (rows.start, rows.stop - 1))
        for group in range(first, last + 1):
            if self._group is None or self._group[0] != group:
                self._group = None  # one at a time
                self._group = group, self._opened.file.read_row_group(group, columns=self._opened.columns)
            start, stop = (int(row) for row in starts[group : group + 2])
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
    with _named(path, kind):
        opening.size_of(path)
        if reader is _parquet and not files.is_utf8(path):
            raise Malformed("cannot be read by Arrow, for its name is not UTF-8", "rename it")
        return reader(path)


@contextmanager
def _named(path: Path, kind: str) -> Iterator[None]:
    """Whatever goes wrong inside is a sentence that begins with the file.

    Raises:
        HarBenchError: that sentence.
    """
    try:
        with completing(path, "write it again"):
            yield
    except HarBenchError as error:
        text = str(error)
        raise error if str(path) in text else HarBenchError(f"{path}: {text}") from error
    except BROKEN as error:
        raise HarBenchError(f"{path} is damaged, or no {kind} file ({_first(error)}); write it again") from error


def _first(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


class _Opened:
    """A Parquet file, looked at before anything of it is unfolded.

    Attributes:
        path: of the file.
        file: reads it.
        columns: those that can be read.
        starts: (G + 1,) the first row of every group of rows, and how many rows there are.
        costs: (G,) bytes that reading a group makes.
    """

    def __init__(self, path: Path) -> None:
        """Look at a file.

        Raises:
            Malformed: it has groups of rows, or names of sequences, larger than a file of its size may have.
        """
        self.path = path
        self._budget = Budget(opening.size_of(path), floor=HELD)
        schema = pq.ParquetFile(path.absolute()).schema_arrow
        check_names(schema.names)
        fields = [field for field in schema if is_readable(field)]
        self.columns = [field.name for field in fields]
        texts = [
            field.name for field in fields if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        self.file = pq.ParquetFile(path.absolute(), read_dictionary=texts, page_checksum_verification=True)
        metadata = self.file.metadata
        groups = range(metadata.num_row_groups)
        self.starts = np.cumsum([0, *(metadata.row_group(group).num_rows for group in groups)])
        self.costs = np.zeros(len(groups), np.int64)
        names = 0
        for column in pages.columns(path, self.file.schema):
            stem = column.name.partition(".")[0]
            if column.group >= len(groups):
                raise Malformed("has a group of rows too many")
            self.costs[column.group] += column.cost if stem in self.columns else 0
            names += column.cost if stem == "sequence" else 0
        names += _ORDERED * int(self.starts[-1])
        self._budget.require(names)
        self._budget.require(int(self.costs.max(initial=0)))

    def refuse_large(self, rows: slice) -> None:
        """Refuse rows that become more than a file of its size may.

        Raises:
            Malformed: they do.
        """
        inside = np.clip(self.starts, rows.start, rows.stop)
        shares = np.diff(inside) / np.maximum(np.diff(self.starts), 1)
        self._budget.require(int(shares @ self.costs))

    def everything(self) -> pa.Table:
        """All rows.

        Raises:
            Malformed: they become more than a file of its size may.
        """
        self._budget.require(int(self.costs.sum()))
        return self.file.read(columns=self.columns)


def _parquet(path: Path) -> Predictions:
    taken_for = "Parquet in our columns"
    opened = _Opened(path)
    names, codes = sequences(opened.file.read(columns=["sequence"])["sequence"], Budget(opening.size_of(path)))
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    if len(starts) > len(names):  # some sequence is scattered: sorting it needs it in memory
        return Predictions(by_sequence(opened.everything()), taken_for, fingerprint.of_file(path))
    return ParquetPredictions(opened, [names[code] for code in codes[starts].tolist()], starts, taken_for)


def _csv(path: Path) -> Predictions:
    """CSV in our columns; a vector is spread over columns ``keypoints_0``, ``keypoints_1`` … in row-major order."""
    text = decoded(opening.content(path), path)
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
    odd: list[pa.csv.InvalidRow] = []

    def refused(row: pa.csv.InvalidRow) -> str:
        odd.append(row)
        return "error"

    try:
        spread = pa.csv.read_csv(
            io.BytesIO(text.encode()),
            read_options=pa.csv.ReadOptions(column_names=names, skip_rows=1, use_threads=len(text) > _SHORT),
            parse_options=pa.csv.ParseOptions(delimiter=mark, invalid_row_handler=refused),
            convert_options=pa.csv.ConvertOptions(
                column_types=kinds, strings_can_be_null=False, decimal_point=_decimal_point(text, mark)
            ),
        )
    except pa.ArrowInvalid as error:
        if not odd:
            raise
        place = f" {odd[0].number}" if odd[0].number else ""
        what = f"has {odd[0].actual_columns} cells in line{place} ({odd[0].text[:60]!r}) for {len(names)} columns"
        raise Malformed(what, "give every row a cell for each column") from error
    return Predictions(by_sequence(_gathered(path, spread)), "CSV in our columns", fingerprint.of_file(path))


def _decimal_point(text: str, mark: str) -> str:
    """A comma, where another sign separates the columns of the second row and a number in it has one."""
    cells = text.partition("\n")[2].partition("\n")[0].split(mark)
    return "," if mark != "," and any(has_decimal_comma(cell.strip().strip('"')) for cell in cells) else "."


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
    for name, values in columns.items():
        if name in (*WHOLE, *NUMBERS) and name not in DIMENSIONS:
            columns[name] = _as_numbers(name, values)
    for name, found in parts.items():
        if sorted(found) != list(range(len(found))):
            raise HarBenchError(f"{path}: the columns {name}_0 to {name}_{max(found)} have gaps; give all of them")
        numbers = [_as_numbers(f"{name}_{number}", found[number]).to_numpy() for number in range(len(found))]
        columns[name] = vector(np.stack(numbers, axis=1))
    return pa.table(columns)


def _as_numbers(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of numbers; one without any cell filled holds none.

    Raises:
        Malformed: it holds something else; the first such cell is shown.
    """
    if pa.types.is_null(values.type):
        return values.cast(pa.float64())
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
        return values
    for row, cell in enumerate(values.to_pylist(), 1):
        if cell is not None and not _is_number(cell):
            what = f"has {str(cell)[:40]!r} in row {row} of the column {name}"
            raise Malformed(what, "give a number there, or nothing")
    raise Malformed(f"has the column {name} with {values.type} in it", "give numbers")


def _is_number(cell: object) -> bool:
    try:
        return isinstance(cell, str) and float(cell) is not None
    except ValueError:
        return False


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
            raise unknown(f"dataset of {path}", "sequence", file, hint="write one dataset per column")
        groups = [name for name in file if not hasattr(file[name], "dtype")]
        if groups:
            raise HarBenchError(f"{path} has a group {groups[0]!r}; write one dataset per column")
        check_names(list(file))
        columns = {name: file[name].asstr()[:] if file[name].dtype.kind == "O" else file[name][:] for name in file}
    if columns["sequence"].dtype.kind == "S":
        columns["sequence"] = np.char.decode(columns["sequence"], "utf-8")
    return Predictions(by_sequence(table_of(columns)), "HDF5 in our columns", fingerprint.of_file(path))


def write(tables: Iterable[pa.Table], path: Path, *, small: int | None = None) -> int:
    """Write predictions in our columns as Parquet, whole or not at all; returns the number of rows.

    Args:
        tables: of one schema.
        path: of the file.
        small: a level of zstd, for a file that is to be as small as it can be.
    """
    rows = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    # the bytes of floats side by side, first bytes with first bytes, are a third smaller when compressed
    layout: dict[str, Any] = {}
    if small is not None:
        layout = {"use_dictionary": ["sequence"], "use_byte_stream_split": True, "compression_level": small}
    with files.whole(path) as temporary:
        writer = None
        for table in tables:
            writer = writer or pq.ParquetWriter(temporary.absolute(), table.schema, compression="zstd", **layout)
            writer.write_table(table)
            rows += table.num_rows
        if writer is None:
            raise HarBenchError(f"there is nothing to write to {path}: the baseline predicted no row")
        writer.close()
    return rows
