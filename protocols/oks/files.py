"""COCO's own json files: detected keypoints (results), and annotations without the detour over a store."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from har_bench.arrays import Floats, Ints
from har_bench.errors import HarBenchError
from har_bench.foreign import compressed, json_file
from har_bench.protocol import Batch
from har_bench.schema import vector

_COCO = "a json file as COCO defines it"


class _Joints(msgspec.Struct, gc=False, kw_only=True):
    """The joints of a person: those of the body, or all of them, and COCO-WholeBody's others."""

    keypoints: list[float]
    foot_kpts: list[float] | None = None
    face_kpts: list[float] | None = None
    lefthand_kpts: list[float] | None = None
    righthand_kpts: list[float] | None = None

    def numbers(self) -> list[float]:
        """x, y, v of every joint."""
        if self.foot_kpts is None:
            return self.keypoints
        others = (self.foot_kpts, self.face_kpts, self.lefthand_kpts, self.righthand_kpts)
        return [*self.keypoints, *chain.from_iterable(other or () for other in others)]


class _Detection(_Joints, gc=False, kw_only=True):
    """A member of a results file; ids may be whole numbers with a decimal point, which Python holds for equal."""

    image_id: int | float
    category_id: int | float
    score: float
    foot_score: float | None = None
    face_score: float | None = None
    lefthand_score: float | None = None
    righthand_score: float | None = None
    wholebody_score: float | None = None
    bbox: list[float] | None = None

    def score_of(self, part: str) -> float:
        """The score of a part, which is that of the detection where the part has none of its own."""
        own: float | None = getattr(self, f"{part}_score", None)
        return self.score if own is None else own


class _Image(msgspec.Struct, gc=False):
    id: int
    crowd_index: float | None = msgspec.field(default=None, name="crowdIndex")


class _Person(_Joints, gc=False, kw_only=True):
    """An annotation; None is what the file does not give."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float] | None = None
    area: float | None = None
    iscrowd: int | None = None
    num_keypoints: int | None = None


class _Annotations(msgspec.Struct, gc=False):
    images: list[_Image]
    annotations: list[_Person]


class Results(NamedTuple):
    """A results file's detections of one category, in its order.

    Attributes:
        image_id: (M,).
        keypoints: (M, J, 2) px.
        keypoint_scores: (M, J) the third number of each joint.
        score: (M,).
        bbox: (M, 4) px, x y w h; None if the file's first detection has no box: COCO's tools look there.
    """

    image_id: Ints
    keypoints: Floats
    keypoint_scores: Floats
    score: Floats
    bbox: Floats | None


def is_results(path: Path) -> bool:
    """Whether a file is a json list, plain or compressed, whose first member has ``keypoints``."""
    if ".json" not in path.suffixes[-2:]:
        return False
    try:
        head = compressed.beginning(path, 1 << 16)
    except HarBenchError:
        return False
    text = head.lstrip()
    return text[:1] == b"[" and (b'"keypoints"' in head or text[1:].lstrip()[:1] == b"]")


def read_results(path: Path, category: int = 1, part: str = "") -> Results:
    """The detections of one category; those of others are left out, as nobody of theirs is looked for.

    Args:
        path: a json file, plain or compressed.
        category: the category id.
        part: whose scores are wanted, where detections have scores of parts, such as ``foot_score``.

    Raises:
        HarBenchError: no detection at all, or one that lacks a field or has another number of joints.
    """
    found: list[_Detection] = json_file.read(path, list[_Detection], what=_COCO, nan=True)
    if not found:
        raise HarBenchError(f"{path} holds no detection; write at least one, as the official tool cannot score none")
    boxed = bool(found[0].bbox)
    numbers = [one.numbers() for one in found]
    width = len(numbers[0])
    if width % 3 or not width:
        raise HarBenchError(
            f"the first detection of {path} has {width} numbers as keypoints; they are x, y, v per joint"
        )
    _check_lengths(path, "keypoints", list(map(len, numbers)), width)
    if boxed:
        _check_lengths(path, "bbox", [len(one.bbox or ()) for one in found], 4)
    rows = [row for row, one in enumerate(found) if one.category_id == category]
    chosen = [found[row] for row in rows]
    joints = _numbers((numbers[row] for row in rows), len(rows), width).reshape(len(rows), width // 3, 3)
    return Results(
        image_id=_ids(path, chosen),
        keypoints=np.ascontiguousarray(joints[..., :2]),
        keypoint_scores=np.ascontiguousarray(joints[..., 2]),
        score=np.array([one.score_of(part) if part else one.score for one in chosen], np.float64),
        bbox=_numbers((one.bbox or () for one in chosen), len(chosen), 4) if boxed else None,
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
        "keypoints": vector(results.keypoints.reshape(len(results.score), -1)),
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
    found: _Annotations = json_file.read(path, _Annotations, what=_COCO, nan=True)
    images = sorted({image.id: image for image in found.images}.values(), key=lambda image: image.id)
    ids = np.array([image.id for image in images], np.int64)
    of_category = [row for row, one in enumerate(found.annotations) if one.category_id == category]
    owners = np.array([found.annotations[row].image_id for row in of_category], np.int64)
    there = np.flatnonzero(np.isin(owners, ids))
    there = there[np.argsort(owners[there], kind="stable")]
    rows = [of_category[at] for at in there.tolist()]
    people = [found.annotations[row] for row in rows]
    counts = np.bincount(np.searchsorted(ids, owners[there]), minlength=len(ids))
    numbers = [one.numbers() for one in people]
    width = max(map(len, numbers), default=3 * joints)
    _check_lengths(path, "keypoints", list(map(len, numbers)), width)
    points = _numbers(numbers, len(people), width).reshape(len(people), width // 3, 3)
    columns: dict[str, Any] = {
        "annotation_id": np.array([one.id for one in people], np.int64),
        "annotation_row": np.array(rows, np.int64),
        "keypoints": np.ascontiguousarray(points[..., :2]),
        "visibility": (points[..., 2] > 0).astype(np.uint8),
        "bbox": _numbers((one.bbox or (np.nan,) * 4 for one in people), len(people), 4),
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
    columns = {name: values[order] for name, values in results._asdict().items() if values is not None}
    return Batch(sequences, np.append(0, np.cumsum(np.bincount(at, minlength=sequences.num_rows))), columns)


def _check_lengths(path: Path, name: str, lengths: Sequence[int], width: int) -> None:
    odd = np.flatnonzero(np.array(lengths) != width)
    if len(odd):
        first = int(odd[0])
        raise HarBenchError(f"record {first} of {path} has {lengths[first]} numbers as {name} and not {width}; mend it")


def _numbers(lists: Any, rows: int, width: int) -> Floats:
    return np.fromiter(chain.from_iterable(lists), np.float64, rows * width).reshape(rows, width)


def _ids(path: Path, chosen: Sequence[_Detection]) -> Ints:
    ids = np.array([one.image_id for one in chosen])
    whole = ids.astype(np.int64)
    if (whole != ids).any():
        raise HarBenchError(f"{path} has a detection on image {ids[whole != ids][0]}; image ids are whole numbers")
    return whole
