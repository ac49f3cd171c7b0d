"""Finished shards become a store: the small tables are put together, and the manifest is written last."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from har_bench.converter import Converter
from har_bench.converting import shards, sources
from har_bench.errors import HarBenchError
from har_bench.files import write_whole
from har_bench.progress import progress
from har_bench.schema import PARTITIONED, TABLES
from har_bench.store import Store
from har_bench.storing import fingerprint, hdf5, hdf5_writer, manifest, parquet
from har_bench.storing.manifest import Manifest, PublishedCount

Format = Literal["parquet", "hdf5", "both"]


def assemble(
    converter: Converter,
    described: Manifest,
    records: Sequence[shards.Record],
    partial: Path,
    layout: Format,
    *,
    quiet: bool,
) -> None:
    """Put the small tables together and write the manifest, which makes the folder a store.

    Args:
        converter: whose published counts are compared with those found.
        described: the manifest, without what only the shards know.
        records: every shard, in order.
        partial: the folder.
        layout: the format that the store is to have.
        quiet: no progress.

    Raises:
        HarBenchError: there is no sequence at all, or the converter's shards do not fit together.
    """
    _refuse_absence(records, partial)
    small = {name: _gathered(name, records, partial) for name in shards.SMALL}
    if not small["sequences"].num_rows:
        raise _nothing_left(small["rejects"].to_pylist(), records, converter)
    _refuse_disorder(records)
    _remove_strays(records, partial)
    _describe(described, records, small)
    for name, table in small.items():
        if table.num_rows:
            described.seals[name] = [parquet.write(table, parquet.table_path(partial, name))]
    store = Store(partial, described, parquet.ParquetTables(partial, described.parts, described.seals))
    store.sequences = small["sequences"]  # which need not be read again
    described.published = [
        PublishedCount(what=check.what, expected=check.expected, found=check.found) for check in converter.check(store)
    ]
    if layout != "parquet":
        write_hdf5(store, partial, quiet=quiet)
    write_whole(partial / manifest.MANIFEST, described.to_json())


def remove_parquet(folder: Path) -> None:
    """Remove a store's Parquet files, for one that is to be HDF5 alone."""
    for name in TABLES:
        (folder / f"{name}.parquet").unlink(missing_ok=True)
        shutil.rmtree(folder / name, ignore_errors=True)


def write_hdf5(store: Store, folder: Path, *, quiet: bool) -> None:
    """A store's tables as ``arrays.h5`` in a folder."""
    tables = [name for name in TABLES if store.parts(name)]
    with progress("hdf5", sum(len(store.parts(name)) for name in tables), quiet=quiet) as shown:

        def parts(name: str) -> Iterator[pa.Table]:
            for part in store.parts(name):
                table = store.read(name, part)
                yield table
                shown.advance(rows=table.num_rows)

        hdf5_writer.write(((name, parts(name)) for name in tables), store.manifest, folder / hdf5.ARRAYS)


def _refuse_absence(records: Sequence[shards.Record], partial: Path) -> None:
    for record in records:
        for name, written in record.tables.items():
            path = shards.path_of(partial, record.index, name)
            if sources.stamp(path)[0] != written.bytes:
                remedy = f"share {partial.absolute().parent} with every machine, under one name, and convert again"
                raise HarBenchError(f"{path} is not here as a worker wrote it; {remedy}")


def _nothing_left(
    rejects: list[dict[str, str]], records: Sequence[shards.Record], converter: Converter
) -> HarBenchError:
    """The error of a conversion that dropped everything: how much, and why the first."""
    if not rejects:
        return HarBenchError(f"the raw files hold no sequence; expected {converter.raw}")
    source, locator, reason = (rejects[0][name] for name in ("source", "locator", "reason"))
    about_a_file = any(Path(each.path).name in reason for record in records for each in record.sources)
    if about_a_file and len(rejects) == 1:
        return HarBenchError(reason)
    first = reason if about_a_file else f"{source}, {locator}: {reason}"
    return HarBenchError(
        f"nothing is left of {converter.dataset}: all {len(rejects)} records of its files were dropped "
        f"(the first, {first}); mend the files, or download them again"
    )


def _gathered(name: str, records: Sequence[shards.Record], partial: Path) -> pa.Table:
    """A small table of all shards; cameras that several shards repeat are kept once."""
    found = [(shards.path_of(partial, each.index, name), each.tables[name]) for each in records if name in each.tables]
    if not found:
        return pa.table({})
    table = pa.concat_tables([shards.read(path, written) for path, written in found])
    if name != "cameras":
        return table
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in table.to_pylist():
        key = str(row["subject"]), str(row["camera"])
        if rows.setdefault(key, row) != row:
            raise HarBenchError(f"camera {key} has several calibrations; the converter must name them apart")
    return pa.Table.from_pylist([rows[key] for key in sorted(rows)], table.schema)


def _refuse_disorder(records: Sequence[shards.Record]) -> None:
    named = [record for record in records if record.first is not None]
    for before, after in itertools.pairwise(named):
        if str(before.last) >= str(after.first):
            raise HarBenchError(
                f"shard {after.key!r} begins with {after.first!r}, which does not come after {before.last!r}; "
                "discover() must give the shards in the order of their sequences' names"
            )


def _remove_strays(records: Sequence[shards.Record], partial: Path) -> None:
    """Remove part files that no finished shard owns."""
    owned = {shards.path_of(partial, record.index, name) for record in records for name in record.tables}
    for name in PARTITIONED:
        for path in (partial / name).glob("*"):
            if path not in owned:
                path.unlink()


def _describe(described: Manifest, records: Sequence[shards.Record], small: dict[str, pa.Table]) -> None:
    """Fill in what a manifest says of the content."""
    written: dict[str, dict[int, shards.Written]] = {
        name: {record.index: record.tables[name] for record in records if name in record.tables} for name in PARTITIONED
    }
    for name, parts in written.items():
        if parts:
            described.parts[name] = list(parts)
            described.rows[name] = sum(part.rows for part in parts.values())
            described.seals[name] = [part.seal for part in parts.values()]
    for name, table in small.items():
        if table.num_rows:
            described.parts[name] = [0]
            described.rows[name] = table.num_rows
    digests = []
    for name in TABLES:
        if name in PARTITIONED:
            digests += [f"{name} {part.digest}" for part in written[name].values()]
        elif small[name].num_rows:
            digests.append(f"{name} {fingerprint.of_table(small[name])}")
    seen = {each.path: each.source for record in records for each in record.sources if each.blake3}
    described.sources = [seen[path] for path in sorted(seen)]
    counts = pc.value_counts(small["sequences"]["splits"].combine_chunks().flatten()).to_pylist()
    described.splits = {row["values"]: row["counts"] for row in sorted(counts, key=lambda row: str(row["values"]))}
    described.rejects = described.rows.get("rejects", 0)
    described.fingerprint = fingerprint.combined(digests)
