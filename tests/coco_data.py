"""Small files in COCO's format, and a second reader of such files to compare with."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from har_bench.converter import Reject, Tables
from har_bench.converters.coco import COCO
from har_bench.schema import to_numpy
from har_bench.skeletons import skeleton

NAME = "har_bench.converters.coco:COCO"
PARTS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
WHOLEBODY = (
    "face_box",
    "lefthand_box",
    "righthand_box",
    "foot_valid",
    "face_valid",
    "lefthand_valid",
    "righthand_valid",
)
URLS = ("coco_url", "flickr_url", "date_captured")


def convert(raw: Path, **options: str) -> Tables:
    """The tables of the only annotation file at ``raw``."""
    converter = COCO(**options)
    (shard,) = converter.discover(raw)
    return converter.read(shard)


def layout_of(raw: Path, **options: str) -> Any:
    """The first layout of the joints of the files at ``raw``."""
    converter = COCO(**options)
    converter.discover(raw)
    return converter.layouts()[0]


def write(folder: Path, content: Any, name: str = "people.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return folder


def person(number: int, image: int = 1, **changes: Any) -> dict[str, Any]:
    joints = [number + 1, 2.5, 2, 0, 0, 0, *[7, 8, 1] * 15]
    plain = {"id": number, "image_id": image, "category_id": 1, "bbox": [1, 2, 3, 4.1], "keypoints": joints}
    return {**plain, "num_keypoints": 16, "area": 6.7, "iscrowd": 0, "segmentation": [[1, 2.50, 3, 4, 5, 6]], **changes}


def content(
    annotations: list[Any], images: list[Any] | None = None, category: dict[str, Any] | None = None
) -> dict[str, Any]:
    coco = {"id": 1, "name": "person", "keypoints": list(skeleton("coco17").joints), "skeleton": [[1, 2]]}
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}] if images is None else images,
        "annotations": annotations,
        "categories": [category or coco],
    }


def read_json(path: Path) -> Any:
    opener: Callable[..., Any] = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with opener(path, "rt") as file:
        return json.load(file)


def naive_joints(annotation: dict[str, Any], joints: int) -> list[list[float]] | None:
    parts = PARTS if "foot_kpts" in annotation else PARTS[:1]
    values = list(chain.from_iterable(annotation.get(part) or [] for part in parts))
    return [values[3 * joint : 3 * joint + 3] for joint in range(joints)] if values else None


def same(found: Any, expected: Any) -> bool:
    return np.array_equal(np.array(found, float), np.array(expected, float), equal_nan=True)


def assert_holds(tables: Tables, file: Any, *, dropped: frozenset[int] = frozenset()) -> None:
    """Every image and annotation of a json is in the tables, value by value; none else is."""
    sequences = {row["image_row"]: row for row in tables.sequences.to_pylist()}
    assert sorted(sequences) == [row for row, _ in enumerate(file["images"]) if row in sequences]
    for at, row in sequences.items():
        image = file["images"][at]
        assert (row["image_id"], row["width"], row["height"]) == (image["id"], image.get("width"), image.get("height"))
        assert row["sequence"].split("/", 1)[1].split("@")[0] == image["file_name"]
        assert row["license"] == image.get("license")
        assert row["crowd_index"] == image.get("crowdIndex")
        assert [row[name] for name in URLS] == [image.get(name) for name in URLS]
        assert row["n_frames"] == 1
    names = {row["image_id"]: row["sequence"] for row in sequences.values()}
    categories = {category["id"]: category["name"] for category in file["categories"]}
    assert tables.poses is not None
    poses = tables.poses
    raw = {
        name: to_numpy(poses[name], poses.schema.field(name))
        for name in ("keypoints", "visibility", "bbox", "v")
        if name in poses.column_names
    }
    rows = poses.drop_columns([name for name in raw if name != "bbox"]).to_pylist()
    assert {row["annotation_row"] for row in rows} == set(range(len(file["annotations"]))) - dropped
    for at, row in enumerate(rows):
        annotation = file["annotations"][row["annotation_row"]]
        assert row["annotation_id"] == annotation["id"]
        assert row["frame"] == 0
        assert row["sequence"] == names[annotation["image_id"]]
        assert row["category"] == categories[annotation["category_id"]]
        for name in ("category_id", "num_keypoints", "area", "iscrowd", "ignore"):
            assert row[name] == annotation.get(name), name
        for name in WHOLEBODY:
            assert row.get(name) == annotation.get(name), name
        assert row["bbox"] == annotation.get("bbox")
        segmentation = annotation.get("segmentation")
        assert (row["segmentation"] is None) == (segmentation is None)
        assert segmentation is None or json.loads(row["segmentation"]) == segmentation
        if "keypoints" not in raw:
            continue
        joints = naive_joints(annotation, raw["visibility"].shape[1])
        if joints is None:
            assert poses["keypoints"][at].as_py() is None
            assert poses["visibility"][at].as_py() is None
            continue
        assert same(raw["keypoints"][at], [[x, y] if v > 0 else [np.nan, np.nan] for x, y, v in joints])
        assert same(raw["visibility"][at], [0 if v <= 0 else 1 if v < 2 else 2 for _, _, v in joints])
        if "v" in raw:
            assert same(raw["v"][at], [v for _, _, v in joints])


def reported(tables: Tables) -> list[tuple[str, str]]:
    """Where something was dropped or repaired."""
    return [(reject.locator, reject.action) for reject in tables.rejects]


def reasons(rejects: Iterable[Reject]) -> str:
    """All that was said of it."""
    return "; ".join(reject.reason for reject in rejects)
