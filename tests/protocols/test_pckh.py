"""PCKh against hand-computed cases, and against the digits of the tools whose recipes it claims to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har_bench.errors import HarBenchError
from har_bench.protocol import Batch
from har_bench.protocols.mpii.pckh import (
    RECIPES,
    THRESHOLDS,
    PCKh,
    PCKhRecipe,
    count,
    head_distance,
    pckh,
    unpack,
)
from har_bench.protocols.mpii.truth import inside_crop, tompson_truth
from tests.batches import SEEDS, merged, part, repeated, shared_out

# ---------------------------------------------------------------------------------------------- small cases


def batches(persons: int = 12, images: int = 5, seed: int = 0) -> tuple[Batch, Batch]:
    """Whole-pixel truth and predictions, so that many distances equal a threshold exactly."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 200, (persons, 16, 2)).astype(float)
    predicted = truth + random.integers(-9, 10, truth.shape)
    truth[random.random((persons, 16)) < 0.1] = np.nan
    predicted[random.random((persons, 16)) < 0.1] = np.nan
    box = np.array([10.0, 10, 40, 50]) + np.zeros((persons, 1))
    columns = {
        "keypoints": truth,
        "head_size": np.full(persons, 30.0),
        "head_box": box,
        "scale": np.full(persons, 1.2),
        "objpos": truth[:, 0] * 0 + 100,
        "tompson_row": np.arange(persons, dtype=np.int32),
    }
    edges = np.sort(random.choice(np.arange(1, persons), images - 1, replace=False))
    sequences = pa.table({"sequence": [f"{index:03}.jpg" for index in range(images)]})
    starts = np.array([0, *edges, persons], np.int64)
    return Batch(sequences, starts, columns), Batch(sequences, starts, {"keypoints": predicted})


def scored(recipe: str, truth: Batch, predictions: Batch) -> PCKh:
    protocol = PCKh(recipe)
    protocol.update(truth, predictions)
    return protocol


def test_a_joint_at_exactly_the_threshold_is_a_hit_only_for_less_or_equal() -> None:
    predicted, truth, head = np.array([[[3.0, 4.0], [3.0, 4.1]]]), np.zeros((1, 2, 2)), np.array([10.0])
    assert pckh(predicted, truth, head, at=0.5).hit.tolist() == [[True, False]]
    assert pckh(predicted, truth, head, at=0.5, compare="<").hit.tolist() == [[False, False]]


def test_a_missing_prediction_is_a_miss_and_a_missing_truth_is_not_counted() -> None:
    predicted, truth = np.zeros((1, 3, 2)), np.zeros((1, 3, 2))
    predicted[0, 0, 1] = truth[0, 1, 0] = np.nan
    hit, counted = pckh(predicted, truth, np.array([10.0]))
    assert hit.tolist() == [[False, False, True]]
    assert counted.tolist() == [[True, False, True]]


def test_a_head_of_no_size_makes_every_joint_a_miss_unless_it_is_met_exactly() -> None:
    hit, counted = pckh(np.array([[[1.0, 1.0]], [[0.0, 0.0]]]), np.zeros((2, 1, 2)), np.zeros(2))
    assert not hit.any()
    assert counted.all()


@pytest.mark.parametrize(("recipe", "persons"), [("official", 2), ("hrnet", 2), ("mmpose0", 2), ("mmpose1", 1)])
def test_only_mmpose_1_leaves_out_a_head_of_no_size(recipe: str, persons: int) -> None:
    truth, predictions = batches(persons=2, images=1)
    truth["keypoints"][:], predictions["keypoints"][:] = 50.0, 50.5
    truth["head_size"][0], truth["head_box"][0, 2:] = 0.0, truth["head_box"][0, :2]
    counts = scored(recipe, truth, predictions).compute().counts
    assert counts["joints"] == 14 * persons


@pytest.mark.parametrize("head", [np.ones((2, 1)), np.ones(1)])
def test_shapes_that_do_not_belong_together_are_named(head: np.ndarray) -> None:
    with pytest.raises(HarBenchError, match=r"\(2, 16, 2\)"):
        pckh(np.zeros((2, 16, 2)), np.zeros((2, 16, 2)), head)


@pytest.mark.parametrize("compare", ["<=", "<"])
def test_all_thresholds_at_once_make_the_same_comparisons_as_one_by_one(compare: str) -> None:
    truth, predictions = batches(persons=200, images=50)
    points = truth["keypoints"]
    distance = head_distance(predictions["keypoints"], points, truth["head_size"])
    counts = unpack(count(distance, np.isfinite(points).all(-1), truth.starts, compare=compare))
    assert (distance[..., None] == THRESHOLDS).any(), "the case must hold ties"
    assert counts.persons.tolist() == np.diff(truth.starts).tolist()
    for step, at in enumerate(THRESHOLDS):
        hit, counted = pckh(predictions["keypoints"], points, truth["head_size"], at=at, compare=compare)
        for row, (_, rows) in enumerate(truth.slices()):
            assert counts.hits[row, :, step].tolist() == (hit & counted)[rows].sum(0).tolist()
            assert counts.counted[row].tolist() == counted[rows].sum(0).tolist()


def test_the_curve_and_its_area_by_hand() -> None:
    """One joint 0.25 head sizes off: a hit at 26 of 51 thresholds, an area of 25.5 of 50 steps."""
    truth, predictions = batches(persons=2, images=1)
    truth["keypoints"][:] = np.nan
    truth["keypoints"][0, 0] = 0.0
    predictions["keypoints"][:] = [7.5, 0.0]
    scores = scored("official", truth, predictions).compute()
    assert scores.metrics == {"PCKh@0.5": 100.0, "PCKh@0.1": 0.0, "AUC": 51.0}
    assert [row["PCKh"] for row in scores.tables["threshold"]] == [0.0] * 25 + [100.0] * 26
    assert scores.tables["joint"][0]["hits@0.5"] == scores.tables["joint"][0]["count"] == 1
    assert scores.tables["joint"][1]["PCKh@0.5"] is None
    assert scores.counts == {"persons": 2, "images": 1, "joints": 1}


def test_the_mean_over_joints_weighs_a_rare_joint_like_a_frequent_one() -> None:
    truth, predictions = batches(persons=4, images=2)
    truth["keypoints"][:] = np.nan
    truth["keypoints"][:, 0] = 0.0
    truth["keypoints"][0, 9] = 0.0
    truth["keypoints"][:, 6] = 0.0  # the pelvis is in nobody's mean
    predictions["keypoints"][:] = 0.0
    predictions["keypoints"][0, 9] = 99.0
    pooled = PCKh("official")
    pooled.update(truth, predictions)
    joints = PCKh("official")
    joints.recipe = replace(joints.recipe, average="joints")
    joints.update(truth, predictions)
    assert pooled.metrics_of()["PCKh@0.5"] == 80.0
    assert joints.metrics_of()["PCKh@0.5"] == 50.0


def test_hrnet_reads_its_mean_at_a_tenth_from_eleven_hundredths() -> None:
    truth, predictions = batches(persons=2, images=1)
    truth["keypoints"][:] = 100.0
    predictions["keypoints"][:] = [100.0 + 0.105 * 30, 100.0]
    assert scored("hrnet", truth, predictions).metrics_of()["PCKh@0.1"] == 100.0
    assert scored("mmpose0", truth, predictions).metrics_of()["PCKh@0.1"] == 0.0


def test_a_joint_on_the_border_of_the_crop_is_outside() -> None:
    """Scale 0.8 makes a window of 200 px centred 12 px below objpos; corners are whole pixels of the 1-based frame."""
    points = np.array([[[0.0, 50.0], [1.0, 50.0], [199.0, 50.0], [200.0, 50.0], [np.nan, np.nan]]])
    inside = inside_crop(points, np.array([0.8]), np.array([[100.9, 88.0]]))
    assert inside.tolist() == [[False, True, True, False, False]]


def test_tompsons_truth_is_the_raw_one_but_for_zeroed_coordinates_and_single_precision() -> None:
    points, objpos = np.full((2, 16, 2), 300.0), np.array([[250.0, 280.0], [250.0, 280.0]])
    points[:, 3] = np.nan
    points[:, 7] = objpos  # the crop's centre is a whole pixel, so nothing is rounded there
    box, scale, rows = np.array([[200.0, 200, 240, 230]] * 2), np.full(2, 1.2), np.array([682, 683], np.int32)
    moved, head = tompson_truth(points, box, scale, objpos, rows)
    assert moved[0, 0, 0] == -1.0
    assert np.isnan(moved[:, 3]).all()
    assert (moved[:, 7] == objpos).all()
    noise = np.abs(moved - points)[1, :3]
    assert ((noise > 0) & (noise < 1e-4)).all()
    assert head == pytest.approx([30.0, 30.0], abs=1e-4)
    rows[0] = 684  # the ankle is zeroed in row 682 alone
    assert tompson_truth(points, box, scale, objpos, rows)[0][0, 0, 0] == pytest.approx(300.0, abs=1e-4)


def test_scoring_changes_no_input() -> None:
    truth, predictions = batches()
    before = {name: values.copy() for name, values in truth.columns.items()}
    for recipe in PCKh.recipes:
        scored(recipe, truth, predictions)
    for name, values in before.items():
        np.testing.assert_array_equal(truth[name], values)


def test_nothing_scored_is_no_number() -> None:
    scores = PCKh().compute()
    assert all(np.isnan(value) for value in scores.metrics.values())
    assert scores.counts == {"persons": 0, "images": 0, "joints": 0}


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(HarBenchError, match="official, hrnet, mmpose0, mmpose1, bearpaw, deephar"):
        PCKh("cpm")


def test_an_image_scored_twice_is_refused() -> None:
    protocol = scored("official", *batches())
    with pytest.raises(HarBenchError, match="twice"):
        protocol.update(*batches())


def test_tompsons_images_and_persons_are_selected() -> None:
    sequences = pa.table({"sequence": ["a", "b", "c"], "splits": [["tompson/valid", "x"], ["tompson/train"], None]})
    rows = pa.table({"tompson_row": pa.array([3, None, 0], pa.int32())})
    assert PCKh().select(sequences)["sequence"].to_pylist() == ["a"]
    assert PCKh().keep(sequences, rows).to_pylist() == [True, False, True]


def test_weights_count_an_image_as_often_as_it_is_repeated() -> None:
    truth, predictions = batches()
    for recipe in PCKh.recipes:
        once = scored(recipe, truth, predictions)
        often = repeated(once, truth, predictions, weights := [1, 2, 0, 3, 0])
        assert once.metrics_of(np.array(weights, float)) == often.metrics_of()


def test_metrics_follow_what_was_added_since_they_were_last_asked_for() -> None:
    truth, predictions = batches()
    protocol = scored("official", part(truth, [0, 1]), part(predictions, [0, 1]))
    early = protocol.metrics_of()
    protocol.update(part(truth, [2, 3, 4]), part(predictions, [2, 3, 4]))
    assert protocol.metrics_of() == scored("official", truth, predictions).metrics_of() != early


@given(*shared_out(5), st.sampled_from(sorted(PCKh.recipes)), SEEDS)
@settings(deadline=None, max_examples=40)
def test_any_split_merged_in_any_order_is_one_pass(order: list[int], cuts: set[int], recipe: str, seed: int) -> None:
    truth, predictions = batches(seed=seed)
    parts = merged(PCKh(recipe), truth, predictions, order, cuts)
    assert parts.compute() == scored(recipe, truth, predictions).compute()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_table_ends_in_the_metrics(recipe: PCKhRecipe) -> None:
    scores = scored(recipe.name, *batches(persons=60)).compute()
    total = scores.tables["group"][-1]
    assert total["group"] == recipe.total
    assert {name: total[name] for name in scores.metrics} == pytest.approx(scores.metrics, abs=1e-12)
    assert scores.tables["threshold"][50]["PCKh"] == scores.metrics["PCKh@0.5"]
    assert sum(row["count"] * row["in_mean"] for row in scores.tables["joint"]) == scores.counts["joints"]
