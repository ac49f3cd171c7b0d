"""MPII: what is broken in a RELEASE is a reject or a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from har_bench.converter import Tables
from har_bench.converters.mpii import MPII
from har_bench.errors import HarBenchError
from tests.damage import damaged, refused
from tests.mpii_data import RELEASE_FILE, convert, edited, naive_release

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


def named(name: str) -> Any:
    return np.array([[(name,)]], [("name", object)])


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
    "an empty name": (entry("image", named("")), "annolist(2).image.name", "dropped"),
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
        ("a.json", b"", r"a\.json is empty; was it"),
        ("a.json", b'[{"joint_self": [', "is not a json list of persons"),
        ("a.json", b'{"joint_self": []}', "is not a json list of persons"),
        ("a.json.gz", b"\x1f\x8b\x08", "is cut off; download it again"),
        ("a.json.gz", b"\x1f\x8b\x08no gzip at all", "is damaged .*; download it again"),
        ("readme.txt", b"hello", r"holds no MPII .*; expected mpii_human_pose_v1_u12_1.mat"),
    ],
)
def test_what_is_not_the_dataset_says_what_was_expected(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HarBenchError, match=words) as caught:
        convert(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"nowhere does not exist; give the folder of MPII"):
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


@pytest.mark.parametrize("compressed", [True, False])
def test_damage_is_a_har_bench_error_or_rejects(sample: Path, tmp_path: Path, compressed: bool) -> None:
    whole = (sample / RELEASE_FILE).read_bytes() if compressed else edited(sample, lambda release: None)
    path = tmp_path / "damaged.mat"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        convert(path)

    assert refused(read, damaged(whole, 300, most=8)) > (0.96 if compressed else 0.33)


@pytest.mark.parametrize(
    "given", ["images\\005808361.jpg", "C:\\mpii\\005808361.jpg", "../005808361.jpg", "/x/005808361.jpg"]
)
def test_a_path_for_a_name_becomes_the_name_and_is_reported(
    sample: Path, converted: Tables, tmp_path: Path, given: str
) -> None:
    path = tmp_path / "release.mat"
    path.write_bytes(edited(sample, entry("image", named(given))))
    tables = convert(path)
    assert tables.sequences == converted.sequences
    before = {(reject.locator, reject.action) for reject in converted.rejects}
    after = {(reject.locator, reject.action) for reject in tables.rejects}
    assert after - before == {("annolist(2).image.name", "repaired")}


def test_a_release_without_a_single_joint_or_image_is_refused(sample: Path, tmp_path: Path) -> None:
    path = tmp_path / "release.mat"

    def shifted(release: Any) -> None:
        for person in np.ravel(release[0, 0]["annolist"]):
            for struct in np.ravel(person["annorect"]):
                if "annopoints" in (struct.dtype.names or ()) and np.size(struct["annopoints"]):
                    for point in np.ravel(struct["annopoints"][0, 0]["point"]):
                        point["id"] = "knee"

    path.write_bytes(edited(sample, shifted))
    with pytest.raises(
        HarBenchError, match=r"release\.mat: none of its \d+ records of joints can be used \(the first, ann"
    ):
        convert(path)

    def nameless(release: Any) -> None:
        for person in np.ravel(release[0, 0]["annolist"]):
            person["image"] = named("")

    path.write_bytes(edited(sample, nameless))
    with pytest.raises(HarBenchError, match=r"release\.mat: none of its \d+ images can be used"):
        convert(path)
