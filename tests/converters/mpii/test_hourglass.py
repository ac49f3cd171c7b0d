"""The stacked-hourglass json of MPII: a row by hand, broken ones, and cut files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.converter import Tables
from har_bench.errors import HarBenchError
from tests.mpii_data import convert, hourglass_row


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


def second(tmp_path: Path, change: dict[str, Any]) -> Tables:
    """An honest row and a changed one."""
    path = tmp_path / "mpii_annotations.json"
    path.write_text(json.dumps([hourglass_row(), hourglass_row(**{"people_index": 2.0, **change})]))
    return convert(path)


@pytest.mark.parametrize(
    ("change", "locator", "reason"),
    [
        ({"joint_self": [[1.0, 2.0, 1.0]] * 15}, "[1]", "length >= 16"),
        ({"joint_self": [["x", 2.0, 1.0]] * 16}, "[1]", "joint_self"),
        ({"people_index": 0.5}, "[1]", "people_index"),
        ({"people_index": 1.0}, "[1]", "given twice"),
        ({"img_paths": ""}, "[1].img_paths", "not the name of a file"),
        ({"img_paths": 5}, "[1]", "its img_paths cannot be read"),
    ],
)
def test_a_row_without_image_person_or_joints_is_dropped(
    tmp_path: Path, change: dict[str, Any], locator: str, reason: str
) -> None:
    tables = second(tmp_path, change)
    assert tables.poses is not None
    assert len(tables.poses) == 1
    (reject,) = tables.rejects
    assert (reject.source, reject.locator, reject.action) == ("mpii_annotations.json", locator, "dropped")
    assert reason in reject.reason


@pytest.mark.parametrize(
    ("field", "value", "column"),
    [
        ("scale_provided", None, "scale"),
        ("scale_provided", "large", "head_size"),
        ("objpos", [1.0], "objpos"),
        ("objpos", None, "objpos"),
    ],
)
def test_any_other_field_is_null_and_reported(tmp_path: Path, field: str, value: Any, column: str) -> None:
    tables = second(tmp_path, {field: value})
    assert [(reject.locator, reject.action) for reject in tables.rejects] == [(f"[1].{field}", "repaired")]
    assert tables.poses is not None
    assert tables.poses[column].to_pylist()[1] is None
    assert tables.poses[column].null_count == 1


@pytest.mark.parametrize("field", ["img_width", "img_height", "annolist_index"])
def test_a_field_of_the_image_may_be_in_any_of_its_rows(tmp_path: Path, field: str) -> None:
    tables = second(tmp_path, {field: "wide"})
    assert [(reject.locator, reject.action) for reject in tables.rejects] == [(f"[1].{field}", "repaired")]
    assert tables.sequences == second(tmp_path, {}).sequences


def test_a_flag_that_is_none_makes_the_joint_unlabelled(tmp_path: Path) -> None:
    tables = second(tmp_path, {"joint_self": [[1.0, 2.0, 7.0]] * 16})
    assert [(reject.locator, reject.action) for reject in tables.rejects] == [("[1].joint_self", "repaired")]
    assert tables.poses is not None
    assert tables.poses["visibility"].to_pylist()[1] == [2] * 16


@pytest.mark.parametrize(
    "given", ["../x.jpg", "images\\x.jpg", "C:\\images\\x.jpg", "/mpii/images/x.jpg", "images/x.jpg"]
)
def test_a_path_for_a_name_becomes_the_name_and_is_reported(tmp_path: Path, given: str) -> None:
    tables = second(tmp_path, {"img_paths": given})
    assert [(reject.locator, reject.action) for reject in tables.rejects] == [("[1].img_paths", "repaired")]
    assert tables.sequences["sequence"].to_pylist() == ["015601864.jpg", "x.jpg"]
    assert tables.sequences["media"].to_pylist()[1] == "images/x.jpg"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_json_does_not_depend_on_who_wrote_it(tmp_path: Path, encoding: str, packed: bool) -> None:
    text = json.dumps([hourglass_row(note=float("nan")), hourglass_row(people_index=2.0)], indent=2)
    data = text.replace("\n", "\r\n").encode(encoding)
    (tmp_path / ("a.json.gz" if packed else "a.json")).write_bytes(gzip.compress(data) if packed else data)
    tables = convert(tmp_path)
    assert tables.rejects == []
    assert tables.poses is not None
    assert len(tables.poses) == 2


@pytest.mark.parametrize(
    "rows", [[hourglass_row(joint_self=[])] * 3, [hourglass_row(img_paths="")] * 3, [1, 2, {"joint_self": 1}]]
)
def test_a_json_of_which_no_row_can_be_used_is_refused(tmp_path: Path, rows: list[Any]) -> None:
    (tmp_path / "a.json").write_text(json.dumps(rows))
    with pytest.raises(HarBenchError, match=r"a\.json: none of its 3 persons can be used \(the first, \[0\]"):
        convert(tmp_path)


def test_a_cut_json(tmp_path: Path) -> None:
    whole = gzip.compress(json.dumps([hourglass_row()] * 200).encode())
    path = tmp_path / "a.json.gz"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(HarBenchError):
            convert(path)
