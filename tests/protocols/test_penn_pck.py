"""PCK on Penn Action against hand-computed cases, and against the digits of a deterministic predictor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.converters.penn_action.sample import label, write_label
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch
from har_bench.protocols.penn_pck import (
    JOINTS,
    TORSOS,
    PennPCK,
    box_size,
    carried_forward,
    pck,
    torso_length,
    torso_size,
)
from har_bench.results import Result
from har_bench.schema import to_numpy, vector
from har_bench.store import Store
from tests.batches import SEEDS, merged, part, repeated, shared_out
from tests.golden import leaves, load
from tests.sampled import Samples

SHOULDER, HIP = JOINTS.index("left_shoulder"), JOINTS.index("right_hip")


def batches(sequences: int = 5, seed: int = 0) -> tuple[Batch, Batch]:
    """Whole pixels and boxes of 50 px, so that many distances equal 0.2 of a box."""
    random = np.random.default_rng(seed)
    starts = np.cumsum([0, *random.integers(1, 6, sequences)])
    truth = random.integers(0, 200, (starts[-1], 13, 2)).astype(float)
    predicted = truth + random.integers(-10, 11, truth.shape)
    truth[random.random(truth.shape[:2]) < 0.2] = np.nan
    box = np.tile([10.0, 10, 60, 40], (len(truth), 1))
    box[random.random(len(truth)) < 0.1] = np.nan
    table = pa.table(
        {
            "sequence": [f"{index:04}" for index in range(sequences)],
            "action": ["squat", "bowl", "squat", None, "bowl"][:sequences],
            "pose": ["front", "left", "left", "back", None][:sequences],
        }
    )
    columns = {"keypoints": truth, "visibility": np.full(truth.shape[:2], 2, np.uint8), "box": box}
    columns |= {name: random.integers(0, 60, len(truth)).astype(float) for name in TORSOS}
    return Batch(table, starts, columns), Batch(table, starts, {"keypoints": predicted})


def scored(recipe: str, truth: Batch, predictions: Batch) -> PennPCK:
    protocol = PennPCK(recipe)
    protocol.update(truth, predictions)
    return protocol


def one_frame(box: list[float], offset: float) -> tuple[Batch, Batch]:
    """One frame with the head visible, missed by ``offset`` px."""
    truth, predictions = batches(1)
    truth, predictions = (
        Batch(side.sequences, np.array([0, 1]), {name: values[:1].copy() for name, values in side.columns.items()})
        for side in (truth, predictions)
    )
    truth["keypoints"][:] = np.nan
    truth["keypoints"][0, 0] = predictions["keypoints"][:] = 100.0
    predictions["keypoints"][0, 0, 0] += offset
    truth["box"][:] = box
    return truth, predictions


@pytest.mark.parametrize(
    ("offset", "hits"),
    [
        (10.0, {"lstm-pm": 1, "strict": 0, "plus-one": 1, "skip-degenerate": 1}),
        (10.1, {"lstm-pm": 0, "strict": 0, "plus-one": 1, "skip-degenerate": 0}),
        (10.25, {"lstm-pm": 0, "strict": 0, "plus-one": 0, "skip-degenerate": 0}),
    ],
)
def test_recipes_differ_at_the_edge_of_a_fifth_of_the_longer_side(offset: float, hits: dict[str, int]) -> None:
    for recipe, expected in hits.items():
        scores = scored(recipe, *one_frame([10, 10, 60, 30], offset)).compute()
        assert scores.metrics["PCK@0.2"] == 100 * expected, recipe
        assert scores.counts == {"sequences": 1, "frames": 1, "joints": 1}


@pytest.mark.parametrize("recipe", sorted(PennPCK.recipes))
def test_an_occluded_joint_does_not_count_wherever_it_is(recipe: str) -> None:
    truth, predictions = batches()
    expected = scored(recipe, truth, predictions).compute()
    hidden = np.isnan(truth["keypoints"]).any(axis=-1)
    truth["keypoints"][hidden] = 77.0
    truth["visibility"][hidden] = 1
    assert scored(recipe, truth, predictions).compute() == expected


def test_only_one_recipe_leaves_out_a_box_without_width() -> None:
    truth, predictions = one_frame([10, 10, 10, 60], 0.0)
    assert scored("lstm-pm", truth, predictions).compute().counts["joints"] == 1
    assert scored("skip-degenerate", truth, predictions).compute().counts["joints"] == 0


def test_a_box_of_no_size_is_met_exactly_or_not_at_all() -> None:
    truth, predictions = one_frame([10, 10, 10, 10], 0.0)
    assert scored("lstm-pm", truth, predictions).metrics_of()["PCK@0.2"] == 100
    assert scored("strict", truth, predictions).metrics_of()["PCK@0.2"] == 0


def test_the_longer_side_is_the_size() -> None:
    assert box_size(np.array([[0.0, 0, 3, 7], [5, 5, 1, 5]])).tolist() == [7, 0]


def test_a_missing_box_is_that_of_the_frame_before_in_the_same_sequence() -> None:
    box = np.array([[np.nan] * 4, [1.0] * 4, [np.nan] * 4, [np.nan] * 4, [2.0] * 4, [np.nan] * 4])
    filled = carried_forward(box, np.array([0, 3, 3, 6]))
    assert filled[:, 0].tolist() == pytest.approx([np.nan, 1, 1, np.nan, 2, 2], nan_ok=True)


def test_a_frame_before_the_first_box_does_not_count() -> None:
    truth, predictions = one_frame([np.nan] * 4, 0.0)
    assert scored("lstm-pm", truth, predictions).compute().counts["joints"] == 0
    assert np.isnan(scored("lstm-pm", truth, predictions).metrics_of()["PCK@0.2"])


@pytest.mark.parametrize(("torso", "size"), [(30.0, 30.0), (1.0, 1.0), (0.5, 50.0), (np.nan, 50.0)])
def test_the_predicted_torso_replaces_a_true_one_that_is_tiny_or_unknown(torso: float, size: float) -> None:
    assert torso_size(np.array([torso]), np.array([50.0])).tolist() == [size]


def test_a_torso_is_a_diagonal_or_goes_down_the_middle() -> None:
    points = np.zeros((1, 13, 2))
    points[0, SHOULDER], points[0, HIP] = [4, 0], [0, 3]
    assert torso_length(points).tolist() == [5]
    assert torso_length(points, "torso_middle").tolist() == [2.5]


@pytest.mark.parametrize(
    ("recipe", "stored", "hits"),
    [
        *(
            ("torso", 25.0, [True, True, False]),
            ("torso", 0.99, [True, True, True]),
            ("torso", 24.0, [False, True, False]),
        ),
        *(("torso-middle", 25.0, [True, True, False]), ("torso-visible", 1.0, [True, True, False])),
    ],
)
def test_the_torso_recipes_measure_in_torsos(recipe: str, stored: float, hits: list[bool]) -> None:
    """The head is missed by 5 px, the shoulder by nothing, the hip by 5.5; only torso-visible measures what it sees."""
    truth, predictions = one_frame([10, 10, 60, 30], 5.0)
    truth["torso"][:] = truth["torso_middle"][:] = stored
    truth["keypoints"][0, SHOULDER], truth["keypoints"][0, HIP] = [100, 100], [100, 125]
    predictions["keypoints"][0, SHOULDER], predictions["keypoints"][0, HIP] = [100, 100], [100, 130.5]
    scores = scored(recipe, truth, predictions).compute()
    by_joint = {row["joint"]: row["PCK@0.2"] for row in scores.tables["joint"]}
    assert [by_joint[joint] == 100 for joint in ("head", "left_shoulder", "right_hip")] == hits
    assert by_joint["left_hip"] is None


def test_torsos_are_of_the_label_s_numbers_placeholders_too(tmp_path: Path) -> None:
    raw = label(1, 0, np.random.default_rng(0))
    for name, value in (("x", 0.75), ("y", 0.75), ("visibility", 0)):
        raw[name][2, HIP] = value
    write_label(tmp_path / "raw" / "labels" / "0001.mat", raw)
    store = har_bench.convert("penn_action", tmp_path / "raw", tmp_path / "store", jobs=1, quiet=True)
    found = store.poses().to_pydict()
    x, y = raw["x"].astype(float), raw["y"].astype(float)
    assert found["torso"][2] == np.hypot(x[2, SHOULDER] - 0.75, y[2, SHOULDER] - 0.75)
    middle = np.hypot(*(each[:, 1:3].mean(axis=1) - each[:, 7:9].mean(axis=1) for each in (x, y)))
    assert found["torso_middle"] == pytest.approx(middle.tolist(), abs=1e-12)


def test_a_store_without_torsos_is_to_be_converted_again(sample_store: Store) -> None:
    class Old:
        path = "old"

        def schema(self, table: str) -> Any:
            return sample_store.schema(table).remove(sample_store.schema(table).get_field_index("torso"))

    old: Any = Old()
    PennPCK("lstm-pm").prepare(old)
    with pytest.raises(HarBenchError, match=r"old does not hold the length of torsos.*convert Penn Action again"):
        PennPCK("torso").prepare(old)


def test_a_missing_prediction_is_a_miss_by_every_recipe() -> None:
    truth, predictions = one_frame([10, 10, 60, 30], 0.0)
    predictions["keypoints"][:] = np.nan
    for recipe in PennPCK.recipes:
        assert scored(recipe, truth, predictions).metrics_of()["PCK@0.2"] == 0, recipe


def test_the_three_means_by_hand() -> None:
    """Sequence 0: the head hit, both wrists missed; sequence 1: the head hit."""
    truth, predictions = batches(2)
    truth, predictions = part(truth, [0, 1]), part(predictions, [0, 1])
    truth["box"][:], truth["keypoints"][:] = [0, 0, 100, 100], np.nan
    predictions["keypoints"][:] = 0.0
    first, second = truth.starts[:2]
    truth["keypoints"][first, 0] = truth["keypoints"][second, 0] = 0.0
    truth["keypoints"][first, 5:7] = 50.0
    metrics = scored("lstm-pm", truth, predictions).metrics_of()
    assert metrics["PCK@0.2"] == 50
    assert metrics["joint-mean PCK@0.2"] == pytest.approx(100 / 3)
    assert metrics["sequence-mean PCK@0.2"] == pytest.approx((100 / 3 + 100) / 2)


def test_shapes_that_do_not_belong_together_are_named() -> None:
    with pytest.raises(HarBenchError, match=r"\(2, 13, 3\)"):
        pck(np.zeros((2, 13, 3)), np.zeros((2, 13, 2)), np.ones(2))


def test_tables_end_in_the_metrics_and_rise_with_the_threshold() -> None:
    protocol = scored("lstm-pm", *batches())
    scores = protocol.compute()
    assert scores.tables["group"][-1]["PCK@0.2"] == scores.metrics["PCK@0.2"]
    curve = [row["PCK"] for row in scores.tables["threshold"]]
    assert curve == sorted(curve)
    assert curve[3] == scores.metrics["PCK@0.2"]
    for name in ("joint", "action", "viewpoint", "sequence"):
        assert sum(row["count"] for row in scores.tables[name]) == scores.counts["joints"]
    assert [row["action"] for row in scores.tables["action"]] == ["", "bowl", "squat"]


def test_nothing_scored_is_no_number() -> None:
    assert all(np.isnan(value) for value in PennPCK().compute().metrics.values())


def test_a_store_without_test_sequences_says_so() -> None:
    with pytest.raises(HarBenchError, match="standard/test"):
        PennPCK().select(pa.table({"sequence": ["0001"], "splits": [["standard/train"]]}))


def test_weights_count_a_sequence_as_often_as_it_is_repeated() -> None:
    truth, predictions = batches()
    for recipe in PennPCK.recipes:
        once = scored(recipe, truth, predictions)
        often = repeated(once, truth, predictions, weights := [1, 2, 0, 3, 0])
        assert once.metrics_of(np.array(weights, float)) == pytest.approx(often.metrics_of(), rel=1e-12)


@given(*shared_out(5), st.sampled_from(sorted(PennPCK.recipes)), SEEDS)
@settings(max_examples=40)
def test_any_split_merged_in_any_order_is_one_pass(order: list[int], cuts: set[int], recipe: str, seed: int) -> None:
    truth, predictions = batches(seed=seed)
    parts = merged(PennPCK(recipe), truth, predictions, order, cuts)
    assert parts.compute() == scored(recipe, truth, predictions).compute()


# ----------------------------------------------------------------------------------------- stores, and the goldens


def predictor(store: Store) -> pa.Table:
    """Golden files' own predictions: the truth moved by waves of 0.3 of the box, in our 0-based pixels."""
    poses = store.poses(split="standard/test", columns=["sequence", "frame", "keypoints", "box"])
    box, points = (to_numpy(poses[name], poses.schema.field(name)) for name in ("box", "keypoints"))
    names, frame = poses["sequence"].to_pylist(), poses["frame"].to_numpy()[:, None]
    starts = np.append(np.flatnonzero(frame[:, 0] == 0), len(frame))
    size = box_size(carried_forward(box, starts))[:, None]
    number, joint = np.array(names, np.int64)[:, None], np.arange(13)
    moved = np.nan_to_num(points)
    moved[..., 0] += 0.30 * size * np.sin(0.7 * frame + 1.3 * joint + 0.01 * number)
    moved[..., 1] += 0.30 * size * np.cos(0.9 * frame + 0.5 * joint + 0.02 * number)
    return pa.table({"sequence": names, "frame": poses["frame"], "keypoints": vector(moved)})


@pytest.fixture(scope="module")
def sample_store(samples: Samples) -> Store:
    return samples("penn_action")


def test_rows_in_any_order_and_in_any_number_of_processes_score_the_same(sample_store: Store, tmp_path: Path) -> None:
    rows = predictor(sample_store)
    whole = har_bench.score(PennPCK(), sample_store, rows, resamples=20)
    shuffled = rows.take(np.random.default_rng(0).permutation(len(rows)))
    spread = har_bench.score(PennPCK(), sample_store, shuffled, resamples=20, jobs=2)
    for name in ("metrics", "tables", "counts", "intervals"):
        assert getattr(whole, name) == getattr(spread, name)
    assert whole.counts["sequences"] == 4


def test_an_explanation_has_no_slice_of_joints_that_are_not_scored(sample_store: Store) -> None:
    seen = to_numpy(sample_store.poses()["visibility"], sample_store.schema("poses").field("visibility"))
    assert (seen == 1).any()
    found = har_bench.explain(PennPCK(), sample_store, predictor(sample_store))
    assert [each.name for each in found.slices["visibility"]] == ["visible"]


@pytest.fixture(scope="module")
def real_results(real: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    folder = tmp_path_factory.mktemp("penn") / "store"
    opened = har_bench.convert("penn_action", real / "penn_action", folder, jobs=2, quiet=True)
    rows = predictor(opened)
    return {recipe: har_bench.score(PennPCK(recipe), opened, rows, resamples=0) for recipe in PennPCK.recipes}


RECIPE_OF = {
    "bbox": "lstm-pm",
    "bbox_lt": "strict",
    "bbox_plus1": "plus-one",
    "bbox_skip_degenerate": "skip-degenerate",
    "bbox_mean_over_sequences": "lstm-pm",
}
GOLDEN = [
    (variant, path, number)
    for variant, values in load("penn_action/golden/penn_pck_golden.json").items()
    for path, number in leaves(values)
]


@pytest.mark.real
@pytest.mark.parametrize(("variant", "path", "golden"), GOLDEN, ids=lambda value: str(value))
def test_every_published_variant(
    real_results: dict[str, Result], variant: str, path: tuple[str, ...], golden: float
) -> None:
    result = real_results[RECIPE_OF[variant]]
    tables = {
        "per_joint": {row["joint"]: row["PCK@0.2"] for row in result.tables["joint"]},
        "grouped_pooled": {row["group"]: row["PCK@0.2"] for row in result.tables["group"]},
    }
    mean = result.tables["group"][-1]
    flat = {
        (): result["sequence-mean PCK@0.2"],
        ("pooled",): result["PCK@0.2"],
        ("mean_of_joints",): result["joint-mean PCK@0.2"],
        ("n_visible",): mean["count"],
        ("n_hit",): mean["hits"],
    }
    found = tables[path[0]][path[1]] if len(path) == 2 else flat[path]
    assert found == pytest.approx(golden, abs=1e-11, rel=0)
