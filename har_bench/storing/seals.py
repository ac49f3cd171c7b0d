"""Seals: what a table's values hash to, piece by piece, so that no damaged value is ever read in silence.

A *leaf* is a 64-bit blake3 of ``LEAF`` rows of one column. A part's file holds the leaves of its columns, the manifest
holds the part's *seal*, which is the blake3 of its schema and leaves, and the manifest's own seal is over all of it.
Whatever part of a column is read, its leaves are made again from the values that came out of the file: it does not
matter which byte was damaged, by whom, or in which file format.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from blake3 import blake3

from har_bench.arrays import Bools
from har_bench.errors import HarBenchError, Malformed
from har_bench.schema import one_array
from har_bench.storing import fingerprint

LEAF = 512
"""Rows of a leaf: a window of a clip lies in one or two of them."""

Leaves = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Sealed:
    """What one part of a table must hold.

    Attributes:
        path: the file, for the error.
        names: the columns, in the order of the leaves.
        rows: N, the rows of the part.
        leaves: (C, ceil(N / LEAF)) leaves by column.
    """

    path: Path
    names: tuple[str, ...]
    rows: int
    leaves: Leaves

    def span(self, rows: slice) -> slice:
        """The rows to be read for some rows: whole leaves."""
        start = min(rows.start, self.rows) // LEAF * LEAF
        return slice(start, min(-(-max(rows.stop, start) // LEAF) * LEAF, self.rows))

    def check(self, found: pa.Table, rows: slice) -> None:
        """Compare what was read of some rows, which are whole leaves, with the leaves of the part.

        Raises:
            HarBenchError: a value is not the one that was written.
        """
        if found.num_rows != rows.stop - rows.start:
            raise damaged(self.path, f"it gives {found.num_rows} rows for {rows.stop - rows.start}")
        pieces = slice(rows.start // LEAF, -(-rows.stop // LEAF))
        for name in found.column_names:
            if _leaves(found[name]) != self.leaves[self.names.index(name), pieces].tobytes():
                raise damaged(self.path, f"the values of {name} are not those that were written")


def leaves(table: pa.Table) -> Leaves:
    """(C, ceil(N / LEAF)) leaves of a table's columns."""
    count = -(-table.num_rows // LEAF)
    found = b"".join(_leaves(table[name]) for name in table.column_names)
    return np.frombuffer(found, "<u8").reshape(len(table.column_names), count)


def seal(schema: pa.Schema, rows: int, found: Leaves) -> str:
    """The blake3 of a part: its columns with types, units and shapes, its number of rows, and its leaves."""
    hasher = blake3(f"{rows} rows;".encode())
    for field in schema:
        about = sorted((field.metadata or {}).items())
        hasher.update(f"{field.name}:{field.type}:{field.nullable}:{about};".encode())
    hasher.update(np.ascontiguousarray(found, "<u8").tobytes())
    return hasher.hexdigest(32)[:32]


def opened(path: Path, schema: pa.Schema, rows: int, kept: bytes, wanted: str) -> Sealed:
    """The leaves that a part's file keeps, as bytes, once they are known to be those of the manifest's seal.

    Raises:
        HarBenchError: the file is another one, or damaged.
    """
    count = -(-rows // LEAF)
    if len(kept) == 8 * len(schema) * count:
        found = np.frombuffer(kept, "<u8").reshape(len(schema), count)
        if seal(schema, rows, found) == wanted:
            return Sealed(path, tuple(schema.names), rows, found)
    raise damaged(path, "it is not the file that the manifest describes")


def damaged(path: Path, why: object) -> HarBenchError:
    """What to say of a damaged file of a store."""
    return HarBenchError(f"{path} is damaged ({why}); convert the dataset again")


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Whatever a library makes of damaged bytes, or of a file that is gone, becomes one sentence.

    Raises:
        HarBenchError: any exception inside.
    """
    try:
        yield
    except HarBenchError:
        raise
    except Malformed as wrong:
        raise HarBenchError(f"{path} {wrong}; convert the dataset again") from wrong
    except FileNotFoundError as error:
        raise HarBenchError(f"{path} is missing; convert the dataset again") from error
    except PermissionError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise HarBenchError(f"{path} may not be read ({reason}); ask its owner for leave") from error
    except MemoryError as error:
        remedy = "use fewer jobs, or convert the dataset again"
        raise HarBenchError(f"{path} needs more memory than there is, or is damaged ({error}); {remedy}") from error
    except Exception as error:
        raise damaged(path, str(error) or type(error).__name__) from error


def _leaves(column: pa.ChunkedArray | pa.Array) -> bytes:
    """(ceil(N / LEAF),) leaves of one column, in eight bytes each."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if any(len(chunk) % LEAF for chunk in chunks[:-1]):
        chunks = [one_array(column)]
    return b"".join(digest for chunk in chunks if len(chunk) for digest in _digests(chunk))


def _digests(array: pa.Array) -> Iterator[bytes]:
    """The leaves of an array; each depends on its own rows and on nothing else that the array holds."""
    flat = _cells(array)
    if flat is not None:
        return _of_cells(*flat)
    return _of_texts(array) if _is_plain_text(array) else _of_slices(array)


def _of_cells(cells: memoryview, masks: dict[bytes, Bools], rows: int) -> Iterator[bytes]:
    step = LEAF * len(cells) // rows
    for number, start in enumerate(range(0, len(cells), step)):
        hasher = blake3(cells[start : start + step])
        for what, mask in masks.items():
            if (absent := mask[number * LEAF : (number + 1) * LEAF]).any():
                hasher.update(what + np.packbits(absent).tobytes())
        yield hasher.digest(8)


def _of_slices(array: pa.Array) -> Iterator[bytes]:
    for start in range(0, len(array), LEAF):
        hasher = blake3()
        fingerprint.feed(hasher, array.slice(start, LEAF))
        yield hasher.digest(8)


def _is_plain_text(array: pa.Array) -> bool:
    return pa.types.is_string(array.type) and not array.null_count


def _of_texts(array: pa.Array) -> Iterator[bytes]:
    """The same leaves as :func:`_of_slices` gives of texts without nulls, in a quarter of the time."""
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int32, len(array) + 1, 4 * array.offset)
    letters, lengths = np.frombuffer(data or b"", np.uint8), np.diff(ends).astype(np.int64)
    for start in range(0, len(array), LEAF):
        stop = min(start + LEAF, len(array))
        hasher = blake3((stop - start).to_bytes(8, "little"))
        hasher.update(lengths[start:stop].tobytes())
        hasher.update(letters[ends[start] : ends[stop]].data)
        yield hasher.digest(8)


def _cells(array: pa.Array) -> tuple[memoryview, dict[bytes, Bools], int] | None:
    """The bytes of N rows, 0 where null, which rows (N,) and elements (N, K) are null, and N.

    None for a column of texts or lists, whose rows have no common number of bytes.
    """
    values, size = array, 1
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        values = array.values.slice(array.offset * size, len(array) * size)
    kind = values.type
    if not pa.types.is_primitive(kind):
        return None
    rows, nulls = len(array), array.null_count
    if not nulls and not values.null_count and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        width = kind.bit_width // 8
        return memoryview(values.buffers()[1])[values.offset * width :][: len(values) * width], {}, rows
    if nulls == rows:
        width = rows * size * np.dtype(kind.to_pandas_dtype()).itemsize
        return memoryview(bytes(width)), {b"rows": np.ones(rows, bool)}, rows
    masks = {}
    known = values.fill_null(False if pa.types.is_boolean(kind) else 0) if values.null_count else values
    cells = np.ascontiguousarray(known.to_numpy(zero_copy_only=False)).view(np.uint8).reshape(rows, -1)
    if nulls:
        masks[b"rows"] = array.is_null().to_numpy(zero_copy_only=False)
        cells = np.where(masks[b"rows"][:, None], np.uint8(0), cells)
    if values is not array and values.null_count:
        holes = values.is_null().to_numpy(zero_copy_only=False).reshape(-1, size)
        masks[b"elements"] = holes & ~masks[b"rows"][:, None] if b"rows" in masks else holes
    return np.ascontiguousarray(cells).data.cast("B"), masks, rows
