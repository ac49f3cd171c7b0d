"""The convert engine: runs a converter's shards, journals them, and puts the store together.

Everything is written under ``STORE.partial``: a finished shard is a line of its journal, and the finished store is
renamed into place. A killed run resumes at the first unfinished shard, and the bytes of the store depend neither on
that nor on the number of workers.
"""

from __future__ import annotations

import functools
import os
import shutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import har_bench
from har_bench import registry, remote, workers
from har_bench.arrays import compiling
from har_bench.converter import Converter, Shard
from har_bench.converting import folders, journal, repacking, shards, sources
from har_bench.converting.assembling import Format, assemble, remove_parquet
from har_bench.errors import HarBenchError, HarBenchWarning
from har_bench.files import readable
from har_bench.options import given, read
from har_bench.progress import progress
from har_bench.store import Store, open_store
from har_bench.storing import fingerprint, hdf5, manifest, parquet
from har_bench.storing.manifest import Manifest


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
    options: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> Store:
    """Convert a raw download into a store, once.

    Args:
        dataset: a registered converter, or ``package.module:Name``.
        raw: the official download as it is, or a finished store to repack in another format; a path or a URL.
        out: the store's folder, a path or a URL; it must not exist, or be this very conversion.
        jobs: processes; 0 means one per processor.
        scheduler: address of a Dask scheduler to use instead of local processes.
        strict: stop at the first record that cannot be used as it is.
        resume: go on where an interrupted conversion stopped; otherwise start afresh.
        format: ``parquet`` (scoring, analytics), ``hdf5`` (training windows) or ``both``.
        options: the converter's own options by name, such as ``{"release": "v2.2"}``.
        quiet: no progress.

    Raises:
        HarBenchError: ``raw`` is not the dataset, ``out`` holds something else, or a record under ``strict``.
    """
    how = How(jobs, scheduler, strict, resume, format, quiet)
    folder, url = remote.destination_folder(out), remote.as_url(out)
    if url is not None and remote.is_there(f"{url}/{manifest.MANIFEST}") and not folder.exists():
        raise HarBenchError(f"{url} holds a store that was not made here; remove it or choose another place")
    _convert(dataset, remote.fetch(raw).absolute(), folder, options, how)
    remote.publish(folder, out)
    return open_store(out)


@dataclass(frozen=True)
class How:
    """How the work is to be done: the arguments of :func:`convert` that do not change a byte of the store."""

    jobs: int
    scheduler: str | None
    strict: bool
    resume: bool
    format: Format
    quiet: bool


def _convert(dataset: str, raw: Path, out: Path, options: Mapping[str, Any] | None, how: How) -> None:
    """The conversion on this machine's files."""
    with readable(raw):
        if not raw.exists():
            raise HarBenchError(f"{raw} does not exist; give the folder of the raw download")
        is_store = repacking.is_store(raw)
    if is_store:
        repacking.repack(dataset, raw, out, how.format, quiet=how.quiet)
        return
    converter = make_converter(dataset, options)
    if how.jobs != 1 and how.scheduler is None and not _is_taken(out):
        workers.prepare(*needed_by_workers(converter))
    with readable(raw):
        found = converter.discover(raw)
    if not found:
        raise HarBenchError(f"{raw} holds no {dataset}: {converter.raw}")
    header = journal.Header(
        har_bench=har_bench.__version__,
        converter=dataset,
        version=converter.version,
        options=given(converter),
        shards=fingerprint.combined(sources.identity(raw, shard) for shard in found),
    )
    if _is_taken(out):
        _refuse_another(out, header, raw, found, how.format)
        return
    with folders.partial_of(out, resume=how.resume) as partial:
        if _is_taken(out):  # another process was faster
            shutil.rmtree(partial)
            _refuse_another(out, header, raw, found, how.format)
            return
        if not _is_finished(partial, how.format, header, raw, found):
            records = _run(converter, raw, found, header, partial, how)
            with folders.kept(partial, lambda: _is_worth(records), lambda: _written(records)):
                journal.refuse_changes(raw, found, records)
                assemble(converter, _described(converter, header), records, partial, how.format, quiet=how.quiet)
        (partial / journal.JOURNAL).unlink(missing_ok=True)
        shutil.rmtree(partial / "shards", ignore_errors=True)
        if how.format == "hdf5" and (partial / hdf5.ARRAYS).exists():  # whole now, and the Parquet files with it
            remove_parquet(partial)
        folders.finish(partial, out)


def needed_by_workers(converter: Converter) -> list[str]:
    """The modules that every worker will need; not a stranger's, of which nobody knows whether it can be forked."""
    module = type(converter).__module__
    package = module.rpartition(".")[0] or module
    loops = any(f"{name}.".startswith(f"{package}.") for name in compiling.DEFINED)
    ours = [module] * module.startswith("har_bench.")
    return [shards.__name__, *ours, *["har_bench.arrays.numba_loaded"] * loops]


def make_converter(dataset: str, options: Mapping[str, Any] | None = None) -> Converter:
    """A converter from its registered name or ``package.module:Name``, with these options.

    Raises:
        HarBenchError: an unknown name or option, or a value that its option cannot take.
    """
    made = registry.load("converters", dataset)
    if not (isinstance(made, type) and issubclass(made, Converter)):
        raise HarBenchError(f"{dataset} is no converter; name a class that is a har_bench.converter.Converter")
    return made(**read(made, options or {}, dataset))


def _is_finished(partial: Path, layout: Format, header: journal.Header, raw: Path, found: Sequence[Shard]) -> bool:
    """Whether all is done but for the renaming, by a conversion that was killed just before it.

    Raises:
        HarBenchError: it was of other files.
    """
    path = partial / manifest.MANIFEST
    if not path.exists():
        return False
    try:
        described = manifest.read(partial)
        for each in {"parquet": (".",), "hdf5": (hdf5.ARRAYS,), "both": (".", hdf5.ARRAYS)}[layout]:
            open_store(partial / each).validate()
    except HarBenchError as error:
        warnings.warn(f"what was converted before is converted again, for {error}", HarBenchWarning, stacklevel=4)
        path.unlink()
        return False
    if _difference(partial, described, header, raw, found):
        raise HarBenchError(journal.BEGUN.format(partial))
    return True


def _is_taken(out: Path) -> bool:
    """Whether something is there already; an empty folder is nothing."""
    return out.exists() and any(out.iterdir())


def _refuse_another(out: Path, header: journal.Header, raw: Path, found: Sequence[Shard], layout: Format) -> None:
    """Nothing is to be done if the store that is there is of the same files; only those that changed since are read."""
    if not (out / manifest.MANIFEST).is_file():
        raise HarBenchError(f"{out} is not empty and is no store; choose another folder")
    difference = _difference(out, open_store(out).manifest, header, raw, found)
    if difference:
        made = f"{out} was made from other files, options or versions ({difference})"
        raise HarBenchError(f"{made}; remove it or choose another folder")
    present = {"parquet": parquet.table_path(out, "sequences").exists(), "hdf5": (out / hdf5.ARRAYS).exists()}
    absent = [name for name, there in present.items() if layout in (name, "both") and not there]
    if absent:
        remedy = f"har-bench convert {header.converter} {out} OTHER --format {layout}"
        raise HarBenchError(f"{out} is finished and has no {absent[0]}; repack it into another folder: {remedy}")


def _difference(folder: Path, old: Manifest, header: journal.Header, raw: Path, found: Sequence[Shard]) -> str:
    """How a store differs from what these files, options and versions would give; empty when it does not."""
    before = {"converter": old.converter, "version": old.converter_version, "options": old.options}
    for what, value in before.items():
        if value != getattr(header, what):
            return f"its {what} {value!r}, and not {getattr(header, what)!r}"
    now = {sources.relative(raw, path): path for shard in found for path in shard.sources if sources.readable(path)}
    then = {source.path: source for source in old.sources}
    if now.keys() != then.keys():
        return f"{min(now.keys() ^ then.keys())} is of one of them only"
    made = (folder / manifest.MANIFEST).stat().st_mtime_ns
    for name, path in now.items():
        size, changed = sources.stamp(path)
        if size != then[name].bytes or (changed > made and fingerprint.of_file(path) != then[name].blake3):
            return f"{name} has changed"
    return ""


def _run(
    converter: Converter,
    raw: Path,
    found: Sequence[Shard],
    header: journal.Header,
    partial: Path,
    how: How,
) -> list[shards.Record]:
    """Work on every shard that the journal does not have yet."""
    records: dict[int, shards.Record] = {}
    with folders.kept(partial, lambda: _is_worth(records.values()), lambda: _missing(found, records)):
        records |= journal.resume(partial, header, raw, found)
        todo = [
            shards.Work(number, shard, [sources.stamp(path)[0] for path in shard.sources])
            for number, shard in enumerate(found)
            if number not in records
        ]
        todo.sort(key=lambda work: -sum(work.sizes))  # the longest first, so that no worker is left alone with it
        task = functools.partial(shards.write, converter, raw, partial.absolute(), how.strict)
        with (
            workers.executor(min(how.jobs or os.cpu_count() or 1, max(len(todo), 1)), how.scheduler) as (pool, width),
            progress(header.converter, len(found), done=len(records), quiet=how.quiet) as shown,
            (partial / journal.JOURNAL).open("ab") as lines,
        ):
            for work, record in workers.unordered(pool, width, task, todo):
                journal.add(lines, record)
                records[work.number] = record
                rows = sum(written.rows for written in record.tables.values())
                shown.advance(rows=rows, bytes_read=sum(max(seen.bytes, 0) for seen in record.sources))
    return [records[index] for index in sorted(records)]


def _is_worth(records: Iterable[shards.Record]) -> bool:
    """Whether a second run has something to go on with: a shard that holds more than rejects."""
    return any("sequences" in record.tables for record in records)


def _written(records: Sequence[shards.Record]) -> int:
    """How many bytes of parts there are; the same again is about what an HDF5 file of them needs."""
    return sum(written.bytes for record in records for written in record.tables.values())


def _missing(found: Sequence[Shard], records: dict[int, shards.Record]) -> int:
    """How many bytes are still to be written, by the raw files that are left; their size while nothing is known."""
    left = sum(
        max(sources.stamp(path)[0], 0)
        for index, shard in enumerate(found)
        if index not in records
        for path in shard.sources
    )
    read = sum(max(seen.bytes, 0) for record in records.values() for seen in record.sources)
    return left * _written(list(records.values())) // read if read else left


def _described(converter: Converter, header: journal.Header) -> Manifest:
    """The manifest without what only the shards know."""
    return Manifest(
        dataset=converter.dataset,
        converter=header.converter,
        converter_version=header.version,
        options=header.options,
        sources=[],
        skeletons=list(converter.layouts()),
        splits={},
        rows={},
        parts={},
        rejects=0,
        published=[],
        notes=list(converter.notes),
        licence=converter.licence,
        citation=converter.citation,
        fingerprint="",
    )
