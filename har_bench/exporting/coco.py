"""COCO's keypoint json, of any store with joints in pictures: one file a split, whatever the skeleton."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Floats
from har_bench.exporting.contract import Done, Exporter
from har_bench.exporting.pictures import boxes, chosen_splits, column, picture, refuse_flat
from har_bench.files import whole
from har_bench.options import option
from har_bench.schema import to_numpy
from har_bench.storing.rows import containing

if TYPE_CHECKING:
    from har_bench.store import Store

AT_A_TIME = 4096
"""Persons that are made text together."""

PERSON = {"id": 1, "name": "person", "supercategory": "person"}

Fields = dict[str, Any]


class Part(NamedTuple):
    """What one file holds.

    Attributes:
        sequences: rows of the store's table.
        poses: their persons, in the order of the file.
        image: the id of each person's picture.
        images: the pictures.
        family: what may hold the same persons is of another one.
    """

    sequences: pa.Table
    poses: pa.Table
    image: npt.NDArray[np.int64]
    images: list[Fields]
    family: str = ""


@dataclass
class COCO(Exporter):
    """``annotations/SPLIT.json`` with images, persons and one category, whose joints and bones are the store's.

    Pixels count from 0, joints that are absent are ``0, 0, 0``, bones count from 1. A person without a box gets the one
    around its joints, one without an area that of its box. A film's frames are pictures where somebody is seen.
    """

    summary = "COCO's keypoint json, annotations/SPLIT.json, for pycocotools and all that train on it"
    loses: ClassVar[tuple[str, ...]] = ("joints in space, cameras, segments and what else a dataset has of its own",)

    splits: tuple[str, ...] = option((), "only these, such as tompson/valid; a file each, of all by default")
    every: int = option(1, "of films one frame in so many, from frame 0", least=1)

    def select(self, store: Store) -> pa.Table:
        """The sequences of the splits, each once."""
        refuse_flat(store, "COCO's json")
        return store.sequences.filter(containing(store.sequences["splits"], set(chosen_splits(store, self.splits))))

    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        """A file for every split."""
        counts = {name: Counter[str]() for name in sequences["sequence"].to_pylist()}
        for name, part in self.parts(store, sequences):
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as temporary, temporary.open("wb") as stream:
                self._document(store, part, stream)
            for sequence in part.poses["sequence"].to_pylist():
                counts[sequence][part.family] += 1
        for families in counts.values():
            done(max(families.values(), default=0))

    def parts(self, store: Store, sequences: pa.Table) -> Iterator[tuple[str, Part]]:
        """Path and content of every file."""
        del sequences
        for split in chosen_splits(store, self.splits):
            rows = store.select(split)
            poses = store.poses(split, self.columns(store))
            frames = poses["frame"].to_numpy()
            poses = poses.filter(pa.array(frames % self.every == 0))
            yield (
                f"annotations/{split.replace('/', '_')}.json",
                _counted(rows, poses)._replace(family=split.rpartition("/")[0]),
            )

    def columns(self, store: Store) -> list[str]:
        """What is read of the poses."""
        wanted = ("sequence", "frame", "person", "bbox", "keypoints", "visibility", "area", "iscrowd")
        return [name for name in wanted if name in store.schema("poses").names]

    def head(self, store: Store, part: Part) -> Fields:
        """What stands before the annotations."""
        return {"images": part.images, "categories": [PERSON | self.joints(store)]}

    def joints(self, store: Store) -> Fields:
        """What a category says of its joints."""
        found = store.skeleton()
        bones = [[parent + 1, joint + 1] for parent, joint in found.bones]
        sigmas: Fields = {"sigmas": list(found.sigmas)} if found.sigmas else {}
        return {"keypoints": list(found.joints), "skeleton": bones, **sigmas}

    def persons(self, poses: pa.Table, first: int) -> Iterator[Fields]:
        """The annotations of some rows, the first of which has the number ``first``, without their images."""
        points, flags = (to_numpy(poses[name], poses.schema.field(name)) for name in ("keypoints", "visibility"))
        box, crowd = boxes(poses, points), column(poses, "iscrowd")
        area = column(poses, "area")
        area = box[:, 2] * box[:, 3] if area is None else np.where(np.isfinite(area), area, box[:, 2] * box[:, 3])
        values = zip(triplets(points, flags), (flags > 0).sum(axis=1).tolist(), box, area, strict=True)
        for row, (joints, count, corners, size) in enumerate(values):
            placed = {"bbox": numbers(corners), "area": float(size)} if np.isfinite(corners).all() else {}
            yield {
                "id": first + row,
                "category_id": PERSON["id"],
                "iscrowd": 0 if crowd is None else int(crowd[row]),
                "num_keypoints": count,
                "keypoints": joints,
                **placed,
            }

    def _document(self, store: Store, part: Part, stream: IO[bytes]) -> None:
        """The file, its annotations piece by piece, for those of a film's frames are many."""
        head = msgspec.json.encode(self.head(store, part))
        stream.write(head[:-1] + b',"annotations":[')
        encoder = msgspec.json.Encoder()
        for first in range(0, part.poses.num_rows, AT_A_TIME):
            rows = self.persons(part.poses.slice(first, AT_A_TIME), first + 1)
            images = part.image[first : first + AT_A_TIME].tolist()
            texts = [encoder.encode(row | {"image_id": image}) for row, image in zip(rows, images, strict=True)]
            stream.write((b",\n" if first else b"\n") + b",\n".join(texts))
        stream.write(b"\n]}\n")


def _counted(sequences: pa.Table, poses: pa.Table) -> Part:
    """Pictures counted from 1, by sequence and frame; a still in which nobody is seen is one, too."""
    rows = sequences.select(["sequence", "media", "n_frames", "width", "height"]).to_pylist()
    place = {row["sequence"]: number for number, row in enumerate(rows)}
    of = np.array([place[name] for name in poses["sequence"].to_pylist()], np.int64)
    seen = np.stack([of, poses["frame"].to_numpy().astype(np.int64)], axis=1)
    stills = np.array([[number, 0] for number, row in enumerate(rows) if row["n_frames"] == 1], np.int64).reshape(-1, 2)
    pictures, found = np.unique(np.concatenate([seen, stills]), axis=0, return_inverse=True)
    images = [
        {"id": number + 1, "file_name": picture(rows[at], frame), **sizes(rows[at])}
        for number, (at, frame) in enumerate(pictures.tolist())
    ]
    return Part(sequences, poses, found.reshape(-1)[: len(seen)] + 1, images)


def sizes(row: Mapping[str, Any]) -> Fields:
    """Width and height of a picture, where they are known."""
    return {name: row[name] for name in ("width", "height") if row[name] is not None}


def triplets(points: Floats, flags: npt.NDArray[Any]) -> list[Sequence[Any]]:
    """(N, J, 2) joints and (N, J) flags as N lists of 3 J numbers; an absent joint is three zeros."""
    there = (np.isfinite(points).all(axis=-1) & (flags > 0))[..., None]
    values = np.concatenate([points.astype(np.float64), flags[..., None]], axis=-1)
    return [numbers(each) for each in np.where(there, values, 0).reshape(len(points), -1)]


def numbers(values: Floats) -> Sequence[Any]:
    """Numbers as json has them: whole ones without a point, where all are."""
    whole_ones = values.astype(np.int64) if (values == np.rint(values)).all() else values
    found: list[Any] = whole_ones.tolist()
    return found
