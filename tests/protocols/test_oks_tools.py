"""Keypoint AP beside pycocotools itself, and against its and xtcocotools' numbers on real files."""

from __future__ import annotations

import json
import lzma
import os
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from har_bench import convert, score
from har_bench.errors import HarBenchError
from har_bench.protocols.oks import OKS, evaluate
from har_bench.protocols.oks import files as coco_files
from har_bench.skeletons import skeleton
from tests.golden import load
from tests.oks_cases import (
    COCO,
    STATS,
    Json,
    agree,
    annotations,
    found,
    ours,
    person,
    scene,
    theirs,
    written,
)

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


GOLDENS = load("coco/golden/coco_oks_ap.json")
CORNERS = load("coco/golden/coco_corner_cases.json")
SUBSET = (
    "val2017_subset538/person_keypoints_val2017_subset538.json.xz",
    "val2017_subset538/synthetic_predictions_seed20240601.json.xz",
)
PAIRS: dict[str, tuple[str, ...]] = {
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


def pair(key: str) -> tuple[str, ...]:
    """The truth and the results of a golden: those that it names, or those that its name begins with."""
    named = GOLDENS[key].get("inputs")
    if named:
        return named["truth"], named["results"]
    return next(files for name, files in PAIRS.items() if key.startswith(name))


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
    truth, results = (read(path) for path in pair(key))
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
