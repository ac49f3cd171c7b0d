"""Predictions: our columns in Parquet, HDF5 or CSV, arrays from Python, and each field's own files, behind one API.

Whatever the source, :meth:`Predictions.of` gives one sequence's rows as NumPy columns. ``keypoints`` is (n, J, 2) px,
``keypoints_3d`` (n, J, 3) mm. Without a ``frame`` column the rows are the sequence's frames in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from har_bench import remote
from har_bench.arrays import Anything, numbers, plain
from har_bench.errors import HarBenchError, completing
from har_bench.files import readable
from har_bench.foreign import npy, opening
from har_bench.protocol.targets import keys
from har_bench.raw import refuse_archive
from har_bench.schema import column, vector
from har_bench.scoring.column_files import read_columns
from har_bench.scoring.column_files import write as write
from har_bench.scoring.columns import Columns, by_sequence, refuse_truths, table_of
from har_bench.scoring.ensembles import Ensemble, fused
from har_bench.scoring.held import Predictions as Predictions
from har_bench.scoring.held import RowPredictions
from har_bench.storing import fingerprint

if TYPE_CHECKING:
    from har_bench.protocol import Foreign, Protocol
    from har_bench.store import Store


def open_predictions(source: Any, protocol: Protocol, store: Store) -> Predictions:
    """Predictions from a path, or from what a Python user has at hand.

    Args:
        source: a path or URL of a file; an Arrow table or pandas dataframe in our columns; a mapping of our columns; a
            mapping from sequence to an (n, J, D) array, list or tensor; one (N, J, D) array in the protocol's row
            order; or an :class:`har_bench.scoring.ensembles.Ensemble` of files.
        protocol: knows the foreign files of its field, and which coordinates it scores.
        store: what they will be scored on; some foreign files name its sequences in another way.

    Raises:
        HarBenchError: the file is of no known kind, damaged, or lacks a column; the values are no numbers.
    """
    if isinstance(source, Ensemble):
        return fused(source, [open_predictions(file, protocol, store) for file in source.files], protocol)
    if isinstance(source, str | Path):
        opened = _from_file(remote.fetch(source), protocol, store)
        opened.called = f"the predictions of {source}"
        return opened
    name = _main_column(protocol)
    if isinstance(source, pd.DataFrame):
        source = _from_pandas(source)
    elif isinstance(source, Mapping) and "sequence" in source:
        source = table_of(source)
    if isinstance(source, pa.Table):
        return Predictions(by_sequence(source), "a table in our columns", fingerprint.of_table(source))
    if isinstance(source, Mapping):
        pieces = {str(key): _piece(str(key), values, name) for key, values in source.items()}
        digests = ((key, _digest(*piece.values())) for key, piece in sorted(pieces.items()))
        digest = fingerprint.combined(f"{key} {each}" for key, each in digests)
        return Predictions(pieces, "arrays by sequence", digest)
    if isinstance(source, np.ndarray | list | tuple) or hasattr(source, "detach"):
        what = "the array of predictions"
        array = numbers(source, what)
        if not array.size or not array.ndim:
            raise HarBenchError(f"{what} has the shape {array.shape}; give a row for each answer")
        return _array(array, protocol, store, _digest(array), what)
    raise HarBenchError(f"predictions cannot be a {type(source).__name__}; give a path, a table, a mapping or an array")


def _array(array: Anything, protocol: Protocol, store: Store, digest: str, what: str) -> Predictions:
    """An array alone: in the published order of rows, where there is one, or in that of ``har-bench targets``.

    ``what`` is what messages call it.

    Raises:
        HarBenchError: it has another number of rows than are scored.
    """
    name, taken_for = _main_column(protocol), f"an array in the order of {protocol.row_order or 'the scored rows'}"
    refuse_truths(name, array, what)
    if protocol.task != "pose":
        return RowPredictions(array, name, taken_for, digest)
    rows = keys(store, protocol)
    if len(array) == rows.num_rows:
        values = vector(array.reshape(len(array), -1)) if array.ndim > 1 else pa.array(array)
        field = column(name, values.type.value_type, shape=array.shape[1:]) if array.ndim > 1 else name
        table = rows.append_column(field, values)
        return Predictions(by_sequence(table), taken_for, digest)
    if protocol.row_order is not None:
        return RowPredictions(array, name, taken_for, digest)
    raise HarBenchError(
        f"{what} has {len(array):,} rows, where {protocol.canonical} scores {rows.num_rows:,}; write "
        "a row for each, in the order of `har-bench targets`, or give a mapping from sequence to array"
    )


def _main_column(protocol: Protocol) -> str:
    """What an array alone is taken to be: the first column that the protocol must, or may, be given."""
    return (*protocol.prediction_columns, *protocol.optional_columns)[0]


def _piece(sequence: str, values: Any, name: str) -> Columns:
    """One sequence's array of the main column; for clips also their scores, or the number or name of their class."""
    what = f"the prediction of {sequence!r}"
    array = plain(values, what)
    refuse_truths(name, array, what)
    if name == "scores" and array.ndim == 0:
        return {"label": array.reshape(1)}
    if array.dtype.kind not in "fiub":
        array = numbers(array, what)
    if array.ndim == 0:
        raise HarBenchError(f"{what} is the single number {array}; give an array with a row a frame")
    return {name: np.atleast_2d(array) if name == "scores" else array}


def _digest(array: Anything) -> str:
    """Of the shape and the values."""
    values = np.ascontiguousarray(array).reshape(-1)
    flat = values.tolist() if values.dtype.kind in "OUS" else values
    return fingerprint.of_table(pa.table({str(array.shape): flat}))


def _from_pandas(frame: pd.DataFrame) -> pa.Table:
    """A dataframe as a table; cells may hold lists or arrays.

    Raises:
        HarBenchError: a column stands twice, or holds values of several kinds.
    """
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise HarBenchError(f"the predictions have the column {twice[0]!r} twice; keep one")
    columns = {}
    for name, key in zip(names, frame.columns, strict=True):
        values = frame[key]
        columns[name] = values.tolist() if values.dtype == object else values.to_numpy()
    return table_of(columns)


def _from_file(path: Path, protocol: Protocol, store: Store) -> Predictions:
    with readable(path), completing(path, "give a file of predictions"):
        if not path.exists():
            raise HarBenchError(f"{path} does not exist; give a file of predictions")
        if not path.is_dir():
            opening.size_of(path)
            refuse_archive(path, "the file of predictions that was in it")
    foreign = protocol.read_foreign(path, store)
    if foreign is not None:
        opened = _foreign(foreign, _main_column(protocol), fingerprint.of_path(path))
        opened.notes = foreign.notes
        return opened
    if path.suffix == ".npy":
        what = f"the array of {path}"
        array = npy.load(path)
        if not array.ndim:
            kind = type(array.item()).__name__
            raise HarBenchError(f"{what} holds a {kind}; write one array of numbers, or our columns as .parquet")
        return _array(numbers(array, what), protocol, store, fingerprint.of_path(path), what)
    found = read_columns(path)
    if found is None:
        raise HarBenchError(
            f"{path} is no predictions file that {protocol.name} knows; write our columns as .parquet, .csv, .h5, "
            f".hdf5, or an array as .npy, see `har-bench info {protocol.name}`"
        )
    return found


def _foreign(foreign: Foreign, name: str, digest: str) -> Predictions:
    if isinstance(foreign.values, pa.Table):
        return Predictions(by_sequence(foreign.values), foreign.taken_for, digest)
    if isinstance(foreign.values, np.ndarray):
        return RowPredictions(foreign.values, name, foreign.taken_for, digest)
    arrays: Mapping[str, Anything] = foreign.values
    pieces = {str(key): {name: np.asarray(values)} for key, values in arrays.items()}
    for key, piece in pieces.items():
        refuse_truths(name, piece[name], f"the prediction of {key!r}")
    return Predictions(pieces, foreign.taken_for, digest)
