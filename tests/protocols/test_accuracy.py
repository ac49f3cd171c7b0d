"""Clip accuracy against hand-computed cases, other tools' digits, and a published dump of NTU RGB+D 60."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.converter import known_of
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch
from har_bench.protocols.accuracy import (
    NTU60XSub,
    NTU60XView,
    NTU120XSet,
    NTU120XSub,
    PennAccuracy,
)
from har_bench.protocols.accuracy.protocol import Accuracy
from har_bench.results import Result
from har_bench.store import Store
from tests.batches import SEEDS, merged, repeated, shared_out
from tests.golden import REAL, leaves, load

ALL = [PennAccuracy, NTU60XSub, NTU60XView, NTU120XSub, NTU120XSet]
ACTIONS = list(known_of("penn_action").actions)
CLASSES = len(ACTIONS)


def truth_of(actions: list[int], frames: list[int] | None = None) -> Batch:
    """Penn Action's sequences of the given classes."""
    count = len(actions)
    table = pa.table(
        {
            "sequence": [f"{index:04}" for index in range(count)],
            "action": [ACTIONS[number] for number in actions],
            "pose": [("front", "left", None)[index % 3] for index in range(count)],
            "n_frames": frames or [100] * count,
        }
    )
    return Batch(table, np.arange(count + 1), {})


def predictions_of(truth: Batch, rows: list[int], **columns: object) -> Batch:
    """So many rows for every sequence of ``truth``."""
    return Batch(truth.sequences, np.cumsum([0, *rows]), {name: np.asarray(values) for name, values in columns.items()})


def one_hot(*classes: int) -> np.ndarray:
    return np.eye(CLASSES)[list(classes)]


def scored(truth: Batch, predictions: Batch, recipe: str = "single-clip", **options: str) -> PennAccuracy:
    protocol = PennAccuracy(recipe, options)
    protocol.update(truth, predictions)
    return protocol


# ---------------------------------------------------------------------------------------------- the protocol


def test_accuracy_by_hand() -> None:
    truth = truth_of([0, 0, 3, 7])
    scores = one_hot(0, 1, 3, 2)
    scores[1, 0] = 0.5
    found = scored(truth, predictions_of(truth, [1] * 4, scores=scores)).compute()
    assert found.metrics["top-1"] == 50
    assert found.metrics["mean class"] == pytest.approx((50 + 100 + 0) / 3)
    assert found.metrics["top-5"] == 75, "class 7 comes after classes 0, 1 and 3 to 6, which it ties with"
    assert found.counts == {"sequences": 4, "without_prediction": 0}
    assert found.tables["read_as"] == [{"predictions": "scores"}]
    assert found.tables["confusion"] == [
        {"true": "baseball_pitch", "predicted": "baseball_pitch", "count": 1},
        {"true": "baseball_pitch", "predicted": "baseball_swing", "count": 1},
        {"true": "bowl", "predicted": "bowl", "count": 1},
        {"true": "jumping_jacks", "predicted": "bench_press", "count": 1},
    ]
    first = {"class": "baseball_pitch", "number": 0, "sequences": 2, "predicted": 1, "top-1": 50.0, "top-5": 100.0}
    assert found.tables["class"][0] == first
    assert found.tables["class"][1]["top-1"] is None
    assert found.tables["pose"] == [
        {"pose": "", "sequences": 1, "top-1": 100.0},
        {"pose": "front", "sequences": 2, "top-1": 50.0},
        {"pose": "left", "sequences": 1, "top-1": 0.0},
    ]


@pytest.mark.parametrize(
    ("labels", "read_as"),
    [
        (["baseball_pitch", "bowling", "bowl"], "labels, by name"),
        ([0, 3, 3], "labels, by number from 0"),
        ([0.0, 3.0, 3.0], "labels, by number from 0"),
    ],
)
def test_labels_are_names_or_numbers_and_have_no_top_5(labels: list[object], read_as: str) -> None:
    truth = truth_of([0, 3, 4])
    values = np.array(labels, object if isinstance(labels[0], str) else None)
    found = scored(truth, predictions_of(truth, [1] * 3, label=values)).compute()
    assert set(found.metrics) == {"top-1", "mean class"}
    assert found.metrics["top-1"] == pytest.approx(200 / 3)
    assert found.tables["read_as"] == [{"predictions": read_as}]
    assert "top-5" not in found.tables["class"][0]


@pytest.mark.parametrize("label", ["swimming", 15, -1, 2.5])
def test_an_unknown_label_is_named(label: object) -> None:
    truth = truth_of([0, 3])
    values = np.array(["bowl", label] if isinstance(label, str) else [0, label])
    with pytest.raises(HarBenchError, match=f"^0001 has the label '{label}'.*0 to 14$"):
        scored(truth, predictions_of(truth, [1, 1], label=values))


def test_several_clips_need_a_recipe_and_scores() -> None:
    truth = truth_of([0, 3])
    with pytest.raises(HarBenchError, match=r"0001 has 2 rows of scores.*multi-clip"):
        scored(truth, predictions_of(truth, [1, 2], scores=one_hot(0, 3, 3)))
    with pytest.raises(HarBenchError, match="0001 has 2 labels"):
        scored(truth, predictions_of(truth, [1, 2], label=[0, 3, 3]), "multi-clip")


def test_clips_are_multiplied_or_averaged() -> None:
    truth = truth_of([0])
    clips = np.full((2, CLASSES), 1e-3)
    clips[:, :2] = [[0.9, 0.1], [0.05, 0.8]]  # product 0.045 and 0.08, mean 0.475 and 0.45
    predictions = predictions_of(truth, [2], scores=clips)
    assert scored(truth, predictions, "multi-clip").metrics_of()["top-1"] == 0
    assert scored(truth, predictions, "multi-clip", combine="mean").metrics_of()["top-1"] == 100
    assert scored(truth, predictions, "deephar").metrics_of()["top-1"] == 0


def test_logits_are_not_multiplied() -> None:
    truth = truth_of([0, 3])
    predictions = predictions_of(truth, [1, 2], scores=one_hot(0, 3, 3) - 0.5)
    with pytest.raises(HarBenchError, match=r"0000 has negative scores.*softmax"):
        scored(truth, predictions, "multi-clip")
    assert scored(truth, predictions, "multi-clip", combine="mean").metrics_of()["top-1"] == 100


def test_a_clip_comes_once() -> None:
    truth = truth_of([0, 3])
    predictions = predictions_of(truth, [1, 3], scores=one_hot(0, 3, 3, 3), clip=["0", "0", "1", "1"])
    with pytest.raises(HarBenchError, match="0001 has the clip '1' twice"):
        scored(truth, predictions, "multi-clip")
    predictions.columns["clip"][3] = "2"
    assert scored(truth, predictions, "multi-clip").metrics_of()["top-1"] == 100


def test_a_sequence_without_a_usable_prediction_is_wrong() -> None:
    truth = truth_of([0, 0, 0])
    scores = one_hot(0, 0)
    scores[1, 4] = np.nan
    found = scored(truth, predictions_of(truth, [1, 1, 0], scores=scores)).compute()
    assert found.metrics["top-1"] == found.metrics["top-5"] == pytest.approx(100 / 3)
    assert found.counts["without_prediction"] == 2
    assert found.tables["confusion"][0] == {"true": "baseball_pitch", "predicted": None, "count": 2}
    nothing = scored(truth, predictions_of(truth, [0, 0, 0])).compute()
    assert nothing.metrics == {"top-1": 0, "top-5": 0, "mean class": 0}
    labelled = scored(truth, predictions_of(truth, [1, 0, 1], label=[0, np.nan])).compute()
    assert labelled.metrics["top-1"] == pytest.approx(100 / 3)


@pytest.mark.parametrize(("recipe", "given"), [("multi-clip", 0), ("deephar", 1), ("deephar-tpami", 2)])
def test_deephar_gives_short_sequences_away(recipe: str, given: int) -> None:
    truth = truth_of([1, 1, 1], frames=[31, 32, 48])
    found = scored(truth, predictions_of(truth, [1] * 3, scores=one_hot(0, 0, 0)), recipe).compute()
    assert found.metrics["top-1"] == pytest.approx(100 * given / 3)
    assert found.counts.get("given_as_correct", 0) == given
    if given:
        assert [row["top-1"] for row in found.tables["length"]] == [0, 100]


def test_ntu_keeps_every_second_frame_before_deephar_cuts_clips() -> None:
    names = ["S001C001P003R001A002", "S001C001P003R001A003"]
    table = pa.table(
        {
            "sequence": names,
            "action": ["eat meal/snack", "brushing teeth"],
            "label": pa.array([2, 3], pa.int16()),
            "n_frames": [62, 63],
            **{name: ["x", "x"] for name in ("subject", "camera")},
            "setup": [1, 1],
        }
    )
    protocol = NTU60XSub("deephar")
    protocol.update(Batch(table, np.arange(3), {}), Batch(table, np.array([0, 1, 2]), {"scores": np.eye(60)[[0, 0]]}))
    assert protocol.compute().counts["given_as_correct"] == 1, "62 frames leave 31, 63 leave 32"


def test_scores_of_another_dataset_are_refused() -> None:
    truth = truth_of([0])
    with pytest.raises(HarBenchError, match=r"scores of 60 classes a row.*has 15"):
        scored(truth, predictions_of(truth, [1], scores=np.zeros((1, 60))))
    with pytest.raises(HarBenchError, match="neither scores nor label"):
        scored(truth, predictions_of(truth, [1], clip=["0"]))


def test_a_sequence_whose_class_nobody_knows_is_named() -> None:
    truth = truth_of([0, 3])
    table = truth.sequences.set_column(1, "action", [["bowl", None]])
    with pytest.raises(HarBenchError, match="no class of 0001"):
        scored(Batch(table, truth.starts, {}), predictions_of(truth, [1, 1], label=[0, 3]))


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ("multi-clip", {"combine": "median"}, "product or mean"),
        ("single-clip", {"combine": "mean"}, "combine is of multi-clip"),
        ("deephar", {"combine": "mean"}, "combine is of multi-clip"),
        ("single-clip", {"mean_over": "some"}, "true or seen or all"),
        ("ten-crop", {}, "single-clip, multi-clip, deephar, deephar-tpami"),
    ],
)
def test_unknown_ways_are_refused(recipe: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(HarBenchError, match=message):
        PennAccuracy(recipe, options)


@pytest.mark.parametrize("protocol", ALL, ids=lambda protocol: protocol.name)
def test_every_protocol_has_the_three_ways_and_says_what_it_is(protocol: type[Accuracy]) -> None:
    assert list(protocol.recipes)[:3] == ["single-clip", "multi-clip", "deephar"]
    assert "defect" in protocol.recipes["deephar"].about
    table = pa.table({"sequence": ["0001"], "splits": [["other"]], "action": ["bowl"], "label": [1]})
    with pytest.raises(HarBenchError, match=protocol.split):
        protocol().select(table)


def test_nothing_scored_is_no_number() -> None:
    assert all(np.isnan(value) for value in PennAccuracy().compute().metrics.values())


def case(seed: int, clips: int) -> tuple[Batch, Batch]:
    """Seven sequences with up to ``clips`` clips each, of few distinct scores, so that many tie."""
    random = np.random.default_rng(seed)
    truth = truth_of(random.integers(0, 4, 7).tolist(), frames=random.integers(20, 60, 7).tolist())
    rows = random.integers(1, clips + 1, 7).tolist()
    return truth, predictions_of(truth, rows, scores=random.integers(0, 4, (sum(rows), CLASSES)) / 3)


@given(*shared_out(7), st.sampled_from(list(PennAccuracy.recipes)), SEEDS)
@settings(max_examples=40)
def test_any_split_merged_in_any_order_is_one_pass(order: list[int], cuts: set[int], recipe: str, seed: int) -> None:
    truth, predictions = case(seed, clips=1 if recipe == "single-clip" else 4)
    parts = merged(PennAccuracy(recipe), truth, predictions, order, cuts)
    assert parts.compute() == scored(truth, predictions, recipe).compute()


def test_weights_count_a_sequence_as_often_as_it_is_repeated() -> None:
    truth, predictions = case(0, clips=1)
    for over in ("true", "seen", "all"):
        once = scored(truth, predictions, mean_over=over)
        often = repeated(once, truth, predictions, weights := [1, 2, 0, 3, 0, 0, 0])
        assert once.metrics_of(np.array(weights, float)) == pytest.approx(often.metrics_of(), rel=1e-12)


# ------------------------------------------------------------------------------------------------- whole stores


def test_several_processes_score_the_same_labels_by_name(tmp_path: Path) -> None:
    """Three parts, and workers that are told the classes' names."""
    store = tiny_ntu60(tmp_path, {f"S001C001P003R001A{number:03}": 40 + number for number in range(1, 61)} | MORE)
    protocol = NTU60XSub()
    chosen = protocol.select(store.sequences)
    rows = pa.table({"sequence": chosen["sequence"], "label": pa.array(chosen["action"].to_pylist()[::-1])})
    alone = har_bench.score(protocol, store, rows, resamples=50)
    spread = har_bench.score(protocol, store, rows, resamples=50, jobs=2)
    assert len(store.parts("poses")) > 1
    for name in ("metrics", "tables", "counts", "intervals"):
        assert getattr(alone, name) == getattr(spread, name)


MORE = {
    f"S001C00{camera}P007R00{take}A{number:03}": 50 for camera in (1, 2) for take in (1, 2) for number in range(1, 41)
}


def tiny_ntu60(folder: Path, frames: dict[str, int]) -> Store:
    """A store of the named sequences, in all of whose frames nobody is seen."""
    raw = folder / "raw"
    raw.mkdir()
    for name, count in frames.items():
        (raw / f"{name}.skeleton").write_text(f"{count}\n" + "0\n" * count)
    return har_bench.convert("ntu60", raw, folder / "store", jobs=1, quiet=True)


# ------------------------------------------------------------------------------------------- the published digits

GOLDEN = "ntu60/golden/ntu60_accuracy.json"
DUMP = REAL / "ntu60" / "golden" / "ntu60_xsub_sttformer_joint_predictions.csv.gz"
FRAMES = REAL / "ntu60" / "golden" / "ntu60_full_denoise_log.csv.gz"


@pytest.fixture(scope="module")
def published(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The 16,487 test sequences, with as many frames as the real ones have with somebody in them."""
    with gzip.open(FRAMES, "rt") as file:
        frames = {row["name"]: int(row["valid_frames_raw"]) for row in csv.DictReader(file)}
    with gzip.open(DUMP, "rt") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    return tiny_ntu60(tmp_path_factory.mktemp("published"), {name: frames[name] for name in names})


@pytest.fixture(scope="module")
def dump(published: Store) -> Result:
    return har_bench.score(NTU60XSub(), published, DUMP, resamples=0)


@pytest.mark.real
@pytest.mark.parametrize(
    ("path", "golden"),
    [(path, number) for path, number in leaves(load(GOLDEN).get("xsub", {}))],
    ids=str,
)
def test_the_published_dump(dump: Result, path: tuple[str, ...], golden: float) -> None:
    diagonal = sum(row["count"] for row in dump.tables["confusion"] if row["true"] == row["predicted"])
    found = {
        "n": dump.counts["sequences"],
        "top1": dump["top-1"],
        "mean_class_acc": dump["mean class"],
        "correct": diagonal,
        "confusion_sum_diag": diagonal,
    }
    assert found[path[0]] == pytest.approx(golden, abs=1e-10)


@pytest.mark.real
def test_the_published_dump_by_class(dump: Result) -> None:
    golden = load(GOLDEN)["xsub"]
    found = [row["top-1"] for row in dump.tables["class"]]
    assert found == pytest.approx(golden["per_class_acc"], abs=5e-5)
    worst = sorted(range(60), key=lambda number: found[number])[:5]
    assert [[number + 1, round(found[number], 2)] for number in worst] == golden["worst5"]


@pytest.mark.real
def test_the_dump_is_in_the_order_that_numbered_pickles_are_read_in(published: Store) -> None:
    with gzip.open(DUMP, "rt") as file:
        assert [row["name"] for row in csv.DictReader(file)] == NTU60XSub().order(published.sequences)


@pytest.mark.real
def test_deephars_gift_has_its_measured_size_on_ntu(published: Store) -> None:
    found = har_bench.score(NTU60XSub("deephar"), published, DUMP, resamples=0)
    assert found.counts["given_as_correct"] == 3305
    assert found["top-1"] > 90


@pytest.mark.real
@pytest.mark.parametrize(("recipe", "given"), [("deephar", 87), ("deephar-tpami", 408)])
def test_deephars_gift_has_its_measured_size_on_penn_action(
    real: Path, tmp_path_factory: pytest.TempPathFactory, recipe: str, given: int
) -> None:
    store = har_bench.convert(
        "penn_action", real / "penn_action", tmp_path_factory.mktemp("penn") / "store", jobs=1, quiet=True
    )
    chosen = PennAccuracy().select(store.sequences)
    wrong = pa.table({"sequence": chosen["sequence"], "label": [0] * len(chosen)})
    found = har_bench.score(PennAccuracy(recipe), store, wrong, resamples=0)
    assert found.counts == {"sequences": 1068, "without_prediction": 0, "given_as_correct": given}
