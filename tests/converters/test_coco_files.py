"""COCO: which files are taken, from how deep and in which encoding; their splits; and what is said where none is."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

import har_bench
from har_bench.converters.coco import COCO
from har_bench.converters.coco.document import Document
from har_bench.errors import HarBenchError
from har_bench.skeletons import skeleton
from har_bench.storing.fingerprint import of_table
from tests.coco_data import NAME, content, convert, layout_of, person, write
from tests.sampled import Samples

ROBOFLOW = "_annotations.coco.json"


@pytest.fixture(scope="module")
def sample(samples: Samples) -> Path:
    return samples.raw("coco")


def put(raw: Path, *paths: str, annotations: list[Any] | None = None) -> Path:
    """An annotation file at each path."""
    for path in paths:
        file = raw / path
        write(file.parent, content([person(1)] if annotations is None else annotations), file.name)
    return raw


def splits(raw: Path, **options: str) -> dict[str, str]:
    """The split of every file that is taken, by its path."""
    return {shard.payload.source: shard.payload.split for shard in COCO(**options).discover(raw)}


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
        (b"", r"people\.json is empty; was it written or downloaded completely"),
        (b"\xef\xbb\xbf \n", r"people\.json is empty; download it again"),
        (b"hello", r"people\.json is no json, it begins with 'hello'; choose another file"),
        (b"<!DOCTYPE html> [1]", "is no json, it begins with '<!DOCTYPE html>"),
        (b'id,x\n1,"[2]"', "is no json, it begins with 'id,x"),
        (b'{"images": [], "annotations": [{"id": 1}], "annotations": []}', "has a key twice"),
        (b'{"images": [], "annotations": [{"id": 1}', "cut, damaged or no json"),
        (b'{"images": [], "annotations": []} {}', "cut, damaged or no json"),
        (b'{"images": [], "annotations" []}', "cut, damaged or no json"),
        (b'{"images": [], "annotations": [}]', "cut, damaged or no json"),
        (b'{"images": {}, "annotations": {}}', "'annotations' of .* is not a list"),
        (b'{"images": [], "annotations": [], "categories": [{"id": "x"}]}', "lists no images and no annotations"),
        (b'{"images": [], "annotations": [{"keypoints": [1, 2, 2]}]}', "names its 1 joints"),
        (b'{"images": []}', r"is not COCO: people\.json is without annotations \(it has images\); expected there"),
        (b"[]", r"is not COCO: people\.json is without images and annotations; expected there"),
        (b"[[[[[]]]]]", r"is not COCO: people\.json is without images and annotations; expected there"),
    ],
)
def test_a_file_that_is_something_else_is_one_clear_line(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "people.json").write_bytes(text)
    with pytest.raises(HarBenchError, match=message) as error:
        COCO().discover(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_of_something_else_is_one_clear_line(sample: Path, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"is not COCO: no file .*; expected there annotations/person_keypoints"):
        COCO().discover(tmp_path)
    with pytest.raises(HarBenchError, match=r"no file of .* is called 'x\*'"):
        COCO(files="x*").discover(tmp_path)
    with pytest.raises(HarBenchError, match="'/x' is no pattern of paths below"):
        COCO(files="/x").discover(tmp_path)
    (tmp_path / "inside").mkdir()
    with pytest.raises(HarBenchError, match=r"no file of .*; there is none; mend the option files"):
        COCO(files="../*.json").discover(write(tmp_path, content([])) / "inside")
    (tmp_path / "people.json").unlink()
    hand = {"id": 1, "name": "hand", "keypoints": ["a"]}
    write(tmp_path, content([], category=hand), "hands.json")
    write(tmp_path, content([]), "people.json")
    with pytest.raises(HarBenchError, match=r"hands\.json and people\.json in .* have different joints"):
        COCO().discover(tmp_path)
    write(tmp_path / "twice" / "annotations", content([]))
    with pytest.raises(HarBenchError, match="same name"):
        COCO().discover(write(tmp_path / "twice", content([])))
    two = content([]) | {"categories": [{**hand}, {**hand, "keypoints": ["b"]}]}
    with pytest.raises(HarBenchError, match=r"have different joints: hand .*; choose one with the option category"):
        COCO().discover(write(tmp_path / "two", two))
    for name in ("gz", "xz"):
        (tmp_path / f"cut.json.{name}").write_bytes({"gz": b"\x1f\x8b\x08broken", "xz": b"\xfd7zXZ\x00broken"}[name])
        with pytest.raises(HarBenchError, match=r"is damaged .*; write or download it again"):
            COCO(files=f"cut.json.{name}").discover(tmp_path)


def test_a_file_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(b" " * (80 << 20)))
    with pytest.raises(HarBenchError, match=r"bomb\.json\.gz unfolds into more than"):
        COCO().discover(tmp_path)


# Splits


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("crowdpose_val.json", "crowdpose/val"),
        ("crowdpose-train.json", "crowdpose/train"),
        ("x_Validation.json", "x/val"),
        ("x.test.json", "x/test"),
        ("coco_wholebody_val_v1.0.json", "coco_wholebody_v1.0/val"),
        ("val.json", "annotations/val"),
        ("003418_mpii_test.json", "003418_mpii/test"),
        ("test_of_many_things.json", "test_of_many_things/all"),
        ("my_train_set.json", "my_train_set/all"),
        ("interval.json", "interval/all"),
        ("annotations/val/003418_mpii_test.json", "annotations/val"),
        ("val/003418_mpii_test.json", "annotations/val"),
        ("training/hands.json", "annotations/train"),
        ("data/valid/hands.json", "annotations/val"),
    ],
)
def test_a_split_is_told_by_a_folder_or_by_the_last_word(tmp_path: Path, path: str, split: str) -> None:
    assert splits(put(tmp_path / "raw", path)) == {path: split}


def test_the_folder_that_is_given_tells_its_split_unless_the_file_says_another(tmp_path: Path) -> None:
    name = "003418_mpii_test.json"
    assert splits(put(tmp_path / "annotations" / "val", name)) == {name: "annotations/val"}
    assert splits(tmp_path / "annotations" / "val" / name) == {name: "annotations/val"}
    assert splits(put(tmp_path / "test", "crowdpose_train.json")) == {"crowdpose_train.json": "crowdpose_train/all"}
    assert splits(put(tmp_path / "valid", "hands.json")) == {"hands.json": "annotations/val"}


def test_videos_of_a_folder_are_one_split(tmp_path: Path) -> None:
    """As in PoseTrack18, where a file is a video, and its name ends with the split of another dataset."""
    raw = put(tmp_path / "raw", "annotations/val/1_mpii_test.json", "annotations/val/2_mpii_test.json")
    put(raw, "annotations/train/3_bonn_train.json")
    store = har_bench.convert(NAME, raw, tmp_path / "store", jobs=1, quiet=True)
    assert store.manifest.splits == {"annotations/train": 1, "annotations/val": 2}


@pytest.mark.parametrize("above", ["", "dataset/", "down/loads/dataset/"])
def test_roboflows_folders_are_one_store(tmp_path: Path, above: str) -> None:
    raw = put(tmp_path / "raw", *(f"{above}{part}/{ROBOFLOW}" for part in ("train", "valid", "test")))
    (raw / above / "README.dataset.txt").write_text("exported")
    store = har_bench.convert(NAME, raw, tmp_path / "store", jobs=1, quiet=True)
    store.validate()
    assert store.manifest.splits == {"annotations/test": 1, "annotations/train": 1, "annotations/val": 1}
    rows = store.sequences.to_pylist()
    assert [row["sequence"] for row in rows] == ["test/a.jpg", "train/a.jpg", "valid/a.jpg"]
    assert [row["media"] for row in rows] == [f"{above}{part}/a.jpg" for part in ("test", "train", "valid")]


def test_a_split_without_any_image_does_no_harm(tmp_path: Path) -> None:
    raw = put(tmp_path / "raw", f"train/{ROBOFLOW}")
    write(raw / "test", {"images": [], "annotations": [], "categories": [{"id": 0, "name": "people"}]}, ROBOFLOW)
    store = har_bench.convert(NAME, raw, tmp_path / "store", jobs=1, quiet=True)
    assert store.manifest.splits == {"annotations/train": 1}
    assert store.manifest.rejects == 0


def test_files_of_one_name_in_folders_of_splits_are_told_apart(tmp_path: Path) -> None:
    raw = put(tmp_path / "raw", "train/labels.json", "val/labels.json")
    store = har_bench.convert(NAME, raw, tmp_path / "store", jobs=1, quiet=True)
    assert store.sequences["sequence"].to_pylist() == ["train/labels/a.jpg", "val/labels/a.jpg"]
    assert list(store.manifest.splits) == ["annotations/train", "annotations/val"]


# Depth


@pytest.mark.parametrize("above", ["a", "a/b", "a/b/c"])
@pytest.mark.parametrize("folder", ["", "annotations/"])
def test_a_dataset_may_lie_up_to_three_folders_deeper(tmp_path: Path, above: str, folder: str) -> None:
    raw = put(
        tmp_path / "raw", f"{above}/{folder}person_keypoints_val2017.json", f"{above}/{folder}captions_val2017.json"
    )
    put(
        raw, f"__MACOSX/{above}/{folder}person_keypoints_val2017.json", f"{above}/.hidden/person_keypoints_val2017.json"
    )
    tables = convert(raw)
    assert tables.sequences["sequence"].to_pylist() == ["val2017/a.jpg"]
    assert tables.sequences["media"].to_pylist() == [f"{above}/val2017/a.jpg"]
    assert tables.sequences["annotation_file"].to_pylist() == [f"{above}/{folder}person_keypoints_val2017.json"]


def test_what_lies_where_it_is_expected_comes_before_what_lies_deeper(tmp_path: Path) -> None:
    assert splits(put(tmp_path, "mine.json", "backup/old/mine.json")) == {"mine.json": "mine/all"}


def test_several_datasets_below_are_named_and_none_is_guessed(tmp_path: Path) -> None:
    raw = put(tmp_path, f"one/train/{ROBOFLOW}", f"one/valid/{ROBOFLOW}", "two/mine.json")
    with pytest.raises(HarBenchError, match=r"several datasets, in one \(2 files\), two \(1 files\); give one of"):
        COCO().discover(raw)
    assert splits(raw, files="two/*.json") == {"two/mine.json": "mine/all"}
    assert list(splits(raw / "one").values()) == ["annotations/train", "annotations/val"]


# What is there instead


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["w/x/y/z/mine.json"], "w/x/y/z/mine.json is an annotation file more than 3 folders deeper"),
        ([], "no file is within"),
    ],
)
def test_what_was_found_is_said(tmp_path: Path, paths: list[str], said: str) -> None:
    with pytest.raises(HarBenchError, match=r"is not COCO: .*; expected there annotations/person_keypoints") as caught:
        COCO().discover(put(tmp_path, *paths))
    assert said in str(caught.value)


def test_other_files_are_counted_and_other_jsons_described(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.txt"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(HarBenchError, match=r"there are 2 files \.jpg, there are 1 files \.txt"):
        COCO().discover(tmp_path)
    write(tmp_path / "deep", {"annotations": [], "info": {}}, "some.json")
    with pytest.raises(HarBenchError, match=r"deep/some\.json is without images \(it has annotations, info\)"):
        COCO().discover(tmp_path)


def zipped(text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("annotations/mine.json", text)
    return packed.getvalue()


def tarred(text: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("mine.json")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("annotations.zip", zipped),
        ("annotations.tar", tarred),
        ("annotations.tar.gz", lambda text: gzip.compress(tarred(text))),
        ("annotations.tgz", lambda text: gzip.compress(tarred(text))),
        ("annotations.tar.xz", lambda text: lzma.compress(tarred(text))),
    ],
)
def test_an_archive_is_to_be_unpacked_whether_it_is_given_or_lies_there(tmp_path: Path, name: str, pack: Any) -> None:
    (tmp_path / "down").mkdir()
    (tmp_path / "down" / name).write_bytes(pack(json.dumps(content([person(1)]))))
    for raw in (tmp_path / "down" / name, tmp_path / "down", tmp_path):
        with pytest.raises(HarBenchError, match=rf"{name} is .*unpack it"):
            COCO().discover(raw)
    put(tmp_path, "mine.json")
    assert splits(tmp_path) == {"mine.json": "mine/all"}


@pytest.mark.parametrize("pack", [zipped, lambda text: gzip.compress(text.encode()), tarred])
def test_an_archive_with_the_name_of_a_json_is_told(tmp_path: Path, pack: Any) -> None:
    (tmp_path / "mine.json").write_bytes(pack(json.dumps(content([person(1)]))))
    with pytest.raises(HarBenchError, match=r"mine\.json is a .* and no json; unpack it"):
        COCO().discover(tmp_path)


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_an_encoding_and_line_ends_change_nothing(tmp_path: Path, encoding: str, newline: str) -> None:
    file = content([person(1), person(2, image=2)], [{"id": 1, "file_name": "ä.jpg"}, {"id": 2, "file_name": "b.jpg"}])
    plain = convert(write(tmp_path / "plain", file))
    text = json.dumps(file, ensure_ascii=False, indent=1).replace("\n", newline).replace("[\r\n", "[")
    other = tmp_path / "other"
    other.mkdir()
    (other / "people.json").write_bytes(text.encode(encoding))
    found = convert(other)
    assert found.sequences.equals(plain.sequences)
    assert found.poses is not None
    assert plain.poses is not None
    assert of_table(found.poses.drop_columns("segmentation")) == of_table(plain.poses.drop_columns("segmentation"))
    assert not found.rejects


def test_an_encoding_that_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "people.json").write_bytes(json.dumps(content([person(1)])).encode("utf-16")[:501])
    with pytest.raises(HarBenchError, match=r"people\.json is no json, or damaged text of the encoding utf-16"):
        COCO().discover(tmp_path)


@pytest.mark.parametrize("shift", range(17))
def test_brackets_and_quotation_marks_are_found_wherever_they_stand_in_a_word_of_eight_bytes(
    shift: int, tmp_path: Path
) -> None:
    numbers = [12345678, 0.5, [1.25] * shift, -1, [[]]]
    records = [{"n": numbers, "t": '"]}[{\\' + "7" * shift + '"'}, {"n": [] if shift % 2 else 1e-7}, {}]
    path = tmp_path / "any.json"
    path.write_text(json.dumps({"k" * shift: "[{", "images": records, "other": {"1": [2]}}))
    found = [record for batch in Document(path).records("images", dict) for record in batch.records]
    assert found == records
    assert Document(path).value("other") == {"1": [2]}
