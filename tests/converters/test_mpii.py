"""MPII: every raw value is in the store, whatever is broken is a reject, and the real files give the known numbers."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import scipy.io

from har_bench.converter import Tables
from har_bench.converters.mpii import MPII
from har_bench.converters.mpii.converter import PUBLISHED
from har_bench.converters.mpii.tables import POSES, SEQUENCES, tompson
from har_bench.errors import HarBenchError
from har_bench.schema import to_numpy
from tests.golden import REAL, load

RELEASE_FILE = "mpii_human_pose_v1_u12_2/mpii_human_pose_v1_u12_1.mat"


def convert(raw: Path) -> Tables:
    (shard,) = MPII().discover(raw)
    return MPII().read(shard)


def columns(poses: pa.Table) -> dict[str, npt.NDArray[Any]]:
    """Vector columns as NumPy, NaN where null."""
    return {
        field.name: to_numpy(poses[field.name], field) for field in POSES if pa.types.is_fixed_size_list(field.type)
    }


class InMemory:
    """What ``check`` needs of a store."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def table(self, name: str) -> pa.Table:
        return getattr(self.tables, name)

    def poses(self, split: str | None = None, columns: list[str] | None = None) -> pa.Table:
        assert self.tables.poses is not None
        return self.tables.poses.select(columns)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("sample")
    MPII.sample(raw)
    return raw


@pytest.fixture(scope="module")
def converted(sample: Path) -> Tables:
    return convert(sample)


# A second reader, value by value, to compare with


def scalar(cell: Any) -> float:
    return float(cell.item()) if cell is not None and cell.size else float("nan")


def get(struct: Any, name: str) -> Any:
    return struct[name] if struct is not None and name in struct.dtype.names else None


def naive_person(rect: Any) -> dict[str, Any]:
    """One annorect as the store should have it."""
    keypoints, flags = np.full((16, 2), np.nan), np.full(16, 255)
    annopoints = get(rect, "annopoints")
    if annopoints is not None and annopoints.size:
        for point in annopoints[0, 0]["point"][0]:
            joint = int(point["id"].item())
            keypoints[joint] = float(point["x"].item()) - 1, float(point["y"].item()) - 1
            flag = get(point, "is_visible")
            flags[joint] = 5 if flag is None else 4 if not flag.size else int(flag.item())
            if flag is not None and flag.size and flag.dtype.kind == "U":
                flags[joint] += 2
    x1, y1, x2, y2 = (scalar(get(rect, name)) for name in ("x1", "y1", "x2", "y2"))
    objpos = get(rect, "objpos")
    place = objpos[0, 0] if objpos is not None and objpos.size else None

    def values(names: list[str], absent: float) -> list[float] | None:
        cells = [get(rect, name) for name in names]
        return None if cells[0] is None else [float(cell.item()) if cell.size else absent for cell in cells]

    grid = [f"{row}{place}" for row in "123" for place in "123"]
    return {
        "keypoints": keypoints,
        "is_visible": flags,
        "visibility": np.where(flags == 255, 0, np.where((flags == 0) | (flags == 2), 1, 2)),
        "head_box": None if np.isnan(x1) else [x1 - 1, y1 - 1, x2 - 1, y2 - 1],
        "head_size": None if np.isnan(x1) else 0.6 * ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5,
        "scale": None if np.isnan(scalar(get(rect, "scale"))) else scalar(get(rect, "scale")),
        "objpos": None if place is None else [scalar(place["x"]) - 1, scalar(place["y"]) - 1],
        "part_occ": values([f"part_occ{part}" for part in range(1, 11)], -1),
        "head_r": values(["head_r" + at for at in grid], np.nan),
        "torso_r": values(["torso_r" + at for at in grid], np.nan),
    }


def naive_release(path: Path) -> dict[tuple[int, int], dict[str, Any]]:
    """(1-based place in annolist, 1-based place in annorect) -> what the store should have."""
    release = scipy.io.loadmat(path)["RELEASE"][0, 0]
    found = {}
    for index, entry in enumerate(release["annolist"][0], start=1):
        rects = entry["annorect"]
        for person in range(1, (rects.size if rects.dtype.names else 0) + 1):
            single = release["single_person"][index - 1, 0]
            found[index, person] = naive_person(rects[0, person - 1]) | {"single_person": person in single}
    return found


def equal_rows(tables: Tables, expected: dict[tuple[int, int], dict[str, Any]]) -> None:
    assert tables.poses is not None
    place = dict(zip(*(tables.sequences[name].to_pylist() for name in ("sequence", "annolist_index")), strict=True))
    rows = {(place[row["sequence"]], row["person"]): row for row in tables.poses.to_pylist()}
    assert rows.keys() == expected.keys()
    for key, values in expected.items():
        for name, value in values.items():
            if name == "head_size" and value is not None:
                assert rows[key][name] == pytest.approx(value, rel=1e-15)
            elif value is None or isinstance(value, bool):
                assert rows[key][name] is value, (key, name)
            else:
                np.testing.assert_array_equal(rows[key][name], np.ravel(value), err_msg=f"{key} {name}")


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


# Other inputs


def hourglass_row(**changes: Any) -> dict[str, Any]:
    joints = [[float(10 + joint), 20.5, float(joint % 2)] for joint in range(16)]
    return {
        "dataset": "MPI",
        "isValidation": 0.0,
        "img_paths": "015601864.jpg",
        "img_width": 1280.0,
        "img_height": 720.0,
        "objpos": [594.0, 257.0],
        "joint_self": joints,
        "scale_provided": 3.021,
        "joint_others": [[1.0, 2.0, 1.0]],
        "scale_provided_other": {},
        "annolist_index": 5.0,
        "people_index": 1.0,
        **changes,
    }


@pytest.mark.parametrize("name", ["mpii_annotations.json", "mpii_annotations.json.gz"])
def test_the_hourglass_json(tmp_path: Path, name: str) -> None:
    row = hourglass_row(annolist_index=5.0)
    row["joint_self"][3] = [0.0, 0.0, 0.0]
    text = json.dumps([row, hourglass_row(people_index=2.0, joint_others=[[[1.0, 2.0, 1.0]] * 2])]).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    tables = convert(tmp_path)
    assert tables.poses is not None
    (image,) = tables.sequences.to_pylist()
    assert (image["width"], image["height"], image["origin"]) == (1280, 720, "hourglass")
    assert image["splits"] == ["official/train", "tompson/train"]
    first, second = tables.poses.to_pylist()
    assert (first["person"], second["person"]) == (1, 2)
    assert first["visibility"] == [0 if joint == 3 else 1 + joint % 2 for joint in range(16)]
    assert second["is_visible"] == [joint % 2 for joint in range(16)]
    assert first["keypoints"][:2] == [9.0, 19.5]
    assert np.isnan(first["keypoints"][6:8]).all()
    assert (first["head_size"], first["scale"], first["objpos"]) == (25 * 3.021, 3.021, [593.0, 256.0])
    assert (first["head_box"], first["single_person"], first["part_occ"]) == (None, None, None)
    assert tables.rejects == []


@pytest.mark.parametrize(
    ("change", "locator", "reason"),
    [
        ({"joint_self": [[1.0, 2.0, 1.0]] * 15}, "[1]", "length >= 16"),
        ({"joint_self": [[1.0, 2.0, 7.0]] * 16}, "[1].joint_self", "neither 0 nor 1"),
        ({"joint_self": [["x", 2.0, 1.0]] * 16}, "[1]", "joint_self"),
        ({"scale_provided": None}, "[1]", "scale_provided"),
        ({"people_index": 0.5}, "[1]", "people_index"),
        ({"people_index": 1.0}, "[1]", "given twice"),
        ({"img_paths": "../x.jpg"}, "[1].img_paths", "not the name of a file"),
    ],
)
def test_a_broken_row_of_the_json_is_dropped(tmp_path: Path, change: dict[str, Any], locator: str, reason: str) -> None:
    path = tmp_path / "mpii_annotations.json"
    path.write_text(json.dumps([hourglass_row(), hourglass_row(**{"people_index": 2.0, **change})]))
    tables = convert(path)
    assert tables.poses is not None
    assert len(tables.poses) == 1
    (reject,) = tables.rejects
    assert (reject.source, reject.locator, reject.action) == ("mpii_annotations.json", locator, "dropped")
    assert reason in reject.reason


def edited(sample: Path, edit: Callable[[Any], None]) -> bytes:
    """The sample's RELEASE after an edit, as a file's bytes."""
    release = scipy.io.loadmat(sample / RELEASE_FILE)["RELEASE"]
    edit(release)
    file = io.BytesIO()
    scipy.io.savemat(file, {"RELEASE": release})
    return file.getvalue()


def detections(sample: Path, path: Path, places: list[int], persons: list[int]) -> None:
    """A detections.mat with the first persons of the sample's valid images."""
    entries = scipy.io.loadmat(sample / RELEASE_FILE)["RELEASE"][0, 0]["annolist"]
    annolist = np.empty((1, len(places)), [("annorect", object)])
    for at in range(len(places)):
        annolist[0, at] = (entries[0, 1 + at]["annorect"][:, :1],)
    scipy.io.savemat(path, {"annolist": annolist, "RELEASE_img_index": [places], "RELEASE_person_index": [persons]})


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


# What is broken


def rect(release: Any, index: int, person: int = 1) -> Any:
    return release[0, 0]["annolist"][0, index - 1]["annorect"][0, person - 1]


def put(field: str, value: Any, point: int | None = None) -> Callable[[Any], None]:
    """Set a field of the first person of the second image, or of one of that person's points."""

    def edit(release: Any) -> None:
        struct = rect(release, 2)
        if point is not None:
            struct = struct["annopoints"][0, 0]["point"][0, point - 1]
        struct[field] = value

    return edit


def entry(field: str, value: Any) -> Callable[[Any], None]:
    """Set a field of the second image."""

    def edit(release: Any) -> None:
        release[0, 0]["annolist"][0, 1][field] = value

    return edit


def without_id(release: Any) -> None:
    annopoints = rect(release, 2)["annopoints"]
    points = annopoints[0, 0]["point"]
    kept = np.empty(points.shape, [("x", object), ("y", object)])
    kept["x"], kept["y"] = points["x"], points["y"]
    annopoints[0, 0]["point"] = kept


def top(field: str, index: tuple[int, int], value: Any) -> Callable[[Any], None]:
    def edit(release: Any) -> None:
        release[0, 0][field][index] = value

    return edit


PLACE = "annolist(2).annorect(1)"
ID = np.array([[3]], np.uint8)
BROKEN: dict[str, tuple[Callable[[Any], None], str, str]] = {
    "joint id too large": (put("id", np.array([[16]]), 3), f"{PLACE}.annopoints.point(3)", "dropped"),
    "joint id is text": (put("id", "knee", 3), f"{PLACE}.annopoints.point(3)", "dropped"),
    "joint id between two": (put("id", np.array([[1.5]]), 3), f"{PLACE}.annopoints.point(3)", "dropped"),
    "x is text": (put("x", "12", 2), f"{PLACE}.annopoints.point(2)", "dropped"),
    "y is NaN": (put("y", np.array([[np.nan]]), 2), f"{PLACE}.annopoints.point(2)", "dropped"),
    "x is []": (put("x", np.zeros((0, 0)), 2), f"{PLACE}.annopoints.point(2)", "dropped"),
    "flag of 7": (put("is_visible", np.array([[7]]), 1), f"{PLACE}.annopoints.point(1).is_visible", "repaired"),
    "flag is a word": (put("is_visible", "yes", 1), f"{PLACE}.annopoints.point(1).is_visible", "repaired"),
    "annopoints is text": (put("annopoints", "none"), f"{PLACE}.annopoints", "repaired"),
    "x1 is text": (put("x1", "left"), f"{PLACE}.x1", "repaired"),
    "x1 is []": (put("x1", np.zeros((0, 0))), PLACE, "repaired"),
    "scale is text": (put("scale", "big"), f"{PLACE}.scale", "repaired"),
    "scale is infinite": (put("scale", np.array([[np.inf]])), f"{PLACE}.scale", "repaired"),
    "annorect is a number": (entry("annorect", np.array([[1.0]])), "annolist(2).annorect", "dropped"),
    "vididx below 1": (entry("vididx", np.array([[-3.0]])), "annolist(2).vididx", "repaired"),
    "vididx beyond the list": (entry("vididx", np.array([[99]], np.uint8)), "annolist(2).vididx", "repaired"),
    "frame_sec is text": (entry("frame_sec", "soon"), "annolist(2).frame_sec", "repaired"),
    "no name": (entry("image", np.zeros((0, 0))), "annolist(2).image.name", "dropped"),
    "neither train nor test": (top("img_train", (0, 1), 3), "img_train(2)", "repaired"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_record_is_a_reject(sample: Path, converted: Tables, tmp_path: Path, case: str) -> None:
    edit, locator, action = BROKEN[case]
    path = tmp_path / "release.mat"
    path.write_bytes(edited(sample, edit))
    tables = convert(path)
    places = [
        (reject.locator, reject.action) for reject in tables.rejects if reject.locator != "annolist(42).image.name"
    ]
    assert (locator, action) in places
    assert all(place.startswith(locator.partition(".")[0]) for place, _ in places)
    assert tables.poses is not None
    assert converted.poses is not None
    found, whole = (
        [row for row in poses.to_pylist() if row["sequence"] != "005808361.jpg"]
        for poses in (tables.poses, converted.poses)
    )
    np.testing.assert_equal(found, whole)


def test_a_point_without_id_is_dropped_and_the_person_stays(sample: Path, tmp_path: Path) -> None:
    path = tmp_path / "release.mat"
    path.write_bytes(edited(sample, without_id))
    tables = convert(path)
    assert tables.poses is not None
    count = sum(reject.locator.startswith(f"{PLACE}.annopoints.point(") for reject in tables.rejects)
    assert count == 16
    (row,) = [row for row in tables.poses.to_pylist() if row["sequence"] == "005808361.jpg"]
    assert row["visibility"] == [0] * 16
    assert np.isnan(row["keypoints"]).all()
    assert row["scale"] is not None


def test_of_a_joint_given_twice_the_first_is_kept(sample: Path, tmp_path: Path) -> None:
    path = tmp_path / "release.mat"
    before = naive_release(sample / RELEASE_FILE)[2, 1]
    release = scipy.io.loadmat(sample / RELEASE_FILE)["RELEASE"]
    points = rect(release, 2)["annopoints"][0, 0]["point"][0]
    first, lost = int(points[0]["id"].item()), int(points[4]["id"].item())
    path.write_bytes(edited(sample, put("id", np.array([[first]], np.uint8), 5)))
    tables = convert(path)
    assert tables.poses is not None
    (row,) = [row for row in tables.poses.to_pylist() if row["sequence"] == "005808361.jpg"]
    joints = np.reshape(row["keypoints"], (16, 2))
    np.testing.assert_array_equal(joints[first], before["keypoints"][first])
    assert np.isnan(joints[lost]).all()
    assert (f"{PLACE}.annopoints.point(5)", "dropped") in [(reject.locator, reject.action) for reject in tables.rejects]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.mat", b"", "is empty"),
        ("a.mat", b"\x89HDF\r\n\x1a\n" + bytes(900), "version 7.3"),
        ("a.mat", b"<html>not found</html>" * 20, "is not a .mat file"),
        ("a.json", b"", "is empty; was it"),
        ("a.json", b"[]", "is not MPII; expected there mpii_human_pose_v1_u12_1.mat"),
        ("a.json", b'[{"joint_self": [', "is not the list of persons"),
        ("a.json", b'{"joint_self": []}', "is not the list of persons"),
        ("a.json.gz", b"\x1f\x8b\x08", "is cut off; download it again"),
        ("a.json.gz", b"\x1f\x8b\x08no gzip at all", "is damaged .*; download it again"),
        ("readme.txt", b"hello", "is not MPII; expected there mpii_human_pose_v1_u12_1.mat"),
    ],
)
def test_what_is_not_the_dataset_says_what_was_expected(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HarBenchError, match=words) as caught:
        convert(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"nowhere is not MPII; expected there mpii_human_pose_v1_u12_1.mat"):
        MPII().discover(tmp_path / "nowhere")


def test_a_release_of_another_layout(sample: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    release = scipy.io.loadmat(sample / RELEASE_FILE)["RELEASE"]
    scipy.io.savemat(path, {"RELEASE": release[["annolist", "act"]].astype([("annolist", object), ("act", object)])})
    with pytest.raises(HarBenchError, match="has no struct RELEASE with annolist, img_train"):
        convert(path)
    release[0, 0]["img_train"] = release[0, 0]["img_train"][:, :-1]
    scipy.io.savemat(path, {"RELEASE": release})
    with pytest.raises(HarBenchError, match="annolist 42, img_train 41"):
        convert(path)


def test_a_cut_json(tmp_path: Path) -> None:
    whole = gzip.compress(json.dumps([hourglass_row()] * 200).encode())
    path = tmp_path / "a.json.gz"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(HarBenchError):
            convert(path)


@pytest.mark.parametrize("compressed", [True, False])
def test_damage_is_a_har_bench_error_or_rejects(sample: Path, tmp_path: Path, compressed: bool) -> None:
    whole = (sample / RELEASE_FILE).read_bytes() if compressed else edited(sample, lambda release: None)
    random = np.random.default_rng(0)
    path = tmp_path / "damaged.mat"
    refused = 0
    for _ in range(300):
        damaged = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(0, len(damaged), random.integers(1, 9))
        damaged[places] = random.choice([0, 1, 127, 255, random.integers(256)], len(places))
        path.write_bytes(damaged.tobytes())
        try:
            convert(path)
        except HarBenchError:
            refused += 1
    assert refused > (290 if compressed else 100)


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
