"""COCO: the store holds what the json says, record by record, and whatever cannot be held is a reject."""

from __future__ import annotations

import gzip
import json
import lzma
import os
from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.converter import Reject, Tables
from har_bench.converters.coco import COCO
from har_bench.converters.coco.document import Document
from har_bench.converters.coco.layout import categories
from har_bench.errors import HarBenchError
from har_bench.schema import to_numpy
from har_bench.skeletons import mapping, skeleton
from har_bench.storing.fingerprint import of_table
from tests.golden import REAL, load

NAME = "har_bench.converters.coco:COCO"
FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))
PARTS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
WHOLEBODY = (
    "face_box",
    "lefthand_box",
    "righthand_box",
    "foot_valid",
    "face_valid",
    "lefthand_valid",
    "righthand_valid",
)
URLS = ("coco_url", "flickr_url", "date_captured")


def convert(raw: Path, **options: str) -> Tables:
    """The tables of the only annotation file at ``raw``."""
    converter = COCO(**options)
    (shard,) = converter.discover(raw)
    return converter.read(shard)


def write(folder: Path, content: Any, name: str = "people.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return folder


def person(number: int, image: int = 1, **changes: Any) -> dict[str, Any]:
    joints = [number + 1, 2.5, 2, 0, 0, 0, *[7, 8, 1] * 15]
    plain = {"id": number, "image_id": image, "category_id": 1, "bbox": [1, 2, 3, 4.1], "keypoints": joints}
    return {**plain, "num_keypoints": 16, "area": 6.7, "iscrowd": 0, "segmentation": [[1, 2.50, 3, 4, 5, 6]], **changes}


def content(
    annotations: list[Any], images: list[Any] | None = None, category: dict[str, Any] | None = None
) -> dict[str, Any]:
    coco = {"id": 1, "name": "person", "keypoints": list(skeleton("coco17").joints), "skeleton": [[1, 2]]}
    return {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}] if images is None else images,
        "annotations": annotations,
        "categories": [category or coco],
    }


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("sample")
    COCO.sample(raw)
    return raw


# A second reader, value by value, to compare with


def read_json(path: Path) -> Any:
    opener: Callable[..., Any] = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with opener(path, "rt") as file:
        return json.load(file)


def naive_joints(annotation: dict[str, Any], joints: int) -> list[list[float]] | None:
    parts = PARTS if "foot_kpts" in annotation else PARTS[:1]
    values = list(chain.from_iterable(annotation.get(part) or [] for part in parts))
    return [values[3 * joint : 3 * joint + 3] for joint in range(joints)] if values else None


def same(found: Any, expected: Any) -> bool:
    return np.array_equal(np.array(found, float), np.array(expected, float), equal_nan=True)


def assert_holds(tables: Tables, file: Any, *, dropped: frozenset[int] = frozenset()) -> None:
    """Every image and annotation of a json is in the tables, value by value; none else is."""
    sequences = {row["image_row"]: row for row in tables.sequences.to_pylist()}
    assert sorted(sequences) == [row for row, _ in enumerate(file["images"]) if row in sequences]
    for at, row in sequences.items():
        image = file["images"][at]
        assert (row["image_id"], row["width"], row["height"]) == (image["id"], image.get("width"), image.get("height"))
        assert row["sequence"].split("/", 1)[1].split("@")[0] == image["file_name"]
        assert row["license"] == image.get("license")
        assert row["crowd_index"] == image.get("crowdIndex")
        assert [row[name] for name in URLS] == [image.get(name) for name in URLS]
        assert row["n_frames"] == 1
    names = {row["image_id"]: row["sequence"] for row in sequences.values()}
    categories = {category["id"]: category["name"] for category in file["categories"]}
    assert tables.poses is not None
    poses = tables.poses
    raw = {
        name: to_numpy(poses[name], poses.schema.field(name))
        for name in ("keypoints", "visibility", "bbox", "v")
        if name in poses.column_names
    }
    rows = poses.drop_columns([name for name in raw if name != "bbox"]).to_pylist()
    assert {row["annotation_row"] for row in rows} == set(range(len(file["annotations"]))) - dropped
    for at, row in enumerate(rows):
        annotation = file["annotations"][row["annotation_row"]]
        assert row["annotation_id"] == annotation["id"]
        assert row["frame"] == 0
        assert row["sequence"] == names[annotation["image_id"]]
        assert row["category"] == categories[annotation["category_id"]]
        for name in ("category_id", "num_keypoints", "area", "iscrowd", "ignore"):
            assert row[name] == annotation.get(name), name
        for name in WHOLEBODY:
            assert row.get(name) == annotation.get(name), name
        assert row["bbox"] == annotation.get("bbox")
        segmentation = annotation.get("segmentation")
        assert (row["segmentation"] is None) == (segmentation is None)
        assert segmentation is None or json.loads(row["segmentation"]) == segmentation
        if "keypoints" not in raw:
            continue
        joints = naive_joints(annotation, raw["visibility"].shape[1])
        if joints is None:
            assert poses["keypoints"][at].as_py() is None
            assert poses["visibility"][at].as_py() is None
            continue
        assert same(raw["keypoints"][at], [[x, y] if v > 0 else [np.nan, np.nan] for x, y, v in joints])
        assert same(raw["visibility"][at], [0 if v <= 0 else 1 if v < 2 else 2 for _, _, v in joints])
        if "v" in raw:
            assert same(raw["v"][at], [v for _, _, v in joints])


# The sample, through the engine


def test_a_sample_comes_back_from_the_store(sample: Path, tmp_path: Path) -> None:
    store = har_bench.convert(NAME, sample, tmp_path / "store", jobs=1, quiet=True)
    store.validate()
    assert store.manifest.splits == {"2017/train": 12, "2017/val": 6}
    assert store.manifest.rejects == 0
    assert store.skeleton().name == "coco17"
    for split, label in (("train", "train2017"), ("val", "val2017")):
        file = read_json(sample / f"annotations/person_keypoints_{label}.json")
        poses = store.poses(split)
        assert_holds(Tables(store.select(split), poses), file)
        assert poses["person"].to_pylist() == poses["annotation_id"].to_pylist()
        assert poses["sequence"].to_pylist() == sorted(poses["sequence"].to_pylist())
    first = store.sequences.slice(0, 1).to_pylist()[0]
    assert first["sequence"] == first["media"]
    assert first["sequence"].startswith("train2017/0000")
    assert first["license_url"].startswith("http://creativecommons.org/licenses/by")


def test_the_sample_has_the_quirks_of_the_official_files(sample: Path) -> None:
    file = read_json(sample / "annotations/person_keypoints_train2017.json")
    people = file["annotations"]
    crowds = [each for each in people if each["iscrowd"]]
    assert crowds
    assert all(sum(each["segmentation"]["counts"]) == 640 * 480 and not each["num_keypoints"] for each in crowds)
    assert any(not each["iscrowd"] and not each["num_keypoints"] for each in people)
    assert {v for each in people for v in each["keypoints"][2::3]} == {0, 1, 2}
    images = [image["id"] for image in file["images"]]
    assert images != sorted(images)
    assert set(images) - {each["image_id"] for each in people}
    assert [each["image_id"] for each in people] != sorted(each["image_id"] for each in people)


def test_a_store_is_the_same_in_hdf5(sample: Path, tmp_path: Path) -> None:
    parquet = har_bench.convert(NAME, sample, tmp_path / "parquet", jobs=1, quiet=True)
    arrays = har_bench.convert(NAME, tmp_path / "parquet", tmp_path / "hdf5", format="hdf5", quiet=True)
    assert arrays.digest() == arrays.fingerprint
    back = har_bench.convert(NAME, tmp_path / "hdf5", tmp_path / "back", quiet=True)
    back.validate()
    assert parquet.fingerprint == arrays.fingerprint == back.fingerprint


def test_published_counts_and_missing_files_are_reported(sample: Path, tmp_path: Path) -> None:
    official = sample / "annotations/person_keypoints_val2017.json"
    store = har_bench.convert(NAME, official, tmp_path / "store", jobs=1, quiet=True)
    counts = {count.what: (count.expected, count.found) for count in store.manifest.published}
    assert counts["annotations/person_keypoints_train2017.json is there"] == (1, 0)
    assert counts["annotations/person_keypoints_val2017.json is there"] == (1, 1)
    people = read_json(official)["annotations"]
    labelled = sum(each["num_keypoints"] > 0 for each in people)
    found = {what.split(" (")[0]: count for what, count in counts.items() if what.startswith("2017/val")}
    assert found == {
        "2017/val: images": (5000, 6),
        "2017/val: persons": (11004, len(people)),
        "2017/val: persons with keypoints": (6352, labelled),
    }


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_sample_is_held(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    raw = tmp_path_factory.mktemp("seeded")
    COCO.sample(raw, seed=seed)
    converter = COCO()
    for shard in converter.discover(raw):
        assert_holds(converter.read(shard), read_json(shard.sources[0]))


# Any file in COCO's format

numbers = st.floats(-1e6, 1e6).map(lambda value: round(value, 3)) | st.integers(-1000, 1000)


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """A file of own joints: any number of images and annotations, with and without the optional fields."""
    names = draw(st.lists(st.text("abc_é", min_size=1, max_size=6), min_size=1, max_size=6, unique=True))
    ids = draw(st.lists(st.integers(-(2**40), 2**40), max_size=6, unique=True))
    images = [{"id": number, "file_name": f"{at}/{number}.jpg"} for at, number in enumerate(ids)]
    joints = st.lists(
        st.tuples(numbers, numbers, st.sampled_from([0, 1, 2, 0.25])), min_size=len(names), max_size=len(names)
    )
    optional = {
        "bbox": st.tuples(numbers, numbers, numbers, numbers).map(list),
        "keypoints": joints.map(lambda points: [value for point in points for value in point]),
        "num_keypoints": st.none() | st.integers(0, 6),
        "area": st.none() | numbers,
        "iscrowd": st.sampled_from([0, 1]),
        "ignore": st.sampled_from([0, 1]),
        "segmentation": st.sampled_from([[], [[1.50, 2]], {"size": [1, 2], "counts": 'a]b\\"{'}]),
    }
    annotations = [
        {"id": at * 7, "image_id": draw(st.sampled_from(ids)), "category_id": 3}
        | draw(st.fixed_dictionaries({}, optional=optional))
        for at in range(draw(st.integers(0, 8)) if ids else 0)
    ]
    category = {"id": 3, "name": "thing", "keypoints": names, "skeleton": [[1, 2], [2, 9]]}
    return {"images": images, "annotations": annotations, "categories": [category]}


@given(file=files())
def test_any_file_is_held(tmp_path_factory: pytest.TempPathFactory, file: dict[str, Any]) -> None:
    tables = convert(write(tmp_path_factory.mktemp("any"), file))
    assert_holds(tables, file)
    assert all("coordinates" in reject.reason for reject in tables.rejects)


def test_a_segmentation_is_kept_to_the_byte(tmp_path: Path) -> None:
    text = json.dumps(content([person(1)])).replace("[[1, 2.5, 3, 4, 5, 6]]", "[[1,  2.50, 3e0]\n]")
    (tmp_path / "people.json").write_text(text)
    tables = convert(tmp_path)
    assert tables.poses is not None
    assert tables.poses["segmentation"].to_pylist() == [b"[[1,  2.50, 3e0]\n]"]


def test_many_records_are_read_in_batches(tmp_path: Path) -> None:
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(1500, 0, -1)]
    people: list[Any] = [person(number, 1 + number % 1500, category_id=1) for number in range(3000)]
    people[2047]["area"] = "large"
    tables = convert(write(tmp_path, content(people, images)))
    assert_holds(tables, content(people, images), dropped=frozenset({2047}))
    assert [reject.locator for reject in tables.rejects] == ["annotations[2047]"]


def test_joints_edges_and_sigmas_of_the_files_own(tmp_path: Path) -> None:
    hand = {
        "id": 1,
        "name": "hand",
        "keypoints": ["root", "thumb", "index", "index_tip", "loose"],
        "skeleton": [[1, 2], [1, 3], [4, 3], [4, 1], [17, 16]],
        "sigmas": [0.1, 0.2, 0.3, 0.4, 0.5],
    }
    file = content([person(1, keypoints=[1.25, 2, 0.5] * 5)], category=hand)
    store = har_bench.convert(NAME, write(tmp_path / "raw", file), tmp_path / "store", jobs=1, quiet=True)
    found = store.skeleton()
    assert (found.name, found.joints) == ("hand-5", tuple(hand["keypoints"]))
    assert found.parents == (-1, 0, 0, 0, -1)
    assert found.sigmas == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert_holds(Tables(store.sequences, store.table("poses")), file)

    del hand["sigmas"]
    file = content([person(1, keypoints=[1.25, 2, 0.5] * 5)], category=hand) | {"info": {"sigmas": [1, 2, 3, 4, 5]}}
    assert layout_of(write(tmp_path / "info", file)).sigmas == (1, 2, 3, 4, 5)
    assert layout_of(tmp_path / "info", sigmas="5,4,3,2,1").sigmas == (5, 4, 3, 2, 1)


def layout_of(raw: Path, **options: str) -> Any:
    converter = COCO(**options)
    converter.discover(raw)
    return converter.layouts()[0]


def test_official_joints_may_have_other_sigmas(sample: Path) -> None:
    assert layout_of(sample) == skeleton("coco17")
    found = layout_of(sample, sigmas=",".join(["0.05"] * 17))
    assert (found.name, found.sigmas) == ("coco17", (0.05,) * 17)
    with pytest.raises(HarBenchError, match="2 sigmas were given for the 17 joints"):
        COCO(sigmas="1,2").discover(sample)
    with pytest.raises(HarBenchError, match="no list of numbers"):
        COCO(sigmas="1;2").discover(sample)


def test_boxes_without_joints_make_a_store_without_joints(tmp_path: Path) -> None:
    file = content([person(1)], category={"id": 1, "name": "dog"})
    del file["annotations"][0]["keypoints"], file["annotations"][0]["num_keypoints"]
    converter = COCO()
    (shard,) = converter.discover(write(tmp_path, file))
    tables = converter.read(shard)
    assert_holds(tables, file)
    assert tables.poses is not None
    assert not {"keypoints", "visibility"} & set(tables.poses.column_names)
    assert list(converter.layouts()) == []


def test_wholebody_joints_follow_in_their_own_fields_or_in_the_same_list(tmp_path: Path) -> None:
    body, rest = [3, 4, 2] * 17, {"foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
    parts = {name: [joint + 0.125, 5, 0.1] * joint for joint, name in ((count, name) for name, count in rest.items())}
    boxes = {"face_box": [1, 2, 3, 4], "face_valid": True, "lefthand_valid": False}
    apart = content([person(1, keypoints=body, **parts, **boxes)])
    together = content([person(1, keypoints=[*body, *chain.from_iterable(parts.values())], **boxes)])
    found = []
    for name, file in (("apart", apart), ("together", together)):
        raw = write(tmp_path / name, file)
        assert layout_of(raw) == skeleton("coco-wholebody133")
        tables = convert(raw)
        assert_holds(tables, file)
        assert tables.poses is not None
        found.append(tables.poses)
    assert found[0].equals(found[1])


def test_the_layouts_fit_each_other() -> None:
    whole = skeleton("coco-wholebody133")
    assert mapping(whole, skeleton("coco17")).exact
    assert whole.joints[:17] == skeleton("coco17").joints
    assert len(whole.pairs) == 8 + 3 + 29 + 21
    assert (whole.flip[whole.flip] == np.arange(133)).all()
    for name in ("crowdpose14", "coco-wholebody133"):
        each = skeleton(name)
        assert len(each.joints) == len(each.parents) == len(each.sigmas)
        assert sum(parent < 0 for parent in each.parents) == 1


# What is broken is a reject, and spoils nothing else


@pytest.mark.parametrize(
    ("broken", "locator", "reason"),
    [
        (person(2, id="2"), "annotations[1]", "Expected `int`, got `str` - at `$.id`"),
        (person(2, id=2**70), "annotations[1]", "Expected `int` <= "),
        (person(2, image_id=None), "annotations[1]", "at `$.image_id`"),
        (person(2, image_id=77), "annotations[1].image_id", "no image of the file has this id"),
        (person(2, bbox=[1, 2, 3]), "annotations[1]", "length 4"),
        (person(2, iscrowd=2), "annotations[1]", "at `$.iscrowd`"),
        (person(2, area=float("nan")), "annotations[1]", "malformed"),
        (person(2, keypoints=[1, 2, float("inf")] * 17), "annotations[1]", "malformed"),
        (person(2, keypoints=[1, 2, 2] * 16), "annotations[1].keypoints", "48 values"),
        (person(2, keypoints=[[1, 2, 2]] * 17), "annotations[1]", "at `$.keypoints[0]`"),
        ({}, "annotations[1]", "missing required field `id`"),
        (None, "annotations[1]", "instead of one comma"),
        (5, "annotations[1]", "instead of one comma"),
    ],
)
def test_a_broken_annotation_is_dropped(tmp_path: Path, broken: Any, locator: str, reason: str) -> None:
    file = content([person(1), broken, person(3)])
    tables = convert(write(tmp_path, file))
    (reject,) = tables.rejects
    assert (reject.source, reject.locator, reject.action) == ("people.json", locator, "dropped")
    assert reason in reject.reason
    assert tables.poses is not None
    assert tables.poses["annotation_id"].to_pylist() == [1, 3]


@pytest.mark.parametrize(
    ("broken", "locator"),
    [
        ({"id": 2}, "images[1]"),
        ({"id": 2, "file_name": ""}, "images[1]"),
        ({"id": 2, "file_name": "/etc/passwd"}, "images[1].file_name"),
        ({"id": 2, "file_name": "x/../../b.jpg"}, "images[1].file_name"),
        ({"id": 2, "file_name": "b.jpg", "width": -1}, "images[1]"),
        ({"id": 1, "file_name": "b.jpg"}, "images[1].id"),
    ],
)
def test_a_broken_image_is_dropped(tmp_path: Path, broken: Any, locator: str) -> None:
    images = [{"id": 1, "file_name": "a.jpg"}, broken, {"id": 3, "file_name": "c.jpg"}]
    file = content([person(1), person(3, image=3)], images)
    tables = convert(write(tmp_path, file))
    assert_holds(tables, file)
    assert [(reject.locator, reject.action) for reject in tables.rejects] == [(locator, "dropped")]
    assert tables.sequences["image_id"].to_pylist() == [1, 3]


def test_endless_nesting_is_dropped(tmp_path: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    text = json.dumps(content([person(1), person(2, segmentation="deep")])).replace('"deep"', deep)
    (tmp_path / "people.json").write_text(text)
    tables = convert(tmp_path)
    assert [reject.locator for reject in tables.rejects] == ["annotations[1]"]


def test_images_without_anybody_are_a_store(tmp_path: Path) -> None:
    store = har_bench.convert(NAME, write(tmp_path / "raw", content([])), tmp_path / "store", jobs=1, quiet=True)
    store.validate()
    assert store.manifest.rows == {"poses": 0, "sequences": 1}
    with pytest.raises(HarBenchError, match="hold no sequence"):
        har_bench.convert(NAME, write(tmp_path / "none", content([], [])), tmp_path / "other", jobs=1, quiet=True)


def test_an_annotation_id_that_repeats_keeps_both_persons(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}]
    file = content([person(7), person(-4), person(7, area=1.5), person(7, image=2)], images)
    tables = convert(write(tmp_path, file))
    assert_holds(tables, file)
    assert tables.poses is not None
    assert sorted(tables.poses["person"].to_pylist()) == [-6, -5, -4, 7]
    assert [(reject.locator, reject.action) for reject in tables.rejects] == [
        ("annotations[2].id", "repaired"),
        ("annotations[3].id", "repaired"),
    ]


def test_images_of_one_name_are_named_apart(tmp_path: Path) -> None:
    images = [{"id": 5, "file_name": "a.jpg"}, {"id": 1, "file_name": "a.jpg"}]
    file = content([person(1), person(2, image=5)], images)
    tables = convert(write(tmp_path, file))
    assert_holds(tables, file)
    assert tables.sequences["sequence"].to_pylist() == ["people/a.jpg", "people/a.jpg@1"]
    assert tables.sequences["media"].to_pylist() == ["a.jpg", "a.jpg"]
    assert [reject.locator for reject in tables.rejects] == ["images[1].file_name"]

    images.append({"id": 3, "file_name": "a.jpg@1"})
    tables = convert(write(tmp_path, content([], images)))
    assert tables.sequences["sequence"].to_pylist() == ["people/a.jpg", "people/a.jpg@1@1", "people/a.jpg@1"]


def test_odd_joints_are_reported_once(tmp_path: Path) -> None:
    odd = person(2, keypoints=[5, 6, 0, 1, 1, 3, 2, 2, -1, *[7, 8, 1] * 14])
    file = content([person(1), odd, {**odd, "id": 3}])
    tables = convert(write(tmp_path, file))
    assert_holds(tables, file)
    assert [(reject.locator, reject.action) for reject in tables.rejects] == [
        ("annotations[1].keypoints and 1 more", "repaired"),
        ("annotations[1].keypoints and 1 more", "repaired"),
    ]


# Which files are taken


def test_official_files_come_before_others_and_every_file_is_a_split(sample: Path, tmp_path: Path) -> None:
    official = (sample / "annotations/person_keypoints_val2017.json").read_text()
    for name in ("instances_val2017.json", "crowd-a_val.json", "crowd_val.json", "mine_trainval.json", "mine.json"):
        write(tmp_path, content([person(1)]), name)
    write(tmp_path, [{"image_id": 1, "score": 0.5}], "results.json")
    assert [shard.key for shard in COCO().discover(tmp_path)] == [
        "crowd-a_val",
        "crowd_val",
        "instances_val2017",
        "mine",
        "mine_trainval",
    ]
    assert [shard.key for shard in COCO(files="*_val.json").discover(tmp_path)] == ["crowd-a_val", "crowd_val"]
    store = har_bench.convert(NAME, tmp_path, tmp_path / "store", jobs=1, quiet=True)
    assert list(store.manifest.splits) == [
        "crowd-a/val",
        "crowd/val",
        "instances_val2017/all",
        "mine/all",
        "mine/trainval",
    ]
    (tmp_path / "person_keypoints_val2014.json").write_text(official)
    assert [shard.key for shard in COCO().discover(tmp_path)] == ["val2014"]


def test_packed_files_are_read(sample: Path, tmp_path: Path) -> None:
    plain = sample / "annotations/person_keypoints_val2017.json"
    expected = convert(plain)
    for name, pack in (("gz", gzip.compress), ("xz", lzma.compress)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{plain.name}.{name}").write_bytes(pack(plain.read_bytes()))
        found = convert(folder)
        assert of_table(found.poses) == of_table(expected.poses)
        assert found.sequences.drop_columns("annotation_file").equals(
            expected.sequences.drop_columns("annotation_file")
        )


def test_media_come_from_the_image_url_or_the_layout(tmp_path: Path) -> None:
    url = "http://images.cocodataset.org/val2017/a.jpg"
    tables = convert(write(tmp_path, content([], [{"id": 1, "file_name": "a.jpg", "coco_url": url}])))
    assert tables.sequences["media"].to_pylist() == ["val2017/a.jpg"]
    crowdpose = {"id": 1, "name": "person", "keypoints": list(skeleton("crowdpose14").joints)}
    raw = write(tmp_path / "crowdpose", content([], category=crowdpose), "crowdpose_val.json")
    assert convert(raw).sequences["media"].to_pylist() == ["images/a.jpg"]
    assert layout_of(raw) == skeleton("crowdpose14")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty; was it written or downloaded completely"),
        (b"hello", "cut, damaged or no json"),
        (b'{"images": [], "annotations": [{"id": 1}', "cut, damaged or no json"),
        (b'{"images": [], "annotations": []} {}', "cut, damaged or no json"),
        (b'{"images": [], "annotations" []}', "cut, damaged or no json"),
        (b'{"images": [], "annotations": [}]', "cut, damaged or no json"),
        (b'{"images": {}, "annotations": {}}', "'annotations' of .* is not a list"),
        (b'{"images": [], "annotations": [], "categories": [{"id": "x"}]}', "'categories' of .* is not as COCO"),
        (b'{"images": [], "annotations": [{"keypoints": [1, 2, 2]}]}', "names its 1 joints"),
        (b'{"images": []}', "is not COCO; expected there"),
        (b"[]", "is not COCO; expected there"),
        (b"[[[[[]]]]]", "is not COCO; expected there"),
    ],
)
def test_a_file_that_is_something_else_is_one_clear_line(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "people.json").write_bytes(text)
    with pytest.raises(HarBenchError, match=message) as error:
        COCO().discover(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_of_something_else_is_one_clear_line(sample: Path, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match="is not COCO; expected there annotations/person_keypoints"):
        COCO().discover(tmp_path)
    with pytest.raises(HarBenchError, match=r"has no file x\*"):
        COCO(files="x*").discover(tmp_path)
    hand = {"id": 1, "name": "hand", "keypoints": ["a"]}
    write(tmp_path, content([], category=hand), "hands.json")
    write(tmp_path, content([]), "people.json")
    with pytest.raises(HarBenchError, match=r"hands\.json and people\.json in .* have different joints"):
        COCO().discover(tmp_path)
    write(tmp_path / "twice" / "annotations", content([]))
    with pytest.raises(HarBenchError, match="same name"):
        COCO().discover(write(tmp_path / "twice", content([])))
    two = content([]) | {"categories": [{**hand}, {**hand, "keypoints": ["b"]}]}
    with pytest.raises(HarBenchError, match="have different joints; put each"):
        COCO().discover(write(tmp_path / "two", two))
    for name in ("gz", "xz"):
        (tmp_path / f"cut.json.{name}").write_bytes({"gz": b"\x1f\x8b\x08broken", "xz": b"\xfd7zXZ\x00broken"}[name])
        with pytest.raises(HarBenchError, match=r"is damaged .*; write or download it again"):
            COCO(files=f"cut.json.{name}").discover(tmp_path)


def test_a_file_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(b" " * (80 << 20)))
    with pytest.raises(HarBenchError, match=r"bomb\.json\.gz unfolds into more than"):
        COCO().discover(tmp_path)


# Damage


def damaged(text: bytes, random: np.random.Generator) -> bytes:
    """A json with one to three places changed: a byte, a piece taken out or doubled, a value exchanged."""
    tokens = [
        b"NaN",
        b"null",
        b"-1",
        b"1e999",
        b'"',
        b"{",
        b"]",
        b"[[",
        b"2.5",
        b"true",
        b'"\\ud800"',
        b"\xff",
        b"9" * 30,
    ]
    for _ in range(random.integers(1, 4)):
        at = int(random.integers(len(text)))
        stop = min(len(text), at + int(random.integers(1, 40)))
        what = random.integers(5)
        if what == 0:
            text = text[:at] + bytes([random.integers(256)]) + text[at + 1 :]
        elif what == 1:
            text = text[:at] + text[stop:]
        elif what == 2:
            text = text[:stop] + text[at:]
        elif what == 3:
            text = text[:at] + tokens[random.integers(len(tokens))] + text[at + 1 :]
        else:
            colon = text.find(b":", at) + 1
            ends = [end for end in (text.find(b",", colon), text.find(b"}", colon)) if end > 0]
            text = text[:colon] + tokens[random.integers(len(tokens))] + text[min(ends, default=colon) :]
    return text


@pytest.mark.parametrize("kind", ["official", "wholebody", "own"])
def test_damage_raises_nothing_but_our_own_error(sample: Path, tmp_path: Path, kind: str) -> None:
    plain = read_json(sample / "annotations/person_keypoints_val2017.json")
    if kind == "wholebody":
        for each in plain["annotations"]:
            each |= {"foot_kpts": [1, 2, 0.5] * 6, "face_kpts": [1.5, 2, 1] * 68, "face_box": [1, 2, 3, 4]}
            each |= {"lefthand_kpts": [0, 0, 0] * 21, "righthand_kpts": [1, 1, 1] * 21, "face_valid": True}
    if kind == "own":
        plain["categories"][0] |= {"keypoints": [f"joint {joint}" for joint in range(17)], "sigmas": [0.1] * 17}
        plain["images"] = [{"id": image["id"], "file_name": image["file_name"]} for image in plain["images"]]
    text = json.dumps(plain).encode()
    random = np.random.default_rng(FUZZ)
    outcomes: Counter[str] = Counter()
    path = tmp_path / "person_keypoints_val2017.json"
    for _ in range(FUZZ // 3):
        path.write_bytes(damaged(text, random))
        converter = COCO()
        try:
            tables = [converter.read(shard) for shard in converter.discover(tmp_path)]
        except HarBenchError:
            outcomes["refused"] += 1
        else:
            check_store_rules(tables[0])
            outcomes["rejects" if tables[0].rejects else "read"] += 1
    assert set(outcomes) == {"refused", "rejects", "read"}


def check_store_rules(tables: Tables) -> None:
    """What the engine insists on."""
    assert tables.poses is not None
    names = tables.sequences["sequence"].to_pylist()
    assert len(set(names)) == len(names)
    keys = list(zip(tables.poses["sequence"].to_pylist(), tables.poses["person"].to_pylist(), strict=True))
    assert len(set(keys)) == len(keys)
    assert {sequence for sequence, _ in keys} <= set(names)
    assert tables.rejects_table().num_rows == len(tables.rejects)


# The research data

ANNOTATIONS = sorted(
    path.relative_to(REAL).as_posix()
    for path in (REAL / "coco").rglob("*.json*")
    if path.parent.name != "golden" and isinstance(read_json(path), dict)
)
CORNER_CASES = load("coco/golden/coco_corner_cases.json").get("inputs", {})
CENSUS = load("coco/golden/coco_dataset_census.json")
CENSUS_FILES = {
    "val2017_subset538": "val2017_subset538/person_keypoints_val2017_subset538.json.xz",
    "coco_mini_val79": "coco_mini/annotations/person_keypoints_val2017.json",
    "mmpose_test_coco": "mmpose_testdata/test_coco.json",
}


@pytest.mark.real
@pytest.mark.parametrize("name", ANNOTATIONS)
def test_real_files_are_held(real: Path, tmp_path: Path, name: str) -> None:
    file = read_json(real / name)
    store = har_bench.convert(NAME, real / name, tmp_path / "store", jobs=1, quiet=True)
    assert store.manifest.rejects == 0
    assert_holds(Tables(store.sequences, store.table("poses")), file)
    first = file["annotations"][0]
    joints = {0: [], 42: ["crowdpose14"], 51: ["coco17"], 399: ["coco-wholebody133"]}[len(first.get("keypoints", []))]
    expected = ["coco-wholebody133"] if "foot_kpts" in first else joints
    assert [each.name for each in store.manifest.skeletons] == expected


@pytest.mark.real
@pytest.mark.parametrize("name", CORNER_CASES)
def test_corner_cases_are_held(tmp_path: Path, name: str) -> None:
    file = CORNER_CASES[name]["gt"]
    tables = convert(write(tmp_path, file))
    assert_holds(tables, file)
    expected = {
        "31 duplicated annotation id": [Reject("people.json", "annotations[1].id", "", "repaired")],
        "32 duplicated image entry": [Reject("people.json", "images[1].id", "", "dropped")],
    }.get(name, [])
    assert [(found.locator, found.action) for found in tables.rejects] == [
        (each.locator, each.action) for each in expected
    ]


class Census:
    """The figures of the census, counted in the store's tables, by the keys of the golden file."""

    def __init__(self, path: Path) -> None:
        (shard,) = COCO().discover(path)
        self.tables = COCO().read(shard)
        self.file = Document(path)
        poses = self.tables.poses
        assert poses is not None
        self.poses = poses
        self.count, self.crowd, self.area = (poses[name].to_numpy() for name in ("num_keypoints", "iscrowd", "area"))
        self.points, self.v, self.box = (
            to_numpy(poses[name], poses.schema.field(name)) for name in ("keypoints", "visibility", "bbox")
        )
        sizes = self.tables.sequences.select(["sequence", "width", "height"])
        size = {row["sequence"]: (row["width"], row["height"]) for row in sizes.to_pylist()}
        self.size = np.array([size[name] for name in poses["sequence"].to_pylist()])
        self.annotated = self.count > 0

    def filled(self, table: pa.Table, names: dict[str, str]) -> list[str]:
        return sorted(names.get(name, name) for name in table.column_names if table[name].null_count < len(table))

    def figures(self) -> dict[str, Any]:
        x, y = self.points[..., 0], self.points[..., 1]
        left, top, width, height = (self.box[:, None, at] for at in range(4))
        left, top, width, height = left - 0.5, top - 0.5, width + 1, height + 1  # the census allows half a pixel
        outside_box = (x < left) | (x > left + width) | (y < top) | (y > top + height)
        outside_image = (x < 0) | (x >= self.size[:, None, 0]) | (y < 0) | (y >= self.size[:, None, 1])
        mine = self.area[self.annotated & (self.crowd == 0)]
        pairs = np.array(skeleton("coco17").pairs)
        texts = [json.loads(text) for text in self.poses["segmentation"].to_pylist()]
        category = categories(self.file)[0]
        coordinates = sum("coordinates" in reject.reason for reject in self.tables.rejects)
        sequences = self.tables.sequences.drop_columns(
            ["sequence", "media", "n_frames", "splits", "image_row", "annotation_file", "license_name", "license_url"]
        )
        poses = self.poses.drop_columns(["person", "frame", "annotation_row", "visibility", "category"])
        return {
            "images": len(self.tables.sequences),
            "annotations": len(self.poses),
            "iscrowd": Counter(self.crowd.astype(str).tolist()),
            "num_keypoints=0": int((self.count == 0).sum()),
            "crowd_with_keypoints": int(self.annotated[self.crowd == 1].sum()),
            "num_keypoints!=count(v>0)": int((self.count != (self.v > 0).sum(axis=1)).sum()),
            "v_hist_on_annotated": Counter(self.v[self.annotated].ravel().astype(str).tolist()),
            "v=0_but_xy!=0": coordinates,
            "labelled_keypoints_outside_bbox": int(outside_box.sum()),
            "keypoints_outside_image": int(outside_image.sum()),
            "non_integer_keypoints": int((x % 1 > 0).sum() + (y % 1 > 0).sum()),
            "area<32^2 with keypoints": int((self.area[self.annotated] < 32**2).sum()),
            "area_hist_small/medium/large (annotated, non crowd)": np.histogram(mine, [0, 32**2, 96**2, 1e10])[
                0
            ].tolist(),
            "area/bbox_area median": float(np.median(self.area / self.box[:, 2:].prod(axis=1))),
            "bbox_w_or_h<1": int((self.box[:, 2:] < 1).any(axis=1).sum()),
            "segmentation_types": Counter(
                "polygon" if isinstance(text, list) else f"RLE {'un' * isinstance(text['counts'], list)}compressed"
                for text in texts
            ),
            "ann_ids_unique": len(set(self.poses["annotation_id"].to_pylist())) == len(self.poses),
            "max_persons_in_image": max(Counter(self.poses["sequence"].to_pylist()).values()),
            "keys": self.filled(poses, {"annotation_id": "id", "sequence": "image_id"}),
            "image_keys": self.filled(sequences.append_column("file_name", sequences["image_id"]), {"image_id": "id"}),
            "category": {
                "supercategory": "person",
                "id": category.id,
                "name": category.name,
                "keypoints": category.keypoints,
                "skeleton": len(category.skeleton),
            },
            "left_right_same_xy": int((self.points[:, pairs[:, 0]] == self.points[:, pairs[:, 1]]).all(axis=2).sum()),
            "licences": Counter(str(number) for number in self.tables.sequences["license"].to_pylist()),
        }


@pytest.mark.real
@pytest.mark.parametrize("name", CENSUS)
def test_the_census_is_reproduced(real: Path, name: str) -> None:
    found = Census(real / "coco" / CENSUS_FILES[name]).figures()
    assert found == CENSUS[name]
