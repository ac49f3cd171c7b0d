"""HRNet's json files of MPII: rows by hand, broken ones, and the real validation set in this layout."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

import har_bench
from har_bench.converter import Tables
from har_bench.converters.mpii import MPII
from har_bench.converters.mpii.tables import POSES, tompson
from har_bench.errors import HarBenchError
from har_bench.protocols.mpii import PCKh
from har_bench.schema import to_numpy
from tests.golden import REAL
from tests.mpii_data import convert, hrnet_row, write_sets


def people(tables: Tables) -> list[dict[str, Any]]:
    assert tables.poses is not None
    return tables.poses.to_pylist()


FIRST, SECOND = tompson().images[:2]
TWICE = next(name for name in tompson().images if tompson().images.count(name) == 2)
ROWS = [person for name, person in zip(tompson().images, tompson().persons, strict=True) if name == TWICE]


# ---- HRNet's rows


def test_a_row_of_hrnets_json(tmp_path: Path) -> None:
    joints = [[-1.0, -1.0], *hrnet_row()["joints"][1:]]
    tables = convert(write_sets(tmp_path, train=[hrnet_row(joints=joints, joints_vis=[0] + [1] * 15)]))
    (image,), (person,) = tables.sequences.to_pylist(), people(tables)
    assert tables.rejects == []
    assert (image["origin"], image["media"], image["annolist_index"]) == ("hrnet", "images/015601864.jpg", None)
    assert image["splits"] == person["splits"] == ["official/train", "tompson/train"]
    assert person["person"] == 1
    assert person["visibility"] == [0] + [2] * 15
    assert person["keypoints"][2:4] == [10.0, 19.5]
    assert np.isnan(person["keypoints"][:2]).all()
    assert (person["scale"], person["head_size"]) == (3.021046, 25 * 3.021046)
    assert (person["objpos"], person["head_box"]) == ([593.0, 256.0], None)


def test_the_sets_are_the_splits(tmp_path: Path) -> None:
    test = {name: value for name, value in hrnet_row("000000001.jpg").items() if not name.startswith("joints")}
    raw = write_sets(
        tmp_path / "annot",
        train=[hrnet_row()],
        valid=[hrnet_row(FIRST), hrnet_row(SECOND)],
        test=[test],
        trainval=[hrnet_row()] * 3,
    )
    tables = convert(raw)
    assert tables.rejects == []
    splits = dict(zip(tables.sequences["sequence"].to_pylist(), tables.sequences["splits"].to_pylist(), strict=True))
    assert splits == {
        "000000001.jpg": ["official/test"],
        FIRST: ["official/train", "tompson/valid"],
        "015601864.jpg": ["official/train", "tompson/train"],
        SECOND: ["official/train", "tompson/valid"],
    }
    assert {person["sequence"]: person["tompson_row"] for person in people(tables)} == {
        "000000001.jpg": None, FIRST: 0, "015601864.jpg": None, SECOND: 1
    }  # fmt: skip
    (shard,) = MPII().discover(tmp_path)
    assert [path.name for path in shard.sources] == ["test.json", "train.json", "valid.json"]
    (raw / "valid.json").unlink()
    assert [path.name for path in MPII().discover(tmp_path)[0].sources] == ["test.json", "trainval.json"]


@pytest.mark.parametrize("name", ["valid", "mpii_val", "test_mpii", "trainval", "mine"])
def test_whatever_the_file_is_called_tompsons_persons_are_found(tmp_path: Path, name: str) -> None:
    """mmpose's own test data, a file of the first five persons, is called test_mpii.json."""
    tables = convert(write_sets(tmp_path, **{name: [hrnet_row(FIRST), hrnet_row(TWICE), hrnet_row(TWICE, scale=1.0)]}))
    found = {(person["sequence"], person["person"], person["scale"]) for person in people(tables)}
    first = tompson().persons[0]
    assert found == {(FIRST, first, 3.021046), (TWICE, ROWS[0], 3.021046), (TWICE, ROWS[1], 1.0)}
    assert all("tompson/valid" in person["splits"] for person in people(tables))


def test_a_person_who_cannot_be_told_from_another_is_dropped(tmp_path: Path) -> None:
    tables = convert(write_sets(tmp_path, valid=[hrnet_row(FIRST), hrnet_row(TWICE)]))
    (reject,) = tables.rejects
    assert (reject.source, reject.locator, reject.action) == ("valid.json", "[1]", "dropped")
    assert f"Tompson's list has 2 persons in {TWICE} and the file 1" in reject.reason
    assert [person["sequence"] for person in people(tables)] == [FIRST]


@pytest.mark.parametrize(
    ("change", "locator", "action"),
    [
        ({"joints": [[1, 2]] * 15}, "[1]", "dropped"),
        ({"joints": "none"}, "[1]", "dropped"),
        ({"image": ""}, "[1].image", "dropped"),
        ({"image": 3}, "[1]", "dropped"),
        ({"image": "images\\x.jpg"}, "[1].image", "repaired"),
        ({"image": "../x.jpg"}, "[1].image", "repaired"),
        ({"scale": "big"}, "[1].scale", "repaired"),
        ({"scale": None}, "[1].scale", "repaired"),
        ({"center": [1]}, "[1].center", "repaired"),
        ({"joints_vis": [2] * 16}, "[1].joints_vis", "repaired"),
        ({"joints_vis": "all"}, "[1].joints_vis", "repaired"),
        ({"joints": [[-1, -1]] + [[5, 5]] * 15}, "[1].joints_vis", "repaired"),
    ],
)
def test_a_broken_row_of_hrnets_json(tmp_path: Path, change: dict[str, Any], locator: str, action: str) -> None:
    tables = convert(write_sets(tmp_path, train=[hrnet_row(), hrnet_row(**change)]))
    assert [(reject.locator, reject.action) for reject in tables.rejects] == [(locator, action)]
    assert len(people(tables)) == (1 if action == "dropped" else 2)


def test_a_hidden_joint_with_a_place_is_occluded(tmp_path: Path) -> None:
    """HRNet's flag says whether a joint was annotated; other files of this form say whether it is visible."""
    (person,) = people(convert(write_sets(tmp_path, train=[hrnet_row(joints_vis=[0] + [1] * 15)])))
    assert person["visibility"] == [1] + [2] * 15
    (person,) = people(
        convert(write_sets(tmp_path, train=[{k: v for k, v in hrnet_row().items() if k != "joints_vis"}]))
    )
    assert person["visibility"] == [2] * 16


def boxes(*corners: list[float]) -> np.ndarray:
    return np.array(corners, float).T.reshape(2, 2, -1)


SIDE = 25 * 3.021046 / 0.6 / np.sqrt(2)


def write_truth(folder: Path, array: np.ndarray) -> None:
    scipy.io.savemat(folder / "gt_valid.mat", {"headboxes_src": array, "pos_gt_src": 0, "jnt_missing": 0})


def test_head_boxes_are_those_of_gt_valid(tmp_path: Path) -> None:
    write_sets(tmp_path, valid=[hrnet_row(FIRST, scale=0.024 * np.sqrt(2) * 100), hrnet_row(SECOND)])
    write_truth(tmp_path, boxes([10.00001, 20, 110, 119.99999], [1.5, 2.5, 1.5 + SIDE, 2.5 + SIDE]))
    tables = convert(tmp_path)
    assert tables.rejects == []
    found = {person["sequence"]: person for person in people(tables)}
    assert found[FIRST]["head_box"] == [9, 19, 109, 119]  # whole numbers once, before a crop and back
    assert found[FIRST]["head_size"] == 0.6 * np.sqrt(20000)
    assert found[SECOND]["head_box"] == pytest.approx([0.5, 1.5, 0.5 + SIDE, 1.5 + SIDE])
    assert [path.name for path in MPII().discover(tmp_path)[0].sources] == ["valid.json", "gt_valid.mat"]


@pytest.mark.parametrize(
    ("array", "locator"),
    [
        (boxes([10, 20, 300, 400], [0, 0, SIDE, SIDE]), "headboxes_src(:, :, 1)"),
        (boxes([0, 0, SIDE, SIDE]), "headboxes_src"),
        (np.zeros((3, 3)), "headboxes_src"),
    ],
)
def test_head_boxes_of_others_are_reported(tmp_path: Path, array: np.ndarray, locator: str) -> None:
    write_sets(tmp_path, valid=[hrnet_row(FIRST), hrnet_row(SECOND)])
    write_truth(tmp_path, array)
    tables = convert(tmp_path)
    assert [(reject.source, reject.locator, reject.action) for reject in tables.rejects] == [
        ("gt_valid.mat", locator, "repaired")
    ]
    assert people(tables)[0]["head_box"] is None
    assert people(tables)[0]["head_size"] == 25 * 3.021046


def test_a_set_of_which_no_person_can_be_used_is_refused(tmp_path: Path) -> None:
    write_sets(tmp_path, valid=[hrnet_row(FIRST)], train=[hrnet_row(joints=[]), hrnet_row(image=5)])
    with pytest.raises(
        HarBenchError, match=r"train\.json: none of its 2 persons can be used \(the first, \[0\]: its joints"
    ):
        convert(tmp_path)


# ---- HRNet's layout of the real validation set


@cache
def real_detections() -> Tables:
    return convert(REAL / "mpii" / "bearpaw" / "detections.mat")


def hrnet_layout(folder: Path) -> Path:
    """``annot/`` as HRNet has it: the real persons, rounded as its json is, and the real file of head boxes."""
    poses = real_detections().poses
    assert poses is not None
    rows = []
    for person in poses.sort_by("tompson_row").to_pylist():
        joints = np.reshape(person["keypoints"], (16, 2)) + 1
        absent = np.isnan(joints).any(axis=1)
        rows.append(
            {
                "joints_vis": (~absent).astype(int).tolist(),
                "joints": np.where(absent[:, None], -1, np.round(joints, 4)).tolist(),
                "image": person["sequence"],
                "scale": round(person["scale"], 6),
                "center": (np.array(person["objpos"]) + 1).tolist(),
            }
        )
    write_sets(folder / "annot", valid=rows)
    shutil.copy(REAL / "mpii" / "bearpaw" / "detections_our_format.mat", folder / "annot" / "gt_valid.mat")
    return folder


@pytest.mark.real
def test_hrnets_layout_holds_the_persons_of_the_raw_structs(tmp_path: Path) -> None:
    tables, expected = convert(hrnet_layout(tmp_path)), real_detections().poses
    assert tables.rejects == []
    assert tables.poses is not None
    assert expected is not None
    found = tables.poses.sort_by("tompson_row")
    expected = expected.sort_by("tompson_row")
    for name in ("sequence", "person", "tompson_row", "head_size"):
        assert found[name].equals(expected[name]), name
    for name, digits in {"head_box": 0, "objpos": 0, "keypoints": 5.1e-5}.items():
        one, other = (to_numpy(poses[name], POSES.field(name)) for poses in (found, expected))
        np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
        assert np.nanmax(np.abs(one - other)) <= digits, name
    assert np.abs(found["scale"].to_numpy() - expected["scale"].to_numpy()).max() < 1e-14


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[har_bench.Store]:
    folder = tmp_path_factory.mktemp("hrnet")
    sources = (REAL / "mpii" / "bearpaw" / "detections.mat", hrnet_layout(folder))
    return [
        har_bench.convert("mpii", raw, folder / f"store{number}", jobs=1, quiet=True)
        for number, raw in enumerate(sources)
    ]


@pytest.mark.real
@pytest.mark.parametrize("recipe", sorted(PCKh.recipes))
@pytest.mark.parametrize("path", sorted((REAL / "mpii" / "preds").glob("*")), ids=lambda path: path.stem)
def test_hrnets_layout_scores_as_the_raw_structs_do(path: Path, recipe: str, stores: list[har_bench.Store]) -> None:
    one, other = (har_bench.score(PCKh(recipe), store, path, resamples=0).metrics for store in stores)
    assert one == other
