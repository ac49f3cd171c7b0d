"""A store of COCO's files as such files again: their names, ids and order, and whatever else the store keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.exporting import coco
from har_bench.exporting.coco import Fields, Part, numbers, sizes, triplets
from har_bench.exporting.pictures import chosen_splits, column
from har_bench.store import Store

from .joints import SIZES
from .layout import WHOLEBODY
from .origins import OFFICIAL, SPLITS, SUFFIXES, stem
from .records import BOXES, PARTS, VALID

PLAIN = ("iscrowd", "ignore", "num_keypoints", "area")
"""Fields of annotations that go through as they are, and are left out where they are null."""


@dataclass
class COCO(coco.COCO):
    """Every annotation file with the path, the images and the annotations that it had, in their order.

    What the conversion repaired or dropped stays so; fields that a store does not keep are gone.
    """

    summary = "the annotation files themselves: their names, ids, segmentations and whole bodies"
    loses = ("fields of the files that the store does not keep, such as info",)

    def select(self, store: Store) -> pa.Table:
        """The sequences of the splits; a store may have no joints."""
        if store.manifest.skeletons:
            return super().select(store)
        return pa.concat_tables(store.select(split) for split in chosen_splits(store, self.splits))

    def parts(self, store: Store, sequences: pa.Table) -> Iterator[tuple[str, Part]]:
        """Path and content of every annotation file."""
        files = sequences["annotation_file"]
        for file in sorted(files.unique().to_pylist()):
            rows = sequences.filter(pc.equal(files, file)).sort_by("image_row")
            poses = store.poses(sequences=rows["sequence"].to_pylist()).sort_by("annotation_row")
            ids = dict(zip(rows["sequence"].to_pylist(), rows["image_id"].to_pylist(), strict=True))
            image = np.array([ids[name] for name in poses["sequence"].to_pylist()], np.int64)
            images = [_image(row, file) for row in rows.to_pylist()]
            suffix = next(suffix for suffix in SUFFIXES if file.lower().endswith(suffix))
            yield f"{file[: -len(suffix)]}.json", Part(rows, poses, image, images)

    def head(self, store: Store, part: Part) -> Fields:
        """Images, their licences, and the categories, of which those with joints name them."""
        licences = {
            row["license"]: {"id": row["license"], "name": row["license_name"], "url": row["license_url"]}
            for row in part.sequences.to_pylist()
            if row["license"] is not None
        }
        categories: dict[int, Fields] = {}
        named = part.poses.select(["category_id", "category"]).group_by(["category_id", "category"]).aggregate([])
        for row in named.sort_by("category_id").to_pylist():
            if row["category_id"] is not None:
                categories[row["category_id"]] = {"id": row["category_id"], "name": row["category"]}
        said = self.joints(store) if store.manifest.skeletons else {}
        return {
            "licenses": list(licences.values()),
            "images": part.images,
            "categories": [category | said for category in categories.values()] or [coco.PERSON | said],
        }

    def joints(self, store: Store) -> Fields:
        """Of COCO-WholeBody's joints a file names the body's only."""
        said = super().joints(store)
        if store.skeleton().name != WHOLEBODY:
            return said
        body = int(SIZES[0])
        return {
            "keypoints": said["keypoints"][:body],
            "skeleton": [bone for bone in said["skeleton"] if max(bone) <= body],
        }

    def persons(self, poses: pa.Table, first: int) -> Iterator[Fields]:
        """The annotations of some rows as they were."""
        del first
        kept = [name for name in ("annotation_id", "category_id", *PLAIN, *VALID) if name in poses.column_names]
        boxes = {name: column(poses, name) for name in ("bbox", *BOXES)}
        outlines = poses["segmentation"].to_pylist()
        joints = _joints(poses)
        for row, plain in enumerate(poses.select(kept).to_pylist()):
            found = {name.removeprefix("annotation_"): value for name, value in plain.items() if value is not None}
            for name, values in boxes.items():
                if values is not None and np.isfinite(values[row]).all():
                    found[name] = numbers(values[row])
            if outlines[row] is not None:
                found["segmentation"] = msgspec.Raw(outlines[row])
            yield found | {name: values[row] for name, values in joints.items()}


def _joints(poses: pa.Table) -> dict[str, list[Sequence[Any]]]:
    """The numbers of every person, by the field that holds them; of a whole body in five fields."""
    points, flags = column(poses, "keypoints"), column(poses, "visibility")
    if points is None or flags is None:
        return {}
    given = column(poses, "v")
    flags = flags if given is None else given
    edges = [0, *np.cumsum(SIZES).tolist()] if points.shape[1] == sum(SIZES) else [0, points.shape[1]]
    return {
        name: triplets(points[:, start:stop], flags[:, start:stop])
        for name, start, stop in zip(PARTS, edges, edges[1:], strict=False)
    }


def _image(row: dict[str, Any], file: str) -> Fields:
    """An image as the file had it; its name is the sequence's, without what tells the file."""
    found = {"id": row["image_id"], "file_name": _file_name(row["sequence"], file), **sizes(row)}
    found |= {name: row[name] for name in ("license", "coco_url", "flickr_url", "date_captured")}
    found["crowdIndex"] = row["crowd_index"]
    return {name: value for name, value in found.items() if value is not None}


def _file_name(sequence: str, file: str) -> str:
    path = Path(file)
    name = stem(path)
    official = OFFICIAL.fullmatch(name)
    parts = "/".join(folder for folder in path.parts[:-1] if folder.lower() in SPLITS)
    labels = ["".join(official.groups())] if official else [f"{parts}/{name}", name, parts]
    return next(sequence.removeprefix(f"{label}/") for label in labels if label and sequence.startswith(f"{label}/"))
