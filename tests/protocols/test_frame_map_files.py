"""Frame-mAP of files and stores: csv, our columns, splits, and what does not fit."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import har_bench
from har_bench.errors import HarBenchError
from har_bench.protocols.frame_map.actions import ACTIONS, GROUPS
from har_bench.protocols.frame_map.files import read_detections
from har_bench.protocols.frame_map.protocol import FrameMAP
from har_bench.store import Store
from tests.frame_map_cases import (
    CLASSES,
    found_batch,
    store_of,
    toy,
    truth_batch,
    written,
)
from tests.sampled import Samples

ROWS = ["v,0902,0.1,0.1,0.5,0.5,1,0"]
FOUND = ["v,0902,0.1,0.1,0.5,0.5,1,0.5", "v,902.0,0.6,0.6,0.9,0.9,12,1e-3"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return store_of(tmp_path_factory.mktemp("ava"), ROWS)


@pytest.mark.parametrize("zipped", [False, True])
def test_csv(zipped: bool, tmp_path: Path, store: Store) -> None:
    path = written(tmp_path / "found.csv", FOUND)
    if zipped:
        path = tmp_path / "found.csv.gz"
        path.write_bytes(gzip.compress("\n".join(FOUND).encode()))
    foreign = read_detections(path)
    assert foreign is not None
    assert foreign.values.to_pylist() == [
        {"sequence": "v", "timestamp": 902, "label": 1, "score": 0.5, "bbox_normalised": [0.1, 0.1, 0.5, 0.5]},
        {"sequence": "v", "timestamp": 902, "label": 12, "score": 0.001, "bbox_normalised": [0.6, 0.6, 0.9, 0.9]},
    ]
    result = har_bench.score(FrameMAP(), store, path)
    assert result["mAP@0.5"] == 100
    assert result.environment["predictions"] == "AVA detections (video, second, box, action, score)"


def test_a_header_of_eight_names_is_passed_over(tmp_path: Path) -> None:
    header = "video_id,timestamp,x1,y1,x2,y2,action_id,score"
    with_header, without = (
        read_detections(written(tmp_path / "found.csv", rows)) for rows in ([header, *FOUND], FOUND)
    )
    assert with_header is not None
    assert without is not None
    assert with_header.values.to_pylist() == without.values.to_pylist()


@pytest.mark.parametrize("form", ["utf-16", "quoted", "tabs", "decimal commas", "packed"])
def test_what_a_spreadsheet_makes_of_a_csv_is_no_content(form: str, tmp_path: Path) -> None:
    header = "\ufeffvideo id,timestamp,x1,y1,x2,y2,action id,score"
    text = "\r\n".join([header, *(row.replace(",12,", ",12.0,") for row in FOUND)])
    path = tmp_path / "found.csv"
    if form == "quoted":
        text = "\n".join(",".join(f'"{cell}"' for cell in row.split(",")) for row in FOUND)
    elif form == "tabs":
        text = text.replace(",", "\t")
    elif form == "decimal commas":
        text = text.replace(",", ";").replace(".", ",")
    content = text.encode("utf-16" if form == "utf-16" else "utf-8")
    path.write_bytes(gzip.compress(content) if form == "packed" else content)
    given, plain = read_detections(path), read_detections(written(tmp_path / "plain.csv", FOUND))
    assert given is not None
    assert plain is not None
    assert given.values.to_pylist() == plain.values.to_pylist()


def test_other_files_are_not_taken_for_detections(tmp_path: Path) -> None:
    assert read_detections(written(tmp_path / "ours.csv", ["sequence,timestamp,label,score", "v,902,1,0.5"])) is None
    assert read_detections(tmp_path) is None
    for content in (b"\x1f\x8b\x08" + bytes(range(200)), b""):
        (tmp_path / "noise.csv.gz").write_bytes(content)
        assert read_detections(tmp_path / "noise.csv.gz") is None


@pytest.mark.parametrize("row", ["v,0902,0.1,0.1,0.5,0.5,1", "v,0902,0.1,0.1,0.5,0.5,1,7,0.5"])
def test_rows_of_other_columns_are_told_which_there_have_to_be(row: str, tmp_path: Path) -> None:
    path = written(tmp_path / "truth.csv", [row])
    with pytest.raises(HarBenchError, match=r"truth.csv has [79] columns a row, where .* 8 columns .*; write these"):
        read_detections(path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v,0902,0.1,0.1,0.5,0.5,1", "; write it again"),
        ("v,0902,0.1,x,0.5,0.5,1,0.5", "has 'x' as y1; give a number"),
        ("v,0902,0.1,0.1,0.5,0.5,stand,1", "has 'stand' as action; give a number"),
    ],
)
def test_a_broken_row_is_named(row: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "found.csv", [*FOUND, row])
    with pytest.raises(HarBenchError, match=rf"found.csv begins as AVA detections .*{message}"):
        read_detections(path)


def table(**columns: Any) -> dict[str, Any]:
    return {"sequence": ["v"], "bbox_normalised": [[0.1, 0.1, 0.5, 0.5]], "label": [1], "score": [0.5]} | columns


@pytest.mark.parametrize(
    ("columns", "recipe", "message"),
    [
        (table(), "official", r"needs a column timestamp \[s\] or frame"),
        (table(timestamp=[902.5]), "slowfast", r"the predictions have a keyframe at 902.5 s"),
        (table(timestamp=[902.5]), "mmaction2", r"the predictions have a keyframe at 902.5 s"),
        (table(timestamp=[902.0], label=["walk"]), "official", "numbers of AVA's actions"),
        (table(timestamp=[902.0], label=[1.5]), "official", "numbers of AVA's actions"),
        (table(timestamp=[902.0], bbox_normalised=[[0.1, 0.1]]), "official", r"has shape \(1, 2\)"),
        (table(timestamp=[902.0], score=[np.nan]), "official", "non-finite"),
    ],
)
def test_predictions_that_do_not_fit(columns: Any, recipe: str, message: str, store: Store) -> None:
    with pytest.raises(HarBenchError, match=message):
        har_bench.score(FrameMAP(recipe), store, columns, resamples=0)


def test_our_columns(store: Store) -> None:
    for columns in (table(timestamp=[902.0]), table(frame=[60]), table(timestamp=[902.0], label=[1.0])):
        assert har_bench.score(FrameMAP(), store, columns, resamples=0)["mAP@0.5"] == 100
    for columns in (
        table(frame=[61]),
        table(timestamp=[902.5]),
        table(timestamp=[-1.0]),
        table(frame=[60], label=[99]),
    ):
        assert har_bench.score(FrameMAP(), store, columns, resamples=0)["mAP@0.5"] == 0


def test_a_detection_without_a_number_can_count_as_none(store: Store) -> None:
    box = [0.1, 0.1, 0.5, 0.5]
    columns = table(sequence=["v"] * 4, timestamp=[902.0, 902, 902, np.nan], label=[1] * 4)
    columns |= {"bbox_normalised": [box, [np.nan, *box[1:]], box, box], "score": [0.5, 0.9, np.nan, 0.9]}
    result = har_bench.score(FrameMAP(), store, columns, resamples=0, missing="count-as-error")
    assert (result["mAP@0.5"], result.counts["detections"]) == (100, 1)


def test_a_store_with_other_evaluated_actions(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match="disagree on whether action 1 is evaluated"):
        har_bench.score(FrameMAP(), store_of(tmp_path, ROWS, (3,)), table(timestamp=[902.0]))


@pytest.fixture(scope="module")
def sample(samples: Samples) -> Store:
    """Films and Kinetics clips, in train and val."""
    return samples("ava")


def perfect(store: Store, split: str) -> pa.Table:
    """The truth of a split as predictions."""
    rows = store.table("segments", ["sequence", "split", "timestamp", "bbox_normalised", "action"])
    rows = rows.filter(pa.array([name == split for name in rows["split"].to_pylist()])).drop_columns(["split"])
    return rows.rename_columns({"action": "label"}).append_column("score", pa.array(np.linspace(1, 0.5, rows.num_rows)))


@pytest.mark.parametrize(
    ("split", "videos", "given"),
    [("val", 2, "v2.2/val"), ("v2.2/train", 3, "v2.2/train"), ("kinetics-v1.0/val", 2, "kinetics-v1.0/val")],
)
def test_splits(split: str, videos: int, given: str, sample: Store) -> None:
    result = har_bench.score(FrameMAP(options={"split": split}), sample, perfect(sample, given))
    assert result.counts["videos"] == videos
    assert result["mAP@0.5"] == 100
    assert result.intervals["mAP@0.5"].high == 100


def test_splits_together_and_unknown(sample: Store) -> None:
    both = pa.concat_tables([perfect(sample, "v2.2/val"), perfect(sample, "kinetics-v1.0/val")])
    result = har_bench.score(FrameMAP(options={"split": "val+kinetics-v1.0/val"}), sample, both, resamples=0)
    assert (result.counts["videos"], result["mAP@0.5"]) == (4, 100)
    with pytest.raises(HarBenchError, match=r"split=v1.0/test has nothing to score.* kinetics-v1.0/train, "):
        har_bench.score(FrameMAP(options={"split": "v1.0/test"}), sample, both)
    clips = table(sequence=both["sequence"].to_pylist()[-1:], frame=[60])
    with pytest.raises(HarBenchError, match="have no known times; give the column timestamp"):
        har_bench.score(FrameMAP(options={"split": "kinetics-v1.0/val"}), sample, clips)
    with pytest.raises(HarBenchError, match="the store has a keyframe at"):
        har_bench.score(FrameMAP("slowfast", {"split": "kinetics-v1.0/val"}), sample, both)


def test_a_true_box_that_is_inverted_stops_the_protocol_as_it_stops_the_tool() -> None:
    truth = [("a", 902, (0.5, 0.5, 0.1, 0.1), 1, 0)]
    with pytest.raises(HarBenchError, match="a at 902 s has a true box with x1 > x2"):
        toy(CLASSES)("official").update(truth_batch(["a"], truth), found_batch(["a"], []))


def test_groups_hold_every_action() -> None:
    assert sorted(number for numbers in GROUPS.values() for number in numbers) == list(range(1, 81))
    assert [sum(id_ in numbers for id_ in ACTIONS) for numbers in GROUPS.values()] == [13, 32, 15]
