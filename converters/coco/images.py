"""The images of an annotation file as sequences, and which annotations can be told to belong to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from har_bench.arrays import Bools, Ints
from har_bench.schema import column, sequences_schema, table

from .document import Document
from .file_names import FileName, file_name
from .mending import READERS, Mender, Names, Odd, Reader, whole
from .origins import Origin
from .records import Image, fields
from .rejects import RejectLog

SEQUENCES = sequences_schema(
    [
        column("image_id", pa.int64(), about="as given; where the file has names, numbers below all others and 0"),
        column("image_row", pa.int64(), about="0-based place in the file's images"),
        column("annotation_file", pa.string(), about="path under the raw root"),
        column("license", pa.int64(), about="the image's licence: id, name and URL in the file's licenses"),
        column("license_name", pa.string()),
        column("license_url", pa.string()),
        column("coco_url", pa.string()),
        column("flickr_url", pa.string()),
        column("date_captured", pa.string()),
        column("crowd_index", pa.float64(), about="CrowdPose's crowdIndex"),
    ]
)


@dataclass
class Images:
    """The images of a file.

    Attributes:
        table: one row each.
        ids: (N,) their ids, as annotations have them.
        names: ids that are no numbers.
        found: how many images the file lists.
        unusable: of ids whose image cannot be told or was dropped, what is wrong.
    """

    table: pa.Table
    ids: Ints
    names: Names
    found: int
    unusable: dict[int, str] = field(default_factory=dict)


Licences = Mapping[int, tuple[str | None, str | None]]
"""Name and URL of licences by their ids."""

_NO_LICENCE = None, None


@dataclass
class _Noted:
    """What is remembered of images while they are read.

    Attributes:
        log: is told what was dropped and repaired.
        lost: of images that were dropped, id and place.
        moved: places of images whose file is named by a path that leaves the folder of images.
    """

    log: RejectLog
    lost: dict[int, int]
    moved: set[int] = field(default_factory=set)


def images(document: Document, origin: Origin, log: RejectLog) -> Images:
    """One row per image.

    Raises:
        HarBenchError: the images are no list.
    """
    names, found = Names(), 0
    readers = READERS | {"id": Reader("a number", names.given)}
    mend = Mender(Image, "images", log, readers, frozenset({"id", "file_name"}))
    noted, licences = _Noted(log, mend.lost), _licences(document, log)
    parts = [SEQUENCES.empty_table()]
    for batch in document.records("images", Image, mend):
        found += batch.found
        for row, reason in batch.broken:
            log.dropped(f"images[{row}]", reason)
        parts.append(_rows(batch.rows, batch.records, origin, licences, noted))
    sequences = pa.concat_tables(parts).combine_chunks()
    unusable = {number: f"images[{row}], which has this id, was dropped" for number, row in noted.lost.items()}
    sequences = _told_apart(sequences, unusable, names, log)
    ids = sequences["image_id"].to_numpy()
    sequences = _replaced(sequences, "image_id", pa.array(names.settled(ids)))
    return Images(_named_apart(sequences, noted), ids, names, found, unusable)


def _rows(rows: Sequence[int], records: Sequence[Image], origin: Origin, licences: Licences, noted: _Noted) -> pa.Table:
    given = fields(Image, records)
    files = [file_name(name) for name in given["file_name"]]
    columns: dict[str, Any] = {name: given[name] for name in ("width", "height", "license")}
    for name in ("coco_url", "flickr_url", "date_captured"):
        columns[name] = [None if text is None else str(text) for text in given[name]]
    columns |= {
        "sequence": [f"{origin.label}/{file.path}" for file in files],
        "media": [_media(file, url, origin) for file, url in zip(files, given["coco_url"], strict=True)],
        "n_frames": np.ones(len(rows), np.int32),
        "splits": [[origin.split]] * len(rows),
        "image_id": given["id"],
        "image_row": np.array(rows, np.int64),
        "annotation_file": [origin.source] * len(rows),
        "license_name": [licences.get(number, _NO_LICENCE)[0] for number in given["license"]],
        "license_url": [licences.get(number, _NO_LICENCE)[1] for number in given["license"]],
        "crowd_index": given["crowdIndex"],
    }
    part = table(columns, SEQUENCES)
    moved = [at for at, file in enumerate(files) if file.moved]
    for at in moved:
        _note(rows[at], given["id"][at], given["file_name"][at], files[at], noted)
    return part.filter(pa.array([bool(file.path) for file in files])) if moved else part


def _note(row: int, number: int, name: str, file: FileName, noted: _Noted) -> None:
    """Say what became of a name that is no path under the folder of images."""
    if not file.path:
        noted.log.dropped(f"images[{row}].file_name", f"it is {name!r} and not the name of a file")
        noted.lost.setdefault(number, row)
        return
    noted.moved.add(row)
    example = f"{name!r} as {file.path!r}"
    if file.known:
        noted.log.mended(
            "images", row, "file_name", "it is no path below the folder of images; it is read as one: {}", example
        )
    else:
        noted.log.mended(
            "images", row, "file_name", "it is a path of one machine; media is null, and the rest its name: {}", example
        )


def _licences(document: Document, log: RejectLog) -> Licences:
    given = document.value("licenses")
    if isinstance(given, dict):
        log.repaired("licenses", "it is no list of licences; none is known")
    found: dict[int, tuple[str | None, str | None]] = {}
    for row, each in enumerate(given if isinstance(given, list) else []):
        try:
            texts = [each.get(name) for name in ("name", "url")]
            name, url = (text if isinstance(text, str) else None for text in texts)
            if each.get("id") is not None:
                found[whole(each["id"])] = name, url
        except (AttributeError, Odd):
            log.mended("licenses", row, "id", "it is no licence with a number; it is not known to any image")
    return found


def _media(file: FileName, url: Any, origin: Origin) -> str | None:
    """An image's path under the raw root: its folder is that of the split, or the one that its URL names."""
    if not file.known:
        return None
    folder = origin.media
    if folder is None:
        ahead, found, _ = str(url or "").rpartition("/" + file.path)
        folder = ahead.rpartition("/")[2] if found and "://" in ahead else ""
    path = f"{folder}/{file.path}" if folder else file.path
    return f"{origin.base}/{path}" if origin.base else path


def _told_apart(sequences: pa.Table, unusable: dict[int, str], names: Names, log: RejectLog) -> pa.Table:
    """Images without those that have the id of another one.

    Where all of an id are one file, the first is kept. Else nobody knows whose the annotations of that id are: none is.
    """
    ids, rows = sequences["image_id"].to_numpy(), sequences["image_row"].to_numpy()
    again = repeated(ids)
    lost = np.isin(ids, list(unusable)) if unusable else np.zeros(len(ids), bool)
    if not again.any() and not lost.any():
        return sequences
    paths = sequences["sequence"].to_pylist()
    files: dict[int, list[str]] = {}
    for at in np.flatnonzero(np.isin(ids, np.append(ids[again], ids[lost]))).tolist():
        files.setdefault(int(ids[at]), []).append(paths[at].partition("/")[2])
    drop = np.zeros(len(ids), bool)
    for at in np.flatnonzero(np.isin(ids, list(files))).tolist():
        number = int(ids[at])
        different = sorted(set(files[number]))
        if len(different) > 1 or number in unusable:
            which = unusable.setdefault(number, f"{len(different)} images have this id: {', '.join(different[:3])}")
            reason = f"{which}; of which of them annotations are is not known"
            log.dropped(f"images[{rows[at]}].id", reason)
            drop[at] = True
        elif again[at]:
            log.dropped(f"images[{rows[at]}].id", f"id {names.shown(number)} is listed again; the first is kept")
            drop[at] = True
    return sequences.filter(pa.array(~drop))


def _named_apart(sequences: pa.Table, noted: _Noted) -> pa.Table:
    """Images of one file name each; where a file name comes again, the id is added to it.

    A name that was written otherwise gives way to the one that was not, and is no longer believed to be the file's.
    """
    names = sequences["sequence"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    rows, keys, media = (sequences[name].to_pylist() for name in ("image_row", "sequence", "media"))
    moved = np.isin(rows, list(noted.moved)) if noted.moved else np.zeros(len(rows), bool)
    order = np.argsort(moved, kind="stable")
    again = order[repeated(names[order])]
    if not len(again):
        return sequences
    taken = set(keys)
    for at in sorted(again.tolist()):
        while keys[at] in taken:
            keys[at] = f"{keys[at]}@{sequences['image_id'][at]}"
        taken.add(keys[at])
        reason = f"another image has the same file_name; this one is sequence {keys[at]}"
        if moved[at]:
            media[at] = None
            reason += ", and its file is not known"
        noted.log.repaired(f"images[{rows[at]}].file_name", reason)
    return _replaced(_replaced(sequences, "sequence", pa.array(keys)), "media", pa.array(media, pa.string()))


def _replaced(sequences: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return sequences.set_column(sequences.column_names.index(name), SEQUENCES.field(name), values)


def repeated(values: Ints) -> Bools:
    """(N,) whether each value came before."""
    order = np.argsort(values, kind="stable")
    again = np.zeros(len(values), bool)
    again[order[1:]] = np.diff(values[order]) == 0
    return again
