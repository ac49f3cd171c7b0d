"""Store tables as dense HDF5 arrays, for random-access training windows; lossless both ways.

Layout of ``arrays.h5``: a group per table, whose attribute ``schema`` is the Arrow schema. In it a number or vector
column is a dataset of shape (rows, ...); a text column is a group of ``codes`` and ``values``; a list column is a
group of ``offsets`` and ``values``. Nulls are a boolean dataset ``NAME.null``. Partitioned tables keep the first row
of each part in ``.starts`` and the parts' numbers in ``.parts``; the file's attribute ``manifest`` is the store's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.errors import HarBenchError
from har_bench.files import whole
from har_bench.foreign.hdf5 import open_file as open_file
from har_bench.schema import one_array, to_numpy
from har_bench.storing.manifest import Manifest

ARRAYS = "arrays.h5"
CHUNK_ROWS = 512
CHUNK_BYTES = 1 << 16


def write(tables: Iterable[tuple[str, Iterable[pa.Table]]], manifest: Manifest, path: Path) -> None:
    """Write tables, each given as its parts in order, into one HDF5 file; whole or not at all."""
    with whole(path) as temporary, h5py.File(temporary, "w", libver="v110") as file:
        file.attrs["manifest"] = manifest.to_json().decode()
        for name, parts in tables:
            group, starts = None, [0]
            for part in parts:
                if group is None:
                    group = file.create_group(name)
                    group.attrs["schema"] = np.void(part.schema.serialize().to_pybytes())
                for field in part.schema:
                    _append(group, field.name, one_array(part[field.name]), field, starts[-1])
                starts.append(starts[-1] + part.num_rows)
            if group is not None:
                group[".starts"] = np.asarray(starts, np.int64)
                group[".parts"] = np.asarray(manifest.parts[name], np.int64)


def _append(group: h5py.Group, name: str, array: pa.Array, field: pa.Field, done: int) -> None:
    """Add the rows of ``array`` behind the ``done`` rows that the column has already."""
    null = array.is_null().to_numpy(zero_copy_only=False)
    if null.any() or f"{name}.null" in group:
        if f"{name}.null" not in group:
            _extend(group, f"{name}.null", np.zeros(done, bool))
        _extend(group, f"{name}.null", null)
    kind = field.type
    if pa.types.is_string(kind):
        inner = group.require_group(name)
        known = [text.decode() for text in inner["values"][:]] if "values" in inner else []
        values = pa.array(known, pa.string())
        fresh = [text for text in pc.unique(array.drop_null()).to_pylist() if text not in set(known)]
        codes = pc.index_in(array, pa.concat_arrays([values, pa.array(fresh, pa.string())])).fill_null(0)
        _extend(inner, "codes", codes.to_numpy().astype(np.int32))
        if fresh or "values" not in inner:
            _extend(inner, "values", np.array(fresh, object), h5py.string_dtype())
    elif pa.types.is_list(kind):
        inner = group.require_group(name)
        lengths = pc.list_value_length(array).fill_null(0).to_numpy().astype(np.int64)
        first = int(inner["offsets"][-1]) if "offsets" in inner else 0
        offsets = first + np.cumsum(lengths)
        _extend(inner, "offsets", offsets if "offsets" in inner else np.concatenate([[0], offsets]))
        _append(inner, "values", array.flatten(), pa.field("values", kind.value_type), first)
    elif pa.types.is_binary(kind):
        array = array.fill_null(b"")
        inner = group.require_group(name)
        first = int(inner["offsets"][-1]) if "offsets" in inner else 0
        offsets = first + np.cumsum(pc.binary_length(array).to_numpy().astype(np.int64))
        _extend(inner, "offsets", offsets if "offsets" in inner else np.concatenate([[0], offsets]))
        _extend(inner, "values", np.frombuffer(b"".join(array.to_pylist()), np.uint8))
    elif pa.types.is_fixed_size_list(kind):
        _extend(group, name, to_numpy(array, field))
    else:
        _extend(group, name, array.fill_null(_zero(kind)).to_numpy(zero_copy_only=False))


def _zero(kind: pa.DataType) -> Any:
    return False if pa.types.is_boolean(kind) else 0


def _extend(group: h5py.Group, name: str, values: np.ndarray[Any, Any], dtype: Any = None) -> None:
    if name not in group:
        group.create_dataset(
            name,
            shape=(0, *values.shape[1:]),
            maxshape=(None, *values.shape[1:]),
            dtype=dtype or values.dtype,
            chunks=(CHUNK_BYTES if values.dtype == np.uint8 and values.ndim == 1 else CHUNK_ROWS, *values.shape[1:]),
            **({} if dtype else {"compression": "gzip", "compression_opts": 1, "shuffle": True}),
        )
    dataset = group[name]
    dataset.resize(len(dataset) + len(values), axis=0)
    dataset[len(dataset) - len(values) :] = values


class Hdf5Tables:
    """The tables in an ``arrays.h5``, with the interface of :class:`har_bench.storing.parquet.ParquetTables`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = open_file(path, whole=False)

    def manifest(self) -> bytes:
        """The manifest kept in the file, so that the file alone is a store."""
        try:
            return str(self.file.attrs["manifest"]).encode()
        except KeyError:
            raise HarBenchError(f"{self.path} holds no store (no manifest in it); convert the dataset again") from None

    def parts(self, table: str) -> Sequence[int]:
        """The numbers of a table's parts; an absent table has none."""
        return self.file[table][".parts"][:].tolist() if table in self.file else ()

    def schema(self, table: str) -> pa.Schema:
        """A table's schema, with units and shapes."""
        return pa.ipc.read_schema(pa.py_buffer(bytes(self.file[table].attrs["schema"])))

    def read(self, table: str, part: int, columns: Sequence[str] | None = None, rows: slice | None = None) -> pa.Table:
        """One part of a table: all rows, or the rows of a slice (only their chunks are read)."""
        group, schema = self.file[table], self.schema(table)
        place = self.parts(table).index(part)
        start, stop = (int(row) for row in group[".starts"][place : place + 2])
        if rows is not None:
            start, stop = start + rows.start, min(stop, start + rows.stop)
        wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns], schema.metadata)
        arrays = [_take(group, field.name, field, start, stop) for field in wanted]
        return pa.Table.from_arrays(arrays, schema=wanted)


def _take(group: h5py.Group, name: str, field: pa.Field, start: int, stop: int) -> pa.Array:
    kind = field.type
    null = group[f"{name}.null"][start:stop] if f"{name}.null" in group else np.zeros(stop - start, bool)
    if pa.types.is_string(kind):
        texts = pa.array([text.decode() for text in group[name]["values"][:]], pa.string())
        codes = pa.array(group[name]["codes"][start:stop], mask=null)
        return texts.take(codes) if len(texts) else pa.nulls(stop - start, kind)
    if pa.types.is_list(kind):
        offsets = group[name]["offsets"][start : stop + 1]
        first = int(offsets[0])
        values = _take(group[name], "values", pa.field("values", kind.value_type), first, int(offsets[-1]))
        lengths = pa.array((offsets - first).astype(np.int32))
        return pa.ListArray.from_arrays(lengths, values, type=kind, mask=pa.array(null))
    if pa.types.is_binary(kind):
        offsets = group[name]["offsets"][start : stop + 1]
        first = int(offsets[0])
        values = pa.py_buffer(group[name]["values"][first : int(offsets[-1])])
        buffers = [None, pa.py_buffer((offsets - first).astype(np.int32)), values]
        found = pa.Array.from_buffers(kind, stop - start, buffers)
        return pc.if_else(pa.array(null), pa.scalar(None, kind), found)
    values = group[name][start:stop]
    if pa.types.is_fixed_size_list(kind):
        flat = pa.array(values.reshape(-1), kind.value_type)
        return pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=pa.array(null))
    return pa.array(values, kind, mask=null)
