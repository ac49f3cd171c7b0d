"""Fingerprints (blake3) of files and of tables; a table's does not depend on the file format that holds it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from har_bench.errors import completing
from har_bench.files import readable
from har_bench.foreign import opening
from har_bench.schema import one_array

PIECE = 1 << 18
"""Bytes of a file that are read at a time."""


def of_file(path: Path) -> str:
    """The blake3 of a file's bytes, in hexadecimal; a file that many shards share is read once a process.

    Raises:
        HarBenchError: nothing is there, or something else than a file, or it cannot be read.
    """
    with readable(path), completing(path, "name a file"):
        status = path.stat()
        return _of_content(path, status.st_size, max(status.st_mtime_ns, status.st_ctime_ns))


def of_path(path: Path) -> str:
    """The fingerprint of a file, or of every file in a folder with its name.

    Raises:
        HarBenchError: as :func:`of_file`.
    """
    if not path.is_dir():
        return of_file(path)
    inside = sorted(file for file in path.rglob("*") if file.is_file())
    return combined(f"{file.relative_to(path).as_posix()} {of_file(file)}" for file in inside)


@cache
def _of_content(path: Path, size: int, changed: int) -> str:
    del changed  # only tells a changed file from the one already hashed
    hasher, piece = blake3(), memoryview(bytearray(min(size, PIECE)))
    with opening.opened(path) as file:  # not mapped to memory: a disk that fails would end the process
        while count := file.readinto(piece):
            hasher.update(piece[:count])
    return hasher.hexdigest()


def of_table(table: pa.Table) -> str:
    """The blake3 of a table's content: column names, types, nulls and values, in the order of the rows."""
    hasher = blake3()
    for field in table.schema:
        hasher.update(f"{field.name}:{field.type};".encode())
        feed(hasher, one_array(table[field.name]))
    return hasher.hexdigest()


def combined(digests: Iterable[str]) -> str:
    """One fingerprint of several, in their order."""
    return blake3("\n".join(digests).encode(errors="backslashreplace")).hexdigest()


def feed(hasher: blake3, array: pa.Array) -> None:
    """Hash one array into ``hasher``; the values behind nulls, which files do not keep, are left out."""
    hasher.update(len(array).to_bytes(8, "little"))
    if not len(array):
        return
    if array.null_count:
        hasher.update(np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes())
        array = array.drop_null()
    kind = array.type
    if pa.types.is_fixed_size_list(kind):
        feed(hasher, array.flatten())
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        feed(hasher, pc.list_value_length(array))
        feed(hasher, array.flatten())
    elif pa.types.is_dictionary(kind):
        feed(hasher, array.dictionary_decode())
    elif not pa.types.is_primitive(kind):  # text and bytes, of either offset size
        values = array.cast(pa.large_binary())
        _, offsets, data = values.buffers()
        ends = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
        hasher.update(np.diff(ends).tobytes())
        hasher.update(np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]].data)
    else:
        hasher.update(np.ascontiguousarray(array.to_numpy(zero_copy_only=False)).view(np.uint8).data)
