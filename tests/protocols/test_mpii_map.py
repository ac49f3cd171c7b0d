"""Multi-person AP against hand-computed cases, the definition written out in loops, and the official toolkit."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har_bench.errors import HarBenchError
from har_bench.protocol import Batch
from har_bench.protocols.mpii.map import JOINTS, SCORED, MultiPersonAP, assign, average_precision

# --- the functions ---------------------------------------------------------------------------------------------------


def person(*hits: int, joints: int = 4) -> np.ndarray:
    """(joints, 2) points at the origin where hit, and far away elsewhere."""
    return np.where(np.isin(np.arange(joints), hits)[:, None], 0.0, 99.0) + np.zeros((joints, 2))


def nobody(people: int, joints: int = 4) -> np.ndarray:
    return np.zeros((people, joints, 2))


def test_a_joint_at_exactly_half_a_head_is_right() -> None:
    truth = np.zeros((1, 2, 2))
    predicted = np.array([[[3.0, 4.0], [3.0, 4.1]]])
    assert assign(predicted, truth, np.array([10.0])).tolist() == [[True, False]]
    assert assign(predicted, truth, np.array([10.0]), at=0.6).tolist() == [[True, True]]


def test_the_annotated_persons_own_head_counts() -> None:
    truth = np.array([[[0.0, 0.0]], [[20.0, 0.0]]])
    predicted = np.array([[[9.0, 0.0]]])
    assert assign(predicted, truth, np.array([1.0, 30.0])).tolist() == [[True]]
    assert not assign(predicted, truth, np.array([1.0, 2.0])).any()


def test_the_prediction_with_most_hits_takes_the_person_and_the_other_is_wrong_everywhere() -> None:
    predicted = np.stack([person(0, 1), person(0, 1, 2)])
    assert assign(predicted, nobody(1), np.ones(1)).tolist() == [[False] * 4, [True, True, True, False]]


def test_of_equal_predictions_the_first_wins() -> None:
    predicted = np.stack([person(2), person(1), person(1)])
    assert assign(predicted, nobody(1), np.ones(1)).any(axis=1).tolist() == [True, False, False]


def test_a_prediction_whose_first_choice_is_taken_gets_no_second_one() -> None:
    """Both prefer the first person; the loser would hit joint 3 of the second one."""
    truth = nobody(2)
    truth[1] += 500
    predicted = np.stack([person(0, 1, 2), person(0, 1)])
    predicted[1, 3] = truth[1, 3]
    right = assign(predicted, truth, np.ones(2))
    assert right[0].tolist() == [True, True, True, False]
    assert not right[1].any()


def test_the_share_is_of_the_annotated_joints() -> None:
    """One of one joint beats two of four."""
    truth = nobody(2)
    truth[0, 1:] = np.nan
    truth[1] += 40
    predicted = np.array([[[0.0, 0], [0, 0], [40, 40], [40, 40]]])
    assert assign(predicted, truth, np.ones(2)).tolist() == [[True, False, False, False]]


def test_without_truth_or_predictions() -> None:
    assert assign(nobody(2), nobody(0), np.zeros(0)).tolist() == [[False] * 4] * 2
    assert assign(nobody(0), nobody(2), np.zeros(2)).shape == (0, 4)
    unknown = np.full((1, 4, 2), np.nan)
    assert not assign(nobody(1), unknown, np.ones(1)).any()
    assert not assign(nobody(1), nobody(1), np.array([np.nan])).any()


def test_shapes_that_do_not_belong_together_are_named() -> None:
    with pytest.raises(HarBenchError, match=r"\(1, 4, 2\), \(1, 5, 2\) and \(1,\)"):
        assign(nobody(1), nobody(1, 5), np.ones(1))


@pytest.mark.parametrize(
    ("right", "positives", "expected"),
    [
        ([1, 0, 1], 2, 100 * (1 / 2 + 1 / 2 * 2 / 3)),
        ([0, 1, 1], 2, 100 * 2 / 3),  # the envelope lifts the first one
        ([1, 1], 4, 50),
        ([0, 0], 3, 0),
        ([], 3, 0),
        ([0], 0, np.nan),
    ],
)
def test_average_precision(right: list[int], positives: int, expected: float) -> None:
    assert average_precision(right, positives) == pytest.approx(expected, nan_ok=True)


def test_a_detection_of_weight_two_counts_twice() -> None:
    right, weights = np.array([0, 1, 0, 1], bool), np.array([1.0, 2, 0, 3])
    repeated = average_precision(np.repeat(right, [1, 2, 0, 3]), 7)
    assert average_precision(right, 7, weights) == pytest.approx(repeated, rel=1e-14)
    assert average_precision(right, 7, np.zeros(4)) == 0


# --- the accumulator -------------------------------------------------------------------------------------------------


@dataclass
class Picture:
    """One image: (G, 16, 2) truth, (G,) heads, (P, 16, 2) predictions with (P, 16) scores."""

    truth: np.ndarray
    heads: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray


def picture(seed: int) -> Picture:
    """Whole pixels and scores of one digit, so that much is tied; some images have nobody, annotated or predicted."""
    random = np.random.default_rng(seed)
    people, found = (int(number) for number in random.choice([0, 1, 2, 3, 5], 2))
    truth = random.integers(0, 60, (people, 16, 2)).astype(float)
    source = truth[random.integers(0, people, found)] if people else np.zeros((found, 16, 2))
    predicted = source + random.integers(-7, 8, source.shape)
    truth[random.random((people, 16)) < 0.2] = np.nan
    predicted[random.random((found, 16)) < 0.3] = np.nan
    return Picture(
        truth, random.integers(8, 20, people).astype(float), predicted, random.integers(0, 9, (found, 16)) / 9
    )


def batches(pictures: dict[str, Picture]) -> tuple[Batch, Batch]:
    """Truth and predictions of some images, in their order."""
    every = list(pictures.values())
    sequences = pa.table({"sequence": list(pictures)})
    true = Batch(
        sequences,
        np.cumsum([0, *(len(each.truth) for each in every)]),
        {
            "keypoints": np.concatenate([each.truth for each in every]),
            "head_size": np.concatenate([each.heads for each in every]),
        },
    )
    predicted = Batch(
        sequences,
        np.cumsum([0, *(len(each.predicted) for each in every)]),
        {
            "keypoints": np.concatenate([each.predicted for each in every]),
            "score": np.zeros(sum(len(each.predicted) for each in every)),
            "keypoint_scores": np.concatenate([each.scores for each in every]),
        },
    )
    return true, predicted


def scored(pictures: dict[str, Picture], **options: Any) -> MultiPersonAP:
    protocol = MultiPersonAP(options=options)
    protocol.update(*batches(pictures))
    return protocol


PICTURES = {f"{seed:02}.jpg": picture(seed) for seed in range(12)}
EMPTY = [name for name, each in PICTURES.items() if not len(each.predicted)]


def in_loops(pictures: dict[str, Picture], *, skip: bool = True) -> tuple[list[float], list[int]]:
    """AP and number of annotated joints of each of the 14 joints: the definition, one number at a time."""
    ranked: list[list[tuple[float, bool]]] = [[] for _ in SCORED]
    annotated = [0 for _ in SCORED]
    for _, image in sorted(pictures.items()):
        if skip and not len(image.predicted):
            continue
        owner = _owners(image)
        for place, joint in enumerate(SCORED):
            annotated[place] += int(np.isfinite(image.truth[:, joint, 0]).sum())
            for p in np.flatnonzero(np.isfinite(image.predicted[:, joint, 0])):
                ranked[place].append((image.scores[p, joint], p in owner and _hit(image, p, owner[p], joint)))
    return [_area(each, count) for each, count in zip(ranked, annotated, strict=True)], annotated


def _hit(image: Picture, p: int, g: int, joint: int) -> bool:
    difference = image.predicted[p, joint] - image.truth[g, joint]
    return bool(np.hypot(*difference) / image.heads[g] <= 0.5)


def _owners(image: Picture) -> dict[int, int]:
    """Detected person -> the annotated one that it has the largest share of joints of, and nobody a larger one."""
    best: dict[int, tuple[float, int]] = {}  # annotated person -> the largest share, and whose it is
    for p in range(len(image.predicted)):
        shares = []
        for g in range(len(image.truth)):
            known = [joint for joint in SCORED if np.isfinite(image.truth[g, joint, 0])]
            shares.append(sum(_hit(image, p, g, joint) for joint in known) / len(known) if known else 0)
        if not shares or max(shares) == 0:
            continue
        g = shares.index(max(shares))
        if g not in best or shares[g] > best[g][0]:
            best[g] = shares[g], p
    return {p: g for g, (_, p) in best.items()}


def _area(detections: list[tuple[float, bool]], positives: int) -> float:
    found, recall, precision = 0, [0.0], [0.0]
    for rank, (_, right) in enumerate(sorted(detections, key=lambda each: -each[0]), start=1):
        found += right
        recall.append(found / positives)
        precision.append(found / rank)
    return 100 * sum(
        (after - before) * max(precision[place:]) for place, (before, after) in enumerate(pairwise(recall), start=1)
    )


@pytest.mark.parametrize("unpredicted", ["skip", "count"])
def test_equals_the_definition_written_out(unpredicted: str) -> None:
    assert EMPTY
    expected, annotated = in_loops(PICTURES, skip=unpredicted == "skip")
    assert 5 < min(expected) < max(expected) < 80, "the case must be neither hopeless nor perfect"
    scores = scored(PICTURES, unpredicted=unpredicted).compute()
    joints = scores.tables["joint"]
    assert [row["AP"] for row in joints] == pytest.approx(expected, abs=1e-12)
    assert [row["annotated"] for row in joints] == annotated
    assert scores.metrics["mAP"] == pytest.approx(np.mean(expected), abs=1e-12)


def test_an_image_without_predictions_contributes_no_truth_unless_it_is_asked_to() -> None:
    skipped, counted = scored(PICTURES), scored(PICTURES, unpredicted="count")
    assert skipped.skipped.names() == EMPTY
    assert skipped.units() == [name for name in PICTURES if name not in EMPTY]
    assert counted.units() == list(PICTURES)
    both = skipped.compute(), counted.compute()
    assert both[0].metrics["mAP"] > both[1].metrics["mAP"]
    assert [each.counts["images_without_predictions"] for each in both] == [len(EMPTY), 0]
    missed = sum(int(np.isfinite(PICTURES[name].truth[:, SCORED, 0]).sum()) for name in EMPTY)
    assert both[1].counts["annotated_joints"] - both[0].counts["annotated_joints"] == missed > 0


def test_groups_are_means_of_two_joints() -> None:
    scores = scored(PICTURES).compute()
    by_joint = {row["joint"]: row["AP"] for row in scores.tables["joint"]}
    assert set(by_joint) == set(JOINTS) - {"pelvis", "thorax"}
    assert scores.metrics["AP Head"] == pytest.approx((by_joint["head_top"] + by_joint["neck"]) / 2)
    assert scores.metrics["AP Wrist"] == pytest.approx((by_joint["left_wrist"] + by_joint["right_wrist"]) / 2)
    assert [row["group"] for row in scores.tables["group"]][-1] == "mAP"
    assert {metric.name for metric in MultiPersonAP.metrics} == set(scores.metrics)


def test_the_persons_score_stands_in_for_those_of_the_joints() -> None:
    truth, predictions = batches(PICTURES)
    persons = np.arange(len(predictions), dtype=np.float32)[::-1]
    alone = MultiPersonAP()
    alone.update(truth, Batch(predictions.sequences, predictions.starts, {**without(predictions), "score": persons}))
    spread = MultiPersonAP()
    joints = np.repeat(persons[:, None], 16, axis=1)
    spread.update(
        truth, Batch(predictions.sequences, predictions.starts, {**predictions.columns, "keypoint_scores": joints})
    )
    assert alone.compute() == spread.compute()
    assert alone.compute() != scored(PICTURES).compute()


def without(batch: Batch) -> dict[str, np.ndarray]:
    return {name: values for name, values in batch.columns.items() if name != "keypoint_scores"}


@settings(max_examples=50)
@given(data=st.data())
def test_neither_order_nor_batches_nor_merges_change_a_digit(data: st.DataObject) -> None:
    names = data.draw(st.permutations(list(PICTURES)))
    parts = data.draw(st.sampled_from([1, 3, 8]))
    whole = scored(PICTURES)
    merged = whole.fresh()
    for part in data.draw(st.permutations(range(parts))):
        merged.merge(scored({name: PICTURES[name] for name in names[part::parts]}))
    assert merged.compute() == whole.compute()
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(whole.units()), max_size=len(whole.units()))))
    np.testing.assert_equal(merged.metrics_of(weights.astype(float)), whole.metrics_of(weights.astype(float)))


@given(data=st.data())
def test_persons_in_another_order_change_nothing_where_nothing_is_tied(data: st.DataObject) -> None:
    """Predictions of one image rank as given only among equals."""
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    truth = random.uniform(0, 300, (3, 16, 2))
    predicted = truth + random.normal(0, 1, truth.shape) * np.array([0.1, 2, 4])[:, None, None]
    image = Picture(truth, np.full(3, 9.0), predicted, random.random((3, 16)))
    order = data.draw(st.permutations(range(3)))
    shuffled = Picture(truth, image.heads, predicted[order], image.scores[order])
    assert scored({"a": shuffled}).compute() == scored({"a": image}).compute()


@given(st.lists(st.integers(0, 3), min_size=len(PICTURES) - len(EMPTY), max_size=len(PICTURES) - len(EMPTY)))
def test_weights_count_an_image_as_often(times: list[int]) -> None:
    random = np.random.default_rng(0)  # no two scores alike: copies of an image stay together
    pictures = {
        name: Picture(each.truth, each.heads, each.predicted, random.random(each.scores.shape))
        for name, each in PICTURES.items()
        if name not in EMPTY
    }
    copies = {
        f"{name}#{copy}": pictures[name] for name, count in zip(pictures, times, strict=True) for copy in range(count)
    }
    if copies:
        found = scored(pictures).metrics_of(np.array(times, float))
        assert found == pytest.approx(scored(copies).metrics_of(), rel=1e-12, nan_ok=True)


def test_joints_that_nobody_has_are_left_out_of_the_mean() -> None:
    image = Picture(nobody(1, 16), np.ones(1), nobody(1, 16), np.ones((1, 16)))
    image.truth[0, 2:] = np.nan
    scores = scored({"a": image}).compute()
    assert scores.metrics["mAP"] == 100
    assert [row["AP"] for row in scores.tables["joint"]] == [100, 100, *[None] * 12]
    assert next(row["AP"] for row in scores.tables["group"] if row["group"] == "Wrist") is None


def test_an_image_comes_once() -> None:
    protocol = scored(PICTURES)
    with pytest.raises(HarBenchError, match=r"'01\.jpg' was scored twice"):
        protocol.merge(scored({"01.jpg": PICTURES["01.jpg"]}))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("keypoints", np.zeros((1, 17, 2)), r"shape \(17, 2\)"),
        ("keypoint_scores", np.zeros((1, 14)), r"shape \(14,\); give 16"),
        ("keypoint_scores", np.full((1, 16), np.nan), "'a' has a predicted joint without a score"),
    ],
)
def test_predictions_that_do_not_fit_are_named(column: str, values: np.ndarray, message: str) -> None:
    truth, predictions = batches({"a": Picture(nobody(1, 16), np.ones(1), nobody(1, 16), np.ones((1, 16)))})
    broken = Batch(predictions.sequences, predictions.starts, {**predictions.columns, column: values})
    with pytest.raises(HarBenchError, match=message):
        MultiPersonAP().update(truth, broken)


def test_nothing_to_score_is_named() -> None:
    blank = Picture(nobody(0, 16), np.zeros(0), nobody(1, 16), np.ones((1, 16)))
    with pytest.raises(HarBenchError, match="none of the 1 images with predictions has an annotated joint"):
        scored({"a": blank}).compute()
    with pytest.raises(HarBenchError, match="none of the 0 images"):
        MultiPersonAP().compute()


def test_options() -> None:
    sequences = pa.table({"sequence": ["a", "b", "c"], "splits": [["tompson/valid", "x"], None, ["x"]]})
    assert MultiPersonAP().select(sequences)["sequence"].to_pylist() == ["a"]
    assert MultiPersonAP(options={"split": "x"}).select(sequences)["sequence"].to_pylist() == ["a", "c"]
    with pytest.raises(HarBenchError, match="in y; its splits are tompson/valid, x"):
        MultiPersonAP(options={"split": "y"}).select(sequences)
    with pytest.raises(HarBenchError, match="unpredicted='maybe'; give skip or count"):
        MultiPersonAP(options={"unpredicted": "maybe"})
    assert MultiPersonAP(options={"unpredicted": "count"}).canonical == "mpii/map:official,unpredicted=count"
    assert MultiPersonAP(options={"unpredicted": " skip"}).canonical == MultiPersonAP().canonical == "mpii/map:official"
