"""Keypoint AP by hand: similarities, curves, the order of rows, and what is refused."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har_bench import convert, score
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch
from har_bench.protocols.oks import OKS, evaluate
from har_bench.protocols.oks import files as coco_files
from har_bench.protocols.oks.curves import curves
from har_bench.protocols.oks.matching import FALSE, IGNORED, TRUE, best, extents
from har_bench.protocols.oks.recipes import RECIPES
from har_bench.protocols.oks.similarity import similarities
from tests.oks_cases import (
    STATS,
    Json,
    annotations,
    found,
    person,
    scene,
    written,
)


def test_similarity_by_hand() -> None:
    """Two labelled joints of three, 5 px off and met: the mean of exp(-25 / (2 * 50 * 1)) and 1."""
    truth = np.array([[[0.0, 0], [10, 0], [np.nan, np.nan]]])
    labelled = np.array([[True, True, False]])
    detected = np.array([[[3.0, 4], [10, 0], [99, 99]]])
    oks = similarities(detected, truth, labelled, np.zeros((1, 4)), np.array([50.0]), np.full(3, 0.5))
    assert oks == pytest.approx(np.array([[(np.exp(-0.25) + 1) / 2]]), abs=1e-15)


def test_without_labelled_joints_the_distance_is_to_the_enlarged_box() -> None:
    """The box 10, 10, 4, 4 reaches from 6 to 18; a joint at (3, 22) is (3, 4) off, one at (6, 18) is inside."""
    detected = np.array([[[3.0, 22.0], [6.0, 18.0]]])
    box, labelled = np.array([[10.0, 10, 4, 4]]), np.zeros((1, 2), bool)
    oks = similarities(detected, np.full((1, 2, 2), np.nan), labelled, box, np.array([50.0]), np.full(2, 0.5))
    assert oks == pytest.approx(np.array([[(np.exp(-0.25) + 1) / 2]]), abs=1e-15)


@pytest.mark.parametrize("joints", [1, 7, 8, 17, 130, 133, 300])
def test_the_mean_is_summed_in_numpys_order(joints: int) -> None:
    random = np.random.default_rng(joints)
    truth, detected = random.uniform(0, 50, (2, 1, joints, 2))
    labelled, area, sigmas = np.ones((1, joints), bool), np.array([900.0]), random.uniform(0.05, 0.5, joints)
    squares = ((detected[0] - truth[0]) ** 2).sum(axis=1)
    exponents = squares / (2 * sigmas) ** 2 / (area + np.spacing(1)) / 2
    mean = np.sum(np.exp(-exponents)) / joints
    assert similarities(detected, truth, labelled, np.zeros((1, 4)), area, sigmas).tolist() == [[mean]]


def test_the_best_keep_the_order_of_the_file_when_scores_are_equal_and_put_nan_last() -> None:
    scores = np.array([np.nan, 0.5, 0.9, 0.5, 0.9, np.nan, 0.1])
    starts, rows = best(np.array([0, 7]), scores, 20)
    assert (starts.tolist(), rows.tolist()) == ([0, 7], [2, 4, 1, 3, 6, 0, 5])
    starts, rows = best(np.array([0, 0, 7]), scores, 3)
    assert (starts.tolist(), rows.tolist()) == ([0, 0, 3], [2, 4, 1])


def test_extents_of_points() -> None:
    points = np.array([[[1.0, 2], [4, 10]], [[1, np.nan], [4, 10]], [[5, 5], [5, 9]]])
    assert extents(points).tolist() == pytest.approx([24.0, np.nan, 0.0], nan_ok=True)


def test_a_curve_by_hand() -> None:
    """True, false, ignored, true of three persons: precisions 1 and 2/3 at recalls 1/3 and 2/3."""
    marks = np.array([[[TRUE, FALSE, IGNORED, TRUE]]], np.int8)
    precision, recall = curves(marks, np.ones(4), np.array([3.0]))
    assert recall.tolist() == [[pytest.approx(2 / 3)]]
    assert precision[0, 0] == pytest.approx(np.array([1.0] * 34 + [2 / 3] * 33 + [0.0] * 34))


def test_weights_stand_for_copies() -> None:
    random = np.random.default_rng(0)
    marks, times = random.integers(0, 3, (2, 3, 40)).astype(np.int8), random.integers(0, 4, 40)
    weighted = curves(marks, times.astype(float), np.array([60.0, 90.0]))
    copied = curves(np.repeat(marks, times, axis=2), np.ones(times.sum()), np.array([60.0, 90.0]))
    assert weighted.recall.tolist() == copied.recall.tolist()
    assert weighted.precision.tolist() == copied.precision.tolist()


def test_a_perfect_answer_and_its_tables(tmp_path: Path) -> None:
    truth, results = written(tmp_path, annotations(person()), [found()])
    scores = evaluate(truth, results)
    expected = dict.fromkeys(STATS, 100.0) | {"APm": np.nan, "ARm": np.nan}
    assert scores.metrics == pytest.approx(expected, nan_ok=True)
    assert [row["threshold"] for row in scores.tables["threshold"]] == [round(0.5 + 0.05 * k, 2) for k in range(10)]
    assert {row["AR"] for row in scores.tables["threshold"]} == {100.0}
    assert [row["recall"] for row in scores.tables["precision_recall"]][::50] == [0.0, 0.5, 1.0]
    assert scores.counts == {
        "images": 1, "persons": 1, "detections": 1, "detections_ignored@0.5": 0, "detections_true@0.5": 1,
    }  # fmt: skip


@cache
def batches(seed: int, ties: bool = True) -> tuple[Batch, Batch]:
    """A crowded scene as batches, with many equal scores or with none."""
    truth, results = scene(seed)
    for row, one in enumerate(results):
        one["score"] += 0 if ties else row * 1e-6
    with tempfile.TemporaryDirectory() as folder:
        paths = written(Path(folder), truth, results)
        annotated = coco_files.read_annotations(paths[0])
        detected = coco_files.read_results(paths[1])
        return annotated, coco_files.results_batch(paths[1], detected, annotated.sequences)


def part(batch: Batch, chosen: list[int], random: np.random.Generator | None = None) -> Batch:
    """Some of a batch's images in the order given, the rows of each in any order."""
    rows = [np.arange(batch.starts[index], batch.starts[index + 1]) for index in chosen]
    if random is not None:
        rows = [random.permutation(each) for each in rows]
    take = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    starts = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    columns = {name: values[take] for name, values in batch.columns.items()}
    return Batch(batch.sequences.take(chosen), starts, columns)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 3),
    ties=st.booleans(),
    order=st.permutations(range(12)),
    parts=st.sampled_from([1, 3, 8]),
    merged=st.booleans(),
)
def test_neither_rows_nor_batches_nor_merges_change_a_digit(
    seed: int, ties: bool, order: list[int], parts: int, merged: bool
) -> None:
    """Rows of annotations may come in any order; those of detections where no scores are equal: the file decides."""
    truth, results = batches(seed, ties)
    whole = OKS()
    whole.update(truth, results)
    random = np.random.default_rng(order)
    pieces, split = [], OKS()
    for group in np.array_split(order, parts):
        piece = OKS() if merged else split
        chosen = group.tolist()
        piece.update(part(truth, chosen, random), part(results, chosen, None if ties else random))
        pieces.append(piece)
    for piece in pieces if merged else []:
        split.merge(piece)
    assert repr(split.compute()) == repr(whole.compute())
    assert split.units() == whole.units() == [f"{number + 1:012d}" for number in range(12)]
    weights = random.integers(0, 3, 12).astype(float)
    assert repr(split.metrics_of(weights)) == repr(whole.metrics_of(weights))


def test_a_weight_of_nought_is_as_if_the_image_were_not_there() -> None:
    truth, results = batches(1)
    whole, half = OKS(), OKS()
    whole.update(truth, results)
    half.update(part(truth, list(range(6))), part(results, list(range(6))))
    assert whole.metrics_of(np.repeat([1.0, 0.0], 6)) == half.metrics_of()
    assert whole.metrics_of(np.ones(12)) == whole.metrics_of() != half.metrics_of()


def test_an_image_scored_twice_is_an_error() -> None:
    protocol = OKS()
    protocol.update(*batches(0))
    with pytest.raises(HarBenchError, match="'000000000001' was scored twice"):
        protocol.update(*batches(0))


def test_a_joint_of_nan_is_refused_unless_it_is_asked_for(tmp_path: Path) -> None:
    """pycocotools takes it for a perfect detection: AP 100 from one NaN per person."""
    broken = found() | {"keypoints": [float("nan"), *found()["keypoints"][1:]]}
    paths = written(tmp_path, annotations(person()), [broken])
    with pytest.raises(HarBenchError, match=r"1 detections with joints that are NaN .* option nan=similar"):
        evaluate(*paths)
    convert("coco", paths[0], tmp_path / "store")
    with pytest.raises(HarBenchError, match="rows 1 non-finite"):
        score(OKS(), tmp_path / "store", paths[1])
    counted = score(OKS(), tmp_path / "store", paths[1], missing="count-as-error", resamples=0)
    assert (counted["AP"], counted["AR"]) == (0, 0)
    asked = score(OKS(options={"nan": "similar"}), tmp_path / "store", paths[1], resamples=0)
    assert asked["AP"] == pytest.approx(100)
    assert asked.canonical == "coco/oks:official,nan=similar"


def test_detections_of_other_categories_are_said_and_nobody_of_the_category_is_nothing_found(tmp_path: Path) -> None:
    paths = written(tmp_path, annotations(person()), [found() | {"category_id": 3}])
    convert("coco", paths[0], tmp_path / "store")
    nothing = score(OKS(), tmp_path / "store", paths[1], resamples=0)
    assert (nothing["AP"], nothing["AR"]) == (0, 0)
    assert "1 of 1 detections are of the categories 3 and were left out" in nothing.notes[0]


def test_nobody_annotated_is_an_error_with_the_categories_that_there_are(tmp_path: Path) -> None:
    paths = written(tmp_path, annotations(person()), [found()])
    convert("coco", paths[0], tmp_path / "store")
    with pytest.raises(HarBenchError, match=r"nobody of category 7 .* the categories 1 \(1 annotations\)"):
        score(OKS(options={"category": 7}), tmp_path / "store", paths[1])


@pytest.mark.parametrize(
    ("truth", "results", "message"),
    [
        (annotations(person()), [], "holds no detection"),
        (annotations(person()), [found(99)], "image 99"),
        (annotations(person()), [found(image_id="1")], r"image_id"),
        (annotations(person()), [found(image_id=1.5)], "whole numbers"),
        (
            annotations(person()),
            [found(), found(image_id=10**30)],
            r"record 1 of .*results\.json has a number .*too large",
        ),
        (annotations(person()), [found(score=10**400)], "record 0 .* has a number that is too large"),
        (annotations(person()), [found(), found(category_id=10**400)], "record 1 .* has a number that is too large"),
        (annotations(person()), [{"image_id": 1, "category_id": 1, "score": 1}], "keypoints"),
        (annotations(person()), [{**found(), "score": None}], "record 0 of .* has no score; give every detection"),
        (annotations(person()), [{k: v for k, v in found().items() if k != "score"}], "score"),
        (annotations(person()), [{k: v for k, v in found().items() if k != "category_id"}], "category_id"),
        (annotations(person()), [found(keypoints=[1, 2, 2] * 16)], "16 joints of 2 numbers"),
        (annotations(person()), [found(), found(keypoints=[1, 2, 2] * 16)], "record 1 .* 48 numbers"),
        (annotations(person()), [found(keypoints=[1, 2])], "2 numbers"),
        (annotations(person()), [found(keypoints=None)], "0 numbers"),
        (annotations(person()), [found(), found(keypoints=["1", 2, 2])], "record 1 .* keypoints .*no list of numbers"),
        (annotations(person()), [found(score=float("nan")), found(keypoints=[True] * 51)], "record 1 .* keypoints"),
        (annotations(person()), [found(bbox=[0, 0, 1, 1]), found(bbox={})], "record 1 .* bbox .*no list of numbers"),
        (annotations(person()), [found(), found(foot_kpts=[1, 2, "2"])], "record 1 .* keypoints .*no list of numbers"),
        (annotations(person(), person(bbox=[0, 0, 1])), [found()], "annotation 2 .* 3 numbers as bbox and not 4"),
        (
            annotations(person(), person(keypoints=[[1]] * 51)),
            [found()],
            "annotation 2 .* keypoints .*no list of numbers",
        ),
        (annotations(person()), [found(bbox=[0, 0, 1, 1]), found()], "record 1 .* 0 numbers as bbox"),
        (annotations(person(num_keypoints=None)), [found()], "annotation 1 has no num_keypoints"),
        (annotations(person(area=None)), [found()], "annotation 1 has no area"),
        (annotations(person(iscrowd=None)), [found()], "annotation 1 has no iscrowd"),
        (annotations(person(bbox=None)), [found()], "annotation 1 has no bbox"),
        (annotations(person(id=7), person(2, id=7), images=2), [found()], "two images have the id 7"),
        ([], [found()], "not a json file as COCO defines it"),
    ],
)
def test_what_cannot_be_scored_is_named(truth: Json, results: Json, message: str, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=message):
        evaluate(*written(tmp_path, truth, results))


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        ("official", {"sigmas": "0.1+0.2"}, "17 joints and 2 sigmas"),
        ("official", {"sigmas": "a+b"}, "numbers with"),
        ("official", {"sigmas": [0.1, -0.2]}, "more than 0"),
        ("official", {"category": "person"}, "whole number"),
        ("official", {"first": -1}, "0 or more"),
        ("official", {"part": "foot"}, "called 'foot'"),
        ("wholebody", {"part": "nose"}, "wholebody, body, foot"),
        ("wholebody", {}, "17 joints and 133 sigmas"),
        ("wholebody", {"sigmas": [0.1] * 17}, "133 joints"),
        ("crowdpose", {}, "17 joints and 14 sigmas"),
    ],
)
def test_options_that_do_not_fit_are_named(recipe: str, options: Json, message: str, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=message):
        evaluate(*written(tmp_path, annotations(person()), [found()]), recipe, **options)


def test_the_canonical_name_holds_the_sigmas() -> None:
    protocol = OKS("official", {"sigmas": (0.1, 0.25), "category": "1", "split": "2017/val"})
    assert protocol.canonical == "coco/oks:official,sigmas=0.1+0.25,split=2017/val"
    assert protocol.fresh().sigmas.tolist() == [0.1, 0.25]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": "173"}, "record 1 of .*p.json has a text, '173', as image_id; write it as a number, without"),
        ({"image_id": "val/b.jpg"}, r"a text, 'val/b.jpg', as image_id; write it as a number \(here 7\), without"),
        ({"score": "0.5"}, "record 1 of .*p.json has a text, '0.5', as score; write it as a number"),
        ({"keypoints": [[1, 2], [3, 4]]}, r"record 1 of .*p.json has keypoints that are no list .*length 3.*; mend it"),
        ({"keypoints": ["1", 2, 1]}, r"record 1 .*at \[0\] stands a text, and not a number\); mend it"),
        ({"score": None}, "record 1 of .*p.json has no score; give every detection image_id, category_id, keypoints"),
        ({"category_id": True}, "has a bool, 'True', as category_id"),
    ],
)
def test_what_is_no_number_in_a_detection_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    right = {"image_id": 1, "category_id": 1, "score": 0.5, "keypoints": [1, 2, 1]}
    path = tmp_path / "p.json"
    path.write_text(json.dumps([right, right | change]))
    with pytest.raises(HarBenchError, match=message):
        coco_files.read_results(path, images={"b.jpg": 7})


@pytest.mark.parametrize("form", ["wrapped", "UTF-16", "nested"])
def test_results_in_other_forms_are_the_same_detections(form: str, tmp_path: Path) -> None:
    right = {"image_id": 7, "category_id": 1, "score": 0.5, "keypoints": [1, 2, 1, 3, 4, 0.5]}
    changed = right | {"keypoints": [[1, 2, 1], [3, 4, 0.5]]} if form == "nested" else right
    text = json.dumps({"annotations": [right, changed]} if form == "wrapped" else [right, changed])
    path = tmp_path / "p.json"
    path.write_bytes(text.encode("utf-16" if form == "UTF-16" else "utf-8"))
    assert coco_files.is_results(path)
    found = coco_files.read_results(path)
    assert found.image_id.tolist() == [7, 7]
    assert found.score.tolist() == [0.5, 0.5]
    assert found.keypoints.tolist() == [[[1, 2], [3, 4]]] * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"images": []}', r"""p.json begins with '{"images": \[\]}'; write a list of"""),
        (b'[{"bbox": [1, 2, 3, 4]}]', "p.json has no 'keypoints' in its first record; write a list of"),
        (b"PK\x03\x04" + bytes(80), "p.json is an archive; unpack it and give the file of predictions"),
    ],
)
def test_a_json_that_is_no_results_file_is_told_what_it_is(content: bytes, message: str, tmp_path: Path) -> None:
    truth, _ = written(tmp_path, annotations(person()), [found()])
    convert("coco", truth, tmp_path / "store")
    (tmp_path / "p.json").write_bytes(content)
    with pytest.raises(HarBenchError, match=message):
        score(OKS(), tmp_path / "store", tmp_path / "p.json")


def test_every_recipe_says_what_it_equals() -> None:
    assert next(iter(OKS.recipes)) == "official"
    assert all(recipe.oracle and recipe.cite and recipe.about for recipe in RECIPES)
