"""Keypoint AP against hand-computed cases, against pycocotools itself, and against its and xtcocotools' numbers."""

from __future__ import annotations

import contextlib
import copy
import gzip
import io
import json
import lzma
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO as OracleData  # noqa: N811
from pycocotools.cocoeval import COCOeval

from har_bench import convert, open_store, score
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch
from har_bench.protocols.oks import OKS, evaluate
from har_bench.protocols.oks import files as coco_files
from har_bench.protocols.oks.curves import curves
from har_bench.protocols.oks.matching import FALSE, IGNORED, TRUE, best, extents
from har_bench.protocols.oks.recipes import RECIPES
from har_bench.protocols.oks.similarity import similarities
from har_bench.registry import load as load_plugin
from har_bench.skeletons import skeleton
from tests.golden import REAL, load

COCO = REAL / "coco"
STATS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
JOINTS = list(skeleton("coco17").joints)

Json = Any

# ---------------------------------------------------------------------------------------------- making cases


def person(image: int = 1, at: tuple[float, float] = (100, 100), **more: Json) -> Json:
    """Somebody of 100 x 200 px whose joints lie on a grid."""
    points = np.stack([at[0] + 20 * (np.arange(17) % 5), at[1] + 40 * (np.arange(17) // 5)], axis=1)
    joints = np.column_stack([points, np.full(17, 2)]).ravel().tolist()
    return {
        "image_id": image, "category_id": 1, "iscrowd": 0, "num_keypoints": 17, "area": 20_000.0,
        "bbox": [at[0], at[1], 100, 200], "keypoints": joints,
    } | more  # fmt: skip


def found(image: int = 1, at: tuple[float, float] = (100, 100), score: float = 0.9, **more: Json) -> Json:
    """The same person as a detection."""
    return {
        "image_id": image, "category_id": 1, "keypoints": person(image, at)["keypoints"], "score": score,
    } | more  # fmt: skip


def annotations(*persons: Json, images: int = 1) -> Json:
    listed = [{"id": number + 1, "file_name": f"{number + 1}.jpg"} for number in range(images)]
    people = [{"id": row + 1} | one for row, one in enumerate(persons)]
    return {"images": listed, "annotations": people, "categories": [{"id": 1, "name": "person", "keypoints": JOINTS}]}


def written(folder: Path, truth: Json, results: Json) -> tuple[Path, Path]:
    paths = folder / "truth.json", folder / "results.json"
    for path, content in zip(paths, (truth, results), strict=True):
        path.write_text(json.dumps(content))
    return paths


def ours(truth: Path, results: Path, recipe: str = "official", **options: Json) -> dict[str, float]:
    """Metrics as the tools print them: ratios, and -1 where there is nothing to be found; NaN as they take it."""
    try:
        metrics = evaluate(truth, results, recipe, **{"nan": "similar"} | options).metrics
    except HarBenchError as error:
        if "nobody of category" not in str(error):
            raise
        return dict.fromkeys(STATS, -1.0)
    return {name: -1.0 if np.isnan(value) else value / 100 for name, value in metrics.items()}


def theirs(truth: Path, results: Path, sigmas: np.ndarray | None = None) -> dict[str, float]:
    """The same by pycocotools."""
    with contextlib.redirect_stdout(io.StringIO()):
        data = OracleData(truth)
        oracle = COCOeval(data, data.loadRes(str(results)), "keypoints")
        if sigmas is not None:
            oracle.params.kpt_oks_sigmas = sigmas
        oracle.evaluate()
        oracle.accumulate()
        oracle.summarize()
    return dict(zip(STATS, oracle.stats.tolist(), strict=True))


def agree(folder: Path, truth: Json, results: Json) -> dict[str, float]:
    """Both sides' numbers, which must be equal."""
    paths = written(folder, truth, results)
    mine = ours(*paths)
    assert mine == pytest.approx(theirs(*paths), abs=1e-12)
    return mine


# ---------------------------------------------------------------------------------------------- by hand


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


# ---------------------------------------------------------------------------------------------- beside pycocotools

FAR = (5000.0, 5000.0)
CASES: dict[str, tuple[Json, Json]] = {
    "a false one before a true one of equal score": (annotations(person()), [found(at=FAR), found()]),
    "equal scores in two images, decided by image id": (
        annotations(person(2), person(1), images=2),
        [found(2), found(1, FAR), found(1)],
    ),
    "21 detections": (annotations(person()), [*(found(at=FAR, score=0.8) for _ in range(20)), found(score=0.1)]),
    "a crowd takes many": (
        annotations(person(iscrowd=1), person(at=(900, 100))),
        [found(score=0.9), found(score=0.8), found(at=(900, 100), score=0.1)],
    ),
    "a person without joints takes one": (
        annotations(person(num_keypoints=0, keypoints=[0] * 51), person(at=(900, 100))),
        [found(score=0.9), found(score=0.8), found(at=(900, 100), score=0.1)],
    ),
    "one who counts is preferred to one who is ignored": (
        annotations(person(at=(104, 100)), person(num_keypoints=0)),
        [found()],
    ),
    "joints labelled though none are counted": (annotations(person(num_keypoints=0)), [found()]),
    "joints counted though none are labelled": (annotations(person(keypoints=[0] * 51)), [found(), found(at=FAR)]),
    "an area of nothing": (annotations(person(area=0)), [found()]),
    "areas on both borders": (
        annotations(person(area=1024), person(at=(900, 100), area=9216)),
        [found(), found(at=(900, 100), score=0.1)],
    ),
    "small boxes make small detections": (
        annotations(person()),
        [found(at=FAR, bbox=[0, 0, 2, 2], score=1), found(bbox=[0, 0, 2, 2])],
    ),
    "boxes that the first detection has not": (annotations(person()), [found(), found(at=FAR, bbox=[0, 0, 2, 2])]),
    "an empty box at first": (annotations(person()), [found(bbox=[]), found(at=FAR, bbox=[0, 0, 2, 2])]),
    "annotation id 0": (annotations(person(id=0), person(at=(900, 100))), [found(), found(at=(900, 100), score=0.1)]),
    "an annotation id twice": (
        annotations(person(id=7), person(at=(900, 100), id=7)),
        [found(), found(at=(900, 100), score=0.8), found(at=(900, 100), score=0.7)],
    ),
    "an image listed twice": (annotations(person()) | {"images": [{"id": 1}, {"id": 1}]}, [found()]),
    "an annotation on no image": (annotations(person(), person(99)), [found()]),
    "a detection of another category": (annotations(person()), [found(category_id=2), found(score=0.1)]),
    "only detections of another category": (annotations(person()), [found(category_id=2)]),
    "an image id with a decimal point": (annotations(person()), [found(image_id=1.0)]),
    "no person at all": (annotations(images=2), [found(), found(2)]),
    "scores of NaN and infinity": (
        annotations(person(), person(at=(900, 100))),
        [found(score=float("nan")), found(at=FAR, score=float("inf")), found(at=(900, 100), score=float("-inf"))],
    ),
    "a joint of NaN": (annotations(person()), [found() | {"keypoints": [float("nan"), *found()["keypoints"][1:]]}]),
    "visibilities of 0 in a detection": (
        annotations(person()),
        [found() | {"keypoints": [0 if at % 3 == 2 else number for at, number in enumerate(found()["keypoints"])]}],
    ),
    "negative scores": (annotations(person()), [found(score=-1), found(at=FAR, score=-2)]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_small_case_beside_pycocotools(case: str, tmp_path: Path) -> None:
    agree(tmp_path, *CASES[case])


def scene(seed: int, images: int = 12) -> tuple[Json, Json]:
    """Whole-pixel persons who overlap, crowds, people without joints, and scores of few values."""
    random = np.random.default_rng(seed)
    persons, results = [], []
    for image in random.permutation(images).tolist():
        for _ in range(random.integers(0, 5)):
            at = (int(random.integers(0, 60)), int(random.integers(0, 60)))
            one = person(image + 1, at, area=float(random.choice([900, 1024, 5000, 9216, 30_000])))
            kind = random.integers(0, 8)
            if kind == 0:
                one |= {"iscrowd": 1, "num_keypoints": 0, "keypoints": [0] * 51}
            elif kind == 1:
                one |= {"num_keypoints": 0, "keypoints": [0] * 51}
            else:
                v = np.repeat(random.choice([0, 1, 2], 17), 3)
                one |= {"keypoints": np.where(v > 0, one["keypoints"], 0).tolist(), "num_keypoints": int((v > 0).sum())}
                one["keypoints"][2::3] = v[::3].tolist()
            persons.append(one)
        for _ in range(random.integers(0, 26)):
            at = (int(random.integers(0, 60)), int(random.integers(0, 60)))
            results.append(found(image + 1, at, float(random.integers(0, 10)) / 10))
    return annotations(*persons, images=images), results


@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_crowded_scenes_beside_pycocotools(seed: int, boxes: bool, tmp_path: Path) -> None:
    truth, results = scene(seed)
    if boxes:
        results = [one | {"bbox": [0, 0, 10 * row, 30]} for row, one in enumerate(results)]
    assert 0 < agree(tmp_path, truth, results)["AP"] < 1


def test_other_sigmas_beside_pycocotools(tmp_path: Path) -> None:
    paths = written(tmp_path, *scene(0))
    sigmas = np.linspace(0.03, 0.2, 17)
    expected = pytest.approx(theirs(*paths, sigmas), abs=1e-12)
    assert ours(*paths, sigmas=sigmas) == expected
    assert ours(*paths, sigmas=",".join(map(repr, sigmas.tolist()))) == expected
    assert ours(*paths) != expected


# ---------------------------------------------------------------------------------------------- order


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


# ---------------------------------------------------------------------------------------------- errors


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
        (annotations(person()), [{"image_id": 1, "category_id": 1, "score": 1}], "keypoints"),
        (annotations(person()), [{**found(), "score": None}], "record 0 of .* has no score; give every detection"),
        (annotations(person()), [{k: v for k, v in found().items() if k != "score"}], "score"),
        (annotations(person()), [{k: v for k, v in found().items() if k != "category_id"}], "category_id"),
        (annotations(person()), [found(keypoints=[1, 2, 2] * 16)], r"\(16, 2\)"),
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


# ---------------------------------------------------------------------------------------------- stores


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The converter's sample: its raw folder, its store, and results for its validation images."""
    folder = tmp_path_factory.mktemp("coco")
    load_plugin("converters", "coco").sample(folder / "raw")
    convert("coco", folder / "raw", folder / "store")
    truth = json.loads((folder / "raw/annotations/person_keypoints_val2017.json").read_text())
    random, results = np.random.default_rng(0), []
    for one in truth["annotations"]:
        for _ in range(2):
            joints = np.reshape(one["keypoints"], (17, 3)) + random.normal(0, 6, (17, 3))
            results.append(found(one["image_id"], score=random.random(), keypoints=joints.ravel().tolist()))
    (folder / "results.json").write_text(json.dumps(results))
    return folder / "raw", folder / "store", folder / "results.json"


def test_a_store_gives_what_the_files_give(sample: tuple[Path, Path, Path]) -> None:
    raw, store, results = sample
    scored = score(OKS(), store, results, resamples=20)
    direct = evaluate(raw / "annotations/person_keypoints_val2017.json", results)
    assert scored.metrics == direct.metrics
    assert scored.tables == direct.tables
    assert 0 < scored["AP"] < 100
    assert scored.environment["predictions"] == "COCO keypoint results, without boxes"
    assert set(scored.intervals) == set(STATS)
    assert scored.intervals["AP"].low <= scored["AP"] <= scored.intervals["AP"].high


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_compressed_results_and_our_own_columns(sample: tuple[Path, Path, Path], suffix: str, tmp_path: Path) -> None:
    _, store, results = sample
    packed = tmp_path / f"results.json{suffix}"
    packed.write_bytes({".gz": gzip, ".xz": lzma}[suffix].compress(results.read_bytes()))
    foreign = OKS().read_foreign(packed, open_store(store))
    assert foreign is not None
    expected = score(OKS(), store, results, resamples=0).metrics
    assert score(OKS(), store, packed, resamples=0).metrics == expected
    assert score(OKS(), store, foreign.values.to_pandas(), resamples=0).metrics == expected


def test_the_splits_and_first_images_of_a_store(sample: tuple[Path, Path, Path]) -> None:
    _, store, results = sample
    with pytest.raises(HarBenchError, match="none of the 12 images"):
        score(OKS(options={"split": "train"}), store, results)
    with pytest.raises(HarBenchError, match="there are 2017/train, 2017/val"):
        score(OKS(options={"split": "test"}), store, results)
    first = score(OKS(options={"first": 3}), store, results, resamples=0)
    assert first.counts["images"] == 3
    ids = open_store(store).select("2017/val")["image_id"].to_numpy()
    chosen = OKS(options={"first": 3}).select(open_store(store).sequences)["image_id"].to_numpy()
    assert sorted(chosen) == sorted(ids)[:3]


def test_a_store_brings_the_sigmas_of_its_joints(tmp_path: Path) -> None:
    truth = annotations(person()) | {"categories": [{"id": 1, "name": "robot", "keypoints": list("abcdefghijklmnopq")}]}
    with_sigmas, without = copy.deepcopy(truth), tmp_path / "without"
    with_sigmas["categories"][0]["sigmas"] = [0.107] * 17
    for folder, content in ((tmp_path / "with", with_sigmas), (without, truth)):
        folder.mkdir()
        convert("coco", written(folder, content, [])[0], folder / "store")
    protocol = OKS()
    protocol.prepare(open_store(tmp_path / "with/store"))
    assert protocol.sigmas.tolist() == [1.07 / 10] * 17
    with pytest.raises(HarBenchError, match=r"robot-17 .* have no sigmas; give the option sigmas"):
        protocol.prepare(open_store(without / "store"))
    given = OKS(options={"sigmas": [0.5] * 17})
    given.prepare(open_store(without / "store"))
    assert given.sigmas.tolist() == [0.5] * 17


def test_a_person_without_a_list_of_joints_is_named(tmp_path: Path) -> None:
    absent = {name: value for name, value in person(at=(900, 100)).items() if name != "keypoints"}
    truth, results = written(tmp_path, annotations(person(), absent), [found()])
    convert("coco", truth, tmp_path / "store")
    with pytest.raises(HarBenchError, match="annotation 2 has no keypoints"):
        score(OKS(), tmp_path / "store", results)


@pytest.mark.parametrize("name", ["truth.json", "table.json", "list.json", "damaged.json.xz", "results.txt"])
def test_other_files_are_not_taken_for_results(name: str, tmp_path: Path) -> None:
    content = {"truth.json": annotations(person()), "table.json": {"a": 1}, "list.json": [{"image_id": 1, "score": 1}]}
    text = json.dumps(content.get(name, [found()])).encode()
    (tmp_path / name).write_bytes(b"\xfd7zXZ\x00" + text if name == "damaged.json.xz" else text)
    assert not coco_files.is_results(tmp_path / name)


# ---------------------------------------------------------------------------------------------- the tools' numbers

GOLDENS = load("coco/golden/coco_oks_ap.json")
CORNERS = load("coco/golden/coco_corner_cases.json")
SUBSET = (
    "val2017_subset538/person_keypoints_val2017_subset538.json.xz",
    "val2017_subset538/synthetic_predictions_seed20240601.json.xz",
)
PAIRS = {
    "xtcocotools_example_coco": (
        "xtcocotools_example/example_coco_val.json",
        "xtcocotools_example/example_coco_preds.json",
    ),
    "faster_coco_eval_keypoints": ("fce_keypoints/gt_dataset.json", "fce_keypoints/dt_dataset.json"),
    "val2017_subset538": SUBSET,
    "crowdpose_example": (
        "xtcocotools_example/example_crowdpose_val.json",
        "xtcocotools_example/example_crowdpose_preds.json",
    ),
    "coco_wholebody_example": (
        "xtcocotools_example/example_wholebody_val.json",
        "xtcocotools_example/example_wholebody_preds.json",
    ),
    "movenet_multipose_input256": (
        "coco_mini/annotations/person_keypoints_val2017.json",
        "coco_mini/movenet_multipose_256_keypoints_results.json",
    ),
}


def read(path: str) -> Json:
    data = (COCO / path).read_bytes()
    return json.loads(lzma.decompress(data) if path.endswith(".xz") else data)


def half_boxes(truth: Json, results: Json) -> None:
    for one in results:
        points = np.reshape(one["keypoints"], (-1, 3))[:, :2]
        size = np.ptp(points, axis=0) / 2
        one["bbox"] = [*points.min(axis=0).tolist(), *size.tolist()]


def rounded_scores(truth: Json, results: Json) -> None:
    for one in results:
        one["score"] = round(one["score"], 1)


def box_areas(truth: Json, results: Json) -> None:
    for one in truth["annotations"]:
        one["area"] = one["bbox"][2] * one["bbox"][3] * 0.53


def truth_as_results(truth: Json, results: Json) -> None:
    kept = ("image_id", "category_id", "keypoints")
    counted = [one for one in truth["annotations"] if one["num_keypoints"] and not one["iscrowd"]]
    results[:] = [{name: one[name] for name in kept} | {"score": 1.0} for one in counted]


CHANGES = {
    "half-size) bbox": half_boxes,
    "rounded to 0.1": rounded_scores,
    "0.53*bbox": box_areas,
    "gt as predictions": truth_as_results,
}


@cache
def golden(key: str) -> dict[str, float]:
    """Our numbers for a named golden of pycocotools."""
    name = next(name for name in PAIRS if key.startswith(name))
    truth, results = (read(path) for path in PAIRS[name])
    for mark, change in CHANGES.items():
        if mark in key:
            change(truth, results)
    options: Json = {}
    if "sigmas x 2" in key:
        options["sigmas"] = 2 * np.round(10 * np.array(skeleton("coco17").sigmas), 6) / 10
    if "first 100" in key:
        images = {image["id"] for image in sorted(truth["images"], key=lambda image: image["id"])[:100]}
        truth["images"] = [image for image in truth["images"] if image["id"] in images]
        results = [one for one in results if one["image_id"] in images]
    with tempfile.TemporaryDirectory() as folder:
        paths = written(Path(folder), truth, results)
        scores = evaluate(*paths, **options)
    table = {f"AP_per_threshold.{row}": line["AP"] for row, line in enumerate(scores.tables["threshold"])}
    table |= {f"max_recall_per_threshold.{row}": line["AR"] for row, line in enumerate(scores.tables["threshold"])}
    return scores.metrics | table


@pytest.mark.real
@pytest.mark.parametrize("key", [key for key, value in GOLDENS.items() if "pycocotools" in value])
def test_official_equals_pycocotools(key: str) -> None:
    mine = golden(key)
    expected = GOLDENS[key]["pycocotools"]
    for name, value in expected.items():
        values = value if isinstance(value, list) else [value]
        names = [f"{name}.{row}" for row in range(len(values))] if isinstance(value, list) else [name]
        assert [mine[each] / 100 for each in names] == pytest.approx(values, abs=1e-12), name


@pytest.mark.real
@pytest.mark.parametrize("name", PAIRS)
def test_a_store_of_real_files_gives_the_same(name: str, tmp_path: Path) -> None:
    recipe = {"crowdpose_example": "crowdpose", "coco_wholebody_example": "wholebody"}.get(name, "official")
    truth, results = (COCO / path for path in PAIRS[name])
    convert("coco", truth, tmp_path / "store")
    scored = score(OKS(recipe), tmp_path / "store", results, resamples=0)
    assert scored.metrics == evaluate(truth, results, recipe).metrics
    assert scored.notes == []


@pytest.mark.real
def test_the_first_hundred_images_of_a_store(tmp_path: Path) -> None:
    truth, results = (COCO / path for path in SUBSET)
    convert("coco", truth, tmp_path / "store")
    scored = score(OKS(options={"first": 100}), tmp_path / "store", results, resamples=0)
    key = next(key for key in GOLDENS if "first 100" in key)
    assert {name: value / 100 for name, value in scored.metrics.items()} == pytest.approx(
        GOLDENS[key]["pycocotools"], abs=1e-12
    )
    assert scored.counts["ignored_sequences"] > 0


@pytest.mark.real
@pytest.mark.parametrize("key", [key for key, value in GOLDENS.items() if "area_rule" in value])
def test_crowdpose_equals_xtcocotools(key: str) -> None:
    mine = ours(*(COCO / path for path in PAIRS["crowdpose_example"]), "crowdpose")
    expected = dict(zip(GOLDENS[key]["order"], GOLDENS[key]["xtcocotools"], strict=True))
    assert mine.keys() == expected.keys()
    for name, value in expected.items():  # the tool rounds the three of crowding
        assert (round(mine[name], 4) if "_" in name else mine[name]) == pytest.approx(value, abs=1e-12), name


@pytest.mark.real
@pytest.mark.parametrize("part", next((value for value in GOLDENS.values() if "wholebody" in value), {}))
def test_wholebody_equals_xtcocotools(part: str) -> None:
    key = next(key for key, value in GOLDENS.items() if "wholebody" in value)
    mine = ours(*(COCO / path for path in PAIRS["coco_wholebody_example"]), "wholebody", part=part)
    assert mine == pytest.approx(GOLDENS[key][part]["xtcocotools"], abs=1e-12)


@pytest.mark.real
@pytest.mark.parametrize("case", CORNERS.get("inputs", {}))
@pytest.mark.parametrize("through", ["files", "store"])
def test_a_corner_case_has_pycocotools_outcome(case: str, through: str, tmp_path: Path) -> None:
    given, expected = CORNERS["inputs"][case], CORNERS["cases"][case]["result"]["pycocotools"]
    paths = written(tmp_path, given["gt"], given["dt"])

    def outcome() -> list[float]:
        if through == "files":
            return [ours(*paths)[name] for name in CORNERS["stats_order"]]
        if not (tmp_path / "store").exists():
            convert("coco", paths[0], tmp_path / "store")
        try:
            metrics = score(OKS(options={"nan": "similar"}), tmp_path / "store", paths[1], resamples=0).metrics
        except HarBenchError as error:
            if "nobody of category" not in str(error):
                raise
            return [-1.0] * len(STATS)
        return [metrics[name] / 100 if name in metrics else -1.0 for name in CORNERS["stats_order"]]

    if isinstance(expected, str):  # the tool crashes
        with pytest.raises(HarBenchError):
            outcome()
    else:
        assert outcome() == pytest.approx(expected, abs=5.1e-7)  # the file has six decimals, the tool all
        assert outcome() == pytest.approx(list(theirs(*paths).values()), abs=1e-12)


@pytest.mark.real
@pytest.mark.parametrize("name", [name for name in PAIRS if "crowdpose" not in name and "wholebody" not in name])
def test_real_pairs_beside_pycocotools(name: str, tmp_path: Path) -> None:
    paths = written(tmp_path, *(read(path) for path in PAIRS[name]))
    assert ours(*paths) == pytest.approx(theirs(*paths), abs=1e-12)


def test_every_recipe_says_what_it_equals() -> None:
    assert next(iter(OKS.recipes)) == "official"
    assert all(recipe.oracle and recipe.cite and recipe.about for recipe in RECIPES)


@pytest.mark.real
def test_the_published_results_file_of_100_images_is_read(tmp_path: Path) -> None:
    """125 detections on 47 images; their 3-decimal scores need annotations that are not in the data folder."""
    path = COCO / "cocoapi_fake100/person_keypoints_val2014_fakekeypoints100_results.json"
    assert coco_files.is_results(path)
    results = coco_files.read_results(path)
    assert (len(results.score), len(np.unique(results.image_id)), results.keypoints.shape[1:]) == (125, 47, (17, 2))
    truth = os.environ.get("HAR_BENCH_COCO_2014")
    if not truth:
        pytest.skip("HAR_BENCH_COCO_2014 does not name person_keypoints_val2014.json")
    convert("coco", Path(truth), tmp_path / "store")
    metrics = score(OKS(options={"first": 100}), tmp_path / "store", path, resamples=0).metrics
    expected = load("coco/golden/coco_fake100_expected.json")
    assert [metrics[name] / 100 for name in expected["stats_order"]] == pytest.approx(expected["stats"], abs=5e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": "173"}, "record 1 of .*p.json has a text, '173', as image_id; write it as a number"),
        ({"score": "0.5"}, "record 1 of .*p.json has a text, '0.5', as score; write it as a number"),
        ({"score": None}, "record 1 of .*p.json has no score; give every detection image_id, category_id, keypoints"),
        ({"category_id": True}, "has a bool, 'True', as category_id"),
    ],
)
def test_what_is_no_number_in_a_detection_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    right = {"image_id": 1, "category_id": 1, "score": 0.5, "keypoints": [1, 2, 1]}
    path = tmp_path / "p.json"
    path.write_text(json.dumps([right, right | change]))
    with pytest.raises(HarBenchError, match=message):
        coco_files.read_results(path)
