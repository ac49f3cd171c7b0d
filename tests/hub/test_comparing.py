"""Paired tests against hand-made exchanges and scipy, and that neither names nor order nor luck move a digit."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import har_bench
from har_bench import HarBenchError, Store
from har_bench.arrays import Floats
from har_bench.protocol import Batch
from har_bench.results import Result
from har_bench.studying.comparing import Comparison, compare, compare_results
from har_bench.studying.resampling import Draws, ratio
from tests.hub.systems import FRAMES, OFFSETS, PROTOCOL, off_by
from tests.sampled import Samples
from tests.toy import ToyError, write_raw

A, B = OFFSETS, [4.0, 6.5, 7.0, 3.0, 6.0]


@pytest.fixture(scope="module")
def compared(toys: Store) -> Comparison:
    return compare(PROTOCOL, toys, off_by(toys, A), off_by(toys, B), resamples=2000)


def pooled(first: list[float], second: list[float]) -> float:
    """B minus A by the toy recipe: means weighted by frames."""
    return float(np.average(second, weights=FRAMES) - np.average(first, weights=FRAMES))


def test_the_values_are_those_of_scoring(toys: Store, compared: Comparison) -> None:
    (found,) = compared.differences
    scores = [har_bench.score(PROTOCOL, toys, off_by(toys, offsets), resamples=0)["error"] for offsets in (A, B)]
    assert [found.a, found.b] == scores
    assert found.difference == pytest.approx(pooled(A, B), abs=1e-4)
    assert compared.sequences == len(FRAMES)


def test_few_sequences_are_exchanged_in_every_way(compared: Comparison) -> None:
    exchanged = [
        pooled(
            *map(list, zip(*((b, a) if swap else (a, b) for a, b, swap in zip(A, B, swaps, strict=True)), strict=True))
        )
        for swaps in product((False, True), repeat=len(FRAMES))
    ]
    expected = np.mean([abs(each) >= abs(pooled(A, B)) - 1e-4 for each in exchanged])
    assert (compared.exact, compared.permutations) == (True, 16)
    assert compared.differences[0].p == pytest.approx(expected)


def test_the_bootstrap_is_that_of_the_sequences(compared: Comparison) -> None:
    random = np.random.default_rng(7)
    frames, a, b = np.array(FRAMES), np.array(A), np.array(B)
    drawn = random.integers(0, 5, (20_000, 5))
    weights = frames[drawn]
    expected = ((b - a)[drawn] * weights).sum(axis=1) / weights.sum(axis=1)
    (found,) = compared.differences
    assert (found.low, found.high) == pytest.approx(np.percentile(expected, [2.5, 97.5]), abs=0.12)
    assert found.effect == pytest.approx(pooled(A, B) / expected.std(), rel=0.1)
    difference = b - a
    assert found.cohen == pytest.approx(difference.mean() / difference.std(ddof=1), abs=1e-3)


def test_many_sequences_are_exchanged_at_random_as_scipy_does() -> None:
    random = np.random.default_rng(3)
    a = random.normal(10, 2, 40)
    b = a + random.normal(0.4, 1, 40)

    def mixture(first: Any, second: Any) -> dict[str, float]:
        return {"mean": float((first @ a + second @ b) / (first + second).sum())}

    draws = Draws(mixture, 40, 4000, seed=5, quiet=True)
    tried, p = draws.p_values(["mean"])
    reference = stats.permutation_test(
        (a, b), lambda x, y: np.mean(y - x), permutation_type="samples", n_resamples=4000, rng=np.random.default_rng(1)
    )
    assert (draws.exact, tried) == (False, 4000)
    assert p[0] == pytest.approx(reference.pvalue, abs=0.02)
    low, high = np.percentile(draws.bootstrap(["mean"])[:, 0], [2.5, 97.5])
    half = 1.96 * (b - a).std() / np.sqrt(40)
    assert (low, high) == pytest.approx((np.mean(b - a) - half, np.mean(b - a) + half), abs=0.08)


def test_equal_systems_do_not_differ(toys: Store) -> None:
    found = compare(PROTOCOL, toys, off_by(toys, A), off_by(toys, A), resamples=100)
    (only,) = found.differences
    assert (only.difference, only.p, only.low, only.high) == (0, 1, 0, 0)
    assert (only.effect, only.cohen) == (None, None)
    assert "both score the same" in found.lines()[0]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.randoms(use_true_random=False))
def test_the_seed_decides_every_digit_and_exchanging_the_systems_changes_signs_only(
    toys: Store, seed: int, random: Any
) -> None:
    first, second = off_by(toys, A), off_by(toys, B)
    names = list(first)
    random.shuffle(names)
    shuffled = {name: first[name] for name in names}
    one = compare(PROTOCOL, toys, first, second, resamples=50, seed=seed)
    assert compare(PROTOCOL, toys, shuffled, second, resamples=50, seed=seed) == one
    (forth,), (back,) = one.differences, compare(PROTOCOL, toys, second, first, resamples=50, seed=seed).differences
    assert back.difference == -forth.difference
    assert (back.low, back.high, back.p) == pytest.approx((-forth.high, -forth.low, forth.p), abs=1e-9)


def test_options_and_recipes_are_passed_on(toys: Store) -> None:
    found = compare(
        f"{PROTOCOL}", toys, off_by(toys, A), off_by(toys, B), recipe="double", resamples=9, options={"every": 4}
    )
    assert found.canonical == "toy/error:double,every=4"
    assert (
        found.differences[0].a
        == har_bench.score(PROTOCOL, toys, off_by(toys, A), recipe="double", resamples=0, options={"every": 4})["error"]
    )


def test_what_cannot_be_scored_or_resampled_is_one_sentence(toys: Store, tmp_path: Path) -> None:
    whole = off_by(toys, A)
    with pytest.raises(HarBenchError, match="30 missing"):
        compare(PROTOCOL, toys, whole, {name: whole[name] for name in list(whole)[1:]})
    with pytest.raises(HarBenchError, match="0 resamples are too few"):
        compare(PROTOCOL, toys, whole, whole, resamples=0)
    with pytest.raises(HarBenchError, match="needs a h36m store"):
        compare("h36m/mpjpe", toys, whole, whole)
    one = har_bench.convert("tests.toy:Toy", write_raw(tmp_path / "raw", [9]), tmp_path / "one", jobs=1, quiet=True)
    alone = {"s000/right": one.sequence("s000/right").keypoints_3d}
    with pytest.raises(HarBenchError, match="on one sequence"):
        compare(PROTOCOL, one, alone, alone)


def test_a_real_protocol_names_the_breakdown_that_differs_most(human: Store) -> None:
    a, b = noisy(human, 0, None), noisy(human, 0, "Walking")
    found = compare("h36m/mpjpe", human, a, b, resamples=200, names=("plain", "worse walker"))
    assert [each.metric for each in found.differences][:2] == ["MPJPE", "P-MPJPE"]
    contrasts = {each.table: each.row for each in found.contrasts}
    assert contrasts["action"].startswith("Walking")
    assert set(contrasts) == {"action", "subject", "camera", "joint"}
    assert [abs(each.difference) for each in found.contrasts] == sorted(
        (abs(each.difference) for each in found.contrasts), reverse=True
    )
    assert "plain is better by" in found.lines()[0]
    titles = [title for title, columns, rows in found.tables() if all(len(row) == len(columns) for row in rows)]
    assert titles == ["h36m/mpjpe:videopose3d", "where they differ most"]


def test_two_results_are_compared_from_their_tables(human: Store) -> None:
    sources = [noisy(human, 0, None), noisy(human, 1, "Walking")]
    first, second = (har_bench.score("h36m/mpjpe:deephar", human, source, resamples=0) for source in sources)
    direct = compare("h36m/mpjpe:deephar", human, *sources, resamples=300)
    found = compare_results(first, second, resamples=300)
    assert "less precise" in found.lines()[-1]
    assert found.contrasts == direct.contrasts
    for mine, exact in zip(found.differences, direct.differences, strict=True):
        if mine.metric == "MPJPE":  # the recipe weights by frames, so the table's mean is the recipe's own
            assert (mine.low, mine.high, mine.p) == pytest.approx((exact.low, exact.high, exact.p))
        assert (mine.a, mine.b) == (exact.a, exact.b)


def test_results_of_different_kinds_are_not_compared(human: Store) -> None:
    one = har_bench.score("h36m/mpjpe", human, noisy(human, 0, None), resamples=0)

    def other(**changes: Any) -> Result:
        return msgspec.structs.replace(one, **changes)

    for changed, message in (
        (other(recipe="recentred"), "score both in the same way"),
        (other(version="0"), "version 0"),
        (other(fingerprints={"store": "x"}), "of the store"),
        (other(tables={}), "no table of the same sequences"),
        (other(primary="what"), "have no what"),
    ):
        with pytest.raises(HarBenchError, match=message):
            compare_results(changed if "what" in changed.primary else one, changed)


def test_files_name_the_systems_where_they_tell_them_apart(toys: Store, tmp_path: Path) -> None:
    table = har_bench.run("tests.toy:Zero", toys, protocol=PROTOCOL, out=tmp_path / "mine.parquet")
    assert table.model == "tests.toy:Zero"
    (tmp_path / "again").mkdir()
    for other in ("theirs.parquet", "again/mine.parquet"):
        shutil.copy(tmp_path / "mine.parquet", tmp_path / other)
    named = [
        compare(PROTOCOL, toys, tmp_path / "mine.parquet", other, resamples=10).names
        for other in (tmp_path / "theirs.parquet", tmp_path / "again" / "mine.parquet", off_by(toys, A))
    ]
    assert named == [("mine", "theirs"), ("A", "B"), ("A", "B")]


def test_a_ratio_needs_spread() -> None:
    assert ratio(1.0, np.array([2.0, 2.0])) is None
    assert ratio(1.0, np.array([2.0])) is None
    assert ratio(1.0, np.array([1.0, 3.0, np.nan])) == pytest.approx(1 / np.sqrt(2))


@pytest.fixture(scope="module")
def human(samples: Samples) -> Store:
    return samples("h36m")


def noisy(human: Store, seed: int, worse: str | None) -> dict[str, np.ndarray[Any, Any]]:
    """Root-relative truth with noise, four times as much where the sequence's name has a word."""
    random = np.random.default_rng(seed)
    found = {}
    for name in human.select("standard/test")["sequence"].to_pylist():
        poses = human.poses(sequences=[name], skeleton="h36m17", columns=["keypoints_3d"])
        points = har_bench.schema.to_numpy(poses["keypoints_3d"], poses.schema.field("keypoints_3d"))
        noise = random.normal(size=points.shape) * (40 if worse and worse in name else 10)
        found[name] = points - points[:, :1] + noise.astype(np.float32)
    return found


def test_labels_of_clips_are_compared_too(samples: Samples) -> None:
    store = samples("penn_action")
    names = store.sequences["sequence"].to_pylist()
    right, wrong = np.zeros(len(names), int), np.ones(len(names), int)
    found = compare(
        "tests.hub.labelled_clips:Clips",
        store,
        {"sequence": names, "label": right},
        {"sequence": names, "label": wrong},
    )
    (only,) = found.differences
    assert (only.a, only.b, only.low, only.high) == (100, 0, -100, -100)
    assert only.p == 2.0 ** (1 - len(names))  # only the observed exchange, or its opposite, is as far apart


class NearbyError(ToyError):
    """Keeps no record of a sequence that is far off."""

    def update(self, truth: Batch, predictions: Batch) -> None:
        distance = np.linalg.norm(truth["keypoints_3d"][:, 0] - predictions["keypoints_3d"][:, 0], axis=-1)
        for name, rows in truth.slices():
            if distance[rows].mean() < 100:
                self.state.add(name, [distance[rows].sum(dtype=np.float64), rows.stop - rows.start])

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        with np.errstate(invalid="ignore"):  # a draw of nothing but sequences without a record
            return super().metrics_of(weights)


def test_a_sequence_that_one_system_has_no_record_of_counts_for_the_other(tmp_path: Path) -> None:
    """By hand: of the exchanges of x (1, none), y (2, 5) and z (none, 9), two in eight differ by as much as 7 - 1.5."""
    store = har_bench.convert("tests.toy:Toy", write_raw(tmp_path / "raw", [5] * 3), tmp_path / "store", quiet=True)
    systems = [
        {
            name: store.sequence(name).keypoints_3d + np.float32([offset, 0, 0])
            for name, offset in zip(("s000/right", "s001/right", "s002/right"), offsets, strict=True)
        }
        for offsets in ((1, 2, 1000), (1000, 5, 9))
    ]
    compared = compare(NearbyError(), store, *systems, resamples=100)
    (found,) = compared.differences
    assert compared.sequences == 3
    assert (found.a, found.b) == (pytest.approx(1.5, abs=1e-4), pytest.approx(7, abs=1e-4))
    assert (compared.exact, found.p) == (True, 0.25)
