"""Store tables as dense HDF5 arrays, read for random-access training windows; lossless both ways.

Layout of ``arrays.h5``: a group per table, whose attribute ``schema`` is the Arrow schema. In it a number or vector
column is a dataset of shape (rows, ...); a column of lists or bytes is a group of ``offsets`` and ``values``; a text
column is a group of ``codes`` and ``values``, the distinct texts as UTF-8 bytes. Nulls are a boolean dataset
``NAME.null``. Partitioned tables keep the first row of each part in ``.starts`` and the parts' numbers in ``.parts``,
and the parts' leaves, one after the other, in ``.leaves``; the bytes ``manifest`` are the store's ``manifest.json``.
Every dataset has fletcher32 checksums. Files of layout 1 have HDF5's own strings instead of bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.errors import HarBenchError, Malformed
from har_bench.foreign import json_file, opening
from har_bench.foreign.budget import Budget
from har_bench.foreign.hdf5 import attribute, inspected, open_file
from har_bench.storing import seals
from har_bench.storing.manifest import Manifest, decode

ARRAYS = "arrays.h5"
MANIFEST = "manifest"


def manifest_in(path: Path) -> Manifest:
    """The manifest kept in an ``arrays.h5``, so that the file alone is a store.

    Raises:
        HarBenchError: the file holds no store, or is damaged.
    """
    with seals.undamaged(path), _opened(path) as file:
        if MANIFEST in file:
            return decode(_text(file[MANIFEST], path), path)
        if MANIFEST in file.attrs:
            return decode(str(attribute(file, MANIFEST)).encode(), path)
        raise HarBenchError(f"{path} holds no store (no manifest in it); convert the dataset again")


def holds_store(path: Path) -> bool:
    """Whether a file is an ``arrays.h5`` of a store."""
    try:
        with open_file(path, whole=False) as file:
            return MANIFEST in file or MANIFEST in file.attrs
    except HarBenchError:
        return False


def _text(held: h5py.Dataset, path: Path) -> bytes:
    """A manifest's bytes; they are packed, and a small file may claim very many."""
    budget = Budget(opening.size_of(path), json_file.FACTOR)
    budget.charge(held.nbytes)
    found = bytes(held[:].tobytes())
    json_file.charge_values(found, budget)
    return found


def _opened(path: Path) -> h5py.File:
    opening.require_file(path)
    try:
        return inspected(path, whole=False)
    except Malformed as wrong:
        raise seals.damaged(path, f"it {wrong}") from wrong


class Hdf5Tables:
    """The tables in an ``arrays.h5``, with the interface of :class:`har_bench.storing.parquet.ParquetTables`.

    Args:
        path: the file.
        parts: the numbers of every table's parts.
        sealed: the parts' seals, in the same order; none for a store of an older har_bench, which is read unchecked.
    """

    def __init__(
        self, path: Path, parts: Mapping[str, Sequence[int]], sealed: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self.path = path
        with seals.undamaged(path):
            self.file = _opened(path)
        self._parts = parts
        self._seals = sealed or {}
        self._tables: dict[str, _Table] = {}

    def parts(self, table: str) -> Sequence[int]:
        """The numbers of a table's parts; an absent table has none."""
        return self._parts.get(table, ())

    def schema(self, table: str) -> pa.Schema:
        """A table's schema, with units and shapes."""
        with seals.undamaged(self.path):
            return self._table(table).schema

    def read(self, table: str, part: int, columns: Sequence[str] | None = None, rows: slice | None = None) -> pa.Table:
        """One part of a table: all rows, or the rows of a slice (only their chunks are read)."""
        place = self._parts[table].index(part)
        with seals.undamaged(self.path):
            return self._table(table).read(place, columns, rows)

    def _table(self, name: str) -> _Table:
        if name not in self._tables:
            count = len(self._parts[name])
            self._tables[name] = _Table(self.path, self.file[name], count, self._seals.get(name))
        return self._tables[name]


class _Table:
    """The group of one table; its values are compared with their seals as they are read."""

    def __init__(self, path: Path, group: h5py.Group, parts: int, sealed: Sequence[str] | None) -> None:
        self.path, self.group, self.seals = path, group, sealed
        self.schema = pa.ipc.read_schema(pa.py_buffer(bytes(attribute(group, "schema"))))
        if group[".starts"].shape != (parts + 1,):
            raise seals.damaged(path, f"it does not say where the {parts} parts of {group.name[1:]} begin")
        self.starts: list[int] = group[".starts"][:].tolist()
        self._sealed: dict[int, seals.Sealed] = {}
        self._texts: dict[str, pa.Array] = {}  # the distinct texts of a column, read once
        leaves = len(self.schema) * -(-np.diff(self.starts) // seals.LEAF)
        self._leaves: list[int] = [0, *np.cumsum(leaves).tolist()]  # where those of each part begin

    def read(self, place: int, columns: Sequence[str] | None, rows: slice | None) -> pa.Table:
        """Some columns of a part, by its place among the parts: all rows, or those of a slice."""
        first, count = self.starts[place], self.starts[place + 1] - self.starts[place]
        sealed = self._sealed_part(place, count) if self.seals is not None else None
        wanted = slice(0, count) if rows is None else slice(min(rows.start, count), min(rows.stop, count))
        covered = wanted if sealed is None else sealed.span(wanted)
        schema = self.schema
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns], schema.metadata)
        span = first + covered.start, first + covered.stop
        arrays = [self._take(field.name, field, *span) for field in schema]
        found = pa.Table.from_arrays(arrays, schema=schema)
        if sealed is not None and arrays:
            sealed.check(found, covered)
        return found.slice(wanted.start - covered.start, wanted.stop - wanted.start)

    def _sealed_part(self, place: int, rows: int) -> seals.Sealed:
        if place not in self._sealed:
            kept = self.group[".leaves"][slice(*self._leaves[place : place + 2])].tobytes()
            self._sealed[place] = seals.opened(self.path, self.schema, rows, kept, (self.seals or ())[place])
        return self._sealed[place]

    def _take(self, name: str, field: pa.Field, start: int, stop: int) -> pa.Array:
        group = self.group
        kind = field.type
        null = group[f"{name}.null"][start:stop] if f"{name}.null" in group else np.zeros(stop - start, bool)
        if pa.types.is_string(kind):
            codes = pa.array(group[f"{name}/codes"][start:stop], mask=null)
            texts = self._distinct(f"{name}/values")
            return texts.take(codes) if len(texts) else pa.nulls(stop - start, kind)
        if pa.types.is_list(kind):
            ends, first, last = self._offsets(name, start, stop)
            values = self._take(f"{name}/values", pa.field("values", kind.value_type), first, last)
            return pa.ListArray.from_arrays(pa.array(ends), values, type=kind, mask=pa.array(null))
        if pa.types.is_binary(kind):
            ends, first, last = self._offsets(name, start, stop)
            buffers = [None, pa.py_buffer(ends), pa.py_buffer(group[f"{name}/values"][first:last])]
            found = pa.Array.from_buffers(kind, stop - start, buffers)
            return pc.if_else(pa.array(null), pa.scalar(None, kind), found)
        values = group[name][start:stop]
        if pa.types.is_fixed_size_list(kind):
            flat = pa.array(values.reshape(-1), kind.value_type)
            return pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=pa.array(null))
        return pa.array(values, kind, mask=null)

    def _distinct(self, name: str) -> pa.Array:
        """The distinct texts of a column."""
        if name not in self._texts:
            if isinstance(self.group[name], h5py.Dataset):
                self._texts[name] = pa.array([text.decode() for text in self.group[name][:]], pa.string())
            else:
                count = len(self.group[f"{name}/offsets"]) - 1
                found = self._take(name, pa.field("values", pa.binary()), 0, count)
                self._texts[name] = found.cast(pa.string())
        return self._texts[name]

    def _offsets(self, name: str, start: int, stop: int) -> tuple[npt.NDArray[np.int32], int, int]:
        """Where the values of some rows begin and end: (N + 1,) from the first of them, and the first and the last."""
        offsets = self.group[f"{name}/offsets"][start : stop + 1]
        if len(offsets) != stop - start + 1 or (np.diff(offsets) < 0).any():
            raise seals.damaged(self.path, f"the offsets of {name} do not rise")
        return (offsets - offsets[0]).astype(np.int32), int(offsets[0]), int(offsets[-1])
