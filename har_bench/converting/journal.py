"""The journal of a conversion: which shards are finished, and whether their files are still there as they were."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
from blake3 import blake3

from har_bench.converter import Shard
from har_bench.converting import shards, sources
from har_bench.errors import HarBenchError, HarBenchWarning
from har_bench.files import UNFINISHED, write_whole
from har_bench.foreign import json_file, opening
from har_bench.schema import PARTITIONED

JOURNAL = "journal.jsonl"
BEGUN = "{} was begun from other files, options or versions; --no-resume starts afresh"

Line = TypeVar("Line", bound=msgspec.Struct)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a journal: what the conversion is of. Another header means another conversion."""

    har_bench: str
    converter: str
    version: str
    options: dict[str, Any]
    shards: str


def add(lines: BinaryIO, record: shards.Record) -> None:
    """Write that a shard is finished, down to the disk."""
    lines.write(_line(record))
    lines.flush()
    os.fsync(lines.fileno())


def resume(partial: Path, header: Header, raw: Path, found: Sequence[Shard]) -> dict[int, shards.Record]:
    """The finished shards of an interrupted run by their number, and a journal that is ready for more.

    A line cut off by a kill, or damaged, is dropped; so is a shard whose raw files or parts are not what they were.

    Raises:
        HarBenchError: the journal is of another conversion, or no file.
    """
    path = partial / JOURNAL
    text = opening.read(path, "--no-resume starts afresh") if path.exists() else b""
    lines = text[: text.rfind(b"\n") + 1].splitlines()
    for folder in (partial, *(partial / name for name in (*PARTITIONED, "shards"))):
        for unfinished in folder.glob(f".*{UNFINISHED}"):
            unfinished.unlink(missing_ok=True)
    begun = _parsed(lines[0], Header) if lines else None
    if begun is not None and begun != header:
        raise HarBenchError(BEGUN.format(partial))
    records = (_parsed(line, shards.Record) for line in lines[1:]) if begun else ()
    known = {record.index: record for record in records if record is not None and 0 <= record.index < len(found)}
    kept = {index: record for index, record in known.items() if _intact(record, partial, raw, found[index])}
    if len(kept) < len(known):
        again = f"{len(known) - len(kept)} finished shards of {partial} are converted again"
        warnings.warn(f"{again}, for their raw files or parts are not what they were", HarBenchWarning, stacklevel=2)
    write_whole(path, b"".join(map(_line, (header, *kept.values()))))
    return kept


def refuse_changes(raw: Path, found: Sequence[Shard], records: Iterable[shards.Record]) -> None:
    """Compare the raw files, when all are read, with what was read of them.

    Raises:
        HarBenchError: one has changed meanwhile.
    """
    for record in records:
        for path, seen in zip(found[record.index].sources, record.sources, strict=True):
            if not sources.unchanged(path, seen):
                changed = sources.relative(raw, path)
                raise HarBenchError(f"{changed} changed while {raw} was converted; give the same command again")


def _intact(record: shards.Record, partial: Path, raw: Path, shard: Shard) -> bool:
    """Whether a finished shard's raw files and parts are those of its line; what has another stamp is read again."""
    if [seen.path for seen in record.sources] != [sources.relative(raw, path) for path in shard.sources]:
        return False
    if not all(sources.unchanged(path, seen) for path, seen in zip(shard.sources, record.sources, strict=True)):
        return False
    for name, written in record.tables.items():
        path = shards.path_of(partial, record.index, name)
        if sources.stamp(path) != (written.bytes, written.changed):
            try:
                shards.read(path, written)
            except HarBenchError:
                return False
    return True


def _line(entry: msgspec.Struct) -> bytes:
    body = msgspec.json.encode(entry)
    return blake3(body).hexdigest(8).encode() + b" " + body + b"\n"


def _parsed(line: bytes, kind: type[Line]) -> Line | None:
    """What a line says; None when it is not as it was written."""
    digest, _, body = line.partition(b" ")
    if digest != blake3(body).hexdigest(8).encode():
        return None
    try:
        return msgspec.json.decode(body, type=kind)
    except json_file.BROKEN:  # whole, but of another version of har_bench
        return None
