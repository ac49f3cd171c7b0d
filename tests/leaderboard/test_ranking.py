"""Who is best, and what chance alone might have put in its order: by hand, and beside the plain definition."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from har_bench.leaderboard.entries import Entry
from har_bench.leaderboard.fields import Fields, fields_of
from har_bench.leaderboard.ranking import Number, holm, marks, standings


def test_marks_by_hand() -> None:
    classes = ["a", "a", "a", "b", "b", "c", "a"]
    assert marks(classes, [3.0, 2.0, 1.0, 9.0, 8.0, 99.0, None]) == ["best", "second", "", "best", "", "", ""]
    assert marks(["a"] * 3, [1.0, 1.0, 0.0]) == ["best", "best", "second"]
    assert marks(["a"] * 2, [1.0, float("nan")]) == ["", ""]


def test_holm_by_hand() -> None:
    """0.05 / 3, 0.05 / 2, 0.05: the second fails, and so does everything after it."""
    assert holm({(0, 1): 0.016, (0, 2): 0.03, (1, 2): 0.04}) == {(0, 1): True, (0, 2): False, (1, 2): False}
    assert holm({(0, 1): 0.016, (0, 2): 0.02, (1, 2): 0.04}) == dict.fromkeys([(0, 1), (0, 2), (1, 2)], True)
    assert holm({}) == {}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tested", [0, 3])
def test_rank_ranges_beside_counting_every_pair(seed: int, tested: int) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=8)
    numbers = [
        Number(value, value - width, value + width)
        for value, width in zip(values, random.uniform(0, 0.6, 8), strict=True)
    ]
    pairs = list(combinations(range(8), 2))
    chosen = [pairs[at] for at in random.choice(len(pairs), tested, replace=False)]
    p = {pair: float(random.choice([1e-5, 0.9])) for pair in chosen}
    verdicts = holm(p)

    def above(first: int, second: int) -> bool:
        """Whether the first is surely better."""
        pair = (min(first, second), max(first, second))
        if pair in verdicts:
            return verdicts[pair] and numbers[first].value > numbers[second].value
        return numbers[first].low > numbers[second].high

    for at, found in enumerate(standings(numbers, p)):
        others = [other for other in range(8) if other != at]
        assert found.low == 1 + sum(above(other, at) for other in others)
        assert found.high == 8 - sum(above(at, other) for other in others)


@pytest.mark.parametrize(
    ("said", "given", "frames", "rest"),
    [
        ("CPN 2D, 243 frames", "CPN", 243, ""),
        ("243 frames; 2D detector CPN", "CPN", 243, ""),
        ("2D: CPN; boxes: Mask R-CNN; 4 blocks; 243 frames", "CPN", 243, "boxes: Mask R-CNN; 4 blocks"),
        ("2D: Ground truth; boxes: --; 4 blocks; 243 frames", "ground truth", 243, "boxes: --; 4 blocks"),
        ("GT 2D, 1 frame", "ground truth", 1, ""),
        ("SH 2D (fine-tuned), 243 frames", "SH (fine-tuned)", 243, ""),
        ("receptive field 27", "", 27, ""),
        ("CPN 2D, sequence 81, f=1, n=3, 77.2 MFLOPs", "CPN", 81, "f=1; n=3; 77.2 MFLOPs"),
        ("Official 3D Skeleton; joint stream", "3D skeleton", None, "joint stream"),
        ("HRNet 2D Skeleton; two-stream ensemble", "HRNet", None, "two-stream ensemble"),
        ("2D keypoints: the truth, projected", "ground truth", None, ""),
        ("2D keypoints: detections.npz, by CPN", "detections.npz, by CPN", None, ""),
        ("256x192", "", None, "256x192"),
        ("", "", None, ""),
    ],
)
def test_what_sources_say_of_the_input(said: str, given: str, frames: int | None, rest: str) -> None:
    found = fields_of(Entry(dataset="d", scoring="s", method="m", values={}, input=said))
    assert found == Fields(given=given, frames=frames, rest=rest)
