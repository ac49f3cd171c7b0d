"""MERL Shopping as people have it: other writers, folders and names; splits; archives."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from har_bench.converters.merl import MERL
from har_bench.converters.merl.converter import LABELS
from har_bench.converters.merl.sample import POSE_PICKLE, TEST_LIST, TRAIN_LIST
from har_bench.errors import HarBenchError
from har_bench.storing.fingerprint import of_table
from tests.merl_data import ACTION_RECORD, README_RECORD, read

JSON_WRITERS: dict[str, Callable[[str], bytes]] = {
    "a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "CRLF and indents": lambda text: text.replace(",", ",\r\n  ").encode(),
    "the word NaN": lambda text: text.replace('"keypoints":[]', '"keypoints":[],"score":NaN').encode(),
}
LINE_WRITERS: dict[str, Callable[[str], bytes]] = {
    "a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "no last line end": lambda text: text.rstrip().encode(),
    "quotation marks": lambda text: "".join(f'"{line[:-2]}" "{line[-1]}"\n' for line in text.splitlines()).encode(),
    "commas": lambda text: text.replace(" ", ",").encode(),
    "semicolons": lambda text: text.replace(" ", ";").encode(),
    "tabs": lambda text: text.replace(" ", "\t").encode(),
    "blanks": lambda text: text.replace(" ", "   ").replace("\n", " \n").encode(),
    "a header": lambda text: ("frame class\n" + text).encode(),
    "blank lines": lambda text: text.replace("\n", "\n\n").encode(),
    "backslashes": lambda text: text.replace("/", "\\").encode(),
}


@pytest.mark.parametrize("writer", JSON_WRITERS)
@pytest.mark.parametrize("name", [TRAIN_LIST, TEST_LIST])
def test_an_action_list_does_not_depend_on_who_wrote_it(own: Path, name: str, writer: str) -> None:
    before = read(own)
    (own / name).write_bytes(JSON_WRITERS[writer]((own / name).read_text()))
    after = read(own)
    assert after.rejects == []
    assert after.poses is not None
    assert before.poses is not None
    assert of_table(after.poses) == of_table(before.poses)  # NaN are equal
    assert after.sequences == before.sequences


@pytest.mark.parametrize("writer", LINE_WRITERS)
def test_the_list_of_frames_does_not_depend_on_who_wrote_it(own: Path, writer: str) -> None:
    before = read(own)
    path = own / "Results" / "frame_names.txt"
    path.write_bytes(LINE_WRITERS[writer](path.read_text()))
    after = read(own)
    assert after.rejects == []
    assert after.sequences == before.sequences


# ---- paths of other systems


@pytest.mark.parametrize("folder", ["clips\\", "C:\\clips\\", "../clips/", "/data/clips/"])
@pytest.mark.parametrize("kind", ["pose", "action"])
def test_a_path_of_another_system_keeps_its_record_and_is_reported(tmp_path: Path, folder: str, kind: str) -> None:
    name = README_RECORD["img_paths"] if kind == "pose" else "2.jpg"
    image = {"file_name": folder + name, "width": 920, "height": 680}
    record: dict[str, Any] = (
        README_RECORD | {"img_paths": folder + name} if kind == "pose" else ACTION_RECORD | {"image": image}
    )
    if kind == "pose":
        (tmp_path / "a.pkl").write_bytes(pickle.dumps([record]))
    else:
        (tmp_path / "a.json").write_bytes(msgspec.json.encode([record]))
    found = read(tmp_path)
    field = "img_paths" if kind == "pose" else "image.file_name"
    assert [(reject.locator, reject.action) for reject in found.rejects] == [(f"[0].{field}", "repaired")]
    assert found.poses is not None
    assert found.poses["image"].to_pylist() == [name]


def test_a_path_below_the_folder_is_no_fault(tmp_path: Path) -> None:
    path = "clips/17_2/" + README_RECORD["img_paths"]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([README_RECORD | {"img_paths": path}]))
    found = read(tmp_path)
    assert found.rejects == []
    assert found.poses is not None
    assert found.poses["image"].to_pylist() == [path]


# ---- splits


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("train_2.pkl", ["clips/train"]),
        ("prepare_train_merl.pkl", ["clips/train"]),
        ("test.pkl", ["clips/test"]),
        ("val/poses_of_the_test.pkl", ["clips/val"]),
        ("test_of_the_new_camera.pkl", []),
        ("trained_poses.pkl", []),
        ("merl4000_4300.pkl", []),
    ],
)
def test_a_split_is_a_folder_or_the_last_word_of_a_name(tmp_path: Path, name: str, splits: list[str]) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(pickle.dumps([README_RECORD]))
    assert read(tmp_path).sequences["splits"].to_pylist() == [splits]


# ---- where the files are


@pytest.mark.parametrize("place", ["a", "a/b", "a/b/c"])
def test_the_download_may_lie_up_to_three_folders_deep(own: Path, tmp_path: Path, place: str) -> None:
    before = read(own)
    shutil.copytree(own, tmp_path / "root" / place)
    after = read(tmp_path / "root")
    assert after.segments == before.segments
    assert after.sequences == before.sequences
    assert after.poses is not None
    assert before.poses is not None
    assert of_table(after.poses.drop(["origin"])) == of_table(before.poses.drop(["origin"]))


def test_clips_in_folders_are_told_by_their_content(own: Path) -> None:
    before = read(own)
    for name in (POSE_PICKLE, TRAIN_LIST, TEST_LIST):
        (own / "clips" / "all").mkdir(parents=True, exist_ok=True)
        (own / name).rename(own / "clips" / "all" / name)
    (own / "clips" / "package.json").write_text('{"name": "other"}')
    after = read(own)
    assert after.rejects == []
    assert after.sequences == before.sequences


def test_two_folders_of_labels_are_not_chosen_between(own: Path, tmp_path: Path) -> None:
    for place in ("a", "b"):
        shutil.copytree(own / LABELS, tmp_path / "root" / place / LABELS)
    with pytest.raises(HarBenchError, match="holds MERL Shopping 2 times, in a, b; give one of these folders"):
        MERL().discover(tmp_path / "root")
