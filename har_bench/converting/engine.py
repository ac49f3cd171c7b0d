"""The convert engine: runs a converter's shards, journals them, and puts the store together.

Everything is written under ``STORE.partial``: a finished shard is a line of its journal, and the finished store is
renamed into place. A killed run resumes at the first unfinished shard, and the bytes of the store depend neither on
that nor on the number of workers.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import har_bench
from har_bench import registry, workers
from har_bench.converter import Converter, Shard
from har_bench.converting import shards
from har_bench.errors import HarBenchError
from har_bench.files import UNFINISHED, write_whole
from har_bench.progress import progress
from har_bench.schema import PARTITIONED, TABLES
from har_bench.store import Store, open_store
from har_bench.storing import fingerprint, hdf5, manifest, parquet
from har_bench.storing.manifest import Manifest, PublishedCount

Format = Literal["parquet", "hdf5", "both"]
JOURNAL = "journal.jsonl"
LOCK = "lock"
_BEGUN = "{} was begun from other files, options or versions; --no-resume starts afresh"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a journal: what the conversion is of. Another header means another conversion."""

    har_bench: str
    converter: str
    version: str
    options: dict[str, Any]
    shards: str


def convert(
    dataset: str,
    raw: str | Path,
    out: str | Path,
    *,
    jobs: int = 0,
    scheduler: str | None = None,
    strict: bool = False,
    resume: bool = True,
    format: Format = "parquet",  # noqa: A002 - the option's name on the command line
    quiet: bool = False,
    **options: Any,
) -> Store:
    """Convert a raw download into a store, once.

    Args:
        dataset: a registered converter, or ``package.module:Name``.
        raw: the official download as it is, or a finished store to repack in another format.
        out: the store's folder; it must not exist, or be this very conversion.
        jobs: processes; 0 means one per processor.
        scheduler: address of a Dask scheduler to use instead of local processes.
        strict: stop at the first record that cannot be used as it is.
        resume: go on where an interrupted conversion stopped; otherwise start afresh.
        format: ``parquet`` (scoring, analytics), ``hdf5`` (training windows) or ``both``.
        quiet: no progress.
        options: the converter's own options.

    Raises:
        HarBenchError: ``raw`` is not the dataset, ``out`` holds something else, or a record under ``strict``.
    """
    raw, out = Path(raw).absolute(), Path(out)
    if not raw.exists():
        raise HarBenchError(f"{raw} does not exist; give the folder of the raw download")
    if (raw / manifest.MANIFEST).is_file():
        return _repack(open_store(raw), out, format, quiet=quiet)
    converter = _converter(dataset, options)
    found = converter.discover(raw)
    if not found:
        raise HarBenchError(f"{raw} holds no {dataset}: {converter.raw}")
    header = Header(
        har_bench=har_bench.__version__,
        converter=dataset,
        version=converter.version,
        options=_given(converter),
        shards=fingerprint.combined(_identity(raw, shard) for shard in found),
    )
    if out.exists():
        return _existing(out, header, raw, found, format)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    with _locked(partial, resume=resume):
        if (partial / manifest.MANIFEST).exists():  # killed between the last file and the renaming
            if not _same(manifest.read(partial), header, raw, found):
                raise HarBenchError(_BEGUN.format(partial))
        else:
            try:
                records = _run(converter, raw, found, header, partial, jobs, scheduler, strict=strict, quiet=quiet)
                _finish(converter, dataset, records, partial, format, quiet=quiet)
            except HarBenchError:
                if not any((partial / "shards").glob("*-sequences.parquet")):  # nothing here is worth resuming
                    shutil.rmtree(partial)
                raise
        for leftover in (JOURNAL, LOCK):
            (partial / leftover).unlink(missing_ok=True)
        shutil.rmtree(partial / "shards", ignore_errors=True)
        partial.rename(out)
    return open_store(out)


def _converter(dataset: str, options: dict[str, Any]) -> Converter:
    cls = registry.load("converters", dataset)
    try:
        return cls(**options)  # type: ignore[no-any-return]
    except TypeError as error:
        known = ", ".join(field.name for field in dataclasses.fields(cls)) if dataclasses.is_dataclass(cls) else ""
        raise HarBenchError(
            f"{dataset} does not take these options ({error}); its options: {known or 'none'}"
        ) from error


def _given(converter: Converter) -> dict[str, Any]:
    """The options that differ from their defaults."""
    if not dataclasses.is_dataclass(converter):
        return {}
    values = {field.name: (getattr(converter, field.name), field.default) for field in dataclasses.fields(converter)}
    return {name: value for name, (value, default) in values.items() if value != default}


def _identity(raw: Path, shard: Shard) -> str:
    """What makes a shard the same shard when a conversion is resumed: its key and its files' names and sizes."""
    return "\t".join([shard.key, *(f"{shards.relative(raw, path)} {path.stat().st_size}" for path in shard.sources)])


def _existing(out: Path, header: Header, raw: Path, found: Sequence[Shard], layout: Format) -> Store:
    """The store that is already there, if it is of the same files; nothing is read but names and sizes."""
    store = open_store(out)
    if not _same(store.manifest, header, raw, found):
        raise HarBenchError(f"{out} was made from other files, options or versions; remove it or choose another folder")
    present = {"parquet": parquet.table_path(out, "sequences").exists(), "hdf5": (out / hdf5.ARRAYS).exists()}
    absent = [name for name, there in present.items() if layout in (name, "both") and not there]
    if absent:
        remedy = f"har-bench convert {header.converter} {out} OTHER --format {layout}"
        raise HarBenchError(f"{out} is finished and has no {absent[0]}; repack it into another folder: {remedy}")
    return store


def _same(old: Manifest, header: Header, raw: Path, found: Sequence[Shard]) -> bool:
    """Whether a store is of these files, options and versions."""
    if (old.converter, old.converter_version, old.options) != (header.converter, header.version, header.options):
        return False
    now = {(shards.relative(raw, path), path.stat().st_size) for shard in found for path in shard.sources}
    return now == {(source.path, source.bytes) for source in old.sources}


@contextmanager
def _locked(partial: Path, *, resume: bool) -> Iterator[None]:
    """Hold the partial folder alone; two conversions into one store would mix."""
    if partial.exists() and not resume:
        with _lock(partial):
            shutil.rmtree(partial)
    partial.mkdir(exist_ok=True)
    with _lock(partial):
        yield


@contextmanager
def _lock(partial: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows has no flock: conversions there are not guarded against each other
        yield
        return
    with (partial / LOCK).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HarBenchError(f"{partial} is being written by another conversion; wait for it, or stop it") from None
        yield


def _run(
    converter: Converter,
    raw: Path,
    found: Sequence[Shard],
    header: Header,
    partial: Path,
    jobs: int,
    scheduler: str | None,
    *,
    strict: bool,
    quiet: bool,
) -> list[shards.Record]:
    """Work on every shard that the journal does not have yet."""
    journal = partial / JOURNAL
    records = _resumed(journal, header, partial)
    todo = [(index, shard) for index, shard in enumerate(found) if index not in records]
    task = functools.partial(_one, converter, raw, partial.absolute(), strict)
    with (
        workers.executor(min(jobs or os.cpu_count() or 1, max(len(todo), 1)), scheduler) as (pool, width),
        progress(header.converter, len(found), done=len(records), quiet=quiet) as shown,
        journal.open("ab") as lines,
    ):
        for (index, _), record in workers.unordered(pool, width, task, todo):
            lines.write(msgspec.json.encode(record) + b"\n")
            lines.flush()
            os.fsync(lines.fileno())
            records[index] = record
            shown.advance(rows=sum(record.rows.values()), bytes_read=sum(source.bytes for source in record.sources))
    return [records[index] for index in sorted(records)]


def _one(converter: Converter, raw: Path, partial: Path, strict: bool, item: tuple[int, Shard]) -> shards.Record:
    index, shard = item
    return shards.write(converter, raw, shard, index, partial, strict=strict)


def _resumed(journal: Path, header: Header, partial: Path) -> dict[int, shards.Record]:
    """The finished shards of an interrupted run, and a journal that is ready for more.

    A line cut off by a kill is dropped, and so is a shard whose files are gone.
    """
    text = journal.read_bytes() if journal.exists() else b""
    whole = text[: text.rfind(b"\n") + 1].splitlines()
    for folder in (partial, *(partial / name for name in (*PARTITIONED, "shards"))):
        for unfinished in folder.glob(f".*{UNFINISHED}"):
            unfinished.unlink()
    if not whole:
        write_whole(journal, msgspec.json.encode(header) + b"\n")
        return {}
    if msgspec.json.decode(whole[0], type=Header) != header:
        raise HarBenchError(_BEGUN.format(partial))
    records = [msgspec.json.decode(line, type=shards.Record) for line in whole[1:]]
    kept = {record.index: record for record in records if all(path.exists() for path in _files(record, partial))}
    write_whole(journal, b"".join(msgspec.json.encode(line) + b"\n" for line in (header, *kept.values())))
    return kept


def _files(record: shards.Record, partial: Path) -> list[Path]:
    parts = [parquet.table_path(partial, name, record.index) for name in PARTITIONED if name in record.rows]
    return parts + [shards.small_path(partial, record.index, name) for name in shards.SMALL if name in record.rows]


def _finish(
    converter: Converter,
    dataset: str,
    records: list[shards.Record],
    partial: Path,
    layout: Format,
    *,
    quiet: bool,
) -> None:
    """Put the small tables together and write the manifest, which makes the folder a store."""
    small = {name: _gathered(name, records, partial) for name in shards.SMALL}
    if not small["sequences"].num_rows:
        raise _nothing_left(small["rejects"].to_pylist(), records, converter)
    _refuse_disorder(records)
    _remove_strays(records, partial)
    for name, table in small.items():
        if table.num_rows:
            parquet.write(table, parquet.table_path(partial, name))
    described = _manifest(converter, dataset, records, small)
    store = Store(partial, described, parquet.ParquetTables(partial, described.parts))
    store.manifest.published = [
        PublishedCount(what=check.what, expected=check.expected, found=check.found) for check in converter.check(store)
    ]
    if layout != "parquet":
        _write_hdf5(store, partial, quiet=quiet)
    if layout == "hdf5":
        _remove_parquet(partial)
    write_whole(partial / manifest.MANIFEST, store.manifest.to_json())


def _nothing_left(rejects: list[dict[str, str]], records: list[shards.Record], converter: Converter) -> HarBenchError:
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


def _gathered(name: str, records: list[shards.Record], partial: Path) -> pa.Table:
    """A small table of all shards; cameras that several shards repeat are kept once."""
    paths = [shards.small_path(partial, record.index, name) for record in records if name in record.rows]
    if not paths:
        return pa.table({})
    table = pa.concat_tables([pq.read_table(path) for path in paths])
    if name != "cameras":
        return table
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in table.to_pylist():
        key = str(row["subject"]), str(row["camera"])
        if rows.setdefault(key, row) != row:
            raise HarBenchError(f"camera {key} has several calibrations; the converter must name them apart")
    return pa.Table.from_pylist([rows[key] for key in sorted(rows)], table.schema)


def _refuse_disorder(records: list[shards.Record]) -> None:
    named = [record for record in records if record.first is not None]
    for before, after in itertools.pairwise(named):
        if str(before.last) >= str(after.first):
            raise HarBenchError(
                f"shard {after.key!r} begins with {after.first!r}, which does not come after {before.last!r}; "
                "discover() must give the shards in the order of their sequences' names"
            )


def _remove_strays(records: list[shards.Record], partial: Path) -> None:
    """Remove part files that no finished shard owns."""
    owned = {path for record in records for path in _files(record, partial)}
    for name in PARTITIONED:
        for path in (partial / name).glob("*"):
            if path not in owned:
                path.unlink()


def _manifest(converter: Converter, dataset: str, records: list[shards.Record], small: dict[str, pa.Table]) -> Manifest:
    digests = []
    for name in TABLES:
        if name in PARTITIONED:
            digests += [f"{name} {record.digests[name]}" for record in records if name in record.digests]
        elif small[name].num_rows:
            digests.append(f"{name} {fingerprint.of_table(small[name])}")
    parts = {name: [record.index for record in records if name in record.rows] for name in PARTITIONED}
    parts |= {name: [0] for name, table in small.items() if table.num_rows}
    rows = {name: sum(record.rows.get(name, 0) for record in records) for name in PARTITIONED if parts[name]}
    rows |= {name: table.num_rows for name, table in small.items() if table.num_rows}
    counts = pc.value_counts(small["sequences"]["splits"].combine_chunks().flatten()).to_pylist()
    sources = {source.path: source for record in records for source in record.sources}
    return Manifest(
        dataset=converter.dataset,
        converter=dataset,
        converter_version=converter.version,
        options=_given(converter),
        sources=[sources[path] for path in sorted(sources)],
        skeletons=list(converter.layouts()),
        splits={row["values"]: row["counts"] for row in sorted(counts, key=lambda row: str(row["values"]))},
        rows=rows,
        parts={name: numbers for name, numbers in parts.items() if numbers},
        rejects=rows.get("rejects", 0),
        published=[],
        notes=list(converter.notes),
        licence=converter.licence,
        citation=converter.citation,
        fingerprint=fingerprint.combined(digests),
    )


def _write_hdf5(store: Store, folder: Path, *, quiet: bool) -> None:
    tables = [name for name in TABLES if store.parts(name)]
    with progress("hdf5", sum(len(store.parts(name)) for name in tables), quiet=quiet) as shown:

        def parts(name: str) -> Iterator[pa.Table]:
            for part in store.parts(name):
                table = store.read(name, part)
                yield table
                shown.advance(rows=table.num_rows)

        hdf5.write(((name, parts(name)) for name in tables), store.manifest, folder / hdf5.ARRAYS)


def _remove_parquet(folder: Path) -> None:
    for name in TABLES:
        (folder / f"{name}.parquet").unlink(missing_ok=True)
        shutil.rmtree(folder / name, ignore_errors=True)


def _repack(store: Store, out: Path, layout: Format, *, quiet: bool) -> Store:
    """The same store in another format; values, manifest and fingerprint stay."""
    if out.exists():
        raise HarBenchError(f"{out} exists; remove it or choose another folder")
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if layout != "hdf5":
        for name in TABLES:
            for part in store.parts(name):
                parquet.write(store.read(name, part), parquet.table_path(partial, name, part))
    if layout != "parquet":
        _write_hdf5(store, partial, quiet=quiet)
    write_whole(partial / manifest.MANIFEST, store.manifest.to_json())
    partial.rename(out)
    return open_store(out)
