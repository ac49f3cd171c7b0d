"""The parts of accuracy alone: combining clips, ranks, top-k and means over classes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har_bench.errors import HarBenchError
from har_bench.protocols.accuracy import (
    combine,
    mean_class_accuracy,
    ranks,
    top_k,
)
from tests.golden import ROOT


def test_a_tie_is_won_by_the_first_class() -> None:
    scores = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])
    assert ranks(scores, np.array([0, 2])).tolist() == [0, 1]
    assert ranks(scores, np.array([1, 1])).tolist() == [1, 0]
    assert top_k(scores, np.array([0, 2])) == 50
    assert top_k(scores, np.array([0, 2]), 2) == 100


def test_shapes_that_do_not_belong_together_are_named() -> None:
    with pytest.raises(HarBenchError, match=r"\(2, 3\), \(3,\)"):
        ranks(np.zeros((2, 3)), np.zeros(3, np.int64))


@pytest.mark.parametrize(("over", "expected"), [("true", 75.0), ("seen", 50.0), ("all", 37.5)])
def test_the_classes_that_the_mean_is_over(over: str, expected: float) -> None:
    """Class 0 is half right, class 1 right, class 2 only predicted, class 3 nowhere."""
    labels, predicted = np.array([0, 0, 1]), np.array([0, 2, 1])
    assert mean_class_accuracy(labels, predicted, 4, over=over) == expected
    weighted = mean_class_accuracy(labels, predicted, 4, over=over, weights=np.array([3.0, 0.0, 0.0]))
    assert weighted == {"true": 100.0, "seen": 100.0, "all": 25.0}[over]


def test_no_sequence_has_no_mean() -> None:
    empty = np.zeros(0, np.int64)
    for over in ("true", "seen", "all"):
        assert np.isnan(mean_class_accuracy(empty, empty, 4, over=over))


def test_product_and_mean_of_clips_disagree_where_they_should() -> None:
    scores = np.array([[0.6, 0.4], [0.9, 0.1], [0.05, 0.95]])
    starts = np.array([0, 1, 3, 3])
    product, mean = combine(scores, starts, "product"), combine(scores, starts, "mean")
    assert product[:2].argmax(axis=1).tolist() == [0, 1]
    np.testing.assert_allclose(product[1] / product[1].sum(), np.array([0.045, 0.095]) / 0.14, rtol=1e-15)
    assert mean[1].tolist() == pytest.approx([0.475, 0.525])
    assert np.isnan(product[2]).all()
    assert np.isnan(mean[2]).all()


def test_a_product_of_hundreds_of_small_probabilities_keeps_its_order() -> None:
    scores = np.tile([1e-9, 2e-9, 0.0], (500, 1))
    assert ranks(combine(scores, np.array([0, 500]), "product"), np.array([0])).tolist() == [1]
    assert ranks(combine(scores, np.array([0, 500]), "product"), np.array([2])).tolist() == [2]


def test_one_clip_is_itself() -> None:
    scores = np.random.default_rng(0).random((4, 6))
    for how in ("product", "mean"):
        np.testing.assert_array_equal(combine(scores, np.arange(5), how), scores)


@given(st.integers(0, 1000))
@settings(max_examples=30)
def test_the_order_of_clips_changes_no_digit(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.random((7, 5))
    for how in ("product", "mean"):
        shuffled = combine(random.permutation(scores), np.array([0, 7]), how)
        np.testing.assert_array_equal(combine(scores, np.array([0, 7]), how), shuffled)


CLASSIFICATION = ROOT.parent / "shared" / "reference" / "classification_and_temporal.json"


@pytest.mark.parametrize(
    "key",
    [
        key
        for key in (json.loads(CLASSIFICATION.read_text())["single_label"] if CLASSIFICATION.is_file() else {"": 0})
        if key not in ("N", "C", "formula")
    ],
)
def test_the_tools_digits_on_the_reference_scores(key: str) -> None:
    if not CLASSIFICATION.is_file():
        pytest.skip(f"no reference numbers at {CLASSIFICATION}")
    golden = json.loads(CLASSIFICATION.read_text())["single_label"]
    row, column = np.arange(golden["N"])[:, None], np.arange(golden["C"])
    scores = ((7919 * row + 104729 * column + 31 * ((row * column) % 977)) % 100003) / 100003
    labels = (37 * row[:, 0]) % 53
    scores[row[:, 0], labels] += 0.35 * ((row[:, 0] % 3) > 0)
    predicted = scores.argmax(axis=1)
    if key.startswith("n_label_set"):
        assert len(np.union1d(labels, predicted)) == golden[key]
        return
    over = {
        "mean_class_acc_mmaction2": "seen",
        "mean_class_acc_over_present_gt_classes": "true",
        "mean_class_acc_over_all_C_zero_for_absent": "all",
    }
    if key in over:
        found = mean_class_accuracy(labels, predicted, golden["C"], over=over[key])
    else:
        found = top_k(scores, labels, int(key.removeprefix("top")))
    assert found == pytest.approx(100 * golden[key], abs=1e-12)
