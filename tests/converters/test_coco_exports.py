"""COCO's files come out of their stores as they went in."""

from __future__ import annotations

from pathlib import Path

import pytest
from pycocotools import coco

import har_bench
from har_bench.converters.coco import COCO
from har_bench.store import Store
from tests.golden import REAL

FILES = (
    "coco/val2017_subset538/person_keypoints_val2017_subset538.json.xz",
    "coco/coco_mini/annotations/person_keypoints_val2017.json",
    "coco/fce_keypoints/gt_dataset.json",
    *(path.relative_to(REAL).as_posix() for path in sorted((REAL / "coco/xtcocotools_example").glob("*val*.json"))),
)


def same(one: Store, other: Store) -> None:
    """But for how the file was packed."""
    assert one.manifest.skeletons == other.manifest.skeletons
    assert one.manifest.splits == other.manifest.splits
    assert one.sequences.drop_columns("annotation_file").equals(other.sequences.drop_columns("annotation_file"))
    assert repr(one.table("poses").to_pylist()) == repr(other.table("poses").to_pylist())  # NaN equals NaN


def test_the_sample_gives_the_same_store_again(tmp_path: Path) -> None:
    COCO.sample(tmp_path / "raw", seed=3)
    store = har_bench.convert("coco", tmp_path / "raw", tmp_path / "store", jobs=1, quiet=True)
    written = store.export("coco", tmp_path / "out", quiet=True)
    assert written.poses == store.manifest.rows["poses"]
    again = har_bench.convert("coco", tmp_path / "out", tmp_path / "again", jobs=1, quiet=True)
    assert again.fingerprint == store.fingerprint
    tool = coco.COCO(str(tmp_path / "out" / "annotations" / "person_keypoints_val2017.json"))
    assert len(tool.getImgIds()) == store.manifest.splits["2017/val"]


@pytest.mark.real
@pytest.mark.parametrize("name", FILES)
def test_real_files_give_the_same_store_again(tmp_path: Path, name: str) -> None:
    store = har_bench.convert("coco", REAL / name, tmp_path / "store", jobs=1, quiet=True)
    store.export("coco", tmp_path / "out", quiet=True)
    (file,) = (tmp_path / "out").rglob("*.json")
    again = har_bench.convert("coco", file, tmp_path / "again", jobs=1, quiet=True)
    if not store.manifest.rejects:
        same(store, again)
    assert len(again.table("poses")) == len(store.table("poses"))
