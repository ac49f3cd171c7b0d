"""COCO: the joints, however they are written and named; and what cannot be read is never taken for absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import har_bench
from har_bench.converter import Tables
from har_bench.converters.coco import COCO
from har_bench.errors import HarBenchError
from har_bench.schema import to_numpy
from har_bench.skeletons import skeleton
from har_bench.storing.fingerprint import of_table
from tests.coco_data import NAME, content, convert, layout_of, person, reported, write

COCO17 = list(skeleton("coco17").joints)
HAND = {"id": 1, "name": "hand", "keypoints": ["a", "b", "c", "d"]}
PLACES = [[10.0, 20], [11, 21], [12.5, 22], [13, 23]]


def nested(joints: list[Any], width: int = 3) -> list[list[Any]]:
    return [joints[at : at + 3][:width] for at in range(0, len(joints), 3)]


def flat(v: Any = 2) -> list[Any]:
    """Four joints."""
    return [value for place in PLACES for value in (*place, v)]


def points(tables: Tables) -> Any:
    assert tables.poses is not None
    return to_numpy(tables.poses["keypoints"], tables.poses.schema.field("keypoints"))


def visibility(tables: Tables) -> list[list[int]]:
    assert tables.poses is not None
    return tables.poses["visibility"].to_pylist()


# Ways to write them


@pytest.mark.parametrize("named", [True, False])
def test_nested_joints_are_those_of_a_flat_list(tmp_path: Path, named: bool) -> None:
    """As RHD and other sets of hands write them; without names, 17 joints are COCO's, nested or not."""
    category = {"id": 1, "name": "person", **({"keypoints": COCO17} if named else {})}
    people = [person(1), person(2)]
    plain = convert(write(tmp_path / "flat", content(people, category=category)))
    inner = [{**each, "keypoints": nested(each["keypoints"])} for each in people]
    found = convert(write(tmp_path / "nested", content(inner, category=category)))
    assert of_table(found.poses) == of_table(plain.poses)
    assert not found.rejects
    assert layout_of(tmp_path / "nested") == skeleton("coco17")


@pytest.mark.parametrize("joints", [PLACES, [value for place in PLACES for value in place]])
def test_joints_without_v_are_visible_unless_they_are_at_the_origin(tmp_path: Path, joints: Any) -> None:
    people = [person(1, keypoints=joints), person(2, keypoints=[[0, 0], *PLACES[1:]] if joints is PLACES else joints)]
    tables = convert(write(tmp_path, content(people, category=HAND)))
    assert points(tables)[0].tolist() == PLACES
    assert visibility(tables)[0] == [2, 2, 2, 2]
    if joints is PLACES:
        assert visibility(tables)[1] == [0, 2, 2, 2]
    assert reported(tables) == [("annotations[0].keypoints and 1 more", "repaired")]


def test_fewer_joints_than_names_are_not_taken_for_pairs(tmp_path: Path) -> None:
    """21 names and 42 values: 14 joints with v, which somebody else's 21 pairs would look like."""
    category = {"id": 1, "name": "hand", "keypoints": [f"joint {at}" for at in range(21)]}
    with pytest.raises(HarBenchError, match=r"of the 1 annotations .* 42 values for its joints; 21 joints have 63"):
        convert(write(tmp_path, content([person(1, keypoints=[100, 200, 2] * 14)], category=category)))


def test_a_person_of_pairs_among_persons_of_three_is_dropped(tmp_path: Path) -> None:
    people = [person(1, keypoints=flat()), person(2, keypoints=flat()[:8]), person(3, keypoints=flat())]
    tables = convert(write(tmp_path, content(people, category=HAND)))
    assert reported(tables) == [("annotations[1].keypoints", "dropped")]
    assert "8 values" in tables.rejects[0].reason


@pytest.mark.parametrize(
    ("joints", "seen"),
    [
        ([str(value) for value in flat()], [2, 2, 2, 2]),
        (flat(v=True), [1, 1, 1, 1]),
        (nested(flat(v=False)), [0, 0, 0, 0]),
        (flat(v="1"), [1, 1, 1, 1]),
    ],
)
def test_texts_and_flags_are_numbers(tmp_path: Path, joints: Any, seen: list[int]) -> None:
    tables = convert(write(tmp_path, content([person(1, keypoints=joints)], category=HAND)))
    assert visibility(tables) == [seen]
    if seen[0]:
        assert points(tables)[0].tolist() == PLACES
    assert reported(tables)[0] == ("annotations[0].keypoints", "repaired")


@pytest.mark.parametrize("v", [0.25, 1.0, 2.0])
def test_v_may_be_a_confidence_and_coordinates_parts_of_pixels(tmp_path: Path, v: float) -> None:
    tables = convert(write(tmp_path, content([person(1, keypoints=flat(v))], category=HAND)))
    assert points(tables)[0].tolist() == PLACES
    assert visibility(tables) == [[2 if v == 2 else 1] * 4]
    assert tables.poses is not None
    assert tables.poses["v"].to_pylist() == [[v] * 4]
    assert not tables.rejects


@pytest.mark.parametrize("word", ["null", "NaN", "-Infinity", "nan", "1e999"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_joint_without_a_number_is_absent_and_its_person_kept(tmp_path: Path, word: str, place: int) -> None:
    joints: list[Any] = flat()
    joints[place] = "WORD"
    text = json.dumps(content([person(1, keypoints=joints), person(2, keypoints=nested(joints))], category=HAND))
    (tmp_path / "people.json").write_text(text.replace('"WORD"', word))
    tables = convert(tmp_path)
    assert visibility(tables) == [[0, 2, 2, 2]] * 2
    assert np.isnan(points(tables)[:, 0]).all()
    assert points(tables)[:, 1:].tolist() == [PLACES[1:]] * 2
    assert reported(tables) == [("annotations[0].keypoints and 1 more", "repaired")]


def test_odd_joints_are_reported_once(tmp_path: Path) -> None:
    odd = person(2, keypoints=[5, 6, 0, 1, 1, 3, 2, 2, -1, *[7, 8, 1] * 14])
    tables = convert(write(tmp_path, content([person(1), odd, {**odd, "id": 3}])))
    assert visibility(tables)[1] == [0, 2, 0, *[1] * 14]
    assert reported(tables) == [("annotations[1].keypoints and 1 more", "repaired")] * 2


@pytest.mark.parametrize(
    ("joints", "reason"),
    [
        ([1, 2, 2] * 16, "48 values for its joints; 17 joints have 51"),
        ([1, 2, 2] * 21, "63 values"),
        ([[1, 2, 2]] * 16 + [[1, 2]], "not all of two or of three"),
        ([[1, 2, 2, 0.5]] * 17, "not all of two or of three"),
        ([[1, 2, 2]] * 16 + [3], "not all of two or of three"),
        (["x", 2, 2] * 17, "'x' among them is no number"),
        ([True, 2, 2] * 17, "a coordinate is true or false"),
        ({"nose": [1, 2, 2]}, "and no list"),
        ("1,2,2", "and no list"),
        (17, "and no list"),
    ],
)
def test_joints_that_cannot_be_read_drop_their_person_and_no_other(tmp_path: Path, joints: Any, reason: str) -> None:
    tables = convert(write(tmp_path, content([person(1), person(2, keypoints=joints), person(3)])))
    assert reported(tables) == [("annotations[1].keypoints", "dropped")]
    assert reason in tables.rejects[0].reason
    assert tables.poses is not None
    assert tables.poses["annotation_id"].to_pylist() == [1, 3]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("joints", [{"nose": [1, 2, 2]}, [[1, 2, 2], [3, 4]], "1,2,2", ["x", 1, 2], 17])
def test_joints_that_none_can_be_read_of_are_not_absent(tmp_path: Path, joints: Any, named: bool) -> None:
    category = {"id": 1, "name": "person", **({"keypoints": COCO17} if named else {})}
    people = [person(1, keypoints=None), person(2, keypoints=joints), person(3, keypoints=joints)]
    with pytest.raises(HarBenchError, match=r"people\.json has joints in 2 annotations.*annotations\[1\]\.keypoints"):
        convert(write(tmp_path, content(people, category=category)))


def test_the_first_annotations_do_not_mislead_about_the_number_of_joints(tmp_path: Path) -> None:
    people = [person(1, keypoints=[1, 2, 2]), person(2), person(3)]
    tables = convert(write(tmp_path, content(people, category={"id": 1, "name": "person"})))
    assert layout_of(tmp_path) == skeleton("coco17")
    assert reported(tables) == [("annotations[0].keypoints", "dropped")]


def test_a_part_of_wholebody_that_is_absent_costs_its_joints(tmp_path: Path) -> None:
    parts = {"foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
    whole = person(1, **{name: [5, 6, 1] * count for name, count in parts.items()})
    lacking = {**whole, "id": 2, "face_kpts": None, "righthand_kpts": []}
    tables = convert(write(tmp_path, content([whole, lacking])))
    assert [sum(seen) for seen in np.sign(visibility(tables))] == [132, 132 - 68 - 21]
    assert reported(tables) == [
        ("annotations[1].face_kpts", "repaired"),
        ("annotations[1].righthand_kpts", "repaired"),
    ]


# Whose joints they are


def test_joints_without_names_are_named_by_an_option(tmp_path: Path) -> None:
    """As Halpe's and the sets of faces, whose categories have a list of no names."""
    category = {"id": 1, "name": "face", "keypoints": [], "skeleton": []}
    raw = write(tmp_path / "face", content([person(1, keypoints=flat())], category=category))
    with pytest.raises(HarBenchError, match=r"no category of .*people\.json names its 4 joints; .* option joints.*=4"):
        convert(raw)
    assert points(convert(raw, joints="a, b,c,d"))[0].tolist() == PLACES
    assert layout_of(raw, joints="a, b,c,d").joints == ("a", "b", "c", "d")
    store = har_bench.convert(NAME, raw, tmp_path / "store", jobs=1, quiet=True, options={"joints": 4})
    assert store.skeleton().joints == ("joint_0", "joint_1", "joint_2", "joint_3")
    assert store.skeleton().name == "face-4"
    with pytest.raises(HarBenchError, match=r"the option joints names 3 joints, and .*people\.json have 4"):
        convert(raw, joints="a,b,c")
    with pytest.raises(HarBenchError, match="twice, 'a'"):
        convert(raw, joints="a,b,c,a")


def test_the_layout_of_halpe_is_a_word(tmp_path: Path) -> None:
    category = {"id": 1, "name": "person", "keypoints": [], "skeleton": []}
    raw = write(tmp_path, content([person(1, keypoints=[3, 4, 2] * 136)], category=category))
    with pytest.raises(HarBenchError, match=r"136 joints; .*halpe136"):
        convert(raw)
    assert layout_of(raw, joints="halpe136") == skeleton("halpe136")
    assert visibility(convert(raw, joints="halpe136")) == [[2] * 136]


def test_nested_pairs_without_names_are_numbered(tmp_path: Path) -> None:
    """As a copy of UBody has them: 137 places, and feet and hands in fields that belong to other joints."""
    parts = {"foot_kpts": [1, 2, 1] * 6, "lefthand_kpts": [1, 2, 1] * 21}
    people = [person(1, keypoints=[[at + 0.5, 7] for at in range(137)], **parts)]
    raw = write(tmp_path, content(people, category={"id": 1, "name": "person"}))
    assert points(convert(raw, joints=137))[0, :, 0].tolist() == [at + 0.5 for at in range(137)]


def test_of_more_names_than_joints_the_first_are_taken_if_they_are_a_known_layout(tmp_path: Path) -> None:
    """As in Human-Art, where 21 names stand for 17 joints in keypoints and for 21 in a field of their own."""
    category = {"id": 1, "name": "person", "keypoints": [*COCO17, "left_toe", "right_toe"], "skeleton": [[18, 16]]}
    tables = convert(write(tmp_path, content([person(1)], category=category)))
    assert layout_of(tmp_path) == skeleton("coco17")
    assert reported(tables) == [("categories[0].keypoints", "repaired")]
    strange = {**category, "keypoints": [f"joint {at}" for at in range(21)]}
    with pytest.raises(HarBenchError, match=r"51 values .* 21 joints have 63"):
        convert(write(tmp_path, content([person(1)], category=strange)))


@pytest.mark.parametrize(
    ("edges", "parents", "places"),
    [
        ([[1, 2], [2, 3], [3, 4]], (-1, 0, 1, 2), 0),
        ([[0, 1], [1, 2], [2, 3]], (-1, 0, 1, 2), 0),
        ([[0, 1], [3, 4]], (-1, -1, -1, -1), 1),
        ([[1, 2], [2, 9]], (-1, 0, -1, -1), 1),
        ([[1, 2], [3]], (-1, 0, -1, -1), 1),
        ([["1", 2.0]], (-1, 0, -1, -1), 0),
        ([["a", "b"]], (-1, -1, -1, -1), 1),
        ("bones", (-1, -1, -1, -1), 1),
        (None, (-1, -1, -1, -1), 0),
        ([], (-1, -1, -1, -1), 0),
    ],
)
def test_bones_count_from_one_or_from_zero_or_are_not_believed(
    tmp_path: Path, edges: Any, parents: tuple[int, ...], places: int
) -> None:
    tables = convert(write(tmp_path, content([person(1, keypoints=flat())], category={**HAND, "skeleton": edges})))
    assert layout_of(tmp_path).parents == parents
    assert reported(tables) == [("categories[0].skeleton", "repaired")] * places


# Categories


def several(*categories: Any, annotations: list[Any] | None = None) -> dict[str, Any]:
    return content(annotations or [person(1), person(2)]) | {"categories": list(categories)}


PERSON = {"id": 1, "name": "person", "keypoints": COCO17}
OTHER = {"id": 2, "name": "hand", "keypoints": ["a", "b", "c", "d"]}


@pytest.mark.parametrize(
    "others",
    [
        [OTHER],
        [{"id": 3, "name": "car", "keypoints": None, "skeleton": None}],
        [{"id": 4, "name": "face", "keypoints": {"nose": 0}}],
        [OTHER, {"id": 3, "name": "car"}, {**PERSON, "id": 9, "name": "player"}],
    ],
)
def test_a_category_that_no_annotation_uses_is_not_asked(tmp_path: Path, others: list[Any]) -> None:
    for at, categories in enumerate(([PERSON, *others], [*others, PERSON])):
        tables = convert(write(tmp_path / str(at), several(*categories)))
        assert layout_of(tmp_path / str(at)) == skeleton("coco17")
        assert tables.poses is not None
        assert tables.poses["category"].to_pylist() == ["person", "person"]
        assert not tables.rejects


@pytest.mark.parametrize("wanted", ["person", 1, "hand", 2])
def test_of_categories_with_different_joints_the_user_chooses_one(tmp_path: Path, wanted: Any) -> None:
    hands = [{**person(number, keypoints=flat()), "category_id": 2} for number in (3, 4, 5)]
    raw = write(tmp_path / "raw", several(PERSON, OTHER, annotations=[person(1), *hands, person(2)]))
    with pytest.raises(HarBenchError, match=r"people\.json .*person \(2 annot.*hand \(3 annot.*option category"):
        convert(raw)
    store = har_bench.convert(NAME, raw, tmp_path / "store", jobs=1, quiet=True, options={"category": wanted})
    chosen = [1, 2] if wanted in ("person", 1) else [3, 4, 5]
    assert store.table("poses")["annotation_id"].to_pylist() == chosen
    (reject,) = store.table("rejects").to_pylist()
    first, more = ("annotations[1]", 2) if len(chosen) == 2 else ("annotations[0]", 1)
    assert (reject["locator"], reject["action"]) == (f"{first}.category_id and {more} more", "dropped")
    assert store.manifest.options == {"category": str(wanted)}


def test_a_category_that_is_not_there_or_empty_is_named(tmp_path: Path) -> None:
    raw = write(tmp_path, several(PERSON, OTHER))
    with pytest.raises(HarBenchError, match=r"no category of .*json is called 'dog'; there are person, 1, hand, 2"):
        convert(raw, category="dog")
    with pytest.raises(HarBenchError, match=r"of the 2 annotations .* of category 'person'.*option category"):
        convert(raw, category="hand")


@pytest.mark.parametrize(
    ("categories", "names", "places"),
    [
        ([{**PERSON, "id": "1"}], ["person"], []),
        ([{**PERSON, "id": 1.0}], ["person"], []),
        ({"1": PERSON}, ["person"], []),
        ([PERSON, None], ["person"], ["categories[1]"]),
        ([PERSON, {"id": 1, "name": "car"}], ["person"], ["categories[1].id"]),
        ([PERSON, PERSON], ["person"], ["categories[1].id"]),
        ([{"id": 1, "keypoints": COCO17}], ["category 1"], []),
        ([{"name": "person", "keypoints": COCO17}], [None], ["categories[0].id"]),
        ([{**PERSON, "sigmas": None, "skeleton": None, "supercategory": 7}], ["person"], []),
        (None, [None], []),
        ([], [None], []),
    ],
)
def test_categories_may_be_odd(tmp_path: Path, categories: Any, names: list[Any], places: list[str]) -> None:
    tables = convert(write(tmp_path, content([person(1)]) | {"categories": categories}))
    assert tables.poses is not None
    assert tables.poses["category"].to_pylist() == names
    assert [reject.locator for reject in tables.rejects] == places


@pytest.mark.parametrize(
    ("category", "message"),
    [
        ({**PERSON, "keypoints": {"nose": 1}}, r"categories\[0\]\.keypoints of .* is no list of names"),
        ({**HAND, "keypoints": ["a", "b", "c", "a"]}, "names a joint twice, 'a'"),
        ({**HAND, "sigmas": ["x"] * 4}, "'sigmas' of .* are no numbers"),
        ({**HAND, "sigmas": [0.1] * 3}, "has 3 sigmas for 4 joints"),
    ],
)
def test_joints_that_are_named_wrongly_are_refused(tmp_path: Path, category: Any, message: str) -> None:
    joints = flat() if category["name"] == "hand" else person(1)["keypoints"]
    with pytest.raises(HarBenchError, match=message):
        COCO().discover(write(tmp_path, content([person(1, keypoints=joints)], category=category)))
