"""One shard on disk: what a worker writes of it, and what the journal remembers."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from har_bench.converter import Converter, Reject, Shard, Tables
from har_bench.converting import sources
from har_bench.errors import HarBenchError
from har_bench.files import write_whole
from har_bench.foreign import opening
from har_bench.schema import PARTITIONED, SORT_KEYS, column, one_array
from har_bench.storing import fingerprint, parquet, seals

_OF_THE_MACHINE = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "ENOMEM", "EMFILE", "ENFILE", "ESTALE", "ETIMEDOUT")
    if hasattr(errno, name)  # not every system has all of them
}
"""What a raw file has no part in: the conversion stops, and can be resumed."""

SMALL = ("sequences", "cameras", "rejects")
"""Tables that a shard leaves beside its parts, and that are put together when all shards are done."""

PLACE = (
    column("part", pa.int32(), about="the part of poses that holds this sequence", nullable=False),
    column("first_row", pa.int64(), about="its first row in that part", nullable=False),
    column("rows", pa.int64(), about="its number of rows", nullable=False),
)


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a shard wrote.

    Attributes:
        rows: of the table in it.
        seal: of its values; of a small table, the blake3 of the file.
        bytes: its size.
        changed: its time, as in :func:`har_bench.converting.sources.stamp`.
        digest: of its table, for the fingerprint of the store; empty for a table that is put together later.
    """

    rows: int
    seal: str
    bytes: int
    changed: int
    digest: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A finished shard, one line of the journal: what it read, what it wrote, and its first and last sequence."""

    index: int
    key: str
    sources: list[sources.Seen]
    tables: dict[str, Written]
    first: str | None
    last: str | None


def path_of(partial: Path, index: int, table: str) -> Path:
    """Where a shard's rows of a table lie; those of a small table wait beside the parts."""
    if table in PARTITIONED:
        return parquet.table_path(partial, table, index)
    return partial / "shards" / f"{index:05d}-{table}.arrow"


class Work(NamedTuple):
    """A shard to be done.

    Attributes:
        number: of the shard, and of its parts.
        shard: it.
        sizes: of its raw files, where the conversion was begun [bytes].
    """

    number: int
    shard: Shard
    sizes: list[int]


def write(converter: Converter, raw: Path, partial: Path, strict: bool, work: Work) -> Record:
    """Read a shard's raw files, write its part files, and say what was done. Runs in a worker.

    A file that cannot be read at all becomes a reject of the shard; so does every broken record that the converter
    reports. With ``strict`` the first of either is an error.

    Raises:
        HarBenchError: a reject under ``strict``, tables that break the store's rules, or a raw file that changes, or
            is not the one for this machine that it is where the conversion was begun.
        OSError: the disk is full, or the machine lacks something else.
    """
    index, shard, sizes = work
    seen = [sources.look(raw, path) for path in shard.sources]
    for path, size, here in zip(shard.sources, sizes, seen, strict=True):
        if here.bytes != size:
            problem = f"{path} is not the same file for a worker on {socket.gethostname()} and where this was begun"
            raise HarBenchError(f"{problem}; share the raw folder with every machine, under one name")
    tables = _read(converter, raw, shard, seen)
    for path, before in zip(shard.sources, seen, strict=True):
        if sources.stamp(path) != (before.bytes, before.changed):
            raise HarBenchError(f"{path} changed while it was read; give the same command again when it is complete")
    if strict and tables.rejects:
        found = tables.rejects[0]
        raise HarBenchError(f"{found.source}, {found.locator}: {found.reason} (--strict; else it is {found.action})")

    poses = _sorted(tables.poses, "poses", shard) if tables.poses is not None else None
    if poses is not None:
        _refuse_duplicates(poses, shard)
    sequences = _placed(_sorted(tables.sequences, "sequences", shard), poses, index, shard)
    parts = {"poses": poses, "segments": None}
    if tables.segments is not None:
        parts["segments"] = _sorted(tables.segments, "segments", shard)
    small = dict(zip(SMALL, (sequences, tables.cameras, tables.rejects_table()), strict=True))
    filled = {name: table for name, table in (parts | small).items() if table is not None}
    names = sequences["sequence"]
    return Record(
        index=index,
        key=sources.printable(shard.key),
        sources=seen,
        tables={
            name: _written(table, name, path_of(partial, index, name))
            for name, table in filled.items()
            if table.num_rows or name in PARTITIONED
        },
        first=names[0].as_py() if len(names) else None,
        last=names[-1].as_py() if len(names) else None,
    )


def _read(converter: Converter, raw: Path, shard: Shard, seen: list[sources.Seen]) -> Tables:
    """What a converter finds in a shard; what it cannot be given is a reject."""
    try:
        tables = converter.read(shard)
    except (HarBenchError, UnicodeError) as error:
        reason = str(error)
        if isinstance(error, UnicodeEncodeError):
            reason = "a name in it is not UTF-8; rename the file"
        tables = _nothing(Reject(_first(shard, seen), sources.printable(shard.key), _local(reason, raw), "dropped"))
    except OSError as error:
        if error.errno in _OF_THE_MACHINE:
            raise
        reason = f"it cannot be read ({error.strerror or error})"
        tables = _nothing(Reject(_first(shard, seen), sources.printable(shard.key), _local(reason, raw), "dropped"))
    named = {reject.source for reject in tables.rejects}
    for each in seen:
        if not each.blake3 and each.path not in named:
            reason = "it cannot be read: it is a folder, a link to nothing, or not for this user"
            tables.rejects.append(Reject(each.path, sources.printable(shard.key), reason, "dropped"))
    return tables


def _nothing(reject: Reject) -> Tables:
    return Tables(pa.table({"sequence": pa.array([], pa.string())}), rejects=[reject])


def _first(shard: Shard, seen: list[sources.Seen]) -> str:
    """The file to name where a shard is dropped whole: one that cannot be read, or its first."""
    unreadable = next((each for each in seen if not each.blake3), None)
    if unreadable is not None:
        return unreadable.path
    return seen[0].path if seen else sources.printable(shard.key)


def _local(reason: str, raw: Path) -> str:
    """A reason without the place of the raw folder, on which the store must not depend."""
    folder = f"{raw}{os.sep}"
    return sources.printable(reason.replace(folder, "").replace(str(HarBenchError(folder)), ""))


def read(path: Path, written: Written) -> pa.Table:
    """A file that a shard wrote.

    Raises:
        HarBenchError: it is missing, or not what was written.
    """
    if path.suffix == ".parquet":
        return parquet.Part(path, written.seal).read()
    with seals.undamaged(path):
        content = opening.content(path)
        if blake3(content).hexdigest() != written.seal:
            raise seals.damaged(path, "its bytes are not those that were written")
        return pa.ipc.open_file(content).read_all()


def _written(table: pa.Table, name: str, path: Path) -> Written:
    if name in PARTITIONED:
        seal, digest = parquet.write(table, path), fingerprint.of_table(table)
    else:  # read once more, when all shards are done: Arrow's own file takes a tenth of the time of Parquet's
        seal, digest = _write_small(table, path), ""
    size, changed = sources.stamp(path)
    return Written(rows=table.num_rows, seal=seal, bytes=size, changed=changed, digest=digest)


def _write_small(table: pa.Table, path: Path) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue().to_pybytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
    return blake3(content).hexdigest()


def _sorted(table: pa.Table, name: str, shard: Shard) -> pa.Table:
    """The rows in the order of the table's keys; unchanged when they are in it already."""
    keys = [key for key in SORT_KEYS[name] if key in table.column_names]
    if not keys:
        raise HarBenchError(f"shard {shard.key!r}: its {name} have none of the columns {', '.join(SORT_KEYS[name])}")
    order = np.lexsort([_ranks(table[key]) for key in reversed(keys)])
    if (np.diff(order) == 1).all():
        return table
    rows = pa.array(order)  # Table.take of many chunks takes several times longer, and memory for all columns at once
    columns = [table.select([name]).combine_chunks()[name].take(rows) for name in table.column_names]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _ranks(values: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """(N,) integers in the order of the values; null comes last. Texts that repeat are compared once each."""
    array = one_array(values)
    if pa.types.is_integer(array.type) and not array.null_count:
        return np.asarray(array, np.int64)
    found = array.dictionary_encode()
    ranks = np.empty(len(found.dictionary) + 1, np.int64)
    ranks[pc.sort_indices(found.dictionary).to_numpy()] = np.arange(len(found.dictionary))
    ranks[-1] = len(found.dictionary)
    places: npt.NDArray[np.int32] = np.asarray(found.indices.fill_null(len(found.dictionary)))
    return ranks[places]


def _refuse_duplicates(poses: pa.Table, shard: Shard) -> None:
    """One person appears once in a frame."""
    same = np.ones(max(poses.num_rows - 1, 0), bool)
    for name in SORT_KEYS["poses"]:
        values = poses[name].combine_chunks()
        same &= pc.equal(values.slice(1), values.slice(0, max(len(values) - 1, 0))).to_numpy(zero_copy_only=False)
    if same.any():
        row = poses.select(list(SORT_KEYS["poses"])).slice(int(np.argmax(same)), 1).to_pylist()[0]
        raise HarBenchError(f"shard {shard.key!r}: {row} occurs twice; a person is in a frame once")


def _placed(sequences: pa.Table, poses: pa.Table | None, index: int, shard: Shard) -> pa.Table:
    """The sequences with the place of their poses, so that one sequence is read without searching."""
    names = sequences["sequence"].to_pylist()
    first, rows = np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
    if poses is not None and poses.num_rows:
        runs = pc.run_end_encode(poses["sequence"].combine_chunks())
        ends = runs.run_ends.to_numpy()
        spans: dict[str, Any] = dict(
            zip(runs.values.to_pylist(), zip(np.r_[0, ends[:-1]], np.diff(ends, prepend=0), strict=True), strict=True)
        )
        for position, name in enumerate(names):
            first[position], rows[position] = spans.pop(name, (0, 0))
        if spans:
            raise HarBenchError(f"shard {shard.key!r}: poses of {next(iter(spans))!r}, which not among its sequences")
    for field, values in zip(PLACE, (np.full(len(names), index, np.int32), first, rows), strict=True):
        sequences = sequences.append_column(field, pa.array(values, field.type))
    return sequences
