"""MERL Shopping: poses and boxes of clips, published records, and broken ones."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from har_bench.converters.merl.sample import POSE_PICKLE, TEST_LIST, TRAIN_LIST, VIDEOS
from har_bench.errors import HarBenchError
from tests.merl_data import ACTION_RECORD, README_RECORD, convert, read


def test_poses_of_a_pickle_come_back(raw: Path, tmp_path: Path) -> None:
    store = convert(raw, tmp_path / "store")
    records = pickle.loads((raw / POSE_PICKLE).read_bytes())
    view = store.sequence(records[0]["img_paths"].split("-")[0])
    keypoints = np.array([record["keypoints"] for record in records])
    points, flags = keypoints[..., :2], keypoints[..., 2]
    assert view.frame.tolist() == [number - 1 for number in range(1, 7)]
    assert (view.flags == flags).all()
    assert (view.visibility == np.array([1, 2, 0])[flags.astype(int)]).all()
    assert (view.keypoints[flags != 2] == points[flags != 2]).all()
    assert np.isnan(view.keypoints[flags == 2]).all()
    np.testing.assert_array_equal(view.bbox, np.float32([record["bbox"] for record in records]))
    np.testing.assert_array_equal(view.objpos, [record["objpos"] for record in records])
    for column, key in (("area", "segment_area"), ("scale", "scale_provided"), ("image", "img_paths")):
        assert view.poses[column].to_pylist() == [record[key] for record in records]


def test_boxes_of_action_lists_come_back(raw: Path, tmp_path: Path) -> None:
    """One box, none, several, and shares of the image: every revision of the files."""
    poses = convert(raw, tmp_path / "store").poses().to_pylist()
    found = {
        file: [(row["frame"], row["person"], row["bbox"]) for row in poses if row["origin"] == file]
        for file in (TRAIN_LIST, TEST_LIST)
    }
    box = [200, 100, 300.5, 540]
    assert found[TRAIN_LIST] == [(0, 0, box), (1, 0, None), (2, 0, box), (2, 1, [10, 20, 50, 70])]
    assert found[TEST_LIST] == [(0, 0, pytest.approx(box)), (1, 0, box)]
    assert {tuple(row["visibility"]) for row in poses if row["origin"] == TRAIN_LIST} == {(0,) * 17}


def test_clips_alone_are_enough(raw: Path, tmp_path: Path) -> None:
    shutil.copy(raw / TRAIN_LIST, tmp_path)
    store = convert(tmp_path, tmp_path / "store")
    assert store.sequences.num_rows == 1
    assert "segments" not in store.manifest.rows
    assert store.manifest.published[0].found == 0


# ---- published records


def test_the_published_record_of_a_pose_pickle(tmp_path: Path) -> None:
    numpy = README_RECORD | {"bbox": np.array(README_RECORD["bbox"]), "image_id": np.int64(1)}
    (tmp_path / "some.pkl").write_bytes(pickle.dumps([README_RECORD, numpy]))
    store = convert(tmp_path, tmp_path / "store")
    view = store.sequence("17_2_crop_1077_1108_RetractFromShelf")
    expected = {
        "action": "RetractFromShelf",
        "subject": "17",
        "session": 2,
        "video": "17_2",
        "start": 1076,
        "stop": 1108,
    }
    assert {name: view.info[name] for name in (*expected, "n_frames")} == expected | {"n_frames": 32}
    assert view.info["splits"] == []
    assert (view.frame.tolist(), view.person.tolist()) == ([3, 3], [0, 1])
    assert [np.bincount(row, minlength=3).tolist() for row in view.visibility] == [[9, 1, 7]] * 2
    assert view.keypoints[0, 6].tolist() == [782.9857142857143, 393.3]
    assert view.visibility[0, 6] == 1
    assert view.num_keypoints.tolist() == [24, 24]


DROPPED = [
    ({"img_paths": "0004.jpg"}, "does not name an image of a clip"),
    ({"img_paths": "17_2_crop_9_8_Retract-1.jpg"}, "has no frames from 9 to 8"),
    ({"img_paths": "17_2_crop_1_8_Retract-0000.jpg"}, "count from 1"),
    ({"img_paths": 7}, "its img_paths cannot be read"),
    ({"keypoints": [[1, 2, 1]]}, "keypoints are not 17"),
    ({"keypoints": [[1, 2, 0.5]] * 17}, "keypoints are not 17"),
    ({"keypoints": "none"}, "its keypoints cannot be read"),
]


@pytest.mark.parametrize(("change", "reason"), DROPPED)
def test_a_pose_record_without_image_or_joints_is_dropped(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    (tmp_path / "poses.pkl").write_bytes(pickle.dumps([README_RECORD | change, README_RECORD]))
    found = read(tmp_path)
    (reject,) = found.rejects
    assert (reject.source, reject.locator, reject.action) == ("poses.pkl", "[0]", "dropped")
    assert reason in reject.reason
    assert found.poses is not None
    assert found.poses["record"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("name", "value", "column"),
    [
        ("bbox", [1, 2, 3], "bbox"),
        ("bbox", [1, 2, 3, np.nan], "bbox"),
        ("bbox", "none", "bbox"),
        ("image_id", 1 << 70, "image_id"),
        ("image_id", "seven", "image_id"),
        ("num_keypoints", True, "num_keypoints"),
        ("objpos", [1], "objpos"),
        ("segment_area", "large", "area"),
        ("scale_provided", [], "scale"),
    ],
)
def test_any_other_field_is_null_and_reported(tmp_path: Path, name: str, value: Any, column: str) -> None:
    (tmp_path / "poses.pkl").write_bytes(pickle.dumps([README_RECORD | {name: value}, README_RECORD]))
    found = read(tmp_path)
    (reject,) = found.rejects
    assert (reject.source, reject.locator, reject.action) == ("poses.pkl", f"[0].{name}", "repaired")
    assert found.poses is not None
    assert found.poses["record"].to_pylist() == [0, 1]
    assert found.poses[column].to_pylist()[0] is None


@pytest.mark.parametrize("value", [{1, 2}, "wide", -3, None])
def test_the_size_of_an_image_is_that_of_another_of_its_clip_or_null(tmp_path: Path, value: Any) -> None:
    odd = README_RECORD | {"img_width": list(value) if isinstance(value, set) else value}
    for records, width in (([odd, README_RECORD], 920), ([odd], None)):
        (tmp_path / "poses.pkl").write_bytes(pickle.dumps(records))
        found = read(tmp_path)
        assert [reject.locator for reject in found.rejects] == ["[0].img_width"] * (value is not None)
        assert found.sequences["width"].to_pylist() == [width]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "33_1"}, "is not the name of a clip"),
        ({"id": None}, "its id cannot be read"),
        ({"action": "GlanceAtShelf"}, "is not that of its id"),
        ({"image": ACTION_RECORD["image"] | {"file_name": "front.jpg"}}, "is not the number of a frame"),
        ({"person_bbox": [1, 2]}, "$[0]"),
        ({"person_bbox": "none"}, "its person_bbox cannot be read"),
        ({"person_bbox": [1, 2, 3, 1e300]}, "$[0]"),
        (
            {"person_bbox": [0.1, 0.2, 0.3, 0.4], "image": {"file_name": "2.jpg", "width": 0, "height": 680}},
            "shares of",
        ),
    ],
)
def test_an_action_record_without_clip_frame_or_box_is_dropped(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    (tmp_path / "a.json").write_bytes(msgspec.json.encode([ACTION_RECORD | change, ACTION_RECORD]))
    found = read(tmp_path)
    (reject,) = found.rejects
    assert (reject.source, reject.locator, reject.action) == ("a.json", "[0]", "dropped")
    assert reason in reject.reason


@pytest.mark.parametrize(
    ("change", "locator"),
    [
        ({"keypoints": "none"}, "[0].keypoints"),
        ({"image": ACTION_RECORD["image"] | {"width": "wide"}}, "[0].image.width"),
        ({"image": ACTION_RECORD["image"] | {"url": 5}}, "[0].image.url"),
    ],
)
def test_any_other_field_of_an_action_record_is_null_and_reported(
    tmp_path: Path, change: dict[str, Any], locator: str
) -> None:
    (tmp_path / "a.json").write_bytes(msgspec.json.encode([ACTION_RECORD | change, ACTION_RECORD]))
    found = read(tmp_path)
    assert [(reject.locator, reject.action) for reject in found.rejects] == [(locator, "repaired")]
    assert found.poses is not None
    assert found.poses.num_rows == 2


def test_an_image_after_the_end_of_its_clip_makes_the_clip_longer(tmp_path: Path) -> None:
    late = ACTION_RECORD | {"image": ACTION_RECORD["image"] | {"file_name": "133.jpg"}}
    (tmp_path / "a.json").write_bytes(msgspec.json.encode([ACTION_RECORD, late]))
    found = read(tmp_path)
    assert [(reject.action, reject.reason) for reject in found.rejects] == [
        ("repaired", "image 133 of a clip of 132 frames; the clip is stored with 133")
    ]
    assert found.sequences["n_frames"].to_pylist() == [133]


class Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("poses.pkl", pickle.dumps(Command()), "which is not data"),
        ("poses.pkl", pickle.dumps({"a": 1}), "poses.pkl holds a dict and not a list of pose records"),
        ("poses.pkl", b"", "poses.pkl is empty"),
        ("actions.json", b'{"a": 1}', "actions.json is not a json list of action records"),
        ("actions.json", b"\xff", "actions.json is not a json list"),
    ],
)
def test_another_file_costs_nothing_else(raw: Path, tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    own = shutil.copytree(raw, tmp_path / "raw")
    (own / name).write_bytes(content)
    found = read(own)
    assert [(reject.source, reject.action, reason in reject.reason) for reject in found.rejects] == [
        (name, "dropped", True)
    ]
    assert found.sequences.num_rows == len(VIDEOS) + 3


def test_a_record_that_holds_itself_is_a_reject(tmp_path: Path) -> None:
    record: dict[str, Any] = dict(README_RECORD)
    record["segmentations"] = [record]
    (tmp_path / "poses.pkl").write_bytes(pickle.dumps([record, README_RECORD]))
    assert [("holds itself" in reject.reason) for reject in read(tmp_path).rejects] == [True]


@pytest.mark.parametrize(
    ("name", "content", "first"),
    [
        ("poses.pkl", pickle.dumps([README_RECORD | {"img_paths": "x"}] * 3), "[0]: img_paths 'x'"),
        ("poses.pkl", pickle.dumps([1, 2, 3]), "[0]: "),
        ("actions.json", msgspec.json.encode([ACTION_RECORD | {"id": "x"}] * 3), "[0]: 'x' is not the name of a clip"),
    ],
)
def test_a_file_of_which_no_record_can_be_used_is_refused(
    raw: Path, tmp_path: Path, name: str, content: bytes, first: str
) -> None:
    own = shutil.copytree(raw, tmp_path / "raw")
    (own / name).write_bytes(content)
    with pytest.raises(HarBenchError, match=f"{name}: none of its 3 records of clips can be used") as caught:
        read(own)
    assert first in str(caught.value)
