"""MERL's AP and accuracy per image: scikit-learn's definition, and the digits of the released predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.errors import HarBenchError
from har_bench.foreign.mat import load_mat
from har_bench.protocol import Batch
from har_bench.protocols.temporal.frames import FrameMAP, right_at, step_average_precision, steps
from har_bench.protocols.temporal.merl_files import CHUNK, read_frames, scored_rows
from har_bench.store import Store
from tests.batches import SEEDS, no_order_shows, shared_out
from tests.golden import REAL, load
from tests.temporal_batches import batch, merl_videos

MERL = REAL / "merl"
GOLDEN: dict[str, Any] = load("merl/golden/merl_ap_golden.json")
VIDEOS = 8

# ---------------------------------------------------------------------------------------------- pure functions


def test_a_lag_leaves_the_last_images_out() -> None:
    predicted, labels = np.array([9, 0, 1, 2]), np.array([0, 1, 2, 3])
    assert right_at(predicted, labels).tolist() == [False] * 4
    assert right_at(predicted, labels, 1).tolist() == [True] * 3


def by_definition(positive: np.ndarray, scores: np.ndarray) -> float:
    """scikit-learn's definition, one threshold after the other: the gain in recall times the precision [%]."""
    area, before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        chosen = scores >= threshold
        recall = positive[chosen].sum() / positive.sum()
        area += (recall - before) * positive[chosen].mean()
        before = recall
    return 100 * area


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=1, max_size=60))
def test_ap_per_image_is_scikit_learns(rows: list[tuple[int, bool, int]]) -> None:
    scores, positive, owner = (np.array(column) for column in zip(*rows, strict=True))
    found = step_average_precision(steps(scores.astype(float), positive, owner))
    if not positive.any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(by_definition(positive, scores), abs=1e-9)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 2)), min_size=1, max_size=40),
    st.lists(st.integers(0, 3), min_size=3, max_size=3),
)
def test_weighted_ap_per_image_is_that_of_copies(rows: list[tuple[int, bool, int]], weights: list[int]) -> None:
    scores, positive, owner = (np.array(column) for column in zip(*rows, strict=True))
    times = np.array(weights)[owner]
    found = step_average_precision(steps(scores.astype(float), positive, owner), np.array(weights, float))
    if not (positive & (times > 0)).any():
        assert np.isnan(found)
    else:
        expected = by_definition(np.repeat(positive, times), np.repeat(scores, times))
        assert found == pytest.approx(expected, abs=1e-9)


# ---------------------------------------------------------------------------------------------- the accumulator


def images(seed: int = 0) -> tuple[Batch, Batch]:
    """Truth and scores of each image of eight videos, with many equal scores."""
    random = np.random.default_rng(seed)
    table = merl_videos(VIDEOS, seed)
    frames = np.tile(2 * np.arange(4, 40) - 2, VIDEOS)
    scores = random.integers(0, 4, (len(frames), 6)) / 4
    owner = np.repeat(np.arange(VIDEOS), 36)
    return batch(table, {}, np.arange(VIDEOS)), batch(table, {"frame": frames, "scores": scores}, owner)


@given(*shared_out(VIDEOS), SEEDS)
@settings(max_examples=40)
def test_no_order_of_rows_batches_or_merges_shows(order: list[int], cuts: set[int], seed: int) -> None:
    no_order_shows(FrameMAP(), images(seed), order, cuts, seed)


def test_rows_without_frames_are_the_images_in_order() -> None:
    truth, predictions = images()
    with_frames, without = FrameMAP(), FrameMAP()
    with_frames.update(truth, predictions)
    without.update(truth, Batch(truth.sequences, predictions.starts, {"scores": predictions["scores"]}))
    assert with_frames.compute() == without.compute()


def test_a_video_without_predictions_counts_as_wrong() -> None:
    truth, _ = images()
    nothing = Batch(truth.sequences, np.zeros(VIDEOS + 1, np.int64), {"scores": np.zeros(0)})
    protocol = FrameMAP()
    protocol.update(truth, nothing)
    share = [row["images"] / protocol.compute().counts["images"] for row in protocol.compute().tables["class"]]
    assert protocol.metrics_of() == pytest.approx({"mAP": 100 * np.mean(share), "accuracy": 0})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"frame": np.arange(6, 76, 2), "scores": np.zeros((35, 6))}, "no scores for 1 of its 36 images.*frame 76"),
        ({"frame": np.repeat(np.arange(6, 78, 2), 2), "scores": np.zeros((72, 6))}, "frame 6 twice"),
        ({"frame": np.arange(6, 78, 2), "scores": np.zeros((36, 5))}, "must be 6 numbers"),
        ({"scores": np.zeros((35, 6))}, "no scores for 1 of its 36 images"),
        ({"scores": np.zeros((37, 6))}, "37 rows of scores for 36 images"),
    ],
)
def test_images_without_one_row_of_scores_are_named(columns: dict[str, Any], message: str) -> None:
    table = merl_videos(1, 0)
    predictions = batch(table, columns, np.zeros(len(columns["scores"]), int))
    with pytest.raises(HarBenchError, match=message):
        FrameMAP().update(batch(table, {}, np.zeros(1, int)), predictions)


# ---------------------------------------------------------------------------------------------- files and stores


def test_frame_predictions_need_a_row_per_chunk(merl_sample: Path, tmp_path: Path) -> None:
    videos = har_bench.open_store(merl_sample).sequences.to_pylist()
    rows = sum(len(video["results_labels"] or ()) for video in videos)
    path = tmp_path / "framepreds.mat"
    scipy.io.savemat(path, {"predictions": np.eye(6)[np.zeros(rows // CHUNK, int)]})
    assert har_bench.score(FrameMAP(), merl_sample, path).counts == {"videos": 1, "images": rows}
    scipy.io.savemat(path, {"predictions": np.zeros((3, 6))})
    with pytest.raises(HarBenchError, match="has 3 chunks of 6 rows"):
        har_bench.score(FrameMAP(), merl_sample, path)


def test_other_files_are_not_taken(merl_sample: Path, tmp_path: Path) -> None:
    store = har_bench.open_store(merl_sample)
    scipy.io.savemat(tmp_path / "other.mat", {"x": 1.0})
    assert read_frames(tmp_path / "other.mat", store) is None
    assert read_frames(tmp_path, store) is None


def test_a_store_without_the_released_results_is_refused(merl_unreleased: Store) -> None:
    with pytest.raises(HarBenchError, match="needs the classes of 33_1's images"):
        har_bench.score(FrameMAP(), merl_unreleased, {"33_1": np.zeros((4, 6))})


# ---------------------------------------------------------------------------------------------- the released digits


@pytest.mark.real
@pytest.mark.parametrize("key", GOLDEN.get("frame", {}))
def test_per_image_numbers(merl_store: Store, key: str) -> None:
    golden = GOLDEN["frame"][key]
    result = har_bench.score(FrameMAP(), merl_store, MERL / "Results" / "framepreds.mat", resamples=0)
    accuracies = [row["accuracy"] for row in result.tables["alignment"]]
    if key == "frame_level_AP_sklearn":
        assert [row["AP"] for row in result.tables["class"]] == pytest.approx(golden, abs=1e-9)
    elif key == "frame_level_mAP":
        assert result["mAP"] == pytest.approx(golden, abs=1e-9)
    elif key == "frame_accuracy_naive":
        assert accuracies[0] == pytest.approx(golden, abs=1e-9)
    elif key.startswith("frame_accuracy_pred_lag"):
        assert [round(value, 3) for value in accuracies[:-1]] == golden
        assert round(result["accuracy"], 1) == GOLDEN["published"]["frame_accuracy"]
    elif key.startswith("frame_accuracy_gt_rolled"):
        truth = np.concatenate(scored_rows(merl_store.sequences, key).labels)
        predicted = load_mat(MERL / "Results" / "framepreds.mat")["predictions"].argmax(axis=1).repeat(CHUNK)
        rolled = [100 * right_at(predicted, np.roll(truth, lag)).mean() for lag in range(len(golden))]
        assert [round(float(value), 3) for value in rolled] == golden
    else:
        assert key == "first_frame_of_chunk_label_accuracy"
        assert accuracies[-1] == pytest.approx(golden, abs=1e-9)
