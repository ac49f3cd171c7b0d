"""MERL Shopping: the official labels against their golden list; clips' poses; the sample; damaged files."""

from __future__ import annotations

import io
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.converter import Tables
from har_bench.converters.merl import MERL
from har_bench.converters.merl.converter import LABELS, PUBLISHED_INSTANCES, SESSIONS
from har_bench.converters.merl.labels import CLASSES
from har_bench.converters.merl.sample import POSE_PICKLE, TEST_LIST, TRAIN_LIST, VIDEOS, intervals, write_labels
from har_bench.errors import HarBenchError
from har_bench.foreign.mat import load_mat
from har_bench.store import Store
from tests.golden import REAL, load

DATASET = "har_bench.converters.merl:MERL"
GOLDEN: dict[str, Any] = load("merl/golden/merl_labels.json")
MUTATIONS = int(os.environ.get("HAR_BENCH_FUZZ", "200"))

README_RECORD: dict[str, Any] = {
    "img_paths": "17_2_crop_1077_1108_RetractFromShelf-0004.jpg",
    "img_width": 920,
    "img_height": 680,
    "image_id": 1,
    "bbox": [602.7314290727887, 324.3657157897949, 218.69714235578266, 119.07430627005441],
    "num_keypoints": 24,
    "keypoints": [
        *([0.0, 0.0, 2], [747.5, 366.0285714285714, 1], [0.0, 0.0, 2], [741.4201450892857, 385.51311383928567, 1]),
        *([0.0, 0.0, 2], [704.9828591482981, 418.7314265659877, 1], [782.9857142857143, 393.3, 0]),
        *([632.4342917306083, 353.47713884626114, 1], [0.0, 0.0, 2], [690.2628631591797, 350.8485674176897, 1]),
        *([764.5200060163226, 340.00571027483255, 1], [0.0, 0.0, 2], [0.0, 0.0, 2], [0.0, 0.0, 2], [0.0, 0.0, 2]),
        *([615.348577444894, 386.66285313197545, 1], [0.0, 0.0, 2]),
    ],
}
"""The one published record of a pose pickle, in the README of its loader."""

ACTION_RECORD: dict[str, Any] = {
    "action": "LookatShelf",
    "keypoints": [],
    "id": "LookatShelf_33_1_crop_3243_3374_InspectProduct",
    "image": {"url": "clips/2.jpg", "file_name": "2.jpg", "width": 920, "height": 680},
    "person_bbox": [100.0, 200.0, 300.5, 400.0],
}


def read(folder: Path) -> Tables:
    (shard,) = MERL().discover(folder)
    return MERL().read(shard)


def convert(raw: Path, out: Path) -> Store:
    return har_bench.convert(DATASET, raw, out, jobs=1, strict=True, quiet=True)


def cells_of(store: Store, video: str) -> list[list[list[int]]]:
    """A video's intervals as its label file has them: per class, 1-based and inclusive, in the order of the rows."""
    rows = [row for row in store.table("segments").to_pylist() if row["sequence"] == video]
    rows.sort(key=lambda row: (row["class_id"], row["row"]))
    assert all(row["label"] == CLASSES[row["class_id"] - 1] for row in rows)
    return [[[row["start"] + 1, row["stop"]] for row in rows if row["class_id"] == each] for each in range(1, 6)]


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return convert(REAL / "merl", tmp_path_factory.mktemp("merl") / "store")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("merl") / "raw"
    MERL.sample(out, seed=1)
    return out


# ---- the official files


@pytest.mark.real
def test_the_official_files_have_every_published_count_and_no_reject(official: Store) -> None:
    assert official.manifest.rejects == 0
    assert [check.what for check in official.manifest.published if check.expected != check.found] == []
    assert official.manifest.splits == {"standard/train": 60, "standard/val": 18, "standard/test": 28}
    official.validate()


@pytest.mark.real
def test_the_classes_are_spelled_as_in_the_golden_file() -> None:
    assert list(CLASSES) == GOLDEN["classes"]


@pytest.mark.real
@pytest.mark.parametrize("video", GOLDEN.get("labels", {}))
def test_the_intervals_of_every_video(official: Store, video: str) -> None:
    assert cells_of(official, video) == GOLDEN["labels"][video]


@pytest.mark.real
def test_the_rows_of_the_released_results_are_kept(official: Store) -> None:
    """99.96 % of the labels in the list agree with the label files; the store keeps both."""
    lines = (REAL / "merl" / "Results" / "frame_names.txt").read_text().splitlines()
    found: dict[int, str] = {}
    agreeing = 0
    for row in official.sequences.to_pylist():
        labels = row["results_labels"] or []
        thumbs = np.arange(len(labels)) + (row["results_thumb"] or 0)
        for index, (thumb, label) in enumerate(zip(thumbs, labels, strict=True)):
            found[row["results_row"] + index] = f"{row['sequence']}_crop/thumb-{thumb:03d}_2.jpg {label}"
        if not labels:
            continue
        classes = np.zeros((6, 2 * int(thumbs[-1])), bool)
        for number, cell in enumerate(cells_of(official, row["sequence"])):
            for first, last in cell:
                classes[number, first - 1 : last] = True
        classes[5] = ~classes[:5].any(axis=0)
        shown = classes[labels, 2 * thumbs - 2] | classes[labels, 2 * thumbs - 1]
        agreeing += int(shown.sum())
    assert [found[number] for number in sorted(found)] == lines
    assert sorted(found) == list(range(1, len(lines) + 1))
    assert agreeing / len(lines) > 0.9995


@pytest.mark.real
def test_the_files_named_in_the_reference_have_no_instance_of_a_class(official: Store) -> None:
    empty = {
        (video, number)
        for video in official.sequences["sequence"].to_pylist()
        for number, cell in enumerate(cells_of(official, video), start=1)
        if not cell
    }
    assert empty == {("5_3", 3), ("6_2", 3), ("11_3", 4), ("19_3", 4), ("36_1", 4), ("38_1", 4), ("40_1", 4)}


# ---- the sample


def test_the_sample_converts(raw: Path, tmp_path: Path) -> None:
    store = convert(raw, tmp_path / "store")
    rows = {row["sequence"]: row for row in store.sequences.to_pylist()}
    assert [name for name, row in rows.items() if row["video"] is None] == sorted(VIDEOS)
    for video in VIDEOS:
        tlabs = load_mat(raw / LABELS / f"{video}_label.mat")["tlabs"]
        assert cells_of(store, video) == [cell.tolist() for cell in tlabs.ravel()]
    assert {video: rows[video]["splits"] for video in ("5_3", "21_1", "33_1")} == {
        "5_3": ["standard/train"],
        "21_1": ["standard/val"],
        "33_1": ["standard/test"],
    }
    assert rows["33_1"]["media"] == "Videos_MERL_Shopping_Dataset/33_1_crop.mp4"
    assert (rows["33_1"]["results_row"], rows["33_1"]["results_thumb"]) == (1, 4)
    assert set(rows["33_1"]["results_labels"]) == set(range(6))
    clips = {row["action"]: row for row in rows.values() if row["video"]}
    assert {name: (row["video"], row["subject"], row["splits"]) for name, row in clips.items()} == {
        "RetractFromShelf": ("17_2", "17", ["clips/train"]),
        "LookatShelf": ("33_1", "33", ["clips/train"]),
        "GlanceAtShelf": ("33_1", "33", ["clips/test"]),
    }
    store.validate()


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


def test_the_sample_is_the_same_for_the_same_seed(raw: Path, tmp_path: Path) -> None:
    MERL.sample(tmp_path, seed=1)
    files = [path.relative_to(raw) for path in raw.rglob("*") if path.is_file()]
    assert len(files) == len(VIDEOS) + 4
    assert all((tmp_path / path).read_bytes() == (raw / path).read_bytes() for path in files)


def test_missing_videos_are_named(raw: Path, tmp_path: Path) -> None:
    published = convert(raw, tmp_path / "store").manifest.published
    assert published[0].what.startswith("videos (missing: 1_3, 2_1, 2_2, 2_3, 3_1")
    assert (published[0].expected, published[0].found) == (sum(SESSIONS.values()), len(VIDEOS)) == (106, 6)
    assert sum(sum(counts) for counts in PUBLISHED_INSTANCES.values()) == 1711 + 1621 + 562 + 674 + 809


def test_the_folder_of_labels_alone_is_enough(raw: Path, tmp_path: Path) -> None:
    store = convert(raw / LABELS, tmp_path / "store")
    assert store.sequences["sequence"].to_pylist() == sorted(VIDEOS)
    assert "poses" not in store.manifest.rows


def test_clips_alone_are_enough(raw: Path, tmp_path: Path) -> None:
    shutil.copy(raw / TRAIN_LIST, tmp_path)
    store = convert(tmp_path, tmp_path / "store")
    assert store.sequences.num_rows == 1
    assert "segments" not in store.manifest.rows
    assert store.manifest.published[0].found == 0


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=rf"is not MERL Shopping; expected there {LABELS}/\*_label\.mat"):
        MERL().discover(tmp_path)


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


@st.composite
def videos(draw: st.DrawFn) -> dict[str, list[np.ndarray]]:
    """Label files of any subjects: classes of any number of intervals, in any order."""
    names = draw(st.lists(st.tuples(st.integers(1, 41), st.integers(1, 3)), min_size=1, max_size=4, unique=True))
    frame = st.integers(1, 5000)
    interval = st.tuples(frame, frame).map(sorted)
    cell = st.lists(interval, max_size=5)
    return {
        f"{subject}_{session}": [
            np.array(rows, np.uint16) if rows else np.zeros((0, 0), np.uint8) for rows in draw(st.tuples(*[cell] * 5))
        ]
        for subject, session in names
    }


@settings(max_examples=30)
@given(written=videos())
def test_intervals_come_back_from_the_store(
    tmp_path_factory: pytest.TempPathFactory, written: dict[str, list[np.ndarray]]
) -> None:
    folder = tmp_path_factory.mktemp("merl")
    for video, cells in written.items():
        write_labels(folder / LABELS / f"{video}_label.mat", cells)
    store = convert(folder, folder / "store")
    for video, cells in written.items():
        assert cells_of(store, video) == [cell.tolist() for cell in cells]


@settings(max_examples=5)
@given(seed=st.integers(0, 1 << 32))
def test_every_seed_makes_a_sample_without_rejects(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("merl")
    MERL.sample(folder, seed=seed)
    found = read(folder)
    assert found.rejects == []
    assert found.poses is not None
    assert found.poses.num_rows == 6 + 4 + 2


# ---- broken records


def tlabs(**changes: Any) -> list[Any]:
    cells = list(intervals(np.random.default_rng(0)))
    for name, cell in changes.items():
        cells[int(name[1:])] = cell
    return cells


@pytest.mark.parametrize(
    ("cells", "locator", "reason"),
    [
        (tlabs()[:4], "1_1_label", "tlabs is not a cell array of 5 classes"),
        (tlabs(c2=np.ones((3, 3))), "1_1_label", "tlabs{3} is not a table of first and last frames"),
        (tlabs(c2="text"), "1_1_label", "tlabs{3} is not a table"),
        (tlabs(c1=[[5, 9], [7, 6]]), "tlabs{2}(2, :)", "[7, 6] is no interval"),
        (tlabs(c1=[[0, 9]]), "tlabs{2}(1, :)", "[0, 9] is no interval"),
        (tlabs(c1=[[1.5, 9]]), "tlabs{2}(1, :)", "[1.5, 9] is no interval"),
        (tlabs(c1=[[1, np.nan]]), "tlabs{2}(1, :)", "[1, nan] is no interval"),
    ],
)
def test_a_broken_interval_is_a_reject(tmp_path: Path, cells: list[Any], locator: str, reason: str) -> None:
    write_labels(tmp_path / LABELS / "1_1_label.mat", cells)
    write_labels(tmp_path / LABELS / "1_2_label.mat", tlabs())
    found = read(tmp_path)
    (reject,) = found.rejects
    assert (reject.source, reject.locator, reject.action) == (f"{LABELS}/1_1_label.mat", locator, "dropped")
    assert reason in reject.reason
    assert "1_2" in found.sequences["sequence"].to_pylist()


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["33_1_crop/thumb-004_2.jpg 7"], "not a frame and its class"),
        (["33_1_crop/thumb-004_2.jpg 1", "33_1_crop/thumb-006_2.jpg 1"], "do not follow one another"),
    ],
)
def test_a_broken_list_of_frames_is_a_reject(raw: Path, tmp_path: Path, lines: list[str], reason: str) -> None:
    own = shutil.copytree(raw, tmp_path / "raw")
    (own / "Results" / "frame_names.txt").write_text("\n".join(lines))
    found = read(own)
    assert [reason in reject.reason for reject in found.rejects] == [True]
    assert found.sequences["results_row"].null_count == found.sequences.num_rows


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"img_paths": "0004.jpg"}, "does not name an image of a clip"),
        ({"img_paths": "17_2_crop_9_8_Retract-1.jpg"}, "has no frames from 9 to 8"),
        ({"img_paths": "17_2_crop_1_8_Retract-0000.jpg"}, "count from 1"),
        ({"bbox": [1, 2, 3]}, "$.bbox"),
        ({"bbox": [1, 2, 3, np.nan]}, "$.bbox"),
        ({"keypoints": [[1, 2, 1]]}, "keypoints are not 17"),
        ({"keypoints": [[1, 2, 0.5]] * 17}, "keypoints are not 17"),
        ({"img_width": {1, 2}}, "$.img_width"),
        ({"image_id": 1 << 70}, "image_id"),
    ],
)
def test_a_broken_pose_record_is_a_reject(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    (tmp_path / "poses.pkl").write_bytes(pickle.dumps([README_RECORD | change, README_RECORD]))
    found = read(tmp_path)
    (reject,) = found.rejects
    assert (reject.source, reject.locator, reject.action) == ("poses.pkl", "[0]", "dropped")
    assert reason in reject.reason
    assert found.poses is not None
    assert found.poses["record"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "33_1"}, "is not the name of a clip"),
        ({"action": "GlanceAtShelf"}, "is not that of its id"),
        ({"image": ACTION_RECORD["image"] | {"file_name": "front.jpg"}}, "is not the number of a frame"),
        ({"person_bbox": [1, 2]}, "$[0]"),
        ({"person_bbox": "none"}, "$.person_bbox"),
        ({"person_bbox": [1, 2, 3, 1e300]}, "$[0]"),
    ],
)
def test_a_broken_action_record_is_a_reject(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    (tmp_path / "a.json").write_bytes(msgspec.json.encode([ACTION_RECORD | change, ACTION_RECORD]))
    found = read(tmp_path)
    (reject,) = found.rejects
    assert (reject.source, reject.locator, reject.action) == ("a.json", "[0]", "dropped")
    assert reason in reject.reason


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
        ("poses.pkl", b"", "poses.pkl is empty; was it"),
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


def test_a_pickle_with_a_record_that_holds_itself_is_a_reject(tmp_path: Path) -> None:
    record: dict[str, Any] = dict(README_RECORD)
    record["segmentations"] = [record]
    (tmp_path / "poses.pkl").write_bytes(pickle.dumps([record]))
    assert [(reject.locator, "holds itself" in reject.reason) for reject in read(tmp_path).rejects] == [("poses", True)]


# ---- mutated files


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    found = bytearray(data)
    for place in random.integers(0, len(found), random.integers(1, 6)):
        found[place] = random.integers(256)
    return bytes(found[: random.integers(len(found))]) if random.random() < 0.1 else bytes(found)


@pytest.mark.parametrize("name", [f"{LABELS}/1_1_label.mat", "Results/frame_names.txt", POSE_PICKLE, TRAIN_LIST])
def test_mutated_files_raise_nothing_but_our_error(raw: Path, tmp_path: Path, name: str) -> None:
    random = np.random.default_rng(0)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    honest = [(raw / name).read_bytes()]
    if path.suffix == ".mat":  # in a packed file hardly any damage reaches the intervals
        plain = io.BytesIO()
        scipy.io.savemat(plain, load_mat(raw / name))
        honest.append(plain.getvalue())
    write_labels(tmp_path / LABELS / "33_1_label.mat", tlabs())
    for number in range(MUTATIONS):
        path.write_bytes(damaged(honest[number % len(honest)], random))
        try:
            found = read(tmp_path)
        except HarBenchError:
            continue
        assert found.sequences.num_rows
