"""Where the persons of an image are said to be: the truth, a file of detections, or the whole image.

A result says which (``boxes``): numbers with given boxes and numbers of a model that finds people by itself are not of
one column.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from har_bench.arrays import Anything, Bools, Bytes, Floats, Ints
from har_bench.errors import HarBenchError, unknown
from har_bench.foreign import opening
from har_bench.media.crops import MPII_SCALE
from har_bench.media.poses import around
from har_bench.schema import to_numpy
from har_bench.scoring.column_files import read_columns
from har_bench.store import Store

COLUMNS = ("bbox", "objpos", "scale", "keypoints", "num_keypoints", "iscrowd")
"""Of a store's poses: what :func:`of_truth` and :func:`annotated` look at, as far as they are there."""

FILE = "file="
_REMEDY = "give image_id, bbox, score and category_id of each"


class Boxes(NamedTuple):
    """Where persons are said to be.

    Attributes:
        box: (n, 4) x, y, w, h [px].
        rough: (n,) whether it only says where and how large somebody is, as MPII's ``objpos`` and ``scale`` do; parts
            of the person may lie outside.
    """

    box: Floats
    rough: Bools

    def take(self, rows: Anything) -> Boxes:
        """Some of them."""
        return Boxes(self.box[rows], self.rough[rows])


def exact(box: Floats) -> Boxes:
    """Boxes (n, 4) with the persons in them."""
    return Boxes(box, np.zeros(len(box), bool))


def whole(image: Bytes) -> Boxes:
    """The whole image as a box."""
    return exact(np.array([[0.0, 0.0, image.shape[1], image.shape[0]]]))


def of_truth(rows: pa.Table) -> Boxes:
    """Boxes of annotated persons.

    They are ``bbox``; else MPII's square of 200 ``scale`` about ``objpos``; else the box around the annotated joints.
    NaN where a row has none of them.
    """
    made: Floats = np.full((rows.num_rows, 4), np.nan)
    rough = np.zeros(rows.num_rows, bool)
    for boxes, is_rough in ((_boxes(rows), False), (_squares(rows), True), (_extents(rows), False)):
        empty = ~(np.isfinite(made).all(axis=1) & (made[:, 2:] > 0).all(axis=1))
        if boxes is not None:
            made[empty], rough[empty] = boxes[empty], is_rough
    return Boxes(made, rough)


def annotated(rows: pa.Table) -> Bools:
    """(n,) which rows are single persons with joints: what is neither a crowd nor without labelled keypoints."""
    kept = np.ones(rows.num_rows, bool)
    if "num_keypoints" in rows.column_names:
        kept &= _number(rows, "num_keypoints") > 0
    if "iscrowd" in rows.column_names:
        kept &= _number(rows, "iscrowd") == 0
    return kept


class BoxFile:
    """Boxes of somebody's detector. Subclasses read other json files too.

    Args:
        path: COCO's json of detections (``image_id``, ``bbox``, ``score``, ``category_id`` 1), or our columns
            (``sequence``, ``bbox``, and ``frame``, ``score`` where there are any).
        store: whose images they are of.

    Raises:
        HarBenchError: neither, or a damaged file.
    """

    def __init__(self, path: Path, store: Store) -> None:
        self.path = path
        if not path.is_file():
            raise HarBenchError(f"{path} does not exist; give a file of boxes")
        self._boxes: dict[tuple[str, int], list[tuple[float, Any]]] = {}
        if path.suffix == ".json":
            self.read_json(store)
        else:
            self._read_columns()
        if not len(self):
            raise HarBenchError(f"{path} holds no box of a person in {store.dataset}'s images; detect them again")

    def of(self, sequence: str, frame: int) -> tuple[Boxes, Floats]:
        """The boxes and (n,) scores of one frame, the surest first; none where the file has none."""
        found = sorted(self._boxes.get((sequence, frame), []), key=lambda each: -each[0])
        boxes = np.array([box for _, box in found], np.float64).reshape(-1, 4)
        return exact(boxes), np.array([score for score, _ in found], np.float64)

    def __len__(self) -> int:
        return sum(map(len, self._boxes.values()))

    def of_frames(self, sequence: str, frames: Ints) -> Floats:
        """(n, 4) the surest box of each of some frames; of a frame that has none, none."""
        return np.concatenate([self.of(sequence, frame)[0].box[:1] for frame in np.unique(frames).tolist()])

    def add(self, sequence: str, frame: int, score: float, box: Any) -> None:
        """One more box x, y, w, h [px].

        Raises:
            HarBenchError: it has no extent.
        """
        if not (np.isfinite(box).all() and box[2] > 0 and box[3] > 0):
            raise HarBenchError(
                f"{self.path} has a box {list(box)} in {sequence}; boxes are x, y, width, height in pixels"
            )
        self._boxes.setdefault((sequence, frame), []).append((score, box))

    def read_json(self, store: Store) -> None:
        """Add the boxes of COCO's json.

        Raises:
            HarBenchError: it is no list of detections, or the store does not know images by their numbers.
        """
        try:
            found = msgspec.json.decode(opening.read(self.path, _REMEDY), type=list[_Detection])
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise HarBenchError(f"{self.path} is no list of detections ({error}); {_REMEDY}") from error
        if "image_id" not in store.sequences.column_names:
            raise HarBenchError(f"{store.path} has no image ids; give {self.path.name}'s boxes in our columns")
        names = dict(zip(store.sequences["image_id"].to_pylist(), store.sequences["sequence"].to_pylist(), strict=True))
        for each in found:
            if each.category_id == 1 and each.image_id in names:
                self.add(names[each.image_id], 0, each.score, each.bbox)

    def _read_columns(self) -> None:
        rows = read_columns(self.path)
        if rows is None:
            raise HarBenchError(
                f"{self.path} is no file of boxes; give COCO's json, or Parquet, HDF5 or CSV in our columns"
            )
        for name in rows.names():
            found = rows.of(name) or {}
            if "bbox" not in found:
                raise unknown(f"column of {self.path}", "bbox", found)
            boxes = np.asarray(found["bbox"], np.float64)
            count = len(boxes)
            frames, scores = found.get("frame", np.zeros(count)), found.get("score", np.ones(count))
            for frame, score, box in zip(frames, scores, boxes, strict=True):
                self.add(name, int(frame), float(score), box)


class _Detection(msgspec.Struct):
    image_id: int
    bbox: tuple[float, float, float, float]
    score: float = 1.0
    category_id: int = 1


def _boxes(rows: pa.Table) -> Floats | None:
    return _array(rows, "bbox")


def _squares(rows: pa.Table) -> Floats | None:
    centre = _array(rows, "objpos")
    if centre is None or "scale" not in rows.column_names:
        return None
    side = MPII_SCALE * _number(rows, "scale")[:, None]
    return np.concatenate([centre - side / 2, side, side], axis=1)


def _extents(rows: pa.Table) -> Floats | None:
    points = _array(rows, "keypoints")
    if points is None:
        return None
    made = np.full((len(points), 4), np.nan)
    some = np.isfinite(points).all(axis=2).sum(axis=1) > 1
    made[some] = around(points[some])
    return made


def _array(rows: pa.Table, name: str) -> Floats | None:
    if name not in rows.column_names:
        return None
    return to_numpy(rows[name], rows.schema.field(name)).astype(np.float64)


def _number(rows: pa.Table, name: str) -> Floats:
    return rows[name].to_numpy().astype(np.float64)  # type: ignore[no-any-return]
