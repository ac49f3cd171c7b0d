"""Predictions: our columns in Parquet, HDF5 or CSV, arrays from Python, and each field's own files, behind one API.

Whatever the source, :meth:`Predictions.of` gives one sequence's rows as NumPy columns. ``keypoints`` is (n, J, 2) px,
``keypoints_3d`` (n, J, 3) mm. Without a ``frame`` column the rows are the sequence's frames in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from har_bench import files
from har_bench.errors import HarBenchError
from har_bench.foreign import hdf5
from har_bench.schema import column, one_array, shape_of, to_numpy, vector
from har_bench.storing import fingerprint

if TYPE_CHECKING:
    from har_bench.protocol import Protocol
    from har_bench.store import Store

Columns = Mapping[str, npt.NDArray[Any]]
DIMENSIONS = {"keypoints": 2, "keypoints_3d": 3, "bbox": 0, "bbox_normalised": 0, "scores": 0, "keypoint_scores": 0}
"""Vector columns, and the size of their last axis (0: a plain vector)."""


class Predictions:
    """Predictions held in memory, in one piece per sequence.

    Attributes:
        taken_for: what they were taken for, as told to the user.
        fingerprint: blake3 of the file, or of the values when they came from Python.
    """

    def __init__(self, pieces: Mapping[str, Columns], taken_for: str, digest: str) -> None:
        self._pieces = pieces
        self.taken_for = taken_for
        self.fingerprint = digest

    def names(self) -> Iterable[str]:
        """The sequences that have rows."""
        return self._pieces.keys()

    def of(self, sequence: str) -> Columns | None:
        """One sequence's rows, in the order of the file; None when it has none."""
        return self._pieces.get(sequence)


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
        return None if rows is None else _arrays(pa.concat_tables(self._tables(rows)))

    def _tables(self, rows: slice) -> Iterator[pa.Table]:
        first, last = (int(np.searchsorted(self._starts, row, "right")) - 1 for row in (rows.start, rows.stop - 1))
        for group in range(first, last + 1):
            if self._group is None or self._group[0] != group:
                self._group = group, self._file.read_row_group(group)
            start, stop = (int(row) for row in self._starts[group : group + 2])
            low = max(rows.start, start)
            yield self._group[1].slice(low - start, min(rows.stop, stop) - low)


def open_predictions(source: Any, protocol: Protocol, store: Store) -> Predictions:
    """Predictions from a path, or from what a Python user has at hand.

    Args:
        source: a path to a file; an Arrow table or pandas dataframe in our columns; a mapping of our columns; a
            mapping from sequence to an (n, J, D) array; or one (N, J, D) array in the protocol's row order.
        protocol: knows the foreign files of its field, and which coordinates it scores.
        store: what they will be scored on; some foreign files name its sequences in another way.

    Raises:
        HarBenchError: the file is of no known kind, damaged, or lacks a column.
    """
    if isinstance(source, str | Path):
        return _from_file(Path(source), protocol, store)
    name = _main_column(protocol)
    if isinstance(source, pd.DataFrame):
        source = pa.Table.from_pandas(source, preserve_index=False)
    elif isinstance(source, Mapping) and "sequence" in source:
        source = _table(source)
    if isinstance(source, pa.Table):
        return _from_table(source, "a table in our columns", fingerprint.of_table(source))
    if isinstance(source, Mapping):
        digest = fingerprint.combined(f"{key} {_digest(value)}" for key, value in sorted(source.items()))
        return _pieces(source, name, "arrays by sequence", digest)
    if isinstance(source, np.ndarray):
        return RowPredictions(
            source, name, f"an array in the order of {protocol.row_order or 'the scored rows'}", _digest(source)
        )
    raise HarBenchError(f"predictions cannot be a {type(source).__name__}; give a path, a table, a mapping or an array")


def _main_column(protocol: Protocol) -> str:
    """What an array alone is taken to be: the first column that the protocol must, or may, be given."""
    return (*protocol.prediction_columns, *protocol.optional_columns)[0]


def _digest(array: npt.ArrayLike) -> str:
    values = np.ascontiguousarray(array)
    return fingerprint.of_table(pa.table({str(values.shape): values.reshape(-1)}))


def _pieces(arrays: Mapping[str, npt.ArrayLike], name: str, taken_for: str, digest: str) -> Predictions:
    return Predictions({str(key): {name: np.asarray(value)} for key, value in arrays.items()}, taken_for, digest)


class RowPredictions(Predictions):
    """One array for everything, in the protocol's row order; the engine deals out its rows."""

    def __init__(self, array: npt.NDArray[Any], name: str, taken_for: str, digest: str) -> None:
        super().__init__({}, taken_for, digest)
        self.array, self.name = array, name

    def take(self, rows: npt.NDArray[np.int64]) -> Columns:
        """The rows with these numbers."""
        return {self.name: self.array[rows]}


def _from_file(path: Path, protocol: Protocol, store: Store) -> Predictions:
    if not path.exists():
        raise HarBenchError(f"{path} does not exist; give a file of predictions")
    if path.is_file() and path.stat().st_size == 0:
        raise HarBenchError(f"{path} is empty; was it written completely?")
    foreign = protocol.read_foreign(path, store)
    if foreign is not None:
        digest, name = fingerprint.of_path(path), _main_column(protocol)
        if isinstance(foreign.values, pa.Table):
            return _from_table(foreign.values, foreign.taken_for, digest)
        if isinstance(foreign.values, np.ndarray):
            return RowPredictions(foreign.values, name, foreign.taken_for, digest)
        return _pieces(foreign.values, name, foreign.taken_for, digest)
    found = read_columns(path)
    if found is None:
        raise HarBenchError(
            f"{path} is no predictions file that {protocol.name} knows; write our columns as .parquet, .csv, .h5, "
            f".hdf5, see `har-bench info {protocol.name}`"
        )
    return found


def read_columns(path: Path) -> Predictions | None:
    """A file in our columns, known by its suffix; None when it has another.

    Raises:
        HarBenchError: the file is damaged, or has no column ``sequence``.
    """
    readers = {".parquet": _from_parquet, ".csv": _from_csv, ".h5": _from_hdf5, ".hdf5": _from_hdf5}
    return readers[path.suffix](path) if path.suffix in readers else None


def _from_parquet(path: Path) -> Predictions:
    try:
        keys = pq.read_table(path, columns=["sequence"])["sequence"].combine_chunks()
    except (OSError, pa.ArrowException) as error:
        raise HarBenchError(
            f"{path} is damaged, or no Parquet file with a column 'sequence' ({error}); write it again"
        ) from error
    runs = pc.run_end_encode(keys.cast(pa.string()))
    ends, names = runs.run_ends.to_numpy(), runs.values.to_pylist()
    if len(set(names)) < len(names):  # some sequence is scattered: sorting it needs it in memory
        return _from_table(pq.read_table(path), "Parquet in our columns", fingerprint.of_file(path))
    spans = dict(zip(names, map(slice, np.r_[0, ends[:-1]].tolist(), ends.tolist()), strict=True))
    return ParquetPredictions(path, spans, "Parquet in our columns")


def _from_csv(path: Path) -> Predictions:
    """CSV in our columns; a vector is spread over columns ``keypoints_0``, ``keypoints_1`` … in row-major order."""
    try:
        # a name such as Penn Action's 0001 is no number
        kinds = pa.csv.ConvertOptions(column_types={"sequence": pa.string()})
        spread = pa.csv.read_csv(path, convert_options=kinds)
    except pa.ArrowInvalid as error:
        raise HarBenchError(f"{path} is not a CSV table ({error})") from error
    columns: dict[str, Any] = {}
    for name in spread.column_names:
        stem, _, number = name.rpartition("_")
        if stem in DIMENSIONS and number.isdigit():
            columns.setdefault(stem, {})[int(number)] = spread[name].to_numpy()
        else:
            columns[name] = spread[name]
    for name, parts in columns.items():
        if isinstance(parts, dict):
            if sorted(parts) != list(range(len(parts))):
                raise HarBenchError(f"{path}: the columns {name}_0 to {name}_{max(parts)} have gaps")
            columns[name] = vector(np.stack([parts[number] for number in range(len(parts))], axis=1))
    return _from_table(pa.table(columns), "CSV in our columns", fingerprint.of_file(path))


def _from_hdf5(path: Path) -> Predictions:
    """HDF5 in our columns: one dataset per column at the top of the file, text as strings."""
    with hdf5.open_file(path) as file:
        if "sequence" not in file:
            there = ", ".join(file) or "nothing"
            raise HarBenchError(f"{path} has no dataset 'sequence' (it has {there}); write one dataset per column")
        columns = {name: file[name].asstr()[:] if file[name].dtype.kind == "O" else file[name][:] for name in file}
    if columns["sequence"].dtype.kind == "S":
        columns["sequence"] = np.char.decode(columns["sequence"], "utf-8")
    return _from_table(_table(columns), "HDF5 in our columns", fingerprint.of_file(path))


def _table(columns: Mapping[str, Any]) -> pa.Table:
    """Arrays of any rank as an Arrow table."""
    arrays = {}
    for name, values in columns.items():
        array = np.asarray(values)
        arrays[name] = (
            vector(array) if array.ndim > 1 else pa.array(array.tolist() if array.dtype.kind in "OU" else array)
        )
    try:
        return pa.table(arrays)
    except pa.ArrowInvalid as error:
        raise HarBenchError(f"the columns of the predictions do not have the same number of rows ({error})") from error


def _from_table(rows: pa.Table, taken_for: str, digest: str) -> Predictions:
    """A table as one piece per sequence; rows keep their order inside a sequence."""
    if "sequence" not in rows.column_names:
        raise HarBenchError(f"the predictions have no column 'sequence'; they have {', '.join(rows.column_names)}")
    keys = rows["sequence"].combine_chunks().cast(pa.string()).dictionary_encode()
    codes = keys.indices.to_numpy(zero_copy_only=False)
    if (np.diff(codes) < 0).any():
        order = np.argsort(codes, kind="stable")
        rows, codes = rows.take(order), codes[order]
    arrays = _arrays(rows)
    edges = np.searchsorted(codes, np.arange(len(keys.dictionary) + 1))
    return Predictions(
        {
            name: {column: values[start:stop] for column, values in arrays.items()}
            for name, start, stop in zip(keys.dictionary.to_pylist(), edges[:-1], edges[1:], strict=True)
        },
        taken_for,
        digest,
    )


def _arrays(rows: pa.Table) -> dict[str, npt.NDArray[Any]]:
    """The columns as NumPy, vectors in their own shape, without ``sequence``."""
    arrays = {}
    for field in rows.schema:
        if field.name == "sequence":
            continue
        values = one_array(rows[field.name])
        if pa.types.is_list(field.type) or pa.types.is_large_list(field.type):
            values, field = _fixed(values, field)
        arrays[field.name] = _shaped(field.name, to_numpy(values, field), shape_of(field))
    return arrays


def _fixed(values: Any, field: pa.Field) -> tuple[pa.Array, pa.Field]:
    """A list column whose lists all have one length (pandas and nested lists give these) as a fixed-size one."""
    array = one_array(values)
    inner: tuple[int, ...] = ()
    while pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        lengths = pc.unique(pc.list_value_length(array)).to_pylist()
        if len(lengths) > 1 or lengths == [None]:
            raise HarBenchError(
                f"column {field.name!r} of the predictions has vectors of different lengths, or empty ones"
            )
        inner, array = (*inner, lengths[0] if lengths else 0), array.flatten()
    flat = pa.FixedSizeListArray.from_arrays(array, int(np.prod(inner)))
    return flat, column(field.name, array.type, shape=inner)


def _shaped(name: str, values: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    last = DIMENSIONS.get(name, 0)
    if name in DIMENSIONS and values.dtype.kind not in "fiub":
        raise HarBenchError(
            f"column {name!r} of the predictions holds {str(values[0])[:20]!r} and not numbers; in CSV, spread it "
            f"over columns {name}_0, {name}_1 …"
        )
    if not last or len(shape) != 1:
        return values
    if values.shape[1] % last:
        raise HarBenchError(
            f"column {name!r} of the predictions has {values.shape[1]} numbers a row, not a multiple of {last}"
        )
    return values.reshape(len(values), -1, last)


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
