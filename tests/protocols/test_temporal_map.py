"""ActivityNet's mAP and AR@AN: hand-computed cases, and the digits of an independent evaluator."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch
from har_bench.protocols.temporal.intervals import average_recall, recalled, temporal_iou
from har_bench.protocols.temporal.midpoint import MidpointAP
from har_bench.protocols.temporal.tiou_map import RECIPES, TemporalMAP
from tests.batches import SEEDS, no_order_shows, shared_out
from tests.golden import REAL, ROOT

FIXTURE = REAL / "ava" / "mmaction2_fixtures" / "eval_localization"
REFERENCE = ROOT.parent / "shared" / "reference" / "classification_and_temporal.json"
GOLDEN: dict[str, Any] = (
    {key: value for key, value in json.loads(REFERENCE.read_text()).items() if key.startswith("temporal ")}
    if REFERENCE.is_file()
    else {}
)

# ---------------------------------------------------------------------------------------------- pure functions


def recalls(truths: list[Any], proposals: list[Any], most: float | None = None) -> Any:
    """AR over AN of videos, at tIoU 0.5:0.05:0.95; proposals in order of falling score."""
    at = np.linspace(0.5, 0.95, 10)
    pieces = [recalled(temporal_iou(mine, true), at) for mine, true in zip(proposals, truths, strict=True)]
    starts = np.cumsum([0, *map(len, pieces)])
    numbers = np.array([float(len(each)) for each in truths])
    return average_recall(np.concatenate(pieces), starts, numbers, 10, most=most)


TWO = [[0, 1], [1, 2]]


def test_recall_comes_with_the_proposals() -> None:
    found = recalls([TWO, TWO], [TWO, TWO])
    assert found.recall.tolist() == [0] * 49 + [50] * 50 + [100]
    assert found.proposals == pytest.approx(np.arange(1, 101) / 50)
    assert found.area == pytest.approx(25.5)


def test_proposals_that_miss_recall_nothing() -> None:
    found = recalls([TWO, TWO], [[[10, 11], [11, 12]]] * 2)
    assert found.recall.tolist() == [0] * 100
    assert found.area == 0


def test_proposals_that_hit_at_once() -> None:
    found = recalls([[[0, 1]]] * 2, [[[0, 1]] * 100] * 2)
    assert found.recall.tolist() == [100] * 100
    assert found.area == pytest.approx(99)


def test_no_proposals_and_no_truth_recall_nothing() -> None:
    nothing = np.zeros((0, 2))
    assert recalls([TWO], [nothing], most=100).recall.tolist() == [0] * 100
    assert recalls([nothing], [TWO]).area == 0
    assert recalls([TWO, TWO], [TWO, nothing], most=0.4).area == 0


def test_more_proposals_than_asked_for_are_cut_by_score() -> None:
    # four proposals of one video, and two are the most: the hit at the third place is never seen
    found = recalls([[[0, 1]]], [[[5, 6], [6, 7], [0, 1], [0, 1]]], most=2)
    assert found.recall.tolist() == [0] * 100
    found = recalls([[[0, 1]]], [[[5, 6], [0, 1], [0, 1], [0, 1]]], most=2)
    assert found.recall.tolist() == [0] * 99 + [100]


def test_recalled_counts_each_truth_at_each_threshold_once() -> None:
    assert recalled([[0.6, 0.1], [0.9, 0.9]], [0.5, 0.8]).tolist() == [0, 1, 4]
    assert recalled(np.zeros((0, 2)), [0.5]).tolist() == [0]


# ---------------------------------------------------------------------------------------------- the accumulator


def batches(seed: int = 0, count: int = 90) -> tuple[Batch, Batch]:
    """Truth and detections of five videos, with many equal scores and a label that no truth has."""
    random = np.random.default_rng(seed)
    table = pa.table({"sequence": [f"{30 + index}_1" for index in range(5)]})

    def rows(number: int, kinds: int) -> Batch:
        start = random.integers(0, 60, number)
        owner = np.sort(random.integers(0, 5, number))
        columns = {
            "start": start,
            "stop": start + random.integers(1, 20, number),
            "label": np.array(["a", "b", "c", "d"], object)[random.integers(0, kinds, number)],
            "score": random.integers(0, 5, number) / 5,
        }
        return Batch(table, np.searchsorted(owner, np.arange(6)), columns)

    return rows(30, 3), rows(count, 4)


@given(*shared_out(5), st.sampled_from(sorted(TemporalMAP.recipes)), SEEDS)
@settings(max_examples=40)
def test_no_order_of_rows_batches_or_merges_shows(order: list[int], cuts: set[int], recipe: str, seed: int) -> None:
    no_order_shows(TemporalMAP(recipe), batches(seed), order, cuts, seed)


def test_labels_without_truth_do_not_count_and_are_counted() -> None:
    protocol = TemporalMAP()
    protocol.update(*batches())
    scores = protocol.compute()
    assert [row["label"] for row in scores.tables["label"]] == ["a", "b", "c"]
    assert scores.counts["detections_of_other_labels"] > 0
    assert scores.counts["detections"] + scores.counts["detections_of_other_labels"] == 90
    assert scores.metrics["mAP"] == pytest.approx(np.mean([row["AP"] for row in scores.tables["label"]]))
    assert scores.metrics["mAP"] == pytest.approx(np.mean([row["mAP"] for row in scores.tables["tiou"]]))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_truth_itself_scores_everything(recipe: Any) -> None:
    truth, _ = batches()
    whole = dict(truth.columns)
    apart = np.array([f"{label}{index}" for index, label in enumerate(whole["label"])], object)
    batch = Batch(truth.sequences, truth.starts, whole | {"label": apart})
    protocol = TemporalMAP(recipe.name)
    protocol.update(batch, batch)
    metrics = protocol.metrics_of()
    assert {value for name, value in metrics.items() if name.startswith("mAP")} == {100}
    assert metrics["AR@100"] == pytest.approx(100)
    assert {f"mAP@{at:g}" for at in recipe.tiou} >= {name for name in metrics if name.startswith("mAP@")}


def test_videos_without_detections_have_a_map_of_nothing() -> None:
    truth, _ = batches()
    columns = {name: np.zeros(0) for name in TemporalMAP.prediction_columns}
    nothing = Batch(truth.sequences, np.zeros(6, np.int64), columns)
    protocol = TemporalMAP()
    protocol.update(truth, nothing)
    assert set(protocol.metrics_of().values()) == {0}


# ---------------------------------------------------------------------------------------------- files and stores


def write_results(path: Path, results: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"version": "1", "results": results, "external_data": {}}), encoding="utf-8")
    return path


def test_activitynets_results_are_seconds(merl_sample: Path, tmp_path: Path) -> None:
    segments = har_bench.open_store(merl_sample).table("segments", ["sequence", "start", "stop", "label"]).to_pylist()
    detections = [
        {"label": row["label"], "score": 0.5, "segment": [row["start"] / 30, row["stop"] / 30]}
        for row in segments
        if row["sequence"] == "33_1"
    ]
    result = har_bench.score(TemporalMAP(), merl_sample, write_results(tmp_path / "r.json", {"33_1": detections}))
    assert result["mAP@0.95"] == pytest.approx(100)
    assert "ActivityNet" in result.environment["predictions"]
    path = write_results(tmp_path / "r.json", {"33_1": detections, "v_x": detections})
    with pytest.raises(HarBenchError, match="v_x"):
        har_bench.score(TemporalMAP(), merl_sample, path)


def test_other_json_is_named(merl_sample: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text("[]")
    with pytest.raises(HarBenchError, match=r"r\.json is not ActivityNet's json of results"):
        har_bench.score(TemporalMAP(), merl_sample, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"score": "0.5"},
            r"detection 1 of '33_1' in .*r\.json is none \(at score stands a text, and not a number\); write",
        ),
        ({"segment": {"start": 1}}, r"detection 1 of '33_1' .*at segment stands an object"),
        ({"segment": [1, float("nan")]}, "holds NaN in line 1"),
    ],
)
def test_a_broken_detection_is_named(change: dict[str, Any], message: str, merl_sample: Path, tmp_path: Path) -> None:
    right = {"label": "ReachToShelf", "score": 0.5, "segment": [1, 2]}
    path = write_results(tmp_path / "r.json", {"33_1": [right, right | change]})
    with pytest.raises(HarBenchError, match=message):
        har_bench.score(TemporalMAP(), merl_sample, path)
    with pytest.raises(HarBenchError, match=r"r\.json holds no detection; write"):
        har_bench.score(TemporalMAP(), merl_sample, write_results(path, {"33_1": []}))


def test_what_can_hit_nothing_is_said(merl_sample: Path, tmp_path: Path) -> None:
    """Labels that no action has, and videos that are not scored."""
    one = {"label": 1, "score": 0.5, "segment": [100, 101]}
    packed = tmp_path / "r.json.gz"
    packed.write_bytes(gzip.compress(write_results(tmp_path / "r.json", {"33_1": [one]}).read_bytes()))
    (note,) = har_bench.score(TemporalMAP(), merl_sample, packed).notes
    assert note.startswith(
        "1 of 1 detections have labels that no action has, such as '1', and can hit none; the actions"
    )
    assert "ReachToShelf" in note
    training = write_results(tmp_path / "r.json", {"1_1": [one]})
    (note,) = har_bench.score(TemporalMAP(), merl_sample, training).notes
    assert note.startswith("no prediction is of any of the 1 sequences scored, all are of 1 others, such as '1_1'")


# ---------------------------------------------------------------------------------------------- the tools' digits


@cache
def fixture() -> tuple[Batch, Batch]:
    """The evaluator's own two videos, in seconds."""
    truth = json.loads((FIXTURE / "gt.json").read_text())
    results = json.loads((FIXTURE / "result.json").read_text())["results"]
    names = sorted(truth)
    table = pa.table({"sequence": names})

    def rows(each: list[list[dict[str, Any]]]) -> Batch:
        flat = [row for rows in each for row in rows]
        columns = {
            "start": np.array([row["segment"][0] for row in flat]),
            "stop": np.array([row["segment"][1] for row in flat]),
            "label": np.array([row["label"] for row in flat], object),
            "score": np.array([row.get("score", 1.0) for row in flat]),
        }
        return Batch(table, np.cumsum([0, *map(len, each)]), columns)

    return rows([truth[name]["annotations"] for name in names]), rows([results[name[2:]] for name in names])


RECIPE_OF = {"anet": "activitynet", "thumos": "thumos"}
CASES = [(case, key) for case, values in GOLDEN.items() for key in values]


@pytest.mark.real
@pytest.mark.skipif(not GOLDEN, reason=f"no {REFERENCE.name}")
@pytest.mark.parametrize(("case", "key"), CASES)
def test_the_evaluators_fixture(case: str, key: str) -> None:
    golden = GOLDEN[case][key]
    protocol = TemporalMAP(RECIPE_OF[case.split()[1]])
    protocol.update(*fixture())
    scores = protocol.compute()
    if key == "mAP_per_tiou":
        ours: Any = [row["mAP"] for row in scores.tables["tiou"]]
    elif key == "average_mAP":
        ours, golden = [scores.metrics["mAP"]], [golden]
    else:
        assert key == "per_class"
        table = {row["label"]: row for row in scores.tables["label"]}
        ours = [table[label][f"AP@{at:g}"] for label in golden for at in protocol.recipe.tiou]
        golden = [value for values in golden.values() for value in values]
    assert ours == pytest.approx([100 * value for value in golden], abs=1e-9, rel=0)


@pytest.mark.real
def test_released_detections_at_half_overlap(tmp_path: Path) -> None:
    """At tIoU 0.5, against the label files, the rule is that of merl/midpoint-ap but for the grid of 15 fps."""
    har_bench.convert("merl", REAL / "merl", tmp_path / "store")
    store = har_bench.open_store(tmp_path / "store")
    foreign = MidpointAP().read_foreign(REAL / "merl" / "Results" / "DetectedActions", store)
    assert foreign is not None
    one, two = (har_bench.score(TemporalMAP("thumos"), store, foreign.values, resamples=20) for _ in range(2))
    assert one.metrics == two.metrics
    assert one.intervals == two.intervals
    rows = har_bench.score(MidpointAP(options={"truth": "labels"}), store, foreign.values, resamples=0)
    assert one["mAP@0.5"] == pytest.approx(rows["mAP@0.5"], abs=1)
    assert one.counts["actions"] == rows.counts["actions"]
