"""MPII: every value of the sample RELEASE and of Tompson's detections is in the store."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import scipy.io

from har_bench.converter import Tables
from har_bench.converters.mpii import MPII
from har_bench.converters.mpii.tables import POSES, SEQUENCES, tompson
from tests.mpii_data import RELEASE_FILE, InMemory, convert, detections, equal_rows, get, hourglass_row, naive_release

# The sample


def test_the_sample_has_the_quirks_of_the_real_file(sample: Path) -> None:
    release = scipy.io.loadmat(sample / RELEASE_FILE)["RELEASE"][0, 0]
    rects = [entry["annorect"] for entry in release["annolist"][0]]
    layouts = {len(rect.dtype.names) for rect in rects if rect.dtype.names}
    assert {2, 4, 7, 17, 25, 35} <= layouts
    points = [
        point
        for rect in rects
        for person in (rect[0] if "annopoints" in (rect.dtype.names or ()) else ())
        if person["annopoints"].size
        for point in person["annopoints"][0, 0]["point"][0]
    ]
    orders = {point.dtype.names for point in points}
    assert orders == {("x", "y", "id", "is_visible"), ("id", "x", "y", "is_visible"), ("x", "y", "id")}
    flags = Counter(
        (cell.dtype.kind, cell.item() if cell.size else None)
        for cell in (get(point, "is_visible") for point in points)
        if cell is not None
    )
    assert flags.keys() >= {("u", 0), ("u", 1), ("U", "0"), ("U", "1")}
    assert {
        point["id"].item() for point in points if get(point, "is_visible") is not None and not point["is_visible"].size
    } == {8, 9}
    assert {point[axis].dtype.str for point in points for axis in "xy"} == {"|u1", "<u2", "<i2", "<f8"}
    assert sum(rect.size == 0 for rect in rects) == 1
    names = [entry["image"][0, 0]["name"].item() for entry in release["annolist"][0]]
    assert [name for name, count in Counter(names).items() if count > 1] == ["990000001.jpg"]
    assert any(act["act_name"].size == 0 and act["act_id"].item() == -1 for act in release["act"][:, 0])
    assert {cell.size for cell in release["single_person"][:, 0]} >= {0, 1, 2}


def test_the_same_seed_gives_the_same_bytes(sample: Path, tmp_path: Path) -> None:
    MPII.sample(tmp_path / "same")
    MPII.sample(tmp_path / "other", seed=1)
    first = (sample / RELEASE_FILE).read_bytes()
    assert (tmp_path / "same" / RELEASE_FILE).read_bytes() == first
    assert (tmp_path / "other" / RELEASE_FILE).read_bytes() != first
    assert not [reject for reject in convert(tmp_path / "other").rejects if reject.action == "dropped"]


def test_what_the_sample_holds_is_what_the_store_holds(sample: Path, converted: Tables) -> None:
    equal_rows(converted, naive_release(sample / RELEASE_FILE))


def test_the_tables_have_their_schema_and_order(converted: Tables) -> None:
    assert converted.poses is not None
    assert converted.sequences.schema.equals(SEQUENCES, check_metadata=True)
    assert converted.poses.schema.equals(POSES, check_metadata=True)
    names = converted.sequences["sequence"].to_pylist()
    assert names == sorted(set(names))
    keys = list(zip(*(converted.poses[name].to_pylist() for name in ("sequence", "person", "frame")), strict=True))
    assert keys == sorted(set(keys))
    assert converted.poses["bbox"].null_count == len(keys)


def test_an_image_is_described(converted: Tables) -> None:
    rows = {row["sequence"]: row for row in converted.sequences.to_pylist()}
    test, train = rows["900000000.jpg"], rows["005808361.jpg"]
    assert test["splits"] == ["official/test"]
    assert [test[name] for name in ("action", "category", "act_id", "frame_sec", "vididx", "video")] == [None] * 6
    assert test["annolist_index"] == 1
    assert train == {
        "sequence": "005808361.jpg",
        "subject": None,
        "action": "jogging",
        "camera": None,
        "media": "images/005808361.jpg",
        "n_frames": 1,
        "fps": None,
        "width": None,
        "height": None,
        "splits": ["official/train", "tompson/valid"],
        "origin": "release",
        "release": "12",
        "annolist_index": 2,
        "category": "running",
        "act_id": 1,
        "frame_sec": 11.0,
        "vididx": 1,
        "video": "synthetic_0",
    }


def test_a_name_that_comes_twice_becomes_two_sequences(converted: Tables) -> None:
    rows = {row["sequence"]: row for row in converted.sequences.to_pylist() if row["media"] == "images/990000001.jpg"}
    assert {key: row["splits"] for key, row in rows.items()} == {
        "990000001.jpg": ["official/train"],
        "990000001.jpg@42": ["official/test"],
    }
    (reject,) = converted.rejects
    assert (reject.source, reject.locator, reject.action) == (RELEASE_FILE, "annolist(42).image.name", "repaired")


def test_each_person_is_in_its_splits(converted: Tables) -> None:
    assert converted.poses is not None
    split = tompson()
    valid_images = set(split.images)
    test_images = {row["sequence"] for row in converted.sequences.to_pylist() if row["splits"] == ["official/test"]}
    seen: Counter[str] = Counter()
    for row in converted.poses.to_pylist():
        key = row["sequence"], row["person"]
        if row["sequence"] in test_images:
            expected, at = ["official/test"], None
        elif key in split.row:
            expected, at = ["official/train", "tompson/valid"], split.row[key]
        elif row["sequence"] in valid_images or not any(row["visibility"]):
            expected, at = ["official/train"], None
        else:
            expected, at = ["official/train", "tompson/train"], None
        assert (row["splits"], row["tompson_row"]) == (expected, at)
        seen[expected[-1]] += 1
    assert seen["tompson/valid"] == 12
    assert all(seen[name] > 4 for name in ("official/train", "official/test", "tompson/train"))


def test_detections_are_named_by_tompsons_list(sample: Path, converted: Tables, tmp_path: Path) -> None:
    split = tompson()
    detections(sample, tmp_path / "detections.mat", list(split.annolist[:3]), list(split.persons[:3]))
    tables = convert(tmp_path)
    assert tables.poses is not None
    assert converted.poses is not None
    release = {(row["sequence"], row["person"]): row for row in converted.poses.to_pylist()}
    rows = sorted(tables.poses.to_pylist(), key=lambda row: row["tompson_row"])
    assert [(row["sequence"], row["person"]) for row in rows] == list(split.row)[:3]
    for row in rows:
        expected = release[row["sequence"], row["person"]] | {"single_person": None}
        np.testing.assert_equal(row, expected)
    assert {tuple(names) for names in tables.sequences["splits"].to_pylist()} == {("official/train", "tompson/valid")}


def test_unknown_and_repeated_detections_are_dropped(sample: Path, tmp_path: Path) -> None:
    detections(sample, tmp_path / "detections.mat", [7, 7, 8, 7], [1, 1, 1, 99])
    tables = convert(tmp_path)
    assert tables.poses is not None
    assert len(tables.poses) == 1
    assert [(reject.locator, reject.action) for reject in tables.rejects] == [
        ("annolist(2)", "dropped"),
        ("annolist(3)", "dropped"),
        ("annolist(4)", "dropped"),
    ]


def test_the_fullest_file_is_taken(sample: Path, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([hourglass_row()]))
    (tmp_path / "unrelated.json").write_text("{}")
    scipy.io.savemat(tmp_path / "unrelated.mat", {"x": 1.0})
    kinds = [MPII().discover(tmp_path)[0].payload[0]]
    detections(sample, tmp_path / "b.mat", [7], [1])
    kinds.append(MPII().discover(tmp_path)[0].payload[0])
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "any.mat").write_bytes((sample / RELEASE_FILE).read_bytes())
    (tmp_path / "broken.mat").write_bytes(b"")
    (shard,) = MPII().discover(tmp_path)
    assert [*kinds, shard.payload[0]] == ["hourglass", "detections", "release"]
    assert (shard.key, shard.sources) == ("sub/any.mat", (tmp_path / "sub" / "any.mat",))


# Published counts


def test_check_counts_what_is_in_the_store(converted: Tables) -> None:
    found = {check.what: check.found for check in MPII().check(InMemory(converted))}  # type: ignore[arg-type]
    assert converted.poses is not None
    rows = converted.poses.to_pylist()
    assert found == {
        f"{what} (mpii_human_pose_v1_u12_1.mat)": count
        for what, count in {
            "images": 42,
            "images in official/train": 35,
            "images in official/test": 7,
            "train images with annotated persons": 34,
            "annotated persons in official/train": sum(any(row["visibility"]) for row in rows),
            "persons in tompson/train": sum("tompson/train" in row["splits"] for row in rows),
            "images in tompson/train": 22,
            "persons in tompson/valid": 12,
            "images in tompson/valid": 12,
        }.items()
    }
