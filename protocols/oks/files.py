"""COCO's own json files: detected keypoints (results), and annotations without the detour over a store."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from har_bench.arrays import Floats, Ints
from har_bench.errors import HarBenchError, listed
from har_bench.foreign import compressed, json_file, texts
from har_bench.foreign.json_numbers import numbers
from har_bench.protocol import Batch
from har_bench.raw import file_name
from har_bench.schema import vector

_COCO = "a json file as COCO defines it"
_NULL = msgspec.Raw(b"null")
_LISTS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
"""The joints of a person: those of the body, or all of them, and COCO-WholeBody's others."""


class _Joints(msgspec.Struct, gc=False, kw_only=True):
    """A person; lists of numbers stay texts until all are read at once."""

    keypoints: msgspec.Raw
    foot_kpts: msgspec.Raw = _NULL
    face_kpts: msgspec.Raw = _NULL
    lefthand_kpts: msgspec.Raw = _NULL
    righthand_kpts: msgspec.Raw = _NULL
    bbox: msgspec.Raw = _NULL

    def lists(self) -> list[msgspec.Raw]:
        """Where x, y, v of every joint are."""
        if bytes(self.foot_kpts) == b"null":
            return [self.keypoints]
        return [getattr(self, name) for name in _LISTS]


class _Detection(_Joints, gc=False, kw_only=True):
    """A member of a results file; ids may be whole numbers with a decimal point, which Python holds for equal.

    That the first three are numbers is seen to for all members together, by :func:`_check_numbers`.
    """

    image_id: Any = None
    category_id: Any = None
    score: Any = None
    foot_score: float | None = None
    face_score: float | None = None
    lefthand_score: float | None = None
    righthand_score: float | None = None
    wholebody_score: float | None = None

    def score_of(self, part: str) -> float:
        """The score of a part, which is that of the detection where the part has none of its own."""
        own: float | None = getattr(self, f"{part}_score", None)
        return float(self.score) if own is None else own


_Whole = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class _Image(msgspec.Struct, gc=False):
    id: _Whole
    crowd_index: float | None = msgspec.field(default=None, name="crowdIndex")


class _Person(_Joints, gc=False, kw_only=True):
    """An annotation; None is what the file does not give."""

    id: _Whole
    image_id: _Whole
    category_id: _Whole
    area: float | None = None
    iscrowd: _Whole | None = None
    num_keypoints: _Whole | None = None


class _Annotations(msgspec.Struct, gc=False):
    images: list[_Image]
    annotations: list[_Person]


class _Source(NamedTuple):
    """Where some records come from, and what each is called: ``annotation`` and its id, or ``record`` and its place."""

    path: Path
    word: str
    numbers: Sequence[int]

    def name(self, row: int) -> str:
        return f"{self.word} {self.numbers[row]} of {self.path}"


class _Wrapped(msgspec.Struct, gc=False):
    """Detections that are not the whole file, but a list in it."""

    annotations: list[_Detection] = []
    predictions: list[_Detection] = []
    results: list[_Detection] = []

    @property
    def detections(self) -> list[_Detection]:
        return self.annotations or self.predictions or self.results


_WRAPPED = re.compile(rb'\s*\{\s*"(annotations|predictions|results)"\s*:\s*')


class Results(NamedTuple):
    """A results file's detections of one category, in its order.

    Attributes:
        image_id: (M,).
        keypoints: (M, J, 2) px.
        keypoint_scores: (M, J) the third number of each joint.
        score: (M,).
        bbox: (M, 4) px, x y w h; None if the file's first detection has no box: COCO's tools look there.
        notes: what was left out.
    """

    image_id: Ints
    keypoints: Floats
    keypoint_scores: Floats
    score: Floats
    bbox: Floats | None
    notes: tuple[str, ...] = ()


def is_results(path: Path) -> bool:
    """Whether a file is a json list, plain or compressed, whose first member has ``keypoints``; it may be wrapped."""
    if ".json" not in path.suffixes[-2:]:
        return False
    try:
        head = texts.utf8(compressed.beginning(path, 1 << 16), str(path))
    except HarBenchError:
        return False
    listed_in = _WRAPPED.match(head)
    text = head[listed_in.end() :] if listed_in else head.lstrip()
    return text[:1] == b"[" and (b'"keypoints"' in head or text[1:].lstrip()[:1] == b"]")


def refuse_other_json(path: Path) -> None:
    """Say of a json that is no results file what it is; of anything else nothing.

    Raises:
        HarBenchError: it is one.
    """
    if ".json" in path.suffixes[-2:] and path.is_file():
        head = texts.utf8(compressed.beginning(path, 1 << 16), str(path)).decode("utf-8", "replace").strip()
        without = "has no 'keypoints' in its first record" if head[:1] == "[" else f"begins with {head[:40]!r}"
        raise HarBenchError(f"{path} {without}; write a list of {{'image_id', 'category_id', 'keypoints', 'score'}}")


def read_results(path: Path, category: int = 1, part: str = "", images: Mapping[str, int] | None = None) -> Results:
    """The detections of one category; those of others are left out, as nobody of theirs is looked for.

    Args:
        path: a json file, plain or compressed.
        category: the category id.
        part: whose scores are wanted, where detections have scores of parts, such as ``foot_score``.
        images: the ids of images by their names, which messages tell those who gave names.

    Raises:
        HarBenchError: no detection at all, or one that lacks a field or has another number of joints.
    """
    read: Any = json_file.read(path, list[_Detection] | _Wrapped, what=_COCO, not_finite=_as_text)
    found: list[_Detection] = read.detections if isinstance(read, _Wrapped) else read
    if not found:
        raise HarBenchError(f"{path} holds no detection; write at least one, as the official tool cannot score none")
    source = _Source(path, "record", range(len(found)))
    for name in ("image_id", "category_id", "score"):
        _check_numbers(source, name, [getattr(one, name) for one in found], images or {})
    values, lengths = _joints(source, found)
    width = int(lengths[0])
    if width % 3 or not width:
        raise HarBenchError(f"the first detection of {path} has {width} numbers as keypoints; give x, y, v per joint")
    _check_lengths(source, "keypoints", lengths, width)
    boxes = None
    if len(_numbers(source, "bbox", [found[0].bbox])[0]):
        boxes, lengths = _numbers(source, "bbox", [one.bbox for one in found])
        _check_lengths(source, "bbox", lengths, 4)
    rows = [row for row, one in enumerate(found) if one.category_id == category]
    chosen = [found[row] for row in rows]
    joints = values.reshape(len(found), width // 3, 3)[rows]
    try:
        notes = _others(found, category, len(chosen))
        image_id = _ids(path, chosen)
        score = np.array([one.score_of(part) if part else one.score for one in chosen], np.float64)
    except OverflowError as error:
        some = ((row, each) for row, one in enumerate(found) for each in (one.image_id, one.category_id, one.score))
        row = next(row for row, each in some if type(each) is int and abs(each) >= 1 << 63)
        raise HarBenchError(f"{source.name(row)} has a number that is too large ({error}); mend it") from error
    return Results(
        image_id=image_id,
        keypoints=np.ascontiguousarray(joints[..., :2]),
        keypoint_scores=np.ascontiguousarray(joints[..., 2]),
        score=score,
        bbox=None if boxes is None else boxes.reshape(len(found), 4)[rows],
        notes=notes,
    )


def _check_numbers(source: _Source, name: str, values: Sequence[Any], images: Mapping[str, int]) -> None:
    """Refuse a member that lacks a number, or has a text in its place, as the official tool cannot use it either."""
    if set(map(type, values)) <= {int, float}:
        return
    row, value = next((row, each) for row, each in enumerate(values) if type(each) not in (int, float))
    if value is None:
        raise HarBenchError(
            f"{source.name(row)} has no {name}; give every detection image_id, category_id, keypoints and score"
        )
    if not isinstance(value, str):
        kind = type(value).__name__
        raise HarBenchError(f"{source.name(row)} has a {kind}, {str(value)[:20]!r}, as {name}; write it as a number")
    known = images.get(file_name(value)) if name == "image_id" else None
    number = f" (here {known})" if known is not None else ""
    raise HarBenchError(
        f"{source.name(row)} has a text, {value[:20]!r}, as {name}; write it as a number{number}, without quotation "
        "marks"
    )


def _others(found: Sequence[_Detection], category: int, chosen: int) -> tuple[str, ...]:
    """That detections of other categories were left out."""
    others = sorted({one.category_id for one in found if one.category_id != category})
    if not others:
        return ()
    ids = listed(f"{number:g}" for number in others)
    return (
        f"{len(found) - chosen:,} of {len(found):,} detections are of the categories {ids} and were left out; "
        f"persons are of category {category}, which the option category changes",
    )


def places(path: Path, results: Results, image_ids: Ints) -> Ints:
    """For each detection, which of the images it is on.

    Raises:
        HarBenchError: an image that is not there.
    """
    order = np.argsort(image_ids, kind="stable")
    at = np.searchsorted(image_ids, results.image_id, sorter=order).clip(max=max(len(order) - 1, 0))
    there = image_ids[order[at]] == results.image_id if len(order) else np.zeros(len(at), bool)
    if not there.all():
        unknown = results.image_id[int(np.argmin(there))]
        raise HarBenchError(
            f"{path} has a detection on image {unknown}, which is none of the {len(order)} images scored against; "
            "choose their split with the option split"
        )
    placed: Ints = order[at]
    return placed


def table(results: Results, sequences: pa.Array) -> pa.Table:
    """Detections in our columns; ``sequences`` names the image of each."""
    columns = {
        "sequence": sequences,
        "keypoints": vector(results.keypoints.reshape(len(results.score), 2 * results.keypoints.shape[1])),
        "keypoint_scores": vector(results.keypoint_scores),
        "score": pa.array(results.score),
    }
    if results.bbox is not None:
        columns["bbox"] = vector(results.bbox)
    return pa.table(columns)


def read_annotations(path: Path, category: int = 1, *, joints: int = 0) -> Batch:
    """An annotation file as a batch of ``poses`` and ``sequences``: images by their ids, named by them.

    Args:
        path: a json file, plain or compressed.
        category: the category id.
        joints: J, where the file has nobody.

    Raises:
        HarBenchError: the file is no annotation file of keypoints.
    """
    found: _Annotations = json_file.read(path, _Annotations, what=_COCO, not_finite=_as_text)
    images = sorted({image.id: image for image in found.images}.values(), key=lambda image: image.id)
    ids = np.array([image.id for image in images], np.int64)
    of_category = [row for row, one in enumerate(found.annotations) if one.category_id == category]
    owners = np.array([found.annotations[row].image_id for row in of_category], np.int64)
    there = np.flatnonzero(np.isin(owners, ids))
    there = there[np.argsort(owners[there], kind="stable")]
    rows = [of_category[at] for at in there.tolist()]
    people = [found.annotations[row] for row in rows]
    counts = np.bincount(np.searchsorted(ids, owners[there]), minlength=len(ids))
    source = _Source(path, "annotation", [one.id for one in people])
    values, lengths = _joints(source, people)
    width = int(lengths.max(initial=0)) or 3 * joints
    _check_lengths(source, "keypoints", lengths, width)
    points = values.reshape(len(people), width // 3, 3)
    boxes, lengths = _numbers(source, "bbox", [one.bbox for one in people])
    bbox = np.full((len(people), 4), np.nan)
    _check_lengths(source, "bbox", np.where(lengths, lengths, 4), 4)
    bbox[lengths > 0] = boxes.reshape(-1, 4)
    columns: dict[str, Any] = {
        "annotation_id": np.array([one.id for one in people], np.int64),
        "annotation_row": np.array(rows, np.int64),
        "keypoints": np.ascontiguousarray(points[..., :2]),
        "visibility": (points[..., 2] > 0).astype(np.uint8),
        "bbox": bbox,
    }
    for name in ("area", "iscrowd", "num_keypoints"):
        columns[name] = np.array([getattr(one, name) for one in people], np.float64)
    sequences = pa.table(
        {
            "sequence": [f"{number:012d}" for number in ids.tolist()],
            "image_id": ids,
            "crowd_index": pa.array([image.crowd_index for image in images], pa.float64()),
        }
    )
    return Batch(sequences, np.append(0, np.cumsum(counts)), columns)


def results_batch(path: Path, results: Results, sequences: pa.Table) -> Batch:
    """The detections of a results file beside :func:`read_annotations`' images."""
    at = places(path, results, sequences["image_id"].to_numpy())
    order = np.argsort(at, kind="stable")
    arrays = {name: values for name, values in results._asdict().items() if isinstance(values, np.ndarray)}
    columns = {name: values[order] for name, values in arrays.items()}
    return Batch(sequences, np.append(0, np.cumsum(np.bincount(at, minlength=sequences.num_rows))), columns)


def _as_text(record: dict[str, Any]) -> dict[str, Any]:
    """A record whose lists of numbers are texts again."""
    for name in (*_LISTS, "bbox"):
        if name in record:
            record[name] = msgspec.Raw(json.dumps(record[name]).encode())
    return record


def _joints(source: _Source, people: Sequence[_Joints]) -> tuple[Floats, Ints]:
    """x, y, v of every joint of all persons, one after the other, and how many numbers each person has."""
    if all(one.foot_kpts is _NULL for one in people):
        return _numbers(source, "keypoints", [one.keypoints for one in people])
    lists = [one.lists() for one in people]
    parts = np.array(list(map(len, lists)))
    values, lengths = _numbers(source, "keypoints", list(chain.from_iterable(lists)), parts)
    return values, np.add.reduceat(lengths, np.cumsum(parts) - parts)


def _numbers(
    source: _Source, name: str, lists: Sequence[msgspec.Raw], parts: Ints | None = None
) -> tuple[Floats, Ints]:
    """The numbers of all lists, one after the other, and how many each has.

    Args:
        source: the records.
        name: what the numbers are.
        lists: each a text.
        parts: how many lists each record has; by default one.

    Raises:
        HarBenchError: one is no list of numbers.
    """
    try:
        return numbers(lists)
    except msgspec.DecodeError:
        flat = []
        for row, text in enumerate(lists):
            try:
                flat.append(_flat(text))
                numbers(flat[-1:])
            except msgspec.DecodeError as error:
                record = row if parts is None else int(np.searchsorted(np.cumsum(parts), row, "right"))
                raise HarBenchError(
                    f"{source.name(record)} has {name} that are no list of numbers ({json_file.told(error)}); mend it"
                ) from error
        return numbers(flat)


def _flat(text: msgspec.Raw) -> msgspec.Raw:
    """A list of x, y, v for each joint, as one list of all of them; any other list as it is.

    Raises:
        msgspec.DecodeError: a joint has other than three numbers.
    """
    if not bytes(text).replace(b" ", b"").startswith(b"[["):
        return text
    joints = msgspec.json.decode(text, type=list[tuple[float, float, float]])
    return msgspec.Raw(msgspec.json.encode(list(chain.from_iterable(joints))))


def _check_lengths(source: _Source, name: str, lengths: Ints, width: int) -> None:
    odd = np.flatnonzero(lengths != width)
    if len(odd):
        first = int(odd[0])
        raise HarBenchError(f"{source.name(first)} has {lengths[first]} numbers as {name} and not {width}; mend it")


def _ids(path: Path, chosen: Sequence[_Detection]) -> Ints:
    ids = np.array([one.image_id for one in chosen])
    whole = ids.astype(np.int64)
    if (whole != ids).any():
        raise HarBenchError(f"{path} has a detection on image {ids[whole != ids][0]}; image ids are whole numbers")
    return whole
