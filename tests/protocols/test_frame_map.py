"""AVA frame-mAP against the digits of the tools whose recipes it claims to be, and against hand-computed cases."""

from __future__ import annotations

import gzip
import heapq
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.converters import ava as converter
from har_bench.converters.ava import tracklets
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Scores
from har_bench.protocols.frame_map.actions import ACTIONS, GROUPS
from har_bench.protocols.frame_map.files import read_detections
from har_bench.protocols.frame_map.matching import (
    Candidates,
    Detections,
    Truth,
    average_precision,
    match,
    rank,
    window_means,
)
from har_bench.protocols.frame_map.protocol import RECIPES, FrameMAP
from har_bench.store import Store
from tests.golden import REAL, load

AVA, LART = REAL / "ava", REAL / "lart"
GOLDENS = {path.name: path for path in sorted((AVA / "golden").glob("*.json"))}
EDGES = [case for name in GOLDENS if name.startswith("edge") for case in load(f"ava/golden/{name}")]
NUMBERS = {name: path for name, path in GOLDENS.items() if not name.startswith("edge")}
NAMES = [recipe.name for recipe in RECIPES]

NOCAP = replace(FrameMAP.recipes["official"], name="nocap", cap=0)
"""What get_ava_performance.py computes with its capacity set to 0."""

MMACTION2 = {"g1_mmaction2_toy": 0.09385522, "g2b_v1.0test_all60": 0.24565313952659598}
"""What mmaction2's ava_eval gives for the same files; the first is in its own unit test, with 8 digits."""

SORTING = 1e-7
"""What the order of equal scores of nine digits is worth; the tools leave it to an unstable sort."""


@cache
def toy(classes: tuple[int, ...] = tuple(ACTIONS)) -> type[FrameMAP]:
    """The protocol with other classes, and with the golden variant of a recipe."""

    class Toy(FrameMAP):
        recipes: ClassVar = {recipe.name: replace(recipe, classes=classes) for recipe in (*RECIPES, NOCAP)}

    return Toy


def store_of(folder: Path, truth: Iterable[str], classes: Sequence[int] = (), split: str = "val_v2.2") -> Store:
    """A store of annotation rows in which only some actions are evaluated."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    (raw / f"ava_{split}.csv").write_text("".join(f"{row}\n" for row in truth))
    if classes:
        listed = "".join(f'item {{\n  name: "c{id_}"\n  id: {id_}\n}}\n' for id_ in classes)
        (raw / f"ava_action_list_{split[-4:]}_for_activitynet_2019.pbtxt").write_text(listed)
    return har_bench.convert("ava", raw, folder / "store", jobs=1, quiet=True)


def written(path: Path, rows: Iterable[str]) -> Path:
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def score_of(
    folder: Path, truth: Iterable[str], found: Iterable[str], classes: tuple[int, ...] = (1, 3, 5), recipe: str = ""
) -> Any:
    store = store_of(folder, truth, classes)
    detections = written(folder / "found.csv", found)
    return har_bench.score(toy(classes)(recipe or None), store, detections, resamples=0)


def by_action(result: Any) -> dict[str, float | None]:
    return {row["action"]: row["AP@0.5"] for row in result.tables["action"]}


# ---------------------------------------------------------------------------------------------- small cases

CLASSES = (1, 14, 15, 64, 80)


def batch(videos: Sequence[str], rows: Sequence[tuple[Any, ...]], columns: dict[str, Any]) -> Batch:
    """Rows (video, ...) of the videos, with the columns after the first."""
    ordered = [row for video in videos for row in rows if row[0] == video]
    counts = [sum(row[0] == video for row in rows) for video in videos]
    values = list(zip(*ordered, strict=True))[1:] or [()] * len(columns)
    sequences = pa.table(
        {
            "sequence": list(videos),
            "splits": [["v2.2/val"]] * len(videos),
            "empty": [[950.0]] * len(videos),
            "excluded": [[903.0]] * len(videos),
        }
    )
    arrays = {name: np.array(column, kind) for (name, kind), column in zip(columns.items(), values, strict=True)}
    arrays |= {name: array.reshape(-1, 4) for name, array in arrays.items() if name == "bbox_normalised"}
    return Batch(sequences, np.cumsum([0, *counts]), arrays)


def truth_batch(videos: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Batch:
    """Rows (video, second, box, action, person)."""
    kinds = {"timestamp": float, "bbox_normalised": float, "action": np.int32, "person": float}
    made = batch(videos, rows, kinds)
    evaluated = np.isin(made["action"], CLASSES)
    return Batch(made.sequences, made.starts, {**made.columns, "evaluated": evaluated})


def found_batch(videos: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Batch:
    """Rows (video, second, box, action, score)."""
    return batch(videos, rows, {"timestamp": float, "bbox_normalised": float, "label": np.int32, "score": float})


def case(seed: int, *, videos: int = 4, ties: bool = False) -> tuple[list[str], list[Any], list[Any]]:
    """Videos of a few crowded keyframes; boxes on a coarse grid, so that IoUs and best objects tie."""
    random = np.random.default_rng(seed)
    names = [f"video{number}" for number in range(videos)]
    truth, found = [], []

    def box() -> tuple[float, ...]:
        x1, y1 = random.integers(0, 4, 2) / 8
        return x1, y1, x1 + random.integers(1, 4) / 8, y1 + random.integers(1, 4) / 8

    for name in names:
        for second in range(902, 905):
            truth += [
                (name, second, box(), random.choice([*CLASSES, 2]), person) for person in range(random.integers(0, 9))
            ]
        for second in (902, 903, 904, 950, 960):
            found += [(name, second, box(), random.choice([*CLASSES, 2])) for _ in range(random.integers(0, 90))]
    scores = random.permutation(len(found)) / len(found)
    scores = np.round(scores, 1) if ties else scores
    return names, truth, [(*row, score) for row, score in zip(found, scores, strict=True)]


def scored(
    names: Sequence[str],
    truth: list[Any],
    found: list[Any],
    recipe: str = "official",
    parts: int = 1,
    back: bool = False,
) -> FrameMAP:
    """The protocol after the videos came in ``parts`` batches and accumulators, merged from either end."""
    pieces = []
    for part in range(parts):
        piece = toy(CLASSES)(recipe)
        chosen = list(names)[part::parts]
        if chosen:
            piece.update(truth_batch(chosen, truth), found_batch(chosen, found))
        pieces.append(piece)
    first, *others = reversed(pieces) if back else pieces
    for other in others:
        first.merge(other)
    return first


def plain(names: Sequence[str], truth: list[Any], found: list[Any], cap: int = 50) -> dict[int, float]:
    """AP of each class by the rules of the official evaluator, in plain Python; scores must differ between keyframes.

    A heap of the 50 best per keyframe, the objects by descending person, argmax-only matching, VOC 2010 area.
    """
    frames: dict[Any, list[Any]] = {(row[0], row[1]): [] for row in truth} | {(name, 950): [] for name in names}
    for name, second, box, action, score in found:
        if action in CLASSES and (name, second) in frames:
            heap, entry = frames[name, second], (score, action, box[1], box[0], box[3], box[2])
            if len(heap) < cap:
                heapq.heappush(heap, entry)
            elif score > heap[0][0]:
                heapq.heapreplace(heap, entry)
    areas = {}
    for action in CLASSES:
        objects = [row for row in truth if row[3] == action]
        outcomes = []
        for (name, second), heap in frames.items():
            here = sorted((row for row in objects if row[:2] == (name, second)), key=lambda row: -row[4])
            free = [True] * len(here)
            for score, kind, y1, x1, y2, x2 in sorted(heap, key=lambda entry: -entry[0]):
                if kind != action or x1 >= x2 or y1 >= y2:
                    continue
                overlaps = [overlap((x1, y1, x2, y2), row[2]) for row in here]
                best = int(np.argmax(overlaps)) if here else -1
                hit = bool(here) and overlaps[best] >= 0.5 and free[best]
                if hit:
                    free[best] = False
                outcomes.append((score, hit))
        hits = np.array([hit for _, hit in sorted(outcomes, key=lambda outcome: -outcome[0])], float)
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        areas[action] = float((envelope * hits).sum() / len(objects)) if objects else float("nan")
    return areas


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """IoU of two boxes."""
    width = max(0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0, min(one[3], other[3]) - max(one[1], other[1]))
    shared = width * height
    return shared / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared)


def areas_of(scores: Scores) -> dict[int, float]:
    return {row["id"]: np.nan if row["AP@0.5"] is None else row["AP@0.5"] / 100 for row in scores.tables["action"]}


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_official_follows_its_rules(seed: int) -> None:
    names, truth, found = case(seed)
    expected = plain(names, truth, found)
    scores = scored(names, truth, found).compute()
    assert areas_of(scores) == pytest.approx(expected, nan_ok=True, abs=1e-12)
    assert scores.metrics["mAP@0.5"] == pytest.approx(100 * np.nanmean(list(expected.values())))


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_equal_scores_in_a_keyframe_come_in_the_order_of_the_heap(seed: int) -> None:
    names, truth, found = case(seed, videos=1, ties=True)
    truth, found = ([row for row in rows if row[1] == 902] for rows in (truth, found))
    if not truth:
        truth = [("video0", 902, (0, 0, 1, 1), 1, 0)]
    expected = plain(names, truth, found)
    assert areas_of(scored(names, truth, found).compute()) == pytest.approx(expected, nan_ok=True, abs=1e-12)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(NAMES), st.booleans())
def test_batches_and_merges_never_change_a_digit(seed: int, recipe: str, ties: bool) -> None:
    names, truth, found = case(seed, videos=9, ties=ties)
    whole = scored(names, truth, found, recipe).compute()
    for parts in (3, 8):
        for back in (False, True):
            assert scored(names, truth, found, recipe, parts, back).compute() == whole
    assert scored(names[::-1], truth, found, recipe).compute() == whole


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(["official", "lart", "mmaction2"]), st.randoms())
def test_the_order_of_rows_never_changes_a_digit(seed: int, recipe: str, random: Any) -> None:
    names, truth, found = case(seed)
    whole = scored(names, truth, found, recipe).compute()
    random.shuffle(found)
    assert scored(names, truth, found, recipe).compute() == whole


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(NAMES))
def test_a_weight_is_a_multiplicity(seed: int, recipe: str) -> None:
    """Weighing a video twice is scoring a copy of it besides; weighing it zero times is leaving it out."""
    names, truth, found = case(seed)
    protocol = scored(names, truth, found, recipe)
    assert protocol.units() == sorted(names)
    assert protocol.metrics_of(np.ones(len(names))) == protocol.metrics_of()

    def copied(rows: list[Any]) -> list[Any]:
        return rows + [(f"{row[0]} again", *row[1:]) for row in rows if row[0] == names[0]]

    left = [name for name in names if name != names[1]]
    twice = scored([*left, f"{names[0]} again"], copied(truth), copied(found), recipe).metrics_of()
    assert protocol.metrics_of(np.array([2.0, 0, 1, 1])) == pytest.approx(twice, abs=1e-10, nan_ok=True)


TRUTH = [("v", 902, (0.1, 0.1, 0.5, 0.5), 1, 0), ("v", 903, (0.1, 0.1, 0.5, 0.5), 1, 0)]
HIT, BAD = ("v", 902, (0.1, 0.1, 0.5, 0.5), 1, 0.5), (0.6, 0.6, 0.9, 0.9)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        # 903 is excluded (see batch): the official script does not know it
        ([HIT], {"official": 50, "slowfast": 100, "mmaction2": 50, "lart": 50}),
        ([HIT, ("v", 903, BAD, 1, 0.9)], {"official": 25, "slowfast": 100, "mmaction2": 50, "lart": 25}),
        # a second without objects: ignored, or a false positive
        ([HIT, ("v", 960, BAD, 1, 0.9)], {"official": 50, "slowfast": 50, "mmaction2": 50, "lart": 50}),
        # 950 is listed as annotated and empty
        ([HIT, ("v", 950, BAD, 1, 0.9)], {"official": 25, "slowfast": 50, "mmaction2": 50, "lart": 25}),
        # an inverted box
        (
            [HIT, ("v", 902, (0.5, 0.5, 0.1, 0.1), 1, 0.9)],
            {"official": 50, "slowfast": 100, "mmaction2": 25, "lart": 50},
        ),
        # the lower score first in the file, on the same object: the other one is a hit or a false positive
        (
            [HIT, ("v", 902, (0.1, 0.1, 0.5, 0.5), 1, 0.9)],
            {"official": 50, "slowfast": 50, "mmaction2": 50, "lart": 50},
        ),
    ],
)
def test_where_the_tools_differ(found: list[Any], expected: dict[str, float]) -> None:
    got = {name: scored(["v"], TRUTH, found, name).metrics_of()["mAP@0.5"] for name in NAMES}
    assert got == pytest.approx(expected)


def test_a_class_without_detections() -> None:
    truth = [TRUTH[0], ("v", 902, (0.6, 0.6, 0.9, 0.9), 80, 1)]
    got = {name: scored(["v"], truth, [HIT], name).metrics_of()["mAP@0.5"] for name in NAMES}
    assert got == {"official": 50, "slowfast": 50, "mmaction2": 100, "lart": 50}


def test_tables_and_counts() -> None:
    truth = [TRUTH[0], ("v", 902, (0.6, 0.6, 0.9, 0.9), 80, 1), ("v", 902, (0, 0, 1, 1), 2, 2)]
    scores = scored(["v"], truth, [HIT]).compute()
    assert scores.counts == {"videos": 1, "keyframes": 2, "objects": 2, "detections": 1}
    assert scores.tables["action"][0] == {
        "action": "bend/bow (at the waist)",
        "id": 1,
        "group": "PERSON_MOVEMENT",
        "AP@0.5": 100,
        "objects": 1,
        "detections": 1,
    }
    assert [row["AP@0.5"] for row in scores.tables["action"]] == [100, None, None, None, 0]
    assert scores.tables["group"] == [
        {"group": "PERSON_MOVEMENT", "mAP@0.5": 100, "actions": 1},
        {"group": "OBJECT_MANIPULATION", "mAP@0.5": None, "actions": 0},
        {"group": "PERSON_INTERACTION", "mAP@0.5": 0, "actions": 1},
    ]
    plain_means = scored(["v"], truth, [HIT], "lart").compute().tables["group"]
    assert [row["mAP@0.5"] for row in plain_means] == [None, None, None]


def test_single_precision_decides_an_iou_of_a_half() -> None:
    """0.6 * 0.5 and 0.3 in double precision are not the same, and in single precision they are."""
    box, truth = np.array([[0, 0, 0.3, 1]]), np.array([[0, 0, 0.6, 1]])
    classes, starts = np.zeros(1, np.int16), np.array([0, 1])
    hits = {}
    for kind in (np.float32, np.float64):
        given = Candidates(box.astype(kind), np.ones(1, kind), classes, np.arange(1), starts)
        hits[kind] = bool(match(given, Truth(truth.astype(kind), classes, starts))[1].hits[0])
        union = kind(0.3) + kind(0.6) - kind(0.3)
        assert hits[kind] == bool(kind(0.3) / union >= kind(0.5))


def test_a_point_overlaps_nothing() -> None:
    """Its IoU with itself is 0 / 0, which numpy.argmax takes for the largest: no hit, though another object is free."""
    point, classes = np.full((1, 4), 0.2), np.zeros(1, np.int16)
    given = Candidates(point, np.ones(1), classes, np.arange(1), np.array([0, 1]))
    boxes = np.concatenate([point, [[0.1, 0.1, 0.5, 0.5]]])
    truth = Truth(boxes, np.zeros(2, np.int16), np.array([0, 2]))
    for order in ("heap", "score", "file"):
        edges, found = match(given, truth, order=order, keep_invalid=True)
        assert (edges.tolist(), found.hits.tolist()) == ([0, 1], [False])
        assert match(given, truth, order=order)[0].tolist() == [0, 0]


def test_no_detection_at_all() -> None:
    empty = Batch(
        truth_batch(["v"], TRUTH).sequences,
        np.zeros(2, np.int64),
        {name: np.zeros(0) for name in FrameMAP.prediction_columns},
    )
    for name in NAMES:
        protocol = toy(CLASSES)(name)
        protocol.update(truth_batch(["v"], TRUTH), empty)
        expected = np.nan if name == "mmaction2" else 0.0
        assert protocol.compute().metrics["mAP@0.5"] == pytest.approx(expected, nan_ok=True)
        assert protocol.compute().counts["detections"] == 0


def test_average_precision_of_a_hand_made_curve() -> None:
    """Hit, miss, hit, miss of three objects: (1 + 2/3) / 3."""
    found = Detections(np.zeros(4, np.uint8), np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False]))
    assert average_precision(rank([found], 1), [[3]], [1]) == pytest.approx([5 / 9])
    assert average_precision(rank([found], 2), [[3, 0]], [1]) == pytest.approx([5 / 9, np.nan], nan_ok=True)
    assert average_precision(rank([found, found], 1), [[3], [3]], [2, 0]) == pytest.approx([5 / 9])
    assert np.isnan(average_precision(rank([], 1), np.zeros((0, 1)), [])).all()


def test_windows_stop_at_the_ends_of_a_track() -> None:
    frames = np.array([0, 1, 2, 3, 10, 0, 1])
    scores, tracks = np.array([1.0, 2, 3, 4, 100, 7, 9]), np.array([5, 5, 5, 5, 5, 8, 8])
    got = window_means(scores, tracks, frames, np.array([0, 2, 3, 4, 6]), 2)
    assert got.tolist() == [1.5, 2.5, 3, 100, 8]


def test_lart_averages_the_frames_of_a_track(tmp_path: Path) -> None:
    """Frame 60 is second 902; the window is frames 54 to 65."""
    box, other = [0.1, 0.1, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9]
    store = store_of(tmp_path, ["v,0902,0.1,0.1,0.5,0.5,1,0"])
    rows = [("v", frame, 1, box, 1, 0.1 if frame < 60 else 0.9) for frame in range(40, 80)]
    rows += [("v", frame, 2, other, 1, 0.8 if frame == 60 else 0.6) for frame in range(40, 80)]
    names = ["sequence", "frame", "person", "bbox_normalised", "label", "score"]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    # track 1: 0.5 in the mean and 0.9 at the keyframe; track 2: 0.617 and 0.8
    assert har_bench.score(FrameMAP("lart"), store, columns, resamples=0)["mAP@0.5"] == 50
    del columns["person"]
    single = {name: [values[place] for place in (20, 60)] for name, values in columns.items()}
    assert har_bench.score(FrameMAP("lart"), store, single, resamples=0)["mAP@0.5"] == 100
    unsure = single | {"confidence": [0.79, 0.8]}
    assert har_bench.score(FrameMAP("lart"), store, unsure, resamples=0)["mAP@0.5"] == 0
    assert har_bench.score(FrameMAP("official"), store, unsure, resamples=0)["mAP@0.5"] == 100


# ---------------------------------------------------------------------------------------------- files and errors

ROWS = ["v,0902,0.1,0.1,0.5,0.5,1,0"]
FOUND = ["v,0902,0.1,0.1,0.5,0.5,1,0.5", "v,902.0,0.6,0.6,0.9,0.9,12,1e-3"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return store_of(tmp_path_factory.mktemp("ava"), ROWS)


@pytest.mark.parametrize("zipped", [False, True])
def test_csv(zipped: bool, tmp_path: Path, store: Store) -> None:
    path = written(tmp_path / "found.csv", FOUND)
    if zipped:
        path = tmp_path / "found.csv.gz"
        path.write_bytes(gzip.compress("\n".join(FOUND).encode()))
    foreign = read_detections(path)
    assert foreign is not None
    assert foreign.values.to_pylist() == [
        {"sequence": "v", "timestamp": 902, "label": 1, "score": 0.5, "bbox_normalised": [0.1, 0.1, 0.5, 0.5]},
        {"sequence": "v", "timestamp": 902, "label": 12, "score": 0.001, "bbox_normalised": [0.6, 0.6, 0.9, 0.9]},
    ]
    result = har_bench.score(FrameMAP(), store, path)
    assert result["mAP@0.5"] == 100
    assert result.environment["predictions"] == "AVA detections (video, second, box, action, score)"


def test_a_header_of_eight_names_is_passed_over(tmp_path: Path) -> None:
    header = "video_id,timestamp,x1,y1,x2,y2,action_id,score"
    with_header, without = (
        read_detections(written(tmp_path / "found.csv", rows)) for rows in ([header, *FOUND], FOUND)
    )
    assert with_header is not None
    assert without is not None
    assert with_header.values.to_pylist() == without.values.to_pylist()


def test_other_files_are_not_taken_for_detections(tmp_path: Path) -> None:
    for name, rows in {
        "ours.csv": ["sequence,timestamp,label,score", "v,902,1,0.5"],
        "truth.csv": ["v,0902,0.1,0.1,0.5,0.5,1"],
    }.items():
        assert read_detections(written(tmp_path / name, rows)) is None
    assert read_detections(tmp_path) is None
    for content in (b"\x1f\x8b\x08" + bytes(range(200)), b""):
        (tmp_path / "noise.csv.gz").write_bytes(content)
        assert read_detections(tmp_path / "noise.csv.gz") is None


@pytest.mark.parametrize("row", ["v,0902,0.1,0.1,0.5,0.5,1", "v,0902,0.1,x,0.5,0.5,1,0.5", "v,0902,0.1,0.1,0.5,0.5,,1"])
def test_a_broken_row_is_named(row: str, tmp_path: Path) -> None:
    path = written(tmp_path / "found.csv", [*FOUND, row])
    with pytest.raises(HarBenchError, match=r"found.csv begins as AVA detections .*; write it again"):
        read_detections(path)


def table(**columns: Any) -> dict[str, Any]:
    return {"sequence": ["v"], "bbox_normalised": [[0.1, 0.1, 0.5, 0.5]], "label": [1], "score": [0.5]} | columns


@pytest.mark.parametrize(
    ("columns", "recipe", "message"),
    [
        (table(), "official", r"needs a column timestamp \[s\] or frame"),
        (table(timestamp=[902.5]), "slowfast", r"the predictions have a keyframe at 902.5 s"),
        (table(timestamp=[902.5]), "mmaction2", r"the predictions have a keyframe at 902.5 s"),
        (table(timestamp=[902.0], label=["walk"]), "official", "numbers of AVA's actions"),
        (table(timestamp=[902.0], label=[1.5]), "official", "numbers of AVA's actions"),
        (table(timestamp=[902.0], bbox_normalised=[[0.1, 0.1]]), "official", r"has shape \(1, 2\)"),
        (table(timestamp=[902.0], score=[np.nan]), "official", "non-finite"),
    ],
)
def test_predictions_that_do_not_fit(columns: Any, recipe: str, message: str, store: Store) -> None:
    with pytest.raises(HarBenchError, match=message):
        har_bench.score(FrameMAP(recipe), store, columns, resamples=0)


def test_our_columns(store: Store) -> None:
    for columns in (table(timestamp=[902.0]), table(frame=[60]), table(timestamp=[902.0], label=[1.0])):
        assert har_bench.score(FrameMAP(), store, columns, resamples=0)["mAP@0.5"] == 100
    for columns in (
        table(frame=[61]),
        table(timestamp=[902.5]),
        table(timestamp=[-1.0]),
        table(frame=[60], label=[99]),
    ):
        assert har_bench.score(FrameMAP(), store, columns, resamples=0)["mAP@0.5"] == 0


def test_a_detection_without_a_number_can_count_as_none(store: Store) -> None:
    box = [0.1, 0.1, 0.5, 0.5]
    columns = table(sequence=["v"] * 4, timestamp=[902.0, 902, 902, np.nan], label=[1] * 4)
    columns |= {"bbox_normalised": [box, [np.nan, *box[1:]], box, box], "score": [0.5, 0.9, np.nan, 0.9]}
    result = har_bench.score(FrameMAP(), store, columns, resamples=0, missing="count-as-error")
    assert (result["mAP@0.5"], result.counts["detections"]) == (100, 1)


def test_a_store_with_other_evaluated_actions(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match="disagree on whether action 1 is evaluated"):
        har_bench.score(FrameMAP(), store_of(tmp_path, ROWS, (3,)), table(timestamp=[902.0]))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Films and Kinetics clips, in train and val."""
    folder = tmp_path_factory.mktemp("sample")
    converter.AVA.sample(folder / "raw")
    return har_bench.convert("ava", folder / "raw", folder / "store", jobs=1, quiet=True)


def perfect(store: Store, split: str) -> pa.Table:
    """The truth of a split as predictions."""
    rows = store.table("segments", ["sequence", "split", "timestamp", "bbox_normalised", "action"])
    rows = rows.filter(pa.array([name == split for name in rows["split"].to_pylist()])).drop_columns(["split"])
    return rows.rename_columns({"action": "label"}).append_column("score", pa.array(np.linspace(1, 0.5, rows.num_rows)))


@pytest.mark.parametrize(
    ("split", "videos", "given"),
    [("val", 2, "v2.2/val"), ("v2.2/train", 3, "v2.2/train"), ("kinetics-v1.0/val", 2, "kinetics-v1.0/val")],
)
def test_splits(split: str, videos: int, given: str, sample: Store) -> None:
    result = har_bench.score(FrameMAP(options={"split": split}), sample, perfect(sample, given))
    assert result.counts["videos"] == videos
    assert result["mAP@0.5"] == 100
    assert result.intervals["mAP@0.5"].high == 100


def test_splits_together_and_unknown(sample: Store) -> None:
    both = pa.concat_tables([perfect(sample, "v2.2/val"), perfect(sample, "kinetics-v1.0/val")])
    result = har_bench.score(FrameMAP(options={"split": "val+kinetics-v1.0/val"}), sample, both, resamples=0)
    assert (result.counts["videos"], result["mAP@0.5"]) == (4, 100)
    with pytest.raises(HarBenchError, match=r"split=v1.0/test has nothing to score.* kinetics-v1.0/train, "):
        har_bench.score(FrameMAP(options={"split": "v1.0/test"}), sample, both)
    clips = table(sequence=both["sequence"].to_pylist()[-1:], frame=[60])
    with pytest.raises(HarBenchError, match="have no known times; give the column timestamp"):
        har_bench.score(FrameMAP(options={"split": "kinetics-v1.0/val"}), sample, clips)
    with pytest.raises(HarBenchError, match="the store has a keyframe at"):
        har_bench.score(FrameMAP("slowfast", {"split": "kinetics-v1.0/val"}), sample, both)


def test_a_true_box_that_is_inverted_stops_the_protocol_as_it_stops_the_tool() -> None:
    truth = [("a", 902, (0.5, 0.5, 0.1, 0.1), 1, 0)]
    with pytest.raises(HarBenchError, match="a at 902 s has a true box with x1 > x2"):
        toy(CLASSES)("official").update(truth_batch(["a"], truth), found_batch(["a"], []))


def test_groups_hold_every_action() -> None:
    assert sorted(number for numbers in GROUPS.values() for number in numbers) == list(range(1, 81))
    assert [sum(id_ in numbers for id_ in ACTIONS) for numbers in GROUPS.values()] == [13, 32, 15]


# ---------------------------------------------------------------------------------------------- the tools' numbers


@pytest.mark.real
@pytest.mark.parametrize("recipe", ["official", "lart"])
@pytest.mark.parametrize("case", EDGES, ids=lambda case: case["name"])
def test_every_corner_is_that_of_the_official_evaluator(case: dict[str, Any], recipe: str, tmp_path: Path) -> None:
    classes, expected = tuple(case["labelmap_ids"]), dict(case["expect"])
    if "error" in expected:
        with pytest.raises(HarBenchError, match=r"box 0\.5, 0\.5, 0\.1, 0\.1 ends before it begins"):  # the converter's
            score_of(tmp_path, case["gt"], case["det"], classes, recipe)
        return
    result = score_of(tmp_path, case["gt"], case["det"], classes, recipe)
    assert result["mAP@0.5"] == pytest.approx(100 * expected.pop("mAP@0.5IOU"), abs=1e-9)
    assert expected == {f"c{row['id']}": _share(row["AP@0.5"]) for row in result.tables["action"]}


def _share(percent: float | None) -> float | None:
    return None if percent is None else pytest.approx(percent / 100, abs=1e-11)


@pytest.fixture(scope="session")
def golden_inputs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """By a golden's name: a store, a csv of detections, the evaluated actions and the split.

    A golden may name them itself, as ``inputs``: paths of ``truth`` and ``detections``, ``classes`` and ``split``.
    """

    def of(name: str) -> tuple[Store, Path, tuple[int, ...], str]:
        named = load(f"ava/golden/{name}").get("inputs") if name in GOLDENS else None
        return given(**named) if named else known(name.split("_")[0])

    def given(truth: str, detections: str, split: str, classes: Iterable[int] = tuple(ACTIONS)) -> Any:
        folder, chosen = tmp_path_factory.mktemp("given"), tuple(classes)
        made = store_of(folder, _lines(AVA / truth), () if chosen == tuple(ACTIONS) else chosen, split)
        return made, AVA / detections, chosen, split.split("_")[0]

    @cache
    def known(name: str) -> tuple[Store, Path, tuple[int, ...], str]:
        assert name in {"g1", "g2", "g2b"}, f"golden {name} names no inputs"
        folder = tmp_path_factory.mktemp(name)
        if name == "g1":
            fixture = AVA / "mmaction2_fixtures" / "eval_detection"
            classes = (1, 2, 3)
            return store_of(folder, _lines(fixture / "gt.csv"), classes), fixture / "pred.csv", classes, "val"
        store = store_of(folder, _lines(AVA / "ava_test_v1.0.csv.gz"), split="test_v1.0")
        found = AVA / "ava_test_v1.0_synth_det_top8.csv.gz"
        if name == "g2b":
            synth = _synth()
            boxes = synth.group_boxes(synth.read_rows(str(AVA / "ava_test_v1.0.csv.gz")))
            found = folder / "all60.csv"
            rows, digest = synth.write(synth.gen_detections(boxes, list(ACTIONS), synth.DEFAULT), str(found))
            assert (rows, digest[:8]) == (1_156_200, "60624b25")
        return store, found, tuple(ACTIONS), "test"

    return of


def _lines(path: Path) -> list[str]:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode().split()


def _synth() -> ModuleType:
    """The generator of the detections that the tools were run on."""
    spec = importlib.util.spec_from_file_location("ava_synth", AVA / "ava_synth.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.real
@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_is_that_of_the_tool(name: str, golden_inputs: Any) -> None:
    """An AP equals the tool's with equal scores in one order or the other: its own sort is unstable."""
    golden, recipe = load(f"ava/golden/{name}"), name.split(".")[-2]
    store, path, classes, split = golden_inputs(name)
    found = read_detections(path).values
    later = found["score"].to_numpy() + np.linspace(0, 1e-10, found.num_rows)  # the last of equal ones comes first
    results = [
        har_bench.score(toy(classes)(recipe, {"split": split}), store, rows, resamples=0)
        for rows in (found, found.set_column(found.column_names.index("score"), "score", pa.array(later)))
    ]
    names = {row["id"]: row["action"] for row in results[0].tables["action"]}
    if name.startswith("g1"):
        names = {id_: f"action{id_}" for id_ in classes}
    areas = [areas_of(result) for result in results]
    nearest = {}
    for id_, action in names.items():
        expected = golden["per_class"][action]
        nearest[id_] = (
            np.nan if expected is None else min((area[id_] for area in areas), key=lambda x: abs(x - expected))
        )
        assert nearest[id_] == pytest.approx(np.nan if expected is None else expected, abs=1e-12, nan_ok=True), action
    assert np.nanmean(list(nearest.values())) == pytest.approx(golden["mAP@0.5IOU"], abs=1e-12)
    for result in results:
        assert result["mAP@0.5"] == pytest.approx(100 * golden["mAP@0.5IOU"], abs=100 * SORTING)
    groups = {row["group"]: row for row in results[0].tables["group"]}
    for group, value in golden.get("group_mAP_nanmean", {}).items():
        assert np.nanmean([nearest[id_] for id_ in ACTIONS if id_ in GROUPS[group]]) == pytest.approx(value, abs=1e-12)
        assert groups[group]["mAP@0.5"] == pytest.approx(100 * value, abs=100 * SORTING)
        assert groups[group]["actions"] == golden["group_n_classes_with_gt"][group]


@pytest.mark.real
@pytest.mark.parametrize("name", MMACTION2)
def test_mmaction2(name: str, golden_inputs: Any) -> None:
    store, found, classes, split = golden_inputs(name)
    result = har_bench.score(toy(classes)("mmaction2", {"split": split}), store, found, resamples=0)
    tolerance = 5e-9 if name.startswith("g1") else SORTING
    assert result["mAP@0.5"] == pytest.approx(100 * MMACTION2[name], abs=100 * tolerance)


CSVS = sorted(LART.glob("ava_val_*.csv"))
SUFFIX = "PascalBoxes_PerformanceByCategory/AP@0.5IOU/"


@pytest.mark.real
@pytest.mark.parametrize("path", CSVS, ids=lambda path: path.stem)
def test_the_evaluator_of_lart(path: Path, tmp_path: Path) -> None:
    golden = load("lart/evaluator.json")[f"mAP_{path.stem.removeprefix('ava_val_')}"]
    store = store_of(tmp_path, _lines(LART / "tiny_gt.csv"))
    result = har_bench.score(FrameMAP("lart"), store, path, resamples=0)
    expected = {key.removeprefix(SUFFIX): pytest.approx(100 * value, abs=1e-9) for key, value in golden.items()}
    assert result["mAP@0.5"] == expected.pop("PascalBoxes_Precision/mAP@0.5IOU")
    assert {name: value for name, value in by_action(result).items() if value is not None} == expected
    # one of LART's groups has a class without objects, and its plain mean is NaN for all of them
    assert [row["mAP@0.5"] for row in result.tables["group"]] == [None, None, None]


TRACKS = sorted((LART / "tracklets").glob("*.pkl"))


@pytest.mark.real
@pytest.mark.parametrize("path", TRACKS, ids=lambda path: path.stem)
def test_windows_are_those_of_lart(path: Path) -> None:
    """The scores of all frames of a track, against the rows that LART's evaluator wrote for its keyframe."""
    rows = tracklets.read_poses(path, tracklets.parse(path))
    names = rows["frame_name"].to_pylist()
    key = next(place for place, name in enumerate(names) if path.stem.split("_")[-3] in name)
    scores = np.load(LART / "sigmoid_preds_ego.npz")[path.stem]
    track, frames = np.zeros(len(scores), np.int64), np.arange(len(scores))
    box = rows["bbox"][key].as_py()
    _, width = rows["frame_size"][key].as_py()
    for csv, half in (("avg6", 6), ("", 0)):
        written = read_detections(LART / f"ava_val_{csv}.csv").values
        mine = [round(sides[0], 9) == round(box[0] / width, 9) for sides in written["bbox_normalised"].to_pylist()]
        rows_of_key = written.filter(pa.array(mine))
        expected = dict(zip(rows_of_key["label"].to_pylist(), rows_of_key["score"].to_pylist(), strict=True))
        got = {
            id_: window_means(scores[:, kind], track, frames, np.array([key]), half)[0] if half else scores[key, kind]
            for kind, id_ in enumerate(ACTIONS)
        }
        assert got == pytest.approx(expected, abs=1e-7)
