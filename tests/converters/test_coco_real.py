"""COCO: every real file is held value by value, and the golden counts are found again. A new file is a new test."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import har_bench
from har_bench.converter import Tables
from har_bench.converters.coco import COCO
from har_bench.converters.coco.categories import categories
from har_bench.converters.coco.document import Document
from har_bench.schema import to_numpy
from har_bench.skeletons import skeleton
from tests.coco_data import NAME, assert_holds, convert, read_json, reported, write
from tests.golden import REAL, load

ANNOTATIONS = sorted(
    path.relative_to(REAL).as_posix()
    for path in (REAL / "coco").rglob("*.json*")
    if path.parent.name != "golden" and isinstance(read_json(path), dict)
)
CORNER_CASES = load("coco/golden/coco_corner_cases.json").get("inputs", {})
CENSUS = load("coco/golden/coco_dataset_census.json")
KNOWN = {0: [], 42: ["crowdpose14"], 51: ["coco17"], 399: ["coco-wholebody133"]}
"""The joints of so many values, in the files that we know; files of others are tests too."""

CENSUS_FILES = {
    "val2017_subset538": "val2017_subset538/person_keypoints_val2017_subset538.json.xz",
    "coco_mini_val79": "coco_mini/annotations/person_keypoints_val2017.json",
    "mmpose_test_coco": "mmpose_testdata/test_coco.json",
}


@pytest.mark.real
@pytest.mark.parametrize("name", ANNOTATIONS)
def test_real_files_are_held(real: Path, tmp_path: Path, name: str) -> None:
    file = read_json(real / name)
    store = har_bench.convert(NAME, real / name, tmp_path / "store", jobs=1, quiet=True)
    poses, rejects = store.table("poses"), store.table("rejects").to_pylist() if store.manifest.rejects else []
    for where, kept in (("images", len(store.sequences)), ("annotations", len(poses))):
        dropped = [each for each in rejects if each["action"] == "dropped" and each["locator"].startswith(where)]
        assert kept + len(dropped) == len(file[where])
    if not rejects:
        assert_holds(Tables(store.sequences, poses), file)
    first = next((each for each in file["annotations"] if each.get("keypoints")), {})
    values = 399 if "foot_kpts" in first else len(first.get("keypoints", []))
    for known in (KNOWN[values] for _ in range(values in KNOWN)):
        assert [each.name for each in store.manifest.skeletons] == known


@pytest.mark.real
@pytest.mark.parametrize("name", CORNER_CASES)
def test_corner_cases_are_held(tmp_path: Path, name: str) -> None:
    file = CORNER_CASES[name]["gt"]
    tables = convert(write(tmp_path, file))
    assert_holds(tables, file)
    expected = {
        "31 duplicated annotation id": [("annotations[1].id", "repaired")],
        "32 duplicated image entry": [("images[1].id", "dropped")],
    }.get(name, [])
    assert reported(tables) == expected


class Census:
    """The figures of the census, counted in the store's tables, by the keys of the golden file."""

    def __init__(self, path: Path) -> None:
        (shard,) = COCO().discover(path)
        self.tables = COCO().read(shard)
        self.file = Document(path)
        poses = self.tables.poses
        assert poses is not None
        self.poses = poses
        self.count, self.crowd, self.area = (poses[name].to_numpy() for name in ("num_keypoints", "iscrowd", "area"))
        self.points, self.v, self.box = (
            to_numpy(poses[name], poses.schema.field(name)) for name in ("keypoints", "visibility", "bbox")
        )
        sizes = self.tables.sequences.select(["sequence", "width", "height"])
        size = {row["sequence"]: (row["width"], row["height"]) for row in sizes.to_pylist()}
        self.size = np.array([size[name] for name in poses["sequence"].to_pylist()])
        self.annotated = self.count > 0

    def filled(self, table: pa.Table, names: dict[str, str]) -> list[str]:
        return sorted(names.get(name, name) for name in table.column_names if table[name].null_count < len(table))

    def figures(self) -> dict[str, Any]:
        x, y = self.points[..., 0], self.points[..., 1]
        left, top, width, height = (self.box[:, None, at] for at in range(4))
        left, top, width, height = left - 0.5, top - 0.5, width + 1, height + 1  # the census allows half a pixel
        outside_box = (x < left) | (x > left + width) | (y < top) | (y > top + height)
        outside_image = (x < 0) | (x >= self.size[:, None, 0]) | (y < 0) | (y >= self.size[:, None, 1])
        mine = self.area[self.annotated & (self.crowd == 0)]
        pairs = np.array(skeleton("coco17").pairs)
        texts = [json.loads(text) for text in self.poses["segmentation"].to_pylist()]
        category = categories(self.file)[0][0]
        coordinates = sum("coordinates" in reject.reason for reject in self.tables.rejects)
        sequences = self.tables.sequences.drop_columns(
            ["sequence", "media", "n_frames", "splits", "image_row", "annotation_file", "license_name", "license_url"]
        )
        poses = self.poses.drop_columns(["person", "frame", "annotation_row", "visibility", "category"])
        return {
            "images": len(self.tables.sequences),
            "annotations": len(self.poses),
            "iscrowd": Counter(self.crowd.astype(str).tolist()),
            "num_keypoints=0": int((self.count == 0).sum()),
            "crowd_with_keypoints": int(self.annotated[self.crowd == 1].sum()),
            "num_keypoints!=count(v>0)": int((self.count != (self.v > 0).sum(axis=1)).sum()),
            "v_hist_on_annotated": Counter(self.v[self.annotated].ravel().astype(str).tolist()),
            "v=0_but_xy!=0": coordinates,
            "labelled_keypoints_outside_bbox": int(outside_box.sum()),
            "keypoints_outside_image": int(outside_image.sum()),
            "non_integer_keypoints": int((x % 1 > 0).sum() + (y % 1 > 0).sum()),
            "area<32^2 with keypoints": int((self.area[self.annotated] < 32**2).sum()),
            "area_hist_small/medium/large (annotated, non crowd)": np.histogram(mine, [0, 32**2, 96**2, 1e10])[
                0
            ].tolist(),
            "area/bbox_area median": float(np.median(self.area / self.box[:, 2:].prod(axis=1))),
            "bbox_w_or_h<1": int((self.box[:, 2:] < 1).any(axis=1).sum()),
            "segmentation_types": Counter(
                "polygon" if isinstance(text, list) else f"RLE {'un' * isinstance(text['counts'], list)}compressed"
                for text in texts
            ),
            "ann_ids_unique": len(set(self.poses["annotation_id"].to_pylist())) == len(self.poses),
            "max_persons_in_image": max(Counter(self.poses["sequence"].to_pylist()).values()),
            "keys": self.filled(poses, {"annotation_id": "id", "sequence": "image_id"}),
            "image_keys": self.filled(sequences.append_column("file_name", sequences["image_id"]), {"image_id": "id"}),
            "category": {
                "supercategory": "person",
                "id": category.id,
                "name": category.name,
                "keypoints": list(category.keypoints or ()),
                "skeleton": len(category.skeleton),
            },
            "left_right_same_xy": int((self.points[:, pairs[:, 0]] == self.points[:, pairs[:, 1]]).all(axis=2).sum()),
            "licences": Counter(str(number) for number in self.tables.sequences["license"].to_pylist()),
        }


@pytest.mark.real
@pytest.mark.parametrize("name", CENSUS)
def test_the_census_is_reproduced(real: Path, name: str) -> None:
    expected = dict(CENSUS[name])
    found = Census(real / "coco" / expected.pop("file", CENSUS_FILES.get(name))).figures()
    assert found == expected
