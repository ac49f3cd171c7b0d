"""The manifest of a store: what it holds, what it was made from, and the fingerprint of its content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from blake3 import blake3

from har_bench.errors import HarBenchError, completing
from har_bench.foreign import json_file, opening
from har_bench.schema import SCHEMA_VERSION
from har_bench.skeletons import Skeleton
from har_bench.storing import seals

MANIFEST = "manifest.json"
SEALED = 2
"""The first layout whose manifests and parts are sealed."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A raw file that a store was made from; ``path`` is relative to the raw root."""

    path: str
    bytes: int
    blake3: str


class PublishedCount(msgspec.Struct, frozen=True, kw_only=True):
    """A published figure beside the one in the store."""

    what: str
    expected: int
    found: int


class Manifest(msgspec.Struct, kw_only=True):
    """Everything a reader must know about a store before opening a table.

    Attributes:
        schema: version of the store's layout.
        dataset: such as ``h36m``.
        converter: registered name of the converter, with its ``converter_version``.
        options: the conversion's options that differ from their defaults.
        sources: every raw file.
        skeletons: the joint layouts of this dataset; the first is the one in the tables.
        splits: number of sequences by split name.
        rows: number of rows by table.
        parts: the numbers of each table's parts; a shard that was rejected whole leaves a gap.
        rejects: number of raw records that were dropped or repaired.
        published: the published counts beside those found.
        notes: what a reader of the numbers must know (pixel shifts, mirrored names, defects).
        licence: the dataset's terms.
        citation: what to cite.
        fingerprint: blake3 of the content, the same for Parquet and HDF5.
        seals: the seal (see :mod:`har_bench.storing.seals`) of every part, by table; a store that an older har_bench
            wrote has none.
        seal: blake3 of the rest of the manifest.
    """

    schema: int = SCHEMA_VERSION
    dataset: str
    converter: str
    converter_version: str
    options: dict[str, Any] = {}
    sources: list[Source]
    skeletons: list[Skeleton]
    splits: dict[str, int]
    rows: dict[str, int]
    parts: dict[str, list[int]]
    rejects: int
    published: list[PublishedCount]
    notes: list[str]
    licence: str
    citation: str
    fingerprint: str
    seals: dict[str, list[str]] = {}
    seal: str = ""

    def to_json(self) -> bytes:
        """The file's bytes, under their seal."""
        return msgspec.json.format(msgspec.json.encode(self.sealed()), indent=1) + b"\n"

    def sealed(self) -> Manifest:
        """The same manifest with the seal that belongs to it."""
        bare = msgspec.structs.replace(self, seal="")
        return msgspec.structs.replace(self, seal=blake3(msgspec.json.encode(bare)).hexdigest())


def decode(raw: bytes, where: Path) -> Manifest:
    """A manifest from its JSON.

    Raises:
        HarBenchError: the bytes are no manifest, are damaged, or come from a newer har_bench.
    """
    with completing(where, "convert the dataset again"):
        manifest: Manifest = json_file.decode(raw, Manifest, what="the manifest of a store")
    if manifest.schema > SCHEMA_VERSION:
        raise HarBenchError(f"{where} was written by a newer har_bench (layout {manifest.schema}); update har_bench")
    if (manifest.schema >= SEALED or manifest.seal or manifest.seals) and manifest.seal != manifest.sealed().seal:
        raise seals.damaged(where, "the manifest is not the one that was written")
    if "sequences" not in manifest.rows or set(manifest.rows) != set(manifest.parts):
        raise seals.damaged(where, "its tables are not those of a store")
    return manifest


def read(folder: Path) -> Manifest:
    """The manifest of a finished store.

    Raises:
        HarBenchError: there is no store, its conversion has not finished, or the manifest is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        begun = (folder.parent / f"{folder.name}.partial").is_dir()
        interrupted = "its conversion was interrupted: run the same convert command again"
        remedy = interrupted if begun else "convert the dataset first"
        raise HarBenchError(f"{folder} is not a store ({MANIFEST} is missing); {remedy}")
    with seals.undamaged(path):
        return decode(opening.content(path), path)
