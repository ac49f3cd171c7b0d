"""Multi-label average precision by hand, and against the digits of the tools it is named after."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har_bench.errors import HarBenchError
from har_bench.protocols.accuracy.multi_label import average_precision, mean_average_precision
from tests.golden import ROOT, leaves


def test_average_precision_by_hand() -> None:
    """Column 0: hits at places 1 and 3; column 1: no true label; column 2: all tie, one of four is true."""
    scores = np.array([[0.9, 1, 1], [0.8, 2, 1], [0.7, 3, 1], [0.6, 4, 1]])
    relevant = np.array([[1, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]], bool)
    found = average_precision(scores, relevant)
    assert found.tolist() == pytest.approx([100 * (1 + 2 / 3) / 2, np.nan, 25], nan_ok=True)
    assert mean_average_precision(scores, relevant) == pytest.approx((found[0] + 25) / 2)
    assert mean_average_precision(scores, relevant, average="weighted") == pytest.approx((2 * found[0] + 25) / 3)
    assert mean_average_precision(scores, relevant, average="clips") == pytest.approx(100 * (1 / 3 + 1 / 3 + 1 / 2) / 3)


def test_nothing_true_has_no_precision() -> None:
    for average in ("classes", "clips", "weighted"):
        assert np.isnan(mean_average_precision(np.ones((2, 3)), np.zeros((2, 3), bool), average=average))


def test_shapes_that_do_not_belong_together_are_named() -> None:
    with pytest.raises(HarBenchError, match=r"\(2, 3\), \(3, 2\)"):
        average_precision(np.zeros((2, 3)), np.zeros((3, 2), bool))


@given(st.permutations(range(8)), st.integers(0, 20))
@settings(max_examples=30)
def test_the_order_of_clips_changes_no_digit(order: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    scores, relevant = random.integers(0, 4, (8, 3)) / 4, random.random((8, 3)) < 0.4
    assert average_precision(scores, relevant).tolist() == pytest.approx(
        average_precision(scores[order], relevant[order]).tolist(), abs=0, nan_ok=True
    )


REFERENCE = ROOT.parent / "shared" / "reference" / "classification_and_temporal.json"
GOLDEN = json.loads(REFERENCE.read_text())["multi_label"] if REFERENCE.is_file() else {}


@pytest.mark.skipif(not GOLDEN, reason=f"no reference numbers at {REFERENCE}")
@pytest.mark.parametrize(("path", "golden"), list(leaves(GOLDEN)), ids=str)
def test_the_tools_digits_on_the_reference_scores(path: tuple[str, ...], golden: float) -> None:
    row, column = np.arange(400)[:, None], np.arange(60)
    scores = ((7919 * row + 104729 * column + 31 * ((row * column) % 977)) % 100003) / 100003
    scores[row[:, 0], (37 * row[:, 0]) % 53] += 0.35 * ((row[:, 0] % 3) > 0)
    relevant = ((13 * row + 29 * column) % 17) < (1 + column % 4)
    relevant[:, 7] = False
    if path[0].startswith("ties"):
        scores = scores.round(1)
    average = {"mmit_mAP": "clips", "charades_style_wAP": "weighted"}.get(path[-1], "classes")
    assert mean_average_precision(scores, relevant, average=average) == pytest.approx(100 * golden, abs=1e-12)
