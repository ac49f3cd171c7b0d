"""MERL Shopping: the official labels against their golden list; the sample; damaged files."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from har_bench.converters.merl import MERL
from har_bench.converters.merl.converter import LABELS, PUBLISHED_INSTANCES, SESSIONS
from har_bench.converters.merl.labels import CLASSES
from har_bench.converters.merl.sample import POSE_PICKLE, TRAIN_LIST, VIDEOS, write_labels
from har_bench.errors import HarBenchError
from har_bench.foreign.mat import load_mat
from har_bench.store import Store
from tests.golden import REAL, load
from tests.merl_data import cells_of, convert, read, tlabs

GOLDEN: dict[str, Any] = load("merl/golden/merl_labels.json")
MUTATIONS = int(os.environ.get("HAR_BENCH_FUZZ", "200"))


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return convert(REAL / "merl", tmp_path_factory.mktemp("merl") / "store")


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


def test_the_sample_is_the_same_for_the_same_seed(raw: Path, tmp_path: Path) -> None:
    MERL.sample(tmp_path, seed=1)
    files = [path.relative_to(raw) for path in raw.rglob("*") if path.is_file()]
    assert len(files) == len(VIDEOS) + 4
    assert all((tmp_path / path).read_bytes() == (raw / path).read_bytes() for path in files)


def test_missing_videos_are_named(raw: Path, tmp_path: Path) -> None:
    published = convert(raw, tmp_path / "store").manifest.published
    assert published[0].what.startswith("videos; missing: 1_3, 2_1, 2_2, 2_3, 3_1")
    assert (published[0].expected, published[0].found) == (sum(SESSIONS.values()), len(VIDEOS)) == (106, 6)
    assert sum(sum(counts) for counts in PUBLISHED_INSTANCES.values()) == 1711 + 1621 + 562 + 674 + 809


def test_the_folder_of_labels_alone_is_enough(raw: Path, tmp_path: Path) -> None:
    store = convert(raw / LABELS, tmp_path / "store")
    assert store.sequences["sequence"].to_pylist() == sorted(VIDEOS)
    assert "poses" not in store.manifest.rows


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=rf"holds no MERL Shopping .*; expected {LABELS}/\*_label\.mat"):
        MERL().discover(tmp_path)


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


GOOD, BAD = [5, 9], [7, 6]


@pytest.mark.parametrize(
    ("cells", "locator", "reason"),
    [
        (tlabs(c1=[GOOD, BAD]), "tlabs{2}(2, :)", "[7, 6] is no interval"),
        (tlabs(c1=[[0, 9]]), "tlabs{2}(1, :)", "[0, 9] is no interval"),
        (tlabs(c1=[[1.5, 9]]), "tlabs{2}(1, :)", "[1.5, 9] is no interval"),
        (tlabs(c1=[[1, np.nan]]), "tlabs{2}(1, :)", "[1, nan] is no interval"),
    ],
)
def test_a_broken_interval_is_a_reject(tmp_path: Path, cells: list[Any], locator: str, reason: str) -> None:
    write_labels(tmp_path / LABELS / "1_1_label.mat", cells)
    found = read(tmp_path)
    (reject,) = found.rejects
    assert (reject.source, reject.locator, reject.action) == (f"{LABELS}/1_1_label.mat", locator, "dropped")
    assert reason in reject.reason
    assert found.sequences["sequence"].to_pylist() == ["1_1"]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (tlabs()[:4], "tlabs is not a cell array of 5 classes"),
        (tlabs(c2=np.ones((3, 3))), "tlabs{3} is not a table of first and last frames"),
        (tlabs(c2="text"), "tlabs{3} is not a table"),
        ([np.array([BAD, BAD])] * 5, "none of its 10 intervals can be used; the video is left out"),
    ],
)
def test_a_video_whose_labels_cannot_be_read_is_dropped(tmp_path: Path, cells: list[Any], reason: str) -> None:
    write_labels(tmp_path / LABELS / "1_1_label.mat", cells)
    write_labels(tmp_path / LABELS / "1_2_label.mat", tlabs())
    found = read(tmp_path)
    assert {(reject.source, reject.action) for reject in found.rejects} == {(f"{LABELS}/1_1_label.mat", "dropped")}
    assert found.rejects[-1].locator == "1_1_label"
    assert reason in found.rejects[-1].reason
    assert found.sequences["sequence"].to_pylist() == ["1_2"]


FRAME = "33_1_crop/thumb-{:03d}_2.jpg 1"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([FRAME.format(4), FRAME.format(5)[:-1] + "7"], "not a frame and its class"),
        ([FRAME.format(4), FRAME.format(6)], "do not follow one another"),
    ],
)
def test_a_broken_list_of_frames_is_a_reject(raw: Path, tmp_path: Path, lines: list[str], reason: str) -> None:
    own = shutil.copytree(raw, tmp_path / "raw")
    (own / "Results" / "frame_names.txt").write_text("\n".join(lines))
    assert [reason in reject.reason for reject in read(own).rejects] == [True]


def test_a_header_blank_lines_and_an_odd_one_cost_a_list_of_frames_nothing_else(raw: Path, tmp_path: Path) -> None:
    own = shutil.copytree(raw, tmp_path / "raw")
    path = own / "Results" / "frame_names.txt"
    plain, frames = read(own), path.read_text().splitlines()
    path.write_text("\n".join(["frame class", "", *frames, " ", "odd"]))
    found = read(own)
    assert found.sequences == plain.sequences
    assert [reject.locator for reject in found.rejects] == [f"line {len(frames) + 4}"]


def test_a_list_of_frames_of_which_no_line_can_be_used_is_refused(raw: Path, tmp_path: Path) -> None:
    own = shutil.copytree(raw, tmp_path / "raw")
    (own / "Results" / "frame_names.txt").write_text("a 1\nb 2\n")
    with pytest.raises(HarBenchError, match=r"frame_names\.txt: none of its 2 lines .*\(the first, line 1: "):
        read(own)


@pytest.mark.parametrize("text", ["frame class\n", "\n\n", "frame\tclass\n \n"])
def test_a_list_without_frames_is_refused(text: str, raw: Path, tmp_path: Path) -> None:
    own = shutil.copytree(raw, tmp_path / "raw")
    (own / "Results" / "frame_names.txt").write_text(text)
    with pytest.raises(HarBenchError, match=r"frame_names\.txt lists no frame; download it again"):
        read(own)


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
