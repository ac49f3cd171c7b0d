"""Frame-mAP is that of the tools, on their corner cases and on real files."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import har_bench
from har_bench.converters.ava import tracklets
from har_bench.errors import HarBenchError
from har_bench.protocols.frame_map.actions import ACTIONS, GROUPS
from har_bench.protocols.frame_map.files import read_detections
from har_bench.protocols.frame_map.matching import window_means
from har_bench.protocols.frame_map.protocol import FrameMAP
from har_bench.store import Store
from tests.frame_map_cases import areas_of, by_action, score_of, store_of, toy
from tests.golden import REAL, load

AVA, LART = REAL / "ava", REAL / "lart"
GOLDENS = {path.name: path for path in sorted((AVA / "golden").glob("*.json"))}
EDGES = [case for name in GOLDENS if name.startswith("edge") for case in load(f"ava/golden/{name}")]
NUMBERS = {name: path for name, path in GOLDENS.items() if not name.startswith("edge")}

MMACTION2 = {"g1_mmaction2_toy": 0.09385522, "g2b_v1.0test_all60": 0.24565313952659598}
"""What mmaction2's ava_eval gives for the same files; the first is in its own unit test, with 8 digits."""

SORTING = 1e-7
"""What the order of equal scores of nine digits is worth; the tools leave it to an unstable sort."""


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
