"""MERL's AP by midpoint: areas and matching by hand, and the digits of the released results."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.errors import HarBenchError
from har_bench.foreign.mat import load_mat
from har_bench.protocol import Batch
from har_bench.protocols.temporal.intervals import (
    average_precision,
    holds_midpoint,
    match,
    match_by_truth,
    runs,
    temporal_iou,
)
from har_bench.protocols.temporal.merl_files import CLASSES, read_detections
from har_bench.protocols.temporal.midpoint import RECIPES, MidpointAP
from har_bench.store import Store
from tests.batches import SEEDS, no_order_shows, shared_out
from tests.golden import REAL, load
from tests.temporal_batches import batch, merl_videos

MERL = REAL / "merl"
VIDEOS = 8
GOLDEN: dict[str, Any] = load("merl/golden/merl_ap_golden.json")

# ---------------------------------------------------------------------------------------------- pure functions


def test_overlap_of_intervals_and_of_nothing() -> None:
    overlap = temporal_iou([[0, 10], [3, 3]], [[5, 10], [10, 20], [3, 3]])
    assert overlap.tolist() == [[0.5, 0, 0], [0, 0, 0]]
    assert temporal_iou(np.zeros((0, 2)), [[0, 1]]).shape == (0, 1)


def test_a_midpoint_on_the_end_is_inside_a_closed_interval_only() -> None:
    assert holds_midpoint([[0, 4]], [[2, 3], [1, 2]]).tolist() == [[True, False]]
    assert holds_midpoint([[0, 4]], [[2, 3], [1, 2]], closed=True).tolist() == [[True, True]]


def test_a_detection_takes_the_best_free_truth_and_a_second_one_falls_back() -> None:
    affinity = [[0.6, 0.9], [0.6, 0.8], [0.6, 0.8]]
    assert match(affinity, [0.5, 0.7]).tolist() == [[True, True], [True, False], [False, False]]
    assert match([[np.nan], [0.5]], 0.5).tolist() == [[False], [True]]
    assert match(np.zeros((0, 3)), 0.5).shape == (0, 1)


def test_by_truth_each_truth_takes_its_best_detection_whatever_the_score() -> None:
    assert match_by_truth([[0.6, 0.9]], 2, 0.5).tolist() == [False, True]
    assert match_by_truth([[0.5, 0.4]], 2, 0.5).tolist() == [False, False]
    assert match_by_truth(np.zeros((2, 0)), 0, 0.5).tolist() == []


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        # precision 1, 1/2, 2/3 at recall 1/4, 1/4, 2/4 of 4 truths
        ("envelope", 100 * (1 + 2 / 3) / 4),
        ("sum", 100 * (1 + 2 / 3) / 4),
        ("eleven-point", 100 * (3 * 1 + 3 * 2 / 3) / 11),
        ("trapezoid", 100 * (1 + (1 / 2 + 2 / 3) / 2) / 4),
    ],
)
def test_areas_by_hand(area: Any, expected: float) -> None:
    assert float(average_precision([True, False, True], 4, area=area)) == pytest.approx(expected, abs=1e-12)
    assert average_precision(np.zeros((0, 2)), 3, area=area).tolist() == [0, 0]
    assert np.isnan(average_precision([True], 0, area=area))


def test_the_envelope_lifts_a_precision_that_rises() -> None:
    hits = [False, True, True]
    assert float(average_precision(hits, 2)) == pytest.approx(100 * 2 / 3)
    assert float(average_precision(hits, 2, area="sum")) == pytest.approx(100 * (1 / 2 + 2 / 3) / 2)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_weight_of_nothing_takes_a_detection_away(recipe: Any) -> None:
    hits = np.array([True, False, False, True, True])
    weights = np.array([1.0, 0, 1, 1, 0])
    expected = average_precision(hits[weights > 0], 3, area=recipe.area)
    assert average_precision(hits, 3, area=recipe.area, weights=weights) == pytest.approx(expected)


# ---------------------------------------------------------------------------------------------- the accumulators


def detections(seed: int = 0, count: int = 120) -> tuple[Batch, Batch]:
    """Truth and detections of eight videos, with many equal scores."""
    random = np.random.default_rng(seed)
    table = merl_videos(VIDEOS, seed)

    def intervals(rows: int) -> dict[str, Any]:
        start = random.integers(0, 70, rows)
        label = np.array(CLASSES, object)[random.integers(0, 5, rows)]
        return {"start": start, "stop": start + random.integers(1, 20, rows), "label": label}

    truth = batch(table, intervals(40), random.integers(0, VIDEOS, 40))
    scores = random.integers(0, 6, count) / 6
    return truth, batch(table, intervals(count) | {"score": scores}, random.integers(0, VIDEOS, count))


@given(
    *shared_out(VIDEOS),
    st.sampled_from([(name, truth) for name in MidpointAP.recipes for truth in ("released", "labels")]),
    SEEDS,
)
@settings(max_examples=60)
def test_no_order_of_rows_batches_or_merges_shows(
    order: list[int], cuts: set[int], how: tuple[str, str], seed: int
) -> None:
    no_order_shows(MidpointAP(how[0], {"truth": how[1]}), detections(seed), order, cuts, seed)


Detection = tuple[float, float, str, float]


def one(start: int, stop: int, score: float = 1.0, label: str = CLASSES[0]) -> Detection:
    return start, stop, label, score


def midpoint_ap(labels: list[int], *rows: Detection) -> MidpointAP:
    """One video whose images from thumb 4 on (frame 6) have these classes."""
    table = merl_videos(1, 0).set_column(4, "results_labels", pa.array([labels]))
    columns = dict(zip(("start", "stop", "label", "score"), map(np.array, zip(*rows, strict=True)), strict=True))
    protocol = MidpointAP()
    protocol.update(batch(table, {}, np.zeros(0, int)), batch(table, columns, np.zeros(len(rows), int)))
    return protocol


def test_a_hit_is_a_midpoint_in_the_rows_of_the_action() -> None:
    labels = [5, 5, 0, 0, 0, 5]  # rows 5 to 7, frames 10 to 15
    assert midpoint_ap(labels, one(10, 12)).metrics_of()["mAP"] == 100
    assert midpoint_ap(labels, one(14, 16)).metrics_of()["mAP"] == 100
    assert midpoint_ap(labels, one(16, 18)).metrics_of()["mAP"] == 0
    # rows 7 and 8, whose middle is behind the last row
    assert midpoint_ap(labels, one(14, 18)).metrics_of()["mAP"] == 0
    # frame 15 touches row 7
    assert midpoint_ap(labels, one(15, 16)).metrics_of() == {"mAP": 100, "mAP@0.1": 100, "mAP@0.25": 100, "mAP@0.5": 0}


def test_a_second_hit_of_an_action_is_wrong() -> None:
    protocol = midpoint_ap([0, 0, 5, 5], one(6, 10, 0.5), one(6, 8, 0.9))
    scores = protocol.compute()
    assert scores.metrics["mAP"] == 100
    assert scores.tables["class"][0] == {
        "class": "ReachToShelf",
        "AP": 100,
        "AP@0.1": 100,
        "AP@0.25": 100,
        "AP@0.5": 100,
        "actions": 1,
        "detections": 2,
    }
    assert midpoint_ap([0, 0, 5, 0], one(6, 10, 0.5), one(6, 8, 0.9)).metrics_of()["mAP"] == 50


def test_a_class_without_actions_is_left_out_of_the_mean() -> None:
    protocol = midpoint_ap([0, 0], one(6, 10), one(6, 10, label=CLASSES[1]))
    assert protocol.metrics_of()["mAP"] == 100
    assert [row["AP"] for row in protocol.compute().tables["class"]] == [100, None, None, None, None]


def test_numbers_that_are_none_are_the_last_and_wrong() -> None:
    nan = float("nan")
    assert midpoint_ap([0, 0, 5], one(6, 8, nan), one(6, 10, 0.5)).metrics_of()["mAP"] == 100
    assert midpoint_ap([0, 0, 5], (nan, np.inf, CLASSES[0], 0.9), one(6, 10, 0.5)).metrics_of()["mAP"] == 50
    assert midpoint_ap([0, 0, 5], (np.inf, np.inf, CLASSES[0], 0.9), one(6, 10, 0.5)).metrics_of()["mAP"] == 50


def test_a_strange_class_and_a_strange_truth_are_named() -> None:
    with pytest.raises(HarBenchError, match="'reach', which is no class"):
        midpoint_ap([0, 0], one(6, 10, label="reach"))
    with pytest.raises(HarBenchError, match="truth='mine'; give released or labels"):
        MidpointAP(options={"truth": "mine"})


# ---------------------------------------------------------------------------------------------- files and stores


def write_detections(folder: Path, rows: list[tuple[float, float, float]]) -> Path:
    """MERL's five files, each with these first rows, last rows and scores."""
    folder.mkdir(parents=True)
    first, last, score = (np.array(column)[:, None] for column in zip(*rows, strict=True))
    for number in range(1, 6):
        cell = {}
        for name, values in (("startFrames", first), ("endFrames", last), ("scores", score)):
            cell[name] = np.empty((1, 1), object)
            cell[name][0, 0] = values
        scipy.io.savemat(folder / f"{number}.mat", {"result": cell})
    return folder


def test_the_released_folder_is_read_in_frames(merl_sample: Path, tmp_path: Path) -> None:
    folder = write_detections(tmp_path / "DetectedActions", [(-1, -1, 0.1), (1, 6, 0.5)])
    store = har_bench.open_store(merl_sample)
    foreign = read_detections(tmp_path, store)
    assert foreign is not None
    assert foreign.values.slice(0, 2).to_pylist() == [
        {"sequence": "33_1", "start": 2, "stop": 4, "label": "ReachToShelf", "score": 0.1},
        {"sequence": "33_1", "start": 6, "stop": 18, "label": "ReachToShelf", "score": 0.5},
    ]
    result = har_bench.score(MidpointAP(), merl_sample, folder)
    assert result.counts["detections"] == 10
    assert "DetectedActions" in result.environment["predictions"]


def test_damaged_and_other_files_are_told_apart(merl_sample: Path, tmp_path: Path) -> None:
    store = har_bench.open_store(merl_sample)
    folder = write_detections(tmp_path / "one", [(1, 6, 0.5)])
    with pytest.raises(HarBenchError, match="one class; give its folder"):
        read_detections(folder / "2.mat", store)
    (folder / "3.mat").unlink()
    with pytest.raises(HarBenchError, match=r"3\.mat does not exist"):
        read_detections(folder, store)
    scipy.io.savemat(folder / "3.mat", {"result": {"scores": 1.0}})
    with pytest.raises(HarBenchError, match=r"3\.mat has no result\.startFrames"):
        read_detections(folder, store)
    scipy.io.savemat(folder / "3.mat", {"result": {"startFrames": [1.0, 2.0], "endFrames": 2.0, "scores": 1.0}})
    with pytest.raises(HarBenchError, match="different lengths"):
        read_detections(folder, store)
    scipy.io.savemat(folder / "3.mat", {"result": {"startFrames": "first"}})
    with pytest.raises(HarBenchError, match="no list of numbers"):
        read_detections(folder, store)
    assert read_detections(tmp_path, store) is None
    scipy.io.savemat(tmp_path / "other.mat", {"x": 1.0})
    assert read_detections(tmp_path / "other.mat", store) is None


def test_a_store_without_the_released_results_is_refused_or_scored_by_its_labels(
    merl_unreleased: Store, tmp_path: Path
) -> None:
    store = merl_unreleased
    mine = store.table("segments", ["sequence", "start", "stop", "label"])
    mine = mine.filter(pc.equal(mine["sequence"], "33_1"))
    mine = mine.append_column("score", pa.array(np.ones(len(mine))))
    with pytest.raises(HarBenchError, match="needs the classes of 33_1's images"):
        har_bench.score(MidpointAP(), store, mine)
    assert har_bench.score(MidpointAP(options={"truth": "labels"}), store, mine)["mAP"] == 100
    with pytest.raises(HarBenchError, match="the store lacks videos"):
        har_bench.score(MidpointAP(options={"truth": "labels"}), store, write_detections(tmp_path / "d", [(1, 6, 0.5)]))


# ---------------------------------------------------------------------------------------------- the released digits


RECIPE_OF = {
    "voc07_11pt": "eleven-point",
    "voc10_envelope": "official",
    "thumos_sum_prec_at_tp": "thumos",
    "trapz": "trapezoid",
}
CASES = [(at, rule) for at, rules in GOLDEN.get("results", {}).items() for rule in rules]


@pytest.mark.real
@pytest.mark.parametrize(("at", "rule"), CASES)
def test_released_detections(merl_store: Store, at: str, rule: str) -> None:
    golden = GOLDEN["results"][at][rule]
    result = har_bench.score(MidpointAP(RECIPE_OF[rule]), merl_store, MERL / "Results" / "DetectedActions", resamples=0)
    suffix = "" if at == "mid" else f"@{at}"
    ours = [row[f"AP{suffix}"] for row in result.tables["class"]]
    # the golden has three decimals, and its mean is that of the rounded numbers
    assert [round(value, 3) for value in ours] == golden["per_class"]
    assert np.mean(np.round(ours, 3)) == pytest.approx(golden["mAP"], abs=1e-9)
    assert result[f"mAP{suffix}"] == pytest.approx(np.mean(ours), abs=1e-9)


@pytest.mark.real
def test_published_ap(merl_store: Store) -> None:
    result = har_bench.score(MidpointAP(), merl_store, MERL / "Results" / "DetectedActions", resamples=50)
    published = GOLDEN["published"]
    # the paper's page cuts or rounds: 70.315 is 70.31 there
    assert [row["AP"] for row in result.tables["class"]] == pytest.approx(published["AP"], abs=5.1e-3)
    assert round(result["mAP"], 2) == published["mAP"]
    counts = GOLDEN["counts"]
    assert [row["actions"] for row in result.tables["class"]] == counts["released_gt"]
    assert [row["detections"] for row in result.tables["class"]] == counts["detections"]
    assert result.intervals["mAP"].low < result["mAP"] < result.intervals["mAP"].high


@pytest.mark.real
def test_ap_on_the_label_files(merl_store: Store) -> None:
    golden = GOLDEN["AP_mid_with_label_mats"]
    folder = MERL / "Results" / "DetectedActions"
    result = har_bench.score(MidpointAP(options={"truth": "labels"}), merl_store, folder, resamples=0)
    assert [row["AP"] for row in result.tables["class"]] == pytest.approx(golden["per_class"], abs=1e-9)
    assert result["mAP"] == pytest.approx(golden["mAP"], abs=1e-9)
    assert [row["actions"] for row in result.tables["class"]] == GOLDEN["counts"]["labels"]


@cache
def embedded(number: int) -> np.ndarray:
    """(M, 2) first and last rows of the truth inside a file of detections."""
    truth = load_mat(MERL / "Results" / "DetectedActions" / f"{number}.mat")["result"][0, 0]["groundTruth"].ravel()[0]
    columns = []
    for name in ("startFrames", "endFrames"):
        value = truth[name] if truth.dtype.names else truth[0, 0][name]
        while value.dtype == object:
            value = value.ravel()[0]
        columns.append(value.reshape(-1).astype(int))
    return np.stack(columns, axis=1)


@pytest.mark.real
@pytest.mark.parametrize("number", range(1, 6))
def test_the_truth_inside_the_detections_is_the_runs_of_the_list_of_frames(merl_store: Store, number: int) -> None:
    found = []
    for video in merl_store.sequences.to_pylist():
        if video["results_labels"]:
            labels = np.array(video["results_labels"])
            start, stop = runs(labels)
            mine = labels[start] == number - 1
            found.append(np.stack([start[mine] + video["results_row"], stop[mine] + video["results_row"] - 1], axis=1))
    found = np.concatenate(found)
    assert found[np.argsort(found[:, 0])].tolist() == embedded(number).tolist()
