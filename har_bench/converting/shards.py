"""One shard on disk: what a worker writes of it, and what the journal remembers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.converter import Converter, Reject, Shard, Tables
from har_bench.errors import HarBenchError
from har_bench.files import relative
from har_bench.schema import PARTITIONED, SORT_KEYS, column, one_array
from har_bench.storing import fingerprint, parquet
from har_bench.storing.manifest import Source

SMALL = ("sequences", "cameras", "rejects")
"""Tables that a shard leaves beside its parts, and that are put together when all shards are done."""

PLACE = (
    column("part", pa.int32(), about="the part of poses that holds this sequence", nullable=False),
    column("first_row", pa.int64(), about="its first row in that part", nullable=False),
    column("rows", pa.int64(), about="its number of rows", nullable=False),
)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A finished shard, one line of the journal."""

    index: int
    key: str
    sources: list[Source]
    rows: dict[str, int]
    digests: dict[str, str]
    first: str | None
    last: str | None


def small_path(partial: Path, index: int, table: str) -> Path:
    """Where a shard's rows of a small table wait."""
    return partial / "shards" / f"{index:05d}-{table}.parquet"


def write(converter: Converter, raw: Path, shard: Shard, index: int, partial: Path, *, strict: bool) -> Record:
    """Read a shard's raw files, write its part files, and say what was done. Runs in a worker.

    A file that cannot be read at all becomes a reject of the shard; so does every broken record that the converter
    reports. With ``strict`` the first of either is an error.

    Raises:
        HarBenchError: a reject under ``strict``, or tables that break the store's rules.
    """
    sources = [_source(raw, path) for path in shard.sources]
    try:
        tables = converter.read(shard)
    except HarBenchError as error:
        if strict:
            raise
        reason = str(error).replace(f"{raw}{os.sep}", "")  # the store must not depend on where the raw files lay
        reject = Reject(sources[0].path if sources else shard.key, shard.key, reason, "dropped")
        tables = Tables(pa.table({"sequence": pa.array([], pa.string())}), rejects=[reject])
    if strict and tables.rejects:
        found = tables.rejects[0]
        raise HarBenchError(f"{found.source}, {found.locator}: {found.reason} (--strict; else it is {found.action})")

    written: dict[str, pa.Table] = {}
    poses = _sorted(tables.poses, "poses", shard) if tables.poses is not None else None
    sequences = _placed(_sorted(tables.sequences, "sequences", shard), poses, index, shard)
    if poses is not None:
        _refuse_duplicates(poses, shard)
        written["poses"] = poses
    if tables.segments is not None:
        written["segments"] = _sorted(tables.segments, "segments", shard)
    for name, table in written.items():
        parquet.write(table, parquet.table_path(partial, name, index))
    for name, table in zip(SMALL, (sequences, tables.cameras, tables.rejects_table()), strict=True):
        if table.num_rows:
            parquet.write(table, small_path(partial, index, name))
            written[name] = table
    names = sequences["sequence"]
    return Record(
        index=index,
        key=shard.key,
        sources=sources,
        rows={name: table.num_rows for name, table in written.items()},
        digests={name: fingerprint.of_table(table) for name, table in written.items() if name in PARTITIONED},
        first=names[0].as_py() if len(names) else None,
        last=names[-1].as_py() if len(names) else None,
    )


def _source(raw: Path, path: Path) -> Source:
    return Source(path=relative(raw, path), bytes=path.stat().st_size, blake3=fingerprint.of_file(path))


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
