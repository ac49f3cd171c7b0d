"""The store's tables of one annotation file in COCO's format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.converter import Tables
from har_bench.schema import column, poses_schema, sequences_schema, table

from .document import Document
from .layout import WHOLEBODY, Layout, categories
from .records import BOXES, VALID, Image, Joints, License, RejectLog, WholeBody, boxes, fields

SEQUENCES = sequences_schema(
    [
        column("image_id", pa.int64()),
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

EXTRAS = (
    column("annotation_id", pa.int64(), about="as given; person is another number where the file repeats it"),
    column("annotation_row", pa.int64(), about="0-based place in the file's annotations; it breaks ties in COCO's AP"),
    column("category_id", pa.int64()),
    column("category", pa.string()),
    column("iscrowd", pa.uint8(), about="1: a group; no joints, segmentation is run-length encoded"),
    column("ignore", pa.uint8()),
    column("num_keypoints", pa.int32(), about="as given; COCO's AP leaves out a person with 0"),
    column("area", pa.float64(), "px^2", about="of the segmentation, as given"),
    column("segmentation", pa.binary(), about="json as in the file: polygons, or a run-length encoding"),
)


@dataclass(frozen=True)
class Origin:
    """Where an annotation file belongs.

    Attributes:
        label: the first part of its sequences' names, such as ``val2017``.
        split: such as ``2017/val``.
        source: the file, as a path under the raw root.
        media: the folder of its images; None where only the images' URLs tell.
        layout: of its joints.
    """

    label: str
    split: str
    source: str
    media: str | None
    layout: Layout


def poses_of(layout: Layout) -> pa.Schema:
    """The columns of ``poses``; coordinates and boxes are doubles, so that COCO's AP comes out to the last digit."""
    if layout.joints is None:
        plain = poses_schema(1, dims=(), extras=EXTRAS)
        plain = plain.remove(plain.get_field_index("visibility"))
    else:
        joints, extras = len(layout.joints), list(EXTRAS)
        if layout.graded:
            about = "as given: 0 unlabelled, 1 occluded, 2 visible, or what the file has instead, such as a confidence"
            extras.append(column("v", pa.float64(), shape=(joints,), about=about))
        if layout.joints.name == WHOLEBODY:
            extras += [column(name, pa.float64(), "px", shape=(4,), about="x, y, w, h") for name in BOXES]
            extras += [column(name, pa.bool_()) for name in VALID]
        plain = poses_schema(joints, points=pa.float64(), extras=extras)
    return plain.set(plain.get_field_index("bbox"), column("bbox", pa.float64(), "px", shape=(4,), about="x, y, w, h"))


def tables(document: Document, origin: Origin) -> Tables:
    """Everything a file holds, in its order.

    Raises:
        HarBenchError: a member of the file is not as COCO defines it.
    """
    log = RejectLog(origin.source)
    sequences = _sequences(document, origin, log)
    return Tables(sequences=sequences, poses=_poses(document, origin.layout, sequences, log), rejects=log.entries)


def _sequences(document: Document, origin: Origin, log: RejectLog) -> pa.Table:
    """One row per image."""
    licences = document.value("licenses", list[License]) if "licenses" in document.members else []
    names = {licence.id: licence.name for licence in licences if licence.id is not None}
    urls = {licence.id: licence.url for licence in licences if licence.id is not None}
    parts = [SEQUENCES.empty_table()]
    for batch in document.records("images", Image):
        for row, reason in batch.broken:
            log.dropped(f"images[{row}]", reason)
        given = fields(Image, batch.records)
        columns: dict[str, Any] = {name: given[name] for name in ("width", "height", "license")}
        for name in ("coco_url", "flickr_url", "date_captured"):
            columns[name] = [None if text is None else str(text) for text in given[name]]
        columns |= {
            "sequence": [f"{origin.label}/{name}" for name in given["file_name"]],
            "media": [
                _media(name, url, origin) for name, url in zip(given["file_name"], given["coco_url"], strict=True)
            ],
            "n_frames": np.ones(len(batch.rows), np.int32),
            "splits": [[origin.split]] * len(batch.rows),
            "image_id": given["id"],
            "image_row": np.array(batch.rows, np.int64),
            "annotation_file": [origin.source] * len(batch.rows),
            "license_name": list(map(names.get, given["license"])),
            "license_url": list(map(urls.get, given["license"])),
            "crowd_index": given["crowdIndex"],
        }
        part = table(columns, SEQUENCES)
        outside = [not _inside(name) for name in given["file_name"]]
        if any(outside):
            for at in np.flatnonzero(outside).tolist():
                reason = f"file_name {given['file_name'][at]!r} is no path under the folder of images"
                log.dropped(f"images[{batch.rows[at]}].file_name", reason)
            part = part.filter(pa.array([not out for out in outside]))
        parts.append(part)
    return _named_apart(pa.concat_tables(parts).combine_chunks(), log)


def _named_apart(sequences: pa.Table, log: RejectLog) -> pa.Table:
    """Images without those whose id came before; where a file name comes again, the id is added to it."""
    rows = sequences["image_row"].to_numpy()
    again = _repeated(sequences["image_id"].to_numpy())
    for at in np.flatnonzero(again).tolist():
        log.dropped(f"images[{rows[at]}].id", f"id {sequences['image_id'][at]} is listed again; the first is kept")
    if again.any():
        sequences, rows = sequences.filter(pa.array(~again)), rows[~again]
    names = sequences["sequence"].combine_chunks().dictionary_encode()
    again = _repeated(names.indices.to_numpy().astype(np.int64))
    if not again.any():
        return sequences
    keys = sequences["sequence"].to_pylist()
    taken = set(keys)
    for at in np.flatnonzero(again).tolist():
        while keys[at] in taken:
            keys[at] = f"{keys[at]}@{sequences['image_id'][at]}"
        taken.add(keys[at])
        reason = f"another image has the same file_name; this one is sequence {keys[at]}"
        log.repaired(f"images[{rows[at]}].file_name", reason)
    return sequences.set_column(0, SEQUENCES.field("sequence"), pa.array(keys))


def _inside(name: str) -> bool:
    """Whether a file's name stays in the folder of images."""
    return name[0] != "/" and "\\" not in name and "\0" not in name and ".." not in name.split("/")


def _media(name: str, url: Any, origin: Origin) -> str:
    """An image's path under the raw root: its folder is that of the split, or the one that its URL names."""
    folder = origin.media
    if folder is None:
        ahead, found, _ = str(url or "").rpartition("/" + name)
        folder = ahead.rpartition("/")[2] if found and "://" in ahead else ""
    return f"{folder}/{name}" if folder else name


def _poses(document: Document, layout: Layout, sequences: pa.Table, log: RejectLog) -> pa.Table:
    """One row per annotation."""
    schema, joints = poses_of(layout), Joints(layout, log)
    named = {category.id: category.name for category in categories(document)}
    owners, parts = [np.zeros(0, np.int64)], [schema.empty_table()]
    for batch in document.records("annotations", joints.kind):
        for row, reason in batch.broken:
            log.dropped(f"annotations[{row}]", reason)
        rows, records, columns = joints.columns(batch.rows, batch.records)
        given = fields(joints.kind, records)
        columns |= {name: given[name] for name in ("category_id", "iscrowd", "ignore", "num_keypoints", "area")}
        columns |= {
            "sequence": pa.nulls(len(rows), pa.string()),  # known when all are read, as is person
            "frame": np.zeros(len(rows), np.int32),
            "bbox": boxes(given["bbox"]),
            "annotation_id": given["id"],
            "annotation_row": np.array(rows, np.int64),
            "category": list(map(named.get, given["category_id"])),
            "segmentation": _texts(given["segmentation"]),
        }
        if joints.kind is WholeBody:
            columns |= {name: boxes(given[name]) for name in BOXES} | {name: given[name] for name in VALID}
        owners.append(np.array(given["image_id"], np.int64))
        parts.append(table(columns, schema))
    joints.report()
    poses = pa.concat_tables(parts)
    image = _image_rows(sequences["image_id"].to_numpy(), np.concatenate(owners))
    if (image < 0).any():
        for row in poses["annotation_row"].to_numpy()[image < 0].tolist():
            log.dropped(f"annotations[{row}].image_id", "no image of the file has this id")
        poses, image = poses.filter(pa.array(image >= 0)), image[image >= 0]
    persons = _persons(poses["annotation_id"].to_numpy(), poses["annotation_row"].to_numpy(), log)
    poses = poses.set_column(0, schema.field("sequence"), sequences["sequence"].take(pa.array(image)))
    return poses.set_column(2, schema.field("person"), pa.array(persons))


def _texts(values: Sequence[msgspec.Raw]) -> pa.Array:
    """Undecoded json as bytes; null where it is null."""
    lengths = np.fromiter(map(len, values), np.int32, len(values))
    buffers = [None, pa.py_buffer(np.append(0, lengths.cumsum()).astype(np.int32)), pa.py_buffer(b"".join(values))]
    texts = pa.Array.from_buffers(pa.binary(), len(values), buffers)
    return pc.if_else(pc.equal(texts, b"null"), None, texts) if (lengths == len(b"null")).any() else texts


def _image_rows(images: npt.NDArray[np.int64], owners: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each annotation the row of its image; -1 where there is none."""
    order = np.argsort(images)
    at = np.searchsorted(images, owners, sorter=order)
    rows = np.append(order, -1)[at]
    return np.where(np.append(images, 0)[rows] == owners, rows, -1)


def _repeated(values: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(N,) whether each value came before."""
    order = np.argsort(values, kind="stable")
    again = np.zeros(len(values), bool)
    again[order[1:]] = np.diff(values[order]) == 0
    return again


def _persons(ids: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], log: RejectLog) -> npt.NDArray[np.int64]:
    """One number per annotation: its id, or where the file repeats that, a fresh one below all ids and below 0."""
    again = np.flatnonzero(_repeated(ids))
    persons = ids.copy()
    if len(again):
        persons[again] = min(int(ids.min()), 0) - 1 - np.arange(len(again))
    for at in again.tolist():
        reason = f"annotation id {ids[at]} is given again; it is person {persons[at]} of the store"
        log.repaired(f"annotations[{rows[at]}].id", reason)
    return persons
