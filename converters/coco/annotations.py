"""The annotations of a file as poses: each with its image, its category and its joints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Ints
from har_bench.schema import column, poses_schema, table

from .categories import Category, categories
from .document import Document
from .images import Images, repeated
from .joints import Joints
from .layout import WHOLEBODY, Layout
from .mending import LIMIT, READERS, Instead, Mender, Odd, Reader, identity, whole
from .records import BOXES, VALID, WholeBody, boxes, fields
from .rejects import RejectLog

EXTRAS = (
    column("annotation_id", pa.int64(), about="as given, null if it is no number; person is another where it repeats"),
    column("annotation_row", pa.int64(), about="0-based place in the file's annotations; it breaks ties in COCO's AP"),
    column("category_id", pa.int64()),
    column("category", pa.string()),
    column("iscrowd", pa.uint8(), about="1: a group; no joints, segmentation is run-length encoded"),
    column("ignore", pa.uint8()),
    column("num_keypoints", pa.int32(), about="as given; COCO's AP leaves out a person with 0"),
    column("area", pa.float64(), "px^2", about="of the segmentation, as given"),
    column("segmentation", pa.binary(), about="json as in the file: polygons, or a run-length encoding"),
)

NAMELESS = "it is no number, or not there; annotation_id is null, and person counts down below the numbers"


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


def poses(document: Document, layout: Layout, images: Images, log: RejectLog) -> tuple[pa.Table, int]:
    """One row per annotation, and how many annotations the file lists.

    Raises:
        HarBenchError: the annotations are no list.
    """
    schema, joints = poses_of(layout), Joints(layout, log)
    known = categories(document)[0]
    named = {category.id: category.name for category in reversed(known)}
    mend = Mender(joints.kind, "annotations", log, _readers(images, known), frozenset({"image_id"}))
    others: Counter[int | None] = Counter()
    firsts: dict[int | None, int] = {}
    owners, parts, found = [np.zeros(0, np.int64)], [schema.empty_table()], 0
    for batch in document.records("annotations", joints.kind, mend):
        found += batch.found
        for row, reason in batch.broken:
            log.dropped(f"annotations[{row}]", reason)
        rows: Sequence[int] = batch.rows
        records: Sequence[Any] = batch.records
        if layout.categories is not None:
            rows, records = _chosen(rows, records, layout.categories, others, firsts)
        rows, records, columns = joints.columns(rows, records)
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
    for number, count in others.items():
        reason = f"it is of category {named.get(number, number)!r}, and the option category chooses another"
        log.left_out(f"annotations[{firsts[number]}].category_id", reason, count)
    return _placed(pa.concat_tables(parts), np.concatenate(owners), images, log), found


def _readers(images: Images, known: list[Category]) -> dict[str, Reader]:
    """How fields are read that are not written as COCO writes them, ids among them."""
    numbers = {each.name: each.id for each in reversed(known)}

    def own(given: Any) -> int:
        try:
            found = identity(given)
        except Odd:
            found = ""
        if isinstance(found, int):
            return found
        raise Instead(None)  # which is reported of all that have none

    def category(given: Any) -> int:
        if isinstance(given, str) and numbers.get(given) is not None:
            raise Instead(numbers[given], "it is the name of a category ({}); its number is taken")
        found = whole(given)
        if abs(found) > LIMIT:
            raise Odd
        return found

    return READERS | {
        "id": Reader("a number", own),
        "image_id": Reader("the id of an image", images.names.known),
        "category_id": Reader("the id of a category", category),
    }


def _chosen(
    rows: Sequence[int],
    records: Sequence[Any],
    wanted: frozenset[int],
    others: Counter[int | None],
    firsts: dict[int | None, int],
) -> tuple[Sequence[int], list[Any]]:
    """The annotations of the categories that the user chose; the others are counted."""
    kept = []
    for at, record in enumerate(records):
        if record.category_id in wanted:
            kept.append(at)
        else:
            others[record.category_id] += 1
            firsts.setdefault(record.category_id, rows[at])
    return [rows[at] for at in kept], [records[at] for at in kept]


def _placed(found: pa.Table, owners: Ints, images: Images, log: RejectLog) -> pa.Table:
    """The annotations with the sequence of their image, and a person each."""
    image = _image_rows(images.ids, owners)
    if (image < 0).any():
        rows = found["annotation_row"].to_numpy()
        for at in np.flatnonzero(image < 0).tolist():
            reason = images.unusable.get(int(owners[at]), "no image of the file has this id")
            log.dropped(f"annotations[{rows[at]}].image_id", reason)
        found, image = found.filter(pa.array(image >= 0)), image[image >= 0]
    persons = _persons(found["annotation_id"].combine_chunks(), found["annotation_row"].to_numpy(), log)
    found = found.set_column(0, found.schema.field("sequence"), images.table["sequence"].take(pa.array(image)))
    return found.set_column(2, found.schema.field("person"), pa.array(persons))


def _texts(values: Sequence[msgspec.Raw]) -> pa.Array:
    """Undecoded json as bytes; null where it is null."""
    lengths = np.fromiter(map(len, values), np.int32, len(values))
    buffers = [None, pa.py_buffer(np.append(0, lengths.cumsum()).astype(np.int32)), pa.py_buffer(b"".join(values))]
    texts = pa.Array.from_buffers(pa.binary(), len(values), buffers)
    return pc.if_else(pc.equal(texts, b"null"), None, texts) if (lengths == len(b"null")).any() else texts


def _image_rows(images: Ints, owners: Ints) -> Ints:
    """For each annotation the row of its image; -1 where there is none."""
    order = np.argsort(images)
    at = np.searchsorted(images, owners, sorter=order)
    rows = np.append(order, -1)[at]
    return np.where(np.append(images, 0)[rows] == owners, rows, -1)


def _persons(given: pa.Array, rows: Ints, log: RejectLog) -> Ints:
    """One number per annotation: its id; where it has none or the file repeats it, a fresh one below all ids and 0."""
    ids: Ints = given.fill_null(0).to_numpy()
    nameless = given.is_null().to_numpy(zero_copy_only=False)
    again = np.zeros(len(ids), bool)
    again[~nameless] = repeated(ids[~nameless])
    fresh = np.flatnonzero(again | nameless)
    persons = ids.copy()
    if len(fresh):
        persons[fresh] = min(int(ids.min()), 0) - 1 - np.arange(len(fresh))
    for at in fresh.tolist():
        if nameless[at]:
            log.mended("annotations", rows[at], "id", NAMELESS)
        else:
            reason = f"annotation id {ids[at]} is given again; it is person {persons[at]} of the store"
            log.repaired(f"annotations[{rows[at]}].id", reason)
    return persons
