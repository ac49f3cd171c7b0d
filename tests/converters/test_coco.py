"""COCO: the store holds what the json says, record by record, in every format and from every packing."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.converter import Tables
from har_bench.converters.coco import COCO
from har_bench.errors import HarBenchError
from har_bench.skeletons import mapping, skeleton
from tests.coco_data import NAME, assert_holds, content, convert, layout_of, person, read_json, reported, write
from tests.sampled import Samples


@pytest.fixture(scope="module")
def sample(samples: Samples) -> Path:
    return samples.raw("coco")


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
    ids = draw(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=6, unique=True))
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
        for at in range(draw(st.integers(0, 8)))
    ]
    category = {"id": 3, "name": "thing", "keypoints": names, "skeleton": [[1, 2], [2, 9]]}
    return {"images": images, "annotations": annotations, "categories": [category]}


@given(file=files())
def test_any_file_is_held(tmp_path_factory: pytest.TempPathFactory, file: dict[str, Any]) -> None:
    tables = convert(write(tmp_path_factory.mktemp("any"), file))
    assert_holds(tables, file)
    assert {action for _, action in reported(tables)} <= {"repaired"}


def test_a_segmentation_is_kept_to_the_byte(tmp_path: Path) -> None:
    text = json.dumps(content([person(1)])).replace("[[1, 2.5, 3, 4, 5, 6]]", "[[1,  2.50, 3e0]\n]")
    (tmp_path / "people.json").write_text(text)
    tables = convert(tmp_path)
    assert tables.poses is not None
    assert tables.poses["segmentation"].to_pylist() == [b"[[1,  2.50, 3e0]\n]"]


def test_many_records_are_read_in_batches(tmp_path: Path) -> None:
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(1500, 0, -1)]
    people: list[Any] = [person(number, 1 + number % 1500, category_id=1) for number in range(3000)]
    people[2047]["keypoints"] = "many"
    tables = convert(write(tmp_path, content(people, images)))
    assert_holds(tables, content(people, images), dropped=frozenset({2047}))
    assert [reject.locator for reject in tables.rejects] == ["annotations[2047].keypoints"]


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
