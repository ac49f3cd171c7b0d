"""A finished store in another format: values, notes and fingerprint stay."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import msgspec

from har_bench.converting import folders
from har_bench.converting.assembling import Format, write_hdf5
from har_bench.errors import HarBenchError
from har_bench.files import write_whole
from har_bench.schema import SCHEMA_VERSION
from har_bench.store import Store, open_store
from har_bench.storing import hdf5, manifest, parquet, seals


def is_store(path: Path) -> bool:
    """Whether a path is a finished store: a folder with a manifest, or an ``arrays.h5`` alone."""
    if path.is_dir():
        return (path / manifest.MANIFEST).is_file()
    return path.is_file() and h5py.is_hdf5(path) and hdf5.holds_store(path)


def repack(dataset: str, path: Path, out: Path, layout: Format, *, quiet: bool) -> None:
    """Write a finished store again.

    Args:
        dataset: whose store it must be: the dataset's name, or its converter's.
        path: the store.
        out: the new store's folder; it must not exist.
        layout: the format that it is to have.
        quiet: no progress.

    Raises:
        HarBenchError: the store is of another dataset or damaged, or the new one cannot be written.
    """
    store = open_store(path)
    if dataset not in (store.dataset, store.manifest.converter):
        raise HarBenchError(f"{path} is a store of {store.dataset} and not of {dataset}; name {store.dataset}")
    _refuse_taken(out)
    if not store.manifest.seals:  # what nobody watched over since it was converted
        store.validate()
    with folders.partial_of(out, resume=False) as partial, folders.kept(partial, lambda: False, lambda: _size(path)):
        _refuse_taken(out)  # another process was faster
        sealed = {name: list(_parts(store, name, partial, layout)) for name in store.manifest.parts}
        store.manifest = msgspec.structs.replace(store.manifest, schema=SCHEMA_VERSION, seals=sealed)
        if layout != "parquet":
            write_hdf5(store, partial, quiet=quiet)
        write_whole(partial / manifest.MANIFEST, store.manifest.to_json())
        _keep_time(path, partial / manifest.MANIFEST)
        folders.finish(partial, out)


def _refuse_taken(out: Path) -> None:
    if out.exists():
        raise HarBenchError(f"{out} exists; remove it or choose another folder")


def _parts(store: Store, name: str, partial: Path, layout: Format) -> Iterator[str]:
    """Write a table's parts where Parquet is wanted; the seal of each."""
    for part in store.parts(name):
        table = store.read(name, part)
        if layout == "hdf5":
            yield seals.seal(table.schema, table.num_rows, seals.leaves(table))
        else:
            yield parquet.write(table, parquet.table_path(partial, name, part))


def _keep_time(path: Path, fresh: Path) -> None:
    """A raw file that changed after the conversion, and before the repacking, is still to be noticed."""
    made = (path / manifest.MANIFEST if path.is_dir() else path).stat().st_mtime_ns
    os.utime(fresh, ns=(made, made))


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)
