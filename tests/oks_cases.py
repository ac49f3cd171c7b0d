"""Persons and detections in COCO's format, and AP of them by us and by pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO as OracleData  # noqa: N811
from pycocotools.cocoeval import COCOeval

from har_bench.errors import HarBenchError
from har_bench.protocols.oks import evaluate
from har_bench.skeletons import skeleton
from tests.golden import REAL

COCO = REAL / "coco"
STATS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
JOINTS = list(skeleton("coco17").joints)

Json = Any


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
