"""From raw download to numbers through the public face, on the research data; cases are the files that are there."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import har_bench
from har_bench import Store
from har_bench.schema import column, vector
from har_bench.scoring import predictions
from tests import h36m_data
from tests.golden import REAL, load

pytestmark = pytest.mark.real

COUNTS = load("mpii/golden/mpii_reference_counts.json")
VARIANTS = load("mpii/golden/mpii_pckh_named_variants.json")
RECIPES = {  # golden variant -> our recipe, and where its mean at 0.5 stands
    "mpii_official": ("official", "PCKh@0.5"),
    "hrnet": ("hrnet", "Mean"),
    "mmpose_0x": ("mmpose0", "PCKh"),
    "mmpose_1x": ("mmpose1", "PCK"),
    "bearpaw": ("bearpaw", "PCKh@0.5"),
    "deephar": ("deephar", "pckh@0.5"),
}
CLOSED_FORM = load("h36m/golden/h36m_closed_form_golden.json")
LIFTED = load("h36m/golden/h36m_real_pred_golden.json")
ONE_IN_64 = REAL / "h36m" / "h36m_real_pred_1in64.npz"
ARRAYS = re.compile(r"[^a-z0-9]")


def prediction_files() -> dict[str, Path]:
    """Golden name -> file of predictions, for every set that is a file."""
    names = {ARRAYS.sub("", name.lower()): name for name in COUNTS}
    found = {}
    for path in sorted((REAL / "mpii" / "preds").glob("*")):
        for stem in (path.name, path.stem):
            if (name := names.get(ARRAYS.sub("", stem.lower()))) is not None:
                found[name] = path
    return found


@pytest.fixture(scope="module")
def mpii(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Tompson's 2,958 raw structs as a store."""
    raw = REAL / "mpii" / "bearpaw" / "detections.mat"
    return har_bench.convert("mpii", raw, tmp_path_factory.mktemp("mpii") / "store", quiet=True)


@cache
def pckh(store: Store, path: Path, recipe: str) -> Any:
    return har_bench.score("mpii/pckh", store, path, recipe=recipe, resamples=0)


def test_there_are_prediction_files() -> None:
    assert len(prediction_files()) >= 5


@pytest.mark.parametrize("name", prediction_files())
@pytest.mark.parametrize(("recipe", "truth"), [("official", "raw_mat"), ("hrnet", "tompson_our_format")])
def test_hits_equal_the_golden_integers(name: str, recipe: str, truth: str, mpii: Store) -> None:
    golden = COUNTS[name][truth]
    rows = pckh(mpii, prediction_files()[name], recipe).tables["joint"]
    assert [row["count"] for row in rows] == golden["n_annotated"]
    for at in ("0.5", "0.2") if recipe == "hrnet" else ("0.5", "0.2", "0.1"):  # hrnet's 0.1 is 0.11
        assert [row[f"hits@{at}"] for row in rows] == golden[f"correct_le@{at}"]


@pytest.mark.parametrize("name", [name for name in prediction_files() if name in VARIANTS.get("values", {})])
@pytest.mark.parametrize("variant", RECIPES)
def test_every_recipe_equals_the_tool_it_is_named_after(name: str, variant: str, mpii: Store) -> None:
    recipe, key = RECIPES[variant]
    golden = VARIANTS["values"][name][variant][key]
    assert pckh(mpii, prediction_files()[name], recipe)["PCKh@0.5"] == pytest.approx(golden, abs=1e-6)


@pytest.mark.parametrize("name", prediction_files())
def test_real_predictions_of_joints_are_never_suspected(name: str, mpii: Store) -> None:
    assert pckh(mpii, prediction_files()[name], "official").notes == []


@pytest.fixture(scope="module")
def h36m(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """All of S9 and S11 that there is, from a tree of official CDF files."""
    home = tmp_path_factory.mktemp("h36m")
    tool = REAL.parent / "tools" / "make_h36m_tree.py"
    if not tool.exists():
        pytest.skip(f"no {tool} to write the raw tree with")
    subprocess.run([sys.executable, str(tool), str(home / "raw"), "S9", "S11"], check=True, capture_output=True)
    return har_bench.convert("h36m", home / "raw", home / "store", jobs=2, quiet=True)


def poses_table(sequence: str, poses: np.ndarray[Any, Any]) -> pa.Table:
    """Predictions of a sequence in our columns; poses (T, 17, 3) mm."""
    frames = len(poses)
    points = column("keypoints_3d", pa.float32(), "mm", shape=(17, 3))
    keys = {"sequence": [sequence] * frames, "frame": range(frames), "person": [0] * frames}
    return pa.table(keys).append_column(points, vector(poses.astype(np.float32)))


@pytest.fixture(scope="module")
def closed_form(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The closed-form prediction for every test sequence, as a file."""
    data = h36m_data.read()
    path = tmp_path_factory.mktemp("closed") / "closed.parquet"
    names = data.sequences["sequence"].to_pylist()
    predictions.write((poses_table(name, h36m_data.closed_form(data.truth(name))) for name in names), path)
    return path


@cache
def errors(store: Store, path: Path, **options: Any) -> Any:
    return har_bench.score("h36m/mpjpe", store, path, resamples=0, options=options)


def blocks(golden: dict[str, Any]) -> list[str]:
    """What a golden file has numbers of per action."""
    return [name for name, values in golden.items() if "per_action" in values]


@pytest.mark.parametrize("block", blocks(CLOSED_FORM))
def test_the_closed_form_prediction_scores_as_the_golden_says(block: str, h36m: Store, closed_form: Path) -> None:
    golden, options = CLOSED_FORM[block], h36m_data.options_of(block)
    result = errors(h36m, closed_form, **options)
    assert result.counts["frames"] == golden["frames"]
    suffix = "64" if options.get("every") else ""
    averages = {row["average"]: row for row in result.tables["average"]}
    rows = {row["action"]: row for row in result.tables["action"]}
    pairs = [(averages["action mean"], golden["action_mean"]), (averages["frame-weighted"], golden["frame_weighted"])]
    pairs += [(rows[action], golden["per_action"][action]) for action in golden["per_action"]]
    for row, expected in pairs:
        for ours, theirs in (("MPJPE", "mpjpe"), ("P-MPJPE", "p_mpjpe"), ("N-MPJPE", "n_mpjpe")):
            assert row[ours] == pytest.approx(expected[theirs + suffix], abs=1e-3)
        if not suffix:
            assert row["MPJVE"] == pytest.approx(expected["mpjve"], abs=1e-3)
            assert row["3DPCK@150"] == pytest.approx(expected["pck150"], abs=1e-3)
            assert row["AUC"] == pytest.approx(expected["auc"], abs=2e-3)
    assert result["MPJPE"] == averages["action mean"]["MPJPE"]


def test_the_recentred_recipe(h36m: Store, closed_form: Path) -> None:
    golden = CLOSED_FORM["all_cameras_50hz"]["action_mean"]
    result = har_bench.score("h36m/mpjpe:recentred", h36m, closed_form, resamples=0)
    assert result["MPJPE"] == pytest.approx(golden["mpjpe_recentred"], abs=1e-3)
    assert result["N-MPJPE"] == pytest.approx(golden["n_mpjpe_recentred"], abs=1e-3)


def test_deephar_wants_its_own_joints(h36m: Store, closed_form: Path) -> None:
    with pytest.raises(har_bench.HarBenchError, match="h36m17 has nothing for h36m-pa17's spine_base"):
        har_bench.score("h36m/mpjpe:deephar", h36m, closed_form, skeleton="h36m17", resamples=0)
    truth = har_bench.run("oracle-noise", h36m, protocol="h36m/mpjpe:deephar", settings={"sigma": 0.0})
    assert truth["MPJPE"] == pytest.approx(0, abs=1e-3)
    assert truth.environment["layout"] == "h36m-pa17"


def test_real_predictions_of_poses_are_never_suspected(h36m: Store, closed_form: Path) -> None:
    """But where one frame in 64 was predicted, the speed of the joints means nothing, and that is said."""
    assert errors(h36m, closed_form).notes == []
    (note,) = errors(h36m, ONE_IN_64, every=64).notes
    assert "MPJVE" in note


@pytest.mark.parametrize("block", blocks(LIFTED))
def test_real_predictions_in_metres_score_as_the_golden_says(block: str, h36m: Store) -> None:
    golden, options = LIFTED[block], h36m_data.options_of(block)
    result = errors(h36m, ONE_IN_64, **options)
    averages = {row["average"]: row for row in result.tables["average"]}
    for row, expected in (
        (averages["action mean"], golden["action_mean"]),
        (averages["frame-weighted"], golden["frame_weighted"]),
    ):
        for ours, theirs in (("MPJPE", "mpjpe"), ("P-MPJPE", "p_mpjpe"), ("N-MPJPE", "n_mpjpe"), ("MPJVE", "mpjve")):
            assert row[ours] == pytest.approx(expected[theirs], abs=1e-3)
        for ours, theirs in (("", "none"), ("P-", "procrustes"), ("N-", "scale")):
            assert row[f"{ours}3DPCK@150"] == pytest.approx(expected[f"pck150_{theirs}"], abs=5e-3)
            assert row[f"{ours}AUC"] == pytest.approx(expected[f"auc_{theirs}"], abs=5e-3)
