"""COCO: a field that is not written as COCO writes it costs the field at most, never the person; and it is reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import har_bench
from har_bench.errors import HarBenchError
from tests.coco_data import NAME, content, convert, person, reasons, reported, write

NAN = "NAN"
"""Stands for a word that json does not have."""


def first(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    """The first of two persons in the store, which has both; the second is well written."""
    tables = convert(write(tmp_path, content([person(1, **changes), person(2)])))
    assert tables.poses is not None
    assert tables.poses["annotation_row"].to_pylist() == [0, 1]
    (name,) = changes
    assert reported(tables) == [(f"annotations[0].{name}", "repaired")]
    return tables.poses.slice(0, 1).to_pylist()[0]


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("area", "3000", 3000.0),
        ("area", " 3e3 ", 3000.0),
        ("iscrowd", False, 0),
        ("iscrowd", True, 1),
        ("iscrowd", "0", 0),
        ("iscrowd", "1", 1),
        ("iscrowd", "True", 1),
        ("iscrowd", 0.0, 0),
        ("ignore", False, 0),
        ("num_keypoints", "17", 17),
        ("num_keypoints", 17.0, 17),
        ("bbox", ["1", 2, "3.5", 4], [1, 2, 3.5, 4]),
        ("category_id", "1", 1),
        ("category_id", 1.0, 1),
        ("category_id", "person", 1),
    ],
)
def test_the_same_said_otherwise_is_read(tmp_path: Path, name: str, given: Any, read: Any) -> None:
    assert first(tmp_path, **{name: given})[name] == read


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("area", "wide"),
        ("area", "1_000"),
        ("area", [3000]),
        ("area", True),
        ("iscrowd", 2),
        ("iscrowd", "yes"),
        ("iscrowd", []),
        ("ignore", "maybe"),
        ("num_keypoints", -3),
        ("num_keypoints", 2.5),
        ("num_keypoints", "many"),
        ("num_keypoints", 1 << 40),
        ("bbox", []),
        ("bbox", [1, 2, 3]),
        ("bbox", [1, 2, 3, 4, 5]),
        ("bbox", [1, 2, "wide", 4]),
        ("bbox", {"x": 1}),
        ("bbox", "1,2,3,4"),
        ("bbox", [[1, 2], [3, 4]]),
        ("category_id", "dog"),
        ("category_id", 1.5),
        ("category_id", 10**30),
    ],
)
def test_what_says_nothing_is_null(tmp_path: Path, name: str, given: Any) -> None:
    assert first(tmp_path, **{name: given})[name] is None


@pytest.mark.parametrize(
    "name", ["area", "iscrowd", "ignore", "num_keypoints", "bbox", "segmentation", "category_id", "keypoints"]
)
def test_an_optional_field_may_be_null_or_absent_and_nothing_is_said_of_it(tmp_path: Path, name: str) -> None:
    absent = person(2)
    absent.pop(name, None)
    tables = convert(write(tmp_path, content([person(1, **{name: None}), absent, person(3)])))
    assert tables.poses is not None
    assert tables.poses[name].to_pylist()[:2] == [None, None]
    assert not tables.rejects


def test_a_number_of_joints_that_is_wrong_is_kept_as_given(tmp_path: Path) -> None:
    tables = convert(write(tmp_path, content([person(1, num_keypoints=3), person(2, num_keypoints=0)])))
    assert tables.poses is not None
    assert tables.poses["num_keypoints"].to_pylist() == [3, 0]


def test_what_is_odd_alike_is_reported_once_with_its_number(tmp_path: Path) -> None:
    people = [person(number, iscrowd=False, area="3") for number in range(1200)]
    people[700]["area"] = 3
    tables = convert(write(tmp_path, content(people)))
    assert reported(tables) == [
        ("annotations[0].area and 1198 more", "repaired"),
        ("annotations[0].iscrowd and 1199 more", "repaired"),
    ]
    assert 'a finite number ("3")' in tables.rejects[0].reason
    assert tables.poses is not None
    assert set(tables.poses["area"].to_pylist()) == {3.0}


@pytest.mark.parametrize("word", ["NaN", "nan", "Infinity", "-Infinity", "-inf", "-nan(ind)", "1e999"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("area", NAN), ("bbox", [5, NAN, 50, 60]), ("segmentation", [[1, NAN, 3, 4, 5, 6]])],
)
def test_a_word_that_is_no_finite_number_costs_its_field(tmp_path: Path, name: str, value: Any, word: str) -> None:
    text = json.dumps(content([person(1, **{name: value}), person(2)])).replace(f'"{NAN}"', word)
    (tmp_path / "people.json").write_text(text)
    tables = convert(tmp_path)
    assert tables.poses is not None
    assert len(tables.poses) == 2
    if name == "segmentation" and word == "1e999":  # it is kept to the byte, and a json
        assert not tables.rejects
    else:
        assert tables.poses[name].to_pylist()[0] is None
        assert reported(tables) == [(f"annotations[0].{name}", "repaired")]


def test_words_and_damaged_texts_beside_the_records_do_no_harm(tmp_path: Path) -> None:
    text = json.dumps(content([person(1)], [{"id": 1, "file_name": "a.jpg", "coco_url": "URL"}]))
    text = text.replace("{", '{"version": NaN, "info": {"contributor": "tab\there", "x": -Infinity}, ', 1)
    (tmp_path / "people.json").write_bytes(text.encode().replace(b"URL", b"caf\xe9"))
    tables = convert(tmp_path)
    assert tables.poses is not None
    assert len(tables.poses) == 1
    assert reported(tables) == [("images[0].coco_url", "repaired")]


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("width", "640", 640),
        ("height", 480.0, 480),
        ("width", -1, None),
        ("height", "tall", None),
        ("width", 640.5, None),
        ("license", "3", 3),
        ("license", "CC-BY", None),
        ("coco_url", ["a"], None),
        ("date_captured", {"year": 2013}, None),
    ],
)
def test_an_image_is_kept_with_odd_fields_and_so_is_its_person(
    tmp_path: Path, name: str, given: Any, read: Any
) -> None:
    image = {"id": 1, "file_name": "a.jpg", "width": 640, "height": 480, name: given}
    tables = convert(write(tmp_path, content([person(1)], [image])))
    assert tables.sequences[name].to_pylist() == [read]
    assert tables.poses is not None
    assert len(tables.poses) == 1
    assert reported(tables) == [(f"images[0].{name}", "repaired")]


@pytest.mark.parametrize(
    ("licences", "names", "places"),
    [
        ({"url": "x"}, [None, None], ["licenses"]),
        ("", [None, None], []),
        (None, [None, None], []),
        ([{"id": "1", "name": "CC"}, {"id": 2, "name": 7}], ["CC", None], []),
        ([5, {"name": "none"}, {"id": "x"}, {"id": 2, "name": "BY"}], [None, "BY"], ["licenses[0].id and 1 more"]),
    ],
)
def test_licences_may_be_anything(tmp_path: Path, licences: Any, names: list[str | None], places: list[str]) -> None:
    images = [{"id": 1, "file_name": "a.jpg", "license": 1}, {"id": 2, "file_name": "b.jpg", "license": 2}]
    tables = convert(write(tmp_path, content([], images) | {"licenses": licences}))
    assert tables.sequences["license_name"].to_pylist() == names
    assert [reject.locator for reject in tables.rejects] == places


def test_a_file_with_odd_fields_goes_through_the_engine_and_strict_stops_at_it(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", content([person(1, iscrowd=False), person(2, bbox=[])]))
    store = har_bench.convert(NAME, raw, tmp_path / "store", jobs=1, quiet=True)
    store.validate()
    assert store.manifest.rows == {"poses": 2, "sequences": 1, "rejects": 2}
    with pytest.raises(HarBenchError, match=r"people\.json, annotations\[0\]\.iscrowd: .*0 or 1"):
        har_bench.convert(NAME, raw, tmp_path / "strict", jobs=1, quiet=True, strict=True)


def test_the_words_of_a_report_say_what_was_wanted_and_what_was_there(tmp_path: Path) -> None:
    tables = convert(write(tmp_path, content([person(1, bbox=[1, 2, 3], iscrowd="0")])))
    assert "not four finite numbers ([1, 2, 3]); null" in reasons(tables.rejects)
    assert 'not written as 0 or 1 ("0"); read' in reasons(tables.rejects)
