"""MPII: the real files have the published counts, and give the census and one another's numbers."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from har_bench.converter import Tables
from har_bench.converters.mpii import MPII
from har_bench.converters.mpii.converter import PUBLISHED
from har_bench.converters.mpii.tables import tompson
from tests.golden import REAL, load
from tests.mpii_data import InMemory, columns, convert, equal_rows, naive_release


@cache
def real_tables(path: str) -> Tables:
    return convert(REAL / path)


HOURGLASS = "mpii/hg_json/mpii_annotations.json.gz"


DETECTIONS = "mpii/bearpaw/detections.mat"


LIKE = "mpii/release_like/mpii_release_like.mat"


@pytest.mark.real
@pytest.mark.parametrize(("path", "origin"), [(HOURGLASS, "hourglass"), (DETECTIONS, "detections")])
def test_the_real_files_have_the_published_counts(path: str, origin: str) -> None:
    tables = real_tables(path)
    checks = MPII().check(InMemory(tables))  # type: ignore[arg-type]
    assert [check for check in checks if not check.ok] == []
    assert len(checks) == len(PUBLISHED[origin])  # type: ignore[index]
    assert tables.rejects == []


# Tompson's detections.mat against the bundle that was made from it independently


@pytest.fixture(scope="module")
def valid() -> pa.Table:
    poses = real_tables(DETECTIONS).poses
    assert poses is not None
    return poses.sort_by("tompson_row")


@pytest.fixture(scope="module")
def bundle() -> dict[str, npt.NDArray[Any]]:
    with np.load(REAL / "mpii" / "mpii_valid_bundle.npz", allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files if not name.startswith("pred")}


@pytest.mark.real
def test_detections_equal_the_bundle(valid: pa.Table, bundle: dict[str, npt.NDArray[Any]]) -> None:
    found = columns(valid)
    np.testing.assert_array_equal(found["keypoints"], bundle["gt_raw"] - 1)
    np.testing.assert_array_equal(found["head_box"], bundle["head_box"] - 1)
    np.testing.assert_array_equal(found["objpos"], bundle["objpos"] - 1)
    np.testing.assert_array_equal(valid["scale"].to_numpy(), bundle["scale"])
    assert valid["sequence"].to_pylist() == [name.decode() for name in bundle["image_name"]]
    np.testing.assert_array_equal(valid["person"].to_numpy(), bundle["person_index_1based"])
    np.testing.assert_array_equal(valid["tompson_row"].to_numpy(), np.arange(2958))
    assert tompson().annolist == tuple(bundle["annolist_index_1based"].tolist())
    sequences = real_tables(DETECTIONS).sequences
    place = dict(zip(sequences["sequence"].to_pylist(), sequences["annolist_index"].to_pylist(), strict=True))
    assert [place[name] for name in valid["sequence"].to_pylist()] == bundle["annolist_index_1based"].tolist()
    np.testing.assert_allclose(valid["head_size"].to_numpy(), 25 * bundle["scale"], rtol=1e-14)


@pytest.mark.real
def test_flags_equal_the_bundle(valid: pa.Table, bundle: dict[str, npt.NDArray[Any]]) -> None:
    raw = columns(valid)["is_visible"]
    counts = {int(flag): int(count) for flag, count in zip(*np.unique(raw, return_counts=True), strict=True)}
    assert {flag: counts[flag] for flag in range(5)} == {0: 9_513, 1: 26_244, 2: 730, 3: 1_891, 4: 5_862}
    known = np.where(raw == 255, -9, np.where(raw == 4, -1, (raw % 2).astype(int)))
    np.testing.assert_array_equal(known, bundle["is_visible"])


# The stacked-hourglass json against the census of the dataset


def outside(tables: Tables, by: float = 0) -> npt.NDArray[np.bool_]:
    """(N, 16) which joints are more than ``by`` px out of their image."""
    assert tables.poses is not None
    limits = np.array(person_sizes(tables))[:, None] - 1
    points = columns(tables.poses)["keypoints"]
    return ((points < -by) | (points > limits + by)).any(axis=2)


def sides_at_one_place(points: npt.NDArray[np.float64]) -> int:
    pairs = [(0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)]
    return sum(int((points[:, one] == points[:, other]).all(axis=1).sum()) for one, other in pairs)


def histogram(values: Any) -> dict[str, int]:
    return {str(value): count for value, count in sorted(Counter(values).items())}


def census(tables: Tables) -> dict[str, Any]:
    """The golden census, counted in a store."""
    assert tables.poses is not None
    found, poses, images = columns(tables.poses), tables.poses, tables.sequences.to_pylist()
    present = found["visibility"] > 0
    persons = Counter(name for splits in poses["splits"].to_pylist() for name in splits)
    pictures = Counter(name for row in images for name in row["splits"])
    sizes = Counter(f"{width}x{height}" for width, height in person_sizes(tables))
    owners = poses["sequence"].to_pylist()
    one_based = found["keypoints"] + 1
    centre = found["objpos"] + 1
    limits = np.array(person_sizes(tables))
    return {
        "n_persons": len(poses),
        "n_valid": persons["tompson/valid"],
        "n_train": persons["tompson/train"],
        "n_images": len(images),
        "n_images_valid": pictures["tompson/valid"],
        "n_images_train": pictures["tompson/train"],
        "images_in_both": sum({"tompson/valid", "tompson/train"} <= set(row["splits"]) for row in images),
        "joints_annotated": int(present.sum()),
        "joints_per_person_hist": histogram(present.sum(axis=1).tolist()),
        "all16": int(present.all(axis=1).sum()),
        "persons_zero_joints": int((~present.any(axis=1)).sum()),
        "vis_values": {f"{flag}.0": int((found["is_visible"] == flag).sum()) for flag in (1, 0)},
        "joints_outside_image_1based": int(outside(tables).sum()),
        "persons_with_joint_outside": int(outside(tables).any(axis=1).sum()),
        "joints_negative": int((one_based < 0).any(axis=2).sum()),
        "far_outside_>50px": int(outside(tables, by=50).sum()),
        "objpos_outside": int(((centre < 1) | (centre > limits)).any(axis=1).sum()),
        "scale_min_max": [poses["scale"].to_numpy().min(), poses["scale"].to_numpy().max()],
        "img_sizes_top": dict(sizes.most_common(8)),
        "img_sizes_distinct": len(sizes),
        "dup_(annolist_index,people_index)": len(poses)
        - len(set(zip(owners, poses["person"].to_pylist(), strict=True))),
        "persons_per_image_hist": histogram(Counter(owners).values()),
        "annolist_index_range": [
            min(row["annolist_index"] for row in images),
            max(row["annolist_index"] for row in images),
        ],
        "annolist_index_to_img_unique": len({row["annolist_index"] for row in images}) == len(images),
        "image_name_used_by_several_annolist_index": sum("@" in row["sequence"] for row in images),
        "people_index_max": max(poses["person"].to_pylist()),
        "left_right_same_xy": sides_at_one_place(found["keypoints"]),
        "pelvis_missing": int((~present[:, 6]).sum()),
        "missing_per_joint": (~present).sum(axis=0).tolist(),
    }


def person_sizes(tables: Tables) -> list[tuple[int, int]]:
    size = {row["sequence"]: (row["width"], row["height"]) for row in tables.sequences.to_pylist()}
    assert tables.poses is not None
    return [size[name] for name in tables.poses["sequence"].to_pylist()]


CENSUS = "mpii/golden/mpii_dataset_census.json"


OF_OTHER_FILES = (
    "csv_",
    "groups_",
    "hg_",
    "json_",
    "type_",
    "joint_others",
    "scale_other",
    "numOther",
    "exact_",
    "near_",
    "dup_ex",
)
"""Keys about what this converter does not read: other files, joint_others, and searches for look-alike persons."""


@pytest.mark.real
@pytest.mark.parametrize("key", [key for key in load(CENSUS) if not key.startswith(OF_OTHER_FILES)])
def test_the_json_gives_the_census(key: str) -> None:
    assert counted()[key] == load(CENSUS)[key]


@cache
def counted() -> dict[str, Any]:
    return census(real_tables(HOURGLASS))


@pytest.mark.real
def test_the_split_of_the_json_is_tompsons() -> None:
    rows = json.loads(gzip.decompress((REAL / HOURGLASS).read_bytes()))
    poses = real_tables(HOURGLASS).poses
    assert poses is not None
    keys = zip(poses["sequence"].to_pylist(), poses["person"].to_pylist(), strict=True)
    split = dict(zip(keys, poses["splits"].to_pylist(), strict=True))
    names = {0.0: ["official/train", "tompson/train"], 1.0: ["official/train", "tompson/valid"]}
    for row in rows:
        assert split[row["img_paths"], int(row["people_index"])] == names[row["isValidation"]]
    valid = [(row["img_paths"], int(row["people_index"])) for row in rows if row["isValidation"]]
    assert valid == list(tompson().row)


@pytest.mark.real
def test_the_json_is_the_rounded_release(valid: pa.Table) -> None:
    rounded = real_tables(HOURGLASS).poses
    assert rounded is not None
    rounded = rounded.filter(pa.compute.is_valid(rounded["tompson_row"])).sort_by("tompson_row")
    raw, json_ = columns(valid), columns(rounded)
    assert rounded["sequence"].to_pylist() == valid["sequence"].to_pylist()
    np.testing.assert_array_equal(json_["visibility"], raw["visibility"])
    for name in ("keypoints", "objpos"):
        np.testing.assert_allclose(json_[name], raw[name], atol=5.001e-4, rtol=0)
    np.testing.assert_allclose(
        rounded["head_size"].to_numpy(), valid["head_size"].to_numpy(), atol=25 * 5.001e-4, rtol=0
    )


# The file in the official layout, made of real records


@pytest.mark.real
def test_the_release_like_file_equals_the_second_reader() -> None:
    tables = real_tables(LIKE)
    equal_rows(tables, naive_release(REAL / LIKE))
    assert tables.rejects == []


@pytest.mark.real
@pytest.mark.parametrize(
    "entry",
    load("mpii/release_like/mpii_release_like.provenance.json").get("entries", []),
    ids=lambda entry: entry["image"],
)
def test_the_release_like_file_agrees_with_its_provenance(entry: dict[str, Any]) -> None:
    tables = real_tables(LIKE)
    assert tables.poses is not None
    (image,) = [row for row in tables.sequences.to_pylist() if row["sequence"] == entry["image"]]
    people = [row for row in tables.poses.to_pylist() if row["sequence"] == entry["image"]]
    assert (image["annolist_index"], len(people)) == (entry["k"], entry["annorect_len"])
    assert (image["action"], image["category"]) == (entry["activity"], entry["category"])
    fields = set(entry["annorect_fields"])
    for row in people:
        assert (row["part_occ"] is not None) == ("part_occ1" in fields)
        assert (row["head_r"] is not None) == (row["torso_r"] is not None) == ("head_r11" in fields)
        if entry["source"] == "raw":
            assert row["tompson_row"] is not None
            assert tompson().annolist[row["tompson_row"]] == entry["release_annolist_index"]


@pytest.mark.real
def test_the_release_like_file_equals_the_detections(valid: pa.Table) -> None:
    poses = real_tables(LIKE).poses
    assert poses is not None
    shared = poses.filter(pa.compute.is_valid(poses["tompson_row"])).sort_by("tompson_row")
    assert len(shared) == 48
    expected = valid.take(shared["tompson_row"])
    np.testing.assert_equal(
        shared.drop_columns("single_person").to_pylist(), expected.drop_columns("single_person").to_pylist()
    )
    # all layouts of annorect occur among the shared ones
    layouts = set(zip(*(shared[name].is_valid().to_pylist() for name in ("part_occ", "head_r")), strict=True))
    assert len(layouts) == 4
    assert set(columns(shared)["is_visible"].ravel().tolist()) == {0, 1, 2, 3, 4, 255}
