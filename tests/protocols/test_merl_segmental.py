"""Segmental scores on MERL Shopping: hand-computed cases, and the digits of the TCN repository's own files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.errors import HarBenchError
from har_bench.foreign.mat import load_mat
from har_bench.protocol import Batch
from har_bench.protocols.temporal.merl_files import CHUNK, CLASSES, NAMES, read_chunks, scored_rows
from har_bench.protocols.temporal.segmental import (
    BACKGROUND,
    PIECE,
    Segmental,
    edit_score,
    levenshtein,
    overlap_f1,
    segment_average_precision,
    segments,
)
from har_bench.store import Store
from tests.batches import SEEDS, no_order_shows, part, scored, shared_out
from tests.golden import REAL, load

MERL = REAL / "merl"
GOLDEN: dict[str, Any] = load("merl/golden/merl_tcn_metrics.json")

# ---------------------------------------------------------------------------------------------- pure functions


def labels(text: str) -> np.ndarray:
    """One digit per chunk."""
    return np.array([int(digit) for digit in text])


def test_segments_are_runs_without_background() -> None:
    found = segments(labels("5500512"), BACKGROUND)
    assert found.intervals.tolist() == [[2, 4], [5, 6], [6, 7]]
    assert found.label.tolist() == [0, 1, 2]
    assert segments(labels("")).intervals.tolist() == []


@pytest.mark.parametrize(
    ("first", "second", "edits"),
    [("", "", 0), ("012", "", 3), ("012", "02", 1), ("0123", "0323", 1), ("01", "10", 2), ("5" * 64, "5" * 65, 1)],
)
def test_edits_by_hand(first: str, second: str, edits: int) -> None:
    assert levenshtein(labels(first), labels(second)) == levenshtein(labels(second), labels(first)) == edits
    longer = max(len(first), len(second))
    assert edit_score(labels(first), labels(second)) == (100 * (1 - edits / longer) if longer else 100)


def table_of_edits(first: list[int], second: list[int]) -> int:
    """Wagner and Fischer's table."""
    row = list(range(len(second) + 1))
    for i, label in enumerate(first, start=1):
        above, row = row, [i]
        for j, other in enumerate(second):
            row.append(min(above[j] + (label != other), above[j + 1] + 1, row[j] + 1))
    return row[-1]


@given(st.lists(st.integers(0, 3), max_size=150), st.lists(st.integers(0, 4), max_size=150))
def test_edits_are_those_of_the_table(first: list[int], second: list[int]) -> None:
    assert levenshtein(np.array(first, int), np.array(second, int)) == table_of_edits(first, second)


def test_f1_by_hand() -> None:
    truth = segments(labels("0000555511115555"), BACKGROUND)
    assert overlap_f1(truth, truth).tolist() == [100, 100, 100]
    # a half of the first (IoU 1/2), and a quarter of the second (IoU 1/4)
    half = segments(labels("0055555515555555"), BACKGROUND)
    assert overlap_f1(half, truth).tolist() == [100, 100, 50]
    # both halves of one: the second one is wrong
    twice = segments(labels("0500555555555555"), BACKGROUND)
    assert overlap_f1(twice, truth).tolist() == [50, 50, 50]
    assert overlap_f1(truth, segments(labels("5"), BACKGROUND)).tolist() == [0, 0, 0]
    assert overlap_f1(segments(labels("")), segments(labels(""))).tolist() == [0, 0, 0]


def by_definition(predicted: np.ndarray, truth: np.ndarray, at: float) -> float:
    """F1@k, one predicted segment after the other against all true ones."""
    mine, true = segments(predicted, BACKGROUND), segments(truth, BACKGROUND)
    taken, hits = set(), 0
    for start, stop, label in zip(*mine, strict=True):
        ious = [
            max(min(stop, end) - max(start, begin), 0) / (max(stop, end) - min(start, begin)) * (label == other)
            for begin, end, other in zip(*true, strict=True)
        ]
        best = int(np.argmax(ious)) if ious else -1
        if best >= 0 and ious[best] >= at and best not in taken:
            taken.add(best)
            hits += 1
    either = len(mine.label) + len(true.label)
    return 200 * hits / either if either else 0.0


@given(st.lists(st.sampled_from([0, 1, 5]), max_size=80), st.integers(0, 9))
def test_f1_is_its_definition(truth: list[int], seed: int) -> None:
    true = np.array(truth, int)
    random = np.random.default_rng(seed)
    mine = np.where(random.random(len(true)) < 0.7, true, random.choice([0, 1, 5], len(true)))
    found = overlap_f1(segments(mine, BACKGROUND), segments(true, BACKGROUND))
    assert found.tolist() == pytest.approx([by_definition(mine, true, at) for at in (0.10, 0.25, 0.50)])


def test_ap_of_segments_by_hand() -> None:
    truth, predicted = segments(labels("00005511"), BACKGROUND), segments(labels("00555500"), BACKGROUND)
    scores = np.tile([0.5, 0.1], (8, 1))
    scores[6] = [0.9, 0.1]
    assert segment_average_precision(predicted, scores, truth, 2, 0.1).tolist() == [50, 0]
    assert segment_average_precision(predicted, scores, truth, 2, 0.5).tolist() == [0, 0]
    assert segment_average_precision(predicted, scores, truth, 2).tolist() == [50, 0]
    assert np.isnan(segment_average_precision(predicted, np.zeros((8, 3)), truth, 3, 0.5)[2])


# ---------------------------------------------------------------------------------------------- the accumulator


def batches(count: int = 5, chunks: int = 8, seed: int = 0, image: int = 1, last: int | None = None) -> Any:
    """Videos of some chunks, the later names first in the released order; predictions up to the chunk ``last``."""
    random = np.random.default_rng(seed)
    rows = chunks * CHUNK
    classes = [np.repeat(random.integers(0, 6, chunks), CHUNK).tolist() for _ in range(count)]
    table = pa.table(
        {
            "sequence": [f"{30 + index}_1" for index in range(count)],
            "results_row": [1 + rows * (count - 1 - index) for index in range(count)],
            "results_thumb": [4] * count,
            "results_labels": classes,
        }
    )
    number = np.tile(np.arange(chunks), count)
    owner = np.repeat(np.arange(count), chunks)
    guess = np.array(classes)[owner, CHUNK * number]
    guess = np.where(random.random(len(guess)) < 0.6, guess, random.integers(0, 6, len(guess)))
    columns = {
        "frame": 2 * (4 + image + CHUNK * number) - 2,
        "label": np.array(NAMES, object)[guess],
        "scores": random.random((len(guess), 6)),
    }
    place = (count - 1 - owner) * chunks + number
    kept = place < (len(place) if last is None else last)
    starts = np.searchsorted(owner[kept], np.arange(count + 1))
    predictions = Batch(table, starts, {name: values[kept] for name, values in columns.items()})
    return Batch(table, np.arange(count + 1), {}), predictions


@given(*shared_out(5), SEEDS)
@settings(max_examples=30)
def test_no_order_of_rows_batches_or_merges_shows(order: list[int], cuts: set[int], seed: int) -> None:
    no_order_shows(Segmental(), batches(seed=seed), order, cuts, seed)
    whole = scored(Segmental(), *batches(seed=seed))
    assert whole.metrics_of().items() <= whole.compute().metrics.items()


def test_the_videos_are_one_sequence_in_the_released_order() -> None:
    truth, predictions = batches(seed=1)
    protocol = Segmental()
    protocol.update(truth, predictions)
    true = np.concatenate([each[1::CHUNK] for each in reversed(truth.sequences["results_labels"].to_pylist())])
    codes = np.array([NAMES.index(label) for label in predictions["label"]]).reshape(5, -1)[::-1].reshape(-1)
    metrics = protocol.metrics_of()
    assert metrics["accuracy"] == 100 * (true == codes).mean()
    mine, theirs = segments(codes, BACKGROUND), segments(true, BACKGROUND)
    assert metrics["edit"] == edit_score(mine.label, theirs.label)
    assert [metrics[f"F1@{at}"] for at in (10, 25, 50)] == overlap_f1(mine, theirs).tolist()
    assert protocol.compute().tables["sampling"] == [{"images_per_chunk": 6, "labelled_image": 2}]
    assert protocol.compute().counts == {
        "videos": 5,
        "chunks": 40,
        "chunks_left_out": 0,
        "segments": len(theirs.label),
    }


def test_without_scores_there_is_no_map() -> None:
    truth, predictions = batches()
    plain = {name: values for name, values in predictions.columns.items() if name != "scores"}
    protocol = Segmental()
    protocol.update(truth, Batch(predictions.sequences, predictions.starts, plain))
    assert set(protocol.compute().metrics) == {"F1@50", "F1@25", "F1@10", "edit", "accuracy"}


def test_a_tail_may_lack_in_whole_pieces_only() -> None:
    chunks = PIECE // 4
    protocol = Segmental()
    protocol.update(*batches(chunks=chunks, last=PIECE))
    counts = protocol.compute().counts
    assert (counts["videos"], counts["chunks"], counts["chunks_left_out"]) == (4, PIECE, chunks)
    protocol = Segmental()
    protocol.update(*batches(chunks=chunks, last=PIECE - 1))
    with pytest.raises(HarBenchError, match=r"31_1 has labels for 149 of its 150 chunks; label all of them"):
        protocol.compute()


def test_a_gap_is_refused() -> None:
    truth, predictions = batches(count=2)
    keep = slice(0, int(predictions.starts[1]))  # 30_1, the last one in the released order
    columns = {name: values[keep] for name, values in predictions.columns.items()}
    protocol = Segmental()
    protocol.update(truth, Batch(truth.sequences, np.array([0, keep.stop, keep.stop]), columns))
    with pytest.raises(HarBenchError, match="31_1 has labels for 0 of its 8 chunks"):
        protocol.compute()


def test_one_image_of_every_chunk_is_asked_for() -> None:
    protocol = Segmental()
    truth, first = batches(count=2, image=0)
    _, second = batches(count=2, image=1)
    protocol.update(part(truth, [0]), part(first, [0]))
    protocol.update(part(truth, [1]), part(second, [1]))
    with pytest.raises(HarBenchError, match="different images"):
        protocol.compute()


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("frame", np.arange(6, 38, 4), "30_1 does not have one label per chunk of 12 frames from its frame 6 on"),
        ("frame", np.arange(0, 96, 12), "30_1 does not have one label per chunk"),
        ("label", np.array(["walk"] * 8, object), "30_1 is labelled 'walk'; the labels are ReachToShelf"),
    ],
)
def test_strange_rows_are_named(column: str, values: np.ndarray, message: str) -> None:
    truth, predictions = batches(count=1)
    with pytest.raises(HarBenchError, match=message):
        Segmental().update(truth, Batch(truth.sequences, predictions.starts, {**predictions.columns, column: values}))


# ---------------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def sample(merl_sample: Path) -> Store:
    return har_bench.open_store(merl_sample)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("image", [0, 1, 5])
def test_a_file_tells_its_truth_by_the_stores_classes(sample: Store, tmp_path: Path, swapped: bool, image: int) -> None:
    truth = np.concatenate(scored_rows(sample.sequences, "the test").labels)[image::CHUNK].astype(np.int64)
    guess = np.where(np.arange(len(truth)) % 3 == 0, BACKGROUND, 0)
    names = ("P", "Y") if swapped else ("Y", "P")
    variables = {names[0]: truth[None], names[1]: guess[None], "S": np.eye(6)[guess]}
    scipy.io.savemat(tmp_path / "1.mat", variables)
    result = har_bench.score(Segmental(), sample, tmp_path / "1.mat", resamples=0)
    assert result["accuracy"] == 100 * (guess == truth).mean()
    assert result.tables["sampling"][0]["labelled_image"] == image + 1
    assert "mAP@mid" in result.metrics
    assert har_bench.score(Segmental(), sample, tmp_path, resamples=0).metrics == result.metrics


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(("late", "cut"), [(0, 0), (1, 0), (1, 37), (-1, 5)])
def test_a_file_of_images_counts_from_the_background(
    sample: Store, tmp_path: Path, late: int, cut: int, swapped: bool
) -> None:
    """Background 0, classes 1 to 5, beginning an image late or early, without a tail of some images."""
    every = (np.concatenate(scored_rows(sample.sequences, "the test").labels).astype(int) + 1) % 6
    truth = np.concatenate([[3] * max(-late, 0), every])[max(late, 0) :]
    truth = truth[: len(truth) - cut]
    guess = truth.copy()
    guess[::7] = (guess[::7] + 1) % 6
    scipy.io.savemat(tmp_path / "1.mat", {"PY"[swapped]: guess[None], "PY"[not swapped]: truth[None]})
    result = har_bench.score(Segmental(), sample, tmp_path / "1.mat", resamples=0)
    begun = max(-late, 0)
    assert result["accuracy"] == pytest.approx(100 * (guess == truth)[begun:].mean())
    assert result["edit"] == numbers((guess[begun:] - 1) % 6, (truth[begun:] - 1) % 6)["edit"]
    assert result.tables["sampling"][0]["images_per_chunk"] == 1
    assert (result.counts["chunks"], result.counts["chunks_left_out"]) == (len(truth) - begun, cut)


def test_files_that_are_not_of_these_videos_are_named(sample: Store, tmp_path: Path) -> None:
    path = tmp_path / "1.mat"
    scipy.io.savemat(path, {"P": np.full(9, 4), "Y": np.full(9, 3)})
    with pytest.raises(HarBenchError, match="neither P nor Y"):
        read_chunks(path, sample)
    truth = np.concatenate(scored_rows(sample.sequences, "the test").labels)[::CHUNK]
    scipy.io.savemat(path, {"P": np.full(len(truth), 6), "Y": truth})
    with pytest.raises(HarBenchError, match="other than 0 to 5"):
        read_chunks(path, sample)
    scipy.io.savemat(path, {"preds": truth})
    assert read_chunks(path, sample) is None
    assert read_chunks(tmp_path / "other.csv", sample) is None


# ---------------------------------------------------------------------------------------------- the published digits


@cache
def arrays(model: str) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """P, Y and S of a file, by its pieces."""
    found = load_mat(MERL / "TCN_predictions_MERL" / model / "1.mat")
    pieces = len(found["P"])
    return tuple(list(found[name].reshape(pieces, -1, *[6][: name == "S"])) for name in "PYS")  # type: ignore[return-value]


def numbers(predicted: np.ndarray, truth: np.ndarray, background: int | None = BACKGROUND) -> dict[str, Any]:
    """The repository's numbers of one sequence."""
    mine, true = segments(predicted, background), segments(truth, background)
    return {
        "accuracy": 100 * (predicted == truth).mean(),
        "edit": edit_score(mine.label, true.label),
        "f1_10_25_50": overlap_f1(mine, true).tolist(),
    }


def maps(predicted: np.ndarray, truth: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """The repository's mAP, as shares."""
    mine, true = segments(predicted), segments(truth)
    areas = {
        key: segment_average_precision(mine, scores, true, len(CLASSES), at) / 100
        for key, at in (("iou10", 0.1), ("iou50", 0.5), ("mid", None))
    }
    return {key: {"ap": area.tolist(), "mAP": area.mean()} for key, area in areas.items()} | {
        "n_gt": len(true.label),
        "n_det": len(mine.label),
    }


def flat(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """The lists and numbers of a nested mapping."""
    if isinstance(value, dict):
        return [each for key, inner in value.items() for each in flat(inner, (*path, key))]
    return [(path, value)] if isinstance(value, int | float | list) else []


FLAT = [(model, path, golden) for model, values in GOLDEN.items() for path, golden in flat(values)]


@cache
def numbers_of(model: str) -> dict[str, Any]:
    """Ours of a file, where the goldens have theirs."""
    pieces, background = arrays(model), GOLDEN[model]["bg_class"]
    predicted, truth, scores = map(np.concatenate, pieces)
    each = [numbers(mine, true, background) for mine, true in zip(*pieces[:2], strict=True)]
    whole = numbers(predicted, truth, background)
    return {
        "n_videos": len(pieces[0]),
        "frames": len(predicted),
        "n_classes": scores.shape[1],
        "accuracy": whole["accuracy"],
        f"edit_score_bg{background}": whole["edit"],
        "edit_score_with_bg": numbers(predicted, truth, None)["edit"],
        "f1_10_25_50": whole["f1_10_25_50"],
        "per_video_mean": {key: np.mean([one[key] for one in each], axis=0).tolist() for key in whole},
        "mAP_concat": maps(predicted, truth, scores),
        "bg_class": background,
        "swapped_back": numbers(truth, predicted, background) | {"mAP": maps(truth, predicted, scores)},
    }


@pytest.mark.real
@pytest.mark.parametrize(("model", "path", "golden"), FLAT)
def test_numbers_of_the_files(model: str, path: tuple[str, ...], golden: Any) -> None:
    ours: Any = numbers_of(model)
    for key in path:
        ours = ours[key]
    assert ours == pytest.approx(golden, abs=1e-9, rel=0)


@pytest.mark.real
@pytest.mark.parametrize("model", [model for model, values in GOLDEN.items() if values["bg_class"] == BACKGROUND])
def test_files_scored_on_the_store(merl_store: Store, model: str) -> None:
    golden = GOLDEN[model]
    swapped = golden.get("swapped_back", {})
    result = har_bench.score(Segmental(), merl_store, MERL / "TCN_predictions_MERL" / model / "1.mat", resamples=20)
    assert result["accuracy"] == pytest.approx(golden["accuracy"], abs=1e-9, rel=0)
    assert result["edit"] == pytest.approx(swapped.get("edit", golden["edit_score_bg5"]), abs=1e-9, rel=0)
    f1 = [result[f"F1@{at}"] for at in (10, 25, 50)]
    assert f1 == pytest.approx(swapped.get("f1_10_25_50", golden["f1_10_25_50"]), abs=1e-9, rel=0)
    areas = swapped.get("mAP", golden["mAP_concat"])
    for ours, key in (("0.1", "iou10"), ("0.5", "iou50"), ("mid", "mid")):
        assert result[f"mAP@{ours}"] == pytest.approx(100 * areas[key]["mAP"], abs=1e-9, rel=0)
        table = [row[f"AP@{ours}"] for row in result.tables["class"]]
        assert table == pytest.approx([100 * area for area in areas[key]["ap"]], abs=1e-9, rel=0)
    assert result.counts["chunks"] == golden["frames"]
    assert result.intervals["edit"].low < result["edit"] < result.intervals["edit"].high
