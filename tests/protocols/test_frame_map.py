"""Frame-mAP by its rules: a plain second writing, the order of rows, and where the tools differ."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.protocol import Batch
from har_bench.protocols.frame_map.matching import (
    Candidates,
    Detections,
    Truth,
    average_precision,
    match,
    rank,
    window_means,
)
from har_bench.protocols.frame_map.protocol import FrameMAP
from tests.frame_map_cases import (
    CLASSES,
    NAMES,
    areas_of,
    found_batch,
    store_of,
    toy,
    truth_batch,
)


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
