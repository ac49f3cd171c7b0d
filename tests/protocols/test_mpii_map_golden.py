"""Multi-person AP equals MPII's toolkit, as Octave runs it."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import har_bench
from har_bench.protocols.mpii.map import JOINTS, MultiPersonAP
from har_bench.store import Store
from tests.golden import REAL, load
from tests.mpii_data import SHORT

GOLDEN = load("mpii/golden/mpii_multi_ap_octave.json")
MULTI = REAL / "mpii" / "multi"


def multi() -> list[dict[str, Any]]:
    """The images with annotated persons and predictions, 1-based pixels."""
    (path,) = MULTI.glob("*.json.xz")
    with lzma.open(path) as file:
        return json.load(file)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The images' annotations, through the stacked-hourglass json that the converter reads."""
    rows = []
    for image in multi():
        for annotated in image["gt"]:
            joints = [[0.0, 0.0, 0.0]] * 16
            for x, y, joint in annotated["joints"]:
                joints[joint] = [x, y, 1.0]
            rows.append(
                {
                    "img_paths": image["image"],
                    "img_width": 1280,
                    "img_height": 720,
                    "annolist_index": image["annolist_index"],
                    "people_index": annotated["people_index"],
                    "objpos": [1.0, 1.0],
                    "scale_provided": annotated["scale"],
                    "joint_self": joints,
                }
            )
    home = tmp_path_factory.mktemp("mpii")
    raw = home / "mpii_annotations.json"
    raw.write_text(json.dumps(rows))
    return har_bench.convert("mpii", raw, home / "store", jobs=1, quiet=True)


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The predictions in our columns, 0-based; a joint that was not predicted is NaN."""
    rows = [(image["image"], each) for image in multi() for each in image["pred"]]
    points, scores = np.full((len(rows), 16, 2), np.nan), np.full((len(rows), 16), np.nan)
    for row, (_, joints) in enumerate(rows):
        for x, y, joint, score in joints:
            points[row, joint], scores[row, joint] = (x - 1, y - 1), score
    columns = {
        "sequence": [name for name, _ in rows],
        "frame": np.zeros(len(rows), np.int32),
        "keypoints": points.reshape(len(rows), -1).tolist(),
        "score": np.nanmean(scores, axis=1),
        "keypoint_scores": scores.tolist(),
    }
    path = tmp_path_factory.mktemp("predicted") / "multi.parquet"
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def result(store: Store, predicted: Path) -> har_bench.Result:
    return har_bench.score(MultiPersonAP(options={"split": "official/train"}), store, predicted)


@pytest.mark.real
@pytest.mark.parametrize(("place", "joint"), list(enumerate(GOLDEN.get("order", []))))
def test_the_official_toolkit(result: har_bench.Result, place: int, joint: str) -> None:
    assert GOLDEN["evaluator"].endswith("thresh 0.5")
    if joint == "mAP":
        assert result["mAP"] == pytest.approx(GOLDEN["ap"][place], abs=1e-9, rel=0)
        return
    rows = {row["joint"]: row for row in result.tables["joint"]}
    row = rows[JOINTS[SHORT.index(joint)]]
    assert row["AP"] == pytest.approx(GOLDEN["ap"][place], abs=1e-9, rel=0)
    assert row["annotated"] == GOLDEN["nGT"][place]
    assert row["predicted"] == GOLDEN["n_scored"][place]


@pytest.mark.real
def test_images_without_predictions_are_reported(result: har_bench.Result, store: Store, predicted: Path) -> None:
    empty = sum(not image["pred"] for image in multi())
    assert result.counts["images_without_predictions"] == empty > 0
    assert result.counts["images"] == len(multi()) - empty
    everything = har_bench.score(
        MultiPersonAP(options={"split": "official/train", "unpredicted": "count"}), store, predicted
    )
    assert everything.counts["annotated_joints"] > result.counts["annotated_joints"]
    assert everything["mAP"] < result["mAP"]
    assert result.intervals["mAP"].low < result["mAP"] < result.intervals["mAP"].high
