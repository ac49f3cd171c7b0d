"""How an ``arrays.h5`` is written; its layout is told in :mod:`har_bench.storing.hdf5`."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Anything
from har_bench.files import whole
from har_bench.schema import one_array, to_numpy
from har_bench.storing import seals
from har_bench.storing.hdf5 import MANIFEST
from har_bench.storing.manifest import Manifest
from har_bench.workers import heard_later

CHUNK_ROWS = 512
CHUNK_BYTES = 1 << 16


def write(tables: Iterable[tuple[str, Iterable[pa.Table]]], manifest: Manifest, path: Path) -> None:
    """Write tables, each given as its parts in order, into one HDF5 file; whole or not at all.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    with whole(path) as temporary, _Disk(temporary) as disk, _opened(disk) as file:
        with heard_later():
            _extend(file, MANIFEST, np.frombuffer(manifest.to_json(), np.uint8))
        for name, parts in tables:
            _add(file, name, parts, manifest.parts[name], disk)


@contextmanager
def _opened(disk: _Disk) -> Iterator[h5py.File]:
    """A new file; Ctrl-C is heard where HDF5 is not at work, as an exception inside its calls ends the process."""
    with heard_later():
        file = h5py.File(disk, "w", libver="v110")
    try:
        yield file
    finally:
        with heard_later():
            file.close()


def _add(file: h5py.File, name: str, parts: Iterable[pa.Table], numbers: list[int], disk: _Disk) -> None:
    """Write a table; nothing of one without parts."""
    writer, starts = None, [0]
    for part in parts:
        with heard_later():
            writer = writer or _Writer(file.create_group(name), part.schema)
            for field in part.schema:
                writer.append(field.name, one_array(part[field.name]), field, starts[-1])
                disk.check()
            _extend(writer.group, ".leaves", seals.leaves(part).reshape(-1))
            starts.append(starts[-1] + part.num_rows)
    if writer is not None:
        with heard_later():
            _extend(writer.group, ".starts", np.asarray(starts, np.int64))
            _extend(writer.group, ".parts", np.asarray(numbers, np.int64))


class _Disk(io.RawIOBase):
    """A new file that HDF5 writes, which never tells HDF5 of a full disk: HDF5 then ends the whole process.

    After the first error everything stays in memory, where HDF5 finds it again, and the error is raised by
    :meth:`check` and when the file is left.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._error: OSError | None = None
        self._lost: list[tuple[int, bytes]] = []  # what could not be written, and where

    def check(self) -> None:
        """Raise the error that a write met."""
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        """Write all of ``data``."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left and self._error is None:
            try:
                left = left[self._file.write(left) or 0 :]
            except OSError as error:
                self._error = error
        if left:
            self._lost.append((self._file.tell(), bytes(left)))
            self._file.seek(len(left), io.SEEK_CUR)
        return size

    def readinto(self, buffer: Any) -> int:
        """Read back what HDF5 has written before."""
        wanted = memoryview(buffer).cast("B")
        start = self._file.tell()
        size = self._file.readinto(wanted) or 0
        if self._error is None:
            return size
        wanted[size:] = bytes(len(wanted) - size)
        for place, data in self._lost:
            first, last = max(place, start), min(place + len(data), start + len(wanted))
            if first < last:
                wanted[first - start : last - start] = data[first - place : last - place]
        self._file.seek(start + len(wanted))
        return len(wanted)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        """Set the file's size."""
        if self._error is None:
            try:
                return self._file.truncate(size)
            except OSError as error:
                self._error = error
        return size or 0

    def flush(self) -> None:
        """Nothing waits in this object."""

    def __exit__(self, *reason: object) -> None:
        self._file.close()
        self.check()


class _Writer:
    """Appends the parts of one table to its group."""

    def __init__(self, group: h5py.Group, schema: pa.Schema) -> None:
        group.attrs["schema"] = np.void(schema.serialize().to_pybytes())
        self.group = group
        self._codes: dict[str, dict[str, int]] = {}  # by column, of every text so far

    def append(self, name: str, array: pa.Array, field: pa.Field, done: int) -> None:
        """Add the rows of ``array`` behind the ``done`` rows that the column has already."""
        self._nulls(f"{name}.null", array, done)
        kind = field.type
        if pa.types.is_string(kind):
            self._texts(name, array)
        elif pa.types.is_list(kind):
            first = self._offsets(name, pc.list_value_length(array))
            self.append(f"{name}/values", array.flatten(), pa.field("values", kind.value_type), first)
        elif pa.types.is_binary(kind):
            self._offsets(name, pc.binary_length(array))
            _extend(self.group, f"{name}/values", np.frombuffer(b"".join(array.drop_null().to_pylist()), np.uint8))
        elif pa.types.is_fixed_size_list(kind):
            _extend(self.group, name, to_numpy(array, field))
        else:
            zero = False if pa.types.is_boolean(kind) else 0
            _extend(self.group, name, array.fill_null(zero).to_numpy(zero_copy_only=False))

    def _nulls(self, name: str, array: pa.Array, done: int) -> None:
        """Which rows are null; a column without nulls has no such dataset."""
        if array.null_count or name in self.group:
            if name not in self.group:
                _extend(self.group, name, np.zeros(done, bool))
            _extend(self.group, name, array.is_null().to_numpy(zero_copy_only=False))

    def _texts(self, name: str, array: pa.Array) -> None:
        """Texts as numbers, and each text once."""
        known = self._codes.setdefault(name, {})
        distinct = array.dictionary_encode()
        texts = distinct.dictionary.to_pylist()
        fresh = [text for text in texts if text not in known]
        for text in fresh:
            known[text] = len(known)
        codes = np.array([known[text] for text in texts], np.int32)
        places = distinct.indices.fill_null(0).to_numpy()
        _extend(self.group, f"{name}/codes", codes[places] if len(codes) else np.zeros(len(array), np.int32))
        # not as HDF5's own strings: those lie in a heap without checksums, in which a damaged size is read for ever
        values = pa.array(fresh, pa.string()).cast(pa.binary())
        self.append(f"{name}/values", values, pa.field("values", pa.binary()), 0)

    def _offsets(self, name: str, lengths: pa.Array) -> int:
        """Add where the values of each row end; the number of values that there were before."""
        name = f"{name}/offsets"
        if name not in self.group:
            _extend(self.group, name, np.zeros(1, np.int64))
        first = int(self.group[name][-1])
        _extend(self.group, name, first + np.cumsum(lengths.fill_null(0).to_numpy(), dtype=np.int64))
        return first


def _extend(group: h5py.Group, name: str, values: Anything) -> None:
    """Add values behind those of a dataset, which is made when it is not there."""
    if name not in group:
        is_bytes = values.dtype == np.uint8 and values.ndim == 1
        group.create_dataset(
            name,
            shape=(0, *values.shape[1:]),
            maxshape=(None, *values.shape[1:]),
            dtype=values.dtype,
            chunks=(CHUNK_BYTES if is_bytes else CHUNK_ROWS, *values.shape[1:]),
            compression="gzip",
            compression_opts=1,
            shuffle=True,
            fletcher32=True,
        )
    dataset = group[name]
    dataset.resize(len(dataset) + len(values), axis=0)
    dataset[len(dataset) - len(values) :] = values
