"""COCO: ids, the names of files, and what can be told to belong together. Nobody is moved to another picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import har_bench
from har_bench.errors import HarBenchError
from tests.coco_data import NAME, assert_holds, content, convert, person, reasons, reported, write

TWO = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}]


def placed(tmp_path: Path, annotations: list[Any], images: list[Any]) -> dict[int, str]:
    """For each annotation of the store, by its place in the file, the file of its image."""
    tables = convert(write(tmp_path, content(annotations, images)))
    assert tables.poses is not None
    files = [name.partition("/")[2] for name in tables.poses["sequence"].to_pylist()]
    return dict(zip(tables.poses["annotation_row"].to_pylist(), files, strict=True))


# Ids


@pytest.mark.parametrize(
    ("image", "annotation"),
    [("2", "2"), (2, "2"), ("2", 2), (2, 2.0), (2.0, 2), ("2.0", 2), ("000002", 2), ("x/2", "x/2"), (2**70, 2**70)],
)
def test_the_same_id_written_otherwise_is_the_same_image(tmp_path: Path, image: Any, annotation: Any) -> None:
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": image, "file_name": "b.jpg"}]
    assert placed(tmp_path, [person(1), person(2, image=annotation)], images) == {0: "a.jpg", 1: "b.jpg"}


def test_names_of_images_become_numbers_below_the_others(tmp_path: Path) -> None:
    images = [{"id": name, "file_name": f"{at}.jpg"} for at, name in enumerate(["284193,faa9", -3, "273278,c9db", 8])]
    people = [person(at, image=image["id"]) for at, image in enumerate(images)]
    tables = convert(write(tmp_path, content([*people, person(9, image="nobody")], images)))
    assert tables.sequences["image_id"].to_pylist() == [-4, -3, -5, 8]
    assert tables.poses is not None
    assert tables.poses["sequence"].to_pylist() == [f"people/{at}.jpg" for at in range(4)]
    assert reported(tables) == [("images[0].id and 1 more", "repaired"), ("annotations[4].image_id", "dropped")]


@pytest.mark.parametrize("odd", [None, "one", 1.5, True, 2**70, [1]])
def test_a_person_without_a_number_is_kept_and_numbered(tmp_path: Path, odd: Any) -> None:
    tables = convert(write(tmp_path, content([person(-4), person(1, id=odd), person(2, id=odd)])))
    assert tables.poses is not None
    assert tables.poses["annotation_id"].to_pylist() == [-4, None, None]
    assert tables.poses["person"].to_pylist() == [-4, -5, -6]
    assert reported(tables) == [("annotations[1].id and 1 more", "repaired")]


def test_a_file_whose_annotations_have_no_ids_is_a_store(tmp_path: Path) -> None:
    people = [person(1), person(2)]
    for each in people:
        del each["id"]
    store = har_bench.convert(NAME, write(tmp_path / "raw", content(people)), tmp_path / "store", jobs=1, quiet=True)
    store.validate()
    assert sorted(store.table("poses")["person"].to_pylist()) == [-2, -1]


@pytest.mark.parametrize("number", ["7", 7.0])
def test_ids_of_annotations_may_be_texts_and_whole_floats(tmp_path: Path, number: Any) -> None:
    tables = convert(write(tmp_path, content([person(7, id=number), person(8)])))
    assert tables.poses is not None
    assert tables.poses["annotation_id"].to_pylist() == tables.poses["person"].to_pylist() == [7, 8]


def test_an_annotation_id_that_repeats_keeps_both_persons(tmp_path: Path) -> None:
    file = content([person(7), person(-4), person(7, area=1.5), person(7, image=2)], TWO)
    tables = convert(write(tmp_path, file))
    assert_holds(tables, file)
    assert tables.poses is not None
    assert sorted(tables.poses["person"].to_pylist()) == [-6, -5, -4, 7]
    assert reported(tables) == [("annotations[2].id", "repaired"), ("annotations[3].id", "repaired")]


# Whose an annotation is


def test_a_repeated_image_id_moves_nobody_to_another_picture(tmp_path: Path) -> None:
    """Two files merged, each counting from 1: image 1 is two pictures, and whose person 11 is nobody knows."""
    images = [*TWO, {"id": 1, "file_name": "c.jpg"}]
    tables = convert(write(tmp_path, content([person(11), person(12, image=2), person(13)], images)))
    assert tables.poses is not None
    assert tables.poses["annotation_id"].to_pylist() == [12]
    assert tables.sequences["sequence"].to_pylist() == ["people/b.jpg"]
    assert reported(tables) == [
        ("images[0].id", "dropped"),
        ("images[2].id", "dropped"),
        ("annotations[0].image_id", "dropped"),
        ("annotations[2].image_id", "dropped"),
    ]
    assert all("a.jpg, c.jpg" in reject.reason for reject in tables.rejects)


@pytest.mark.parametrize("other", [{"id": "1", "file_name": "c.jpg"}, {"id": 1.0, "file_name": "c.jpg"}, {"id": 1}])
def test_however_it_is_written_and_even_if_the_other_picture_has_no_name(tmp_path: Path, other: Any) -> None:
    assert placed(tmp_path, [person(11), person(12, image=2)], [*TWO, other]) == {1: "b.jpg"}


def test_an_image_that_is_listed_twice_is_one(tmp_path: Path) -> None:
    tables = convert(write(tmp_path, content([person(1), person(2, image=2)], [*TWO, TWO[0]])))
    assert tables.poses is not None
    assert len(tables.poses) == 2
    assert reported(tables) == [("images[2].id", "dropped")]


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        (person(2, image_id=None), "annotations[1].image_id"),
        (person(2, image_id=77), "annotations[1].image_id"),
        (person(2, image_id=1.5), "annotations[1].image_id"),
        (person(2, image_id=True), "annotations[1].image_id"),
        ({"id": 2}, "annotations[1].image_id"),
        ({}, "annotations[1].image_id"),
        (None, "annotations[1]"),
        (5, "annotations[1]"),
    ],
)
def test_an_annotation_of_no_image_is_dropped(tmp_path: Path, broken: Any, place: str) -> None:
    file = content([person(1), broken, person(3)])
    tables = convert(write(tmp_path, file))
    assert reported(tables) == [(place, "dropped")]
    assert tables.rejects[0].source == "people.json"
    assert tables.poses is not None
    assert tables.poses["annotation_id"].to_pylist() == [1, 3]


# The names of files


RELATIVE = {
    "JPEGImages\\a.jpg": "JPEGImages/a.jpg",
    "..\\image\\158.jpg": "image/158.jpg",
    "../images/a.jpg": "images/a.jpg",
    "x/../y/./a.jpg": "y/a.jpg",
    "../../../a.jpg": "a.jpg",
    17: "17",
}
ABSOLUTE = {
    "/home/me/a.jpg": "home/me/a.jpg",
    "C:\\data\\a.jpg": "data/a.jpg",
    "d:/data/a.jpg": "data/a.jpg",
    "\\\\server\\share\\a.jpg": "server/share/a.jpg",
}
"""Where nobody looks for pictures: these name a sequence, and no file."""


@pytest.mark.parametrize("name", [*RELATIVE, *ABSOLUTE])
def test_a_path_of_another_system_is_read_and_its_person_kept(tmp_path: Path, name: Any) -> None:
    tables = convert(write(tmp_path, content([person(1)], [{"id": 1, "file_name": name}])))
    assert tables.sequences["sequence"].to_pylist() == [f"people/{(RELATIVE | ABSOLUTE)[name]}"]
    assert tables.sequences["media"].to_pylist() == [RELATIVE.get(name)]
    assert tables.poses is not None
    assert len(tables.poses) == 1
    assert reported(tables) == [("images[0].file_name", "repaired")]


@pytest.mark.parametrize("name", ["", "..", "../", "\\", "C:\\", "a\0b.jpg", None, ["a.jpg"], 1.5])
def test_an_image_whose_file_has_no_name_is_dropped_with_its_persons(tmp_path: Path, name: Any) -> None:
    file = content([person(1), person(2, image=2)], [TWO[0], {"id": 2, "file_name": name}])
    tables = convert(write(tmp_path, file))
    assert tables.sequences["image_id"].to_pylist() == [1]
    assert reported(tables) == [("images[1].file_name", "dropped"), ("annotations[1].image_id", "dropped")]
    assert "images[1]" in tables.rejects[1].reason


def test_a_name_that_was_repaired_gives_way_to_the_one_that_was_not(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "../b.jpg"}, {"id": 2, "file_name": "b.jpg"}]
    tables = convert(write(tmp_path, content([person(1), person(2, image=2)], images)))
    assert tables.sequences["sequence"].to_pylist() == ["people/b.jpg@1", "people/b.jpg"]
    assert tables.sequences["media"].to_pylist() == [None, "b.jpg"]


def test_images_of_one_name_are_named_apart(tmp_path: Path) -> None:
    images = [{"id": 5, "file_name": "a.jpg"}, {"id": 1, "file_name": "a.jpg"}]
    file = content([person(1), person(2, image=5)], images)
    tables = convert(write(tmp_path, file))
    assert_holds(tables, file)
    assert tables.sequences["sequence"].to_pylist() == ["people/a.jpg", "people/a.jpg@1"]
    assert tables.sequences["media"].to_pylist() == ["a.jpg", "a.jpg"]
    assert reported(tables) == [("images[1].file_name", "repaired")]

    images.append({"id": 3, "file_name": "a.jpg@1"})
    tables = convert(write(tmp_path, content([], images)))
    assert tables.sequences["sequence"].to_pylist() == ["people/a.jpg", "people/a.jpg@1@1", "people/a.jpg@1"]


# Nothing is left


@pytest.mark.parametrize(
    ("annotations", "images", "message"),
    [
        ([person(1, image=5), person(2, image=6)], TWO, r"of the 2 annotations .*\[0\]\.image_id: no image .*; mend"),
        ([person(1)], [{"id": None, "file_name": "a.jpg"}], r"of the 1 images .*images\[0\]\.id: it is null"),
        ([person(1)], [{"id": 1}, {"id": 2}], r"of the 2 images .*images\[0\]\.file_name: it is missing"),
        ([person(1), person(2)], [TWO[0], {"id": 1, "file_name": "b.jpg"}], r"of the 2 images .*2 images have this id"),
        ([person(1)], [], r"of the 1 annotations .*no image of the file"),
        ([1, 2], TWO, r"of the 1 annotations .*annotations\[0\]: before this place"),
        ([], [None], r"of the 1 images .*images\[0\]: before this place"),
    ],
)
def test_a_file_of_which_nothing_can_be_used_is_refused(
    tmp_path: Path, annotations: list[Any], images: list[Any], message: str
) -> None:
    raw = write(tmp_path / "raw", content(annotations, images))
    with pytest.raises(HarBenchError, match=message) as caught:
        har_bench.convert(NAME, raw, tmp_path / "store", jobs=1, quiet=True)
    with pytest.raises(HarBenchError, match=message):
        convert(raw)
    assert "people.json" in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_images_without_anybody_are_a_store_and_nothing_at_all_is_none(tmp_path: Path) -> None:
    store = har_bench.convert(NAME, write(tmp_path / "raw", content([])), tmp_path / "store", jobs=1, quiet=True)
    store.validate()
    assert store.manifest.rows == {"poses": 0, "sequences": 1}
    with pytest.raises(HarBenchError, match=r"people\.json lists no images and no annotations; choose another file"):
        convert(write(tmp_path / "none", content([], [])))


def test_of_several_files_one_that_cannot_be_used_is_reported_by_its_name(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", content([person(1)]), "good_train.json")
    write(raw, content([person(1, image=9)]), "bad_val.json")
    store = har_bench.convert(NAME, raw, tmp_path / "store", jobs=1, quiet=True)
    assert store.manifest.splits == {"good/train": 1}
    (reject,) = store.table("rejects").to_pylist()
    assert (reject["source"], reject["action"]) == ("bad_val.json", "dropped")
    assert "of the 1 annotations of bad_val.json none can be used" in reject["reason"]


def test_found_is_kept_plus_dropped(tmp_path: Path) -> None:
    """Of everything at once: every image and annotation is in the store, or it has a line that says why not."""
    images = [*TWO, {"id": 2, "file_name": "c.jpg"}, {"id": "3", "file_name": "d.jpg"}, {"id": 4}, {"file_name": "e"}]
    people = [person(at, image=image) for at, image in enumerate([1, 2, "3", 4, 5, None, 1, 3.0])]
    people[6]["keypoints"] = [1, 2]
    tables = convert(write(tmp_path, content(people, images)))
    dropped = [reject.locator for reject in tables.rejects if reject.action == "dropped"]
    assert tables.poses is not None
    assert len(tables.sequences) + sum(place.startswith("images") for place in dropped) == len(images)
    assert len(tables.poses) + sum(place.startswith("annotations") for place in dropped) == len(people)
    assert tables.poses["annotation_row"].to_pylist() == [0, 2, 7]
    assert len(set(dropped)) == len(dropped)
    assert "2 images have this id: b.jpg, c.jpg" in reasons(tables.rejects)
