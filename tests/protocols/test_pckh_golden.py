"""PCKh equals the seven tools that its recipes are named after, on real predictions."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest
import scipy.io

from har_bench.protocol import Batch, Scores
from har_bench.protocols.mpii.pckh import JOINTS, PCKh, count, head_distance, pckh, unpack
from har_bench.protocols.mpii.truth import inside_crop, tompson_truth
from tests.golden import REAL, leaves, load
from tests.mpii_data import SHORT

MPII = REAL / "mpii"
OFFICIAL = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9]  # the columns of the official table
EVALUATED = [index for index, name in enumerate(JOINTS) if name not in ("pelvis", "thorax")]


@cache
def bundle() -> dict[str, np.ndarray]:
    with np.load(MPII / "mpii_valid_bundle.npz") as data:
        return {name: data[name] for name in data.files}


def in_images(columns: dict[str, np.ndarray]) -> Batch:
    """The 2,958 persons, in Tompson's order, as whole images."""
    names = np.char.decode(bundle()["image_name"])
    order = np.lexsort((bundle()["person_index_1based"], names))
    images, first = np.unique(names[order], return_index=True)
    starts = np.append(first, len(names)).astype(np.int64)
    return Batch(
        pa.table({"sequence": images.tolist()}), starts, {name: values[order] for name, values in columns.items()}
    )


@cache
def mpii() -> dict[str, np.ndarray]:
    """The store's columns, in Tompson's order."""
    raw = bundle()
    box = raw["head_box"]
    return {
        "keypoints": raw["gt_raw"] - 1,
        "head_size": 0.6 * np.linalg.norm(box[:, 2:] - box[:, :2], axis=1),
        "head_box": box - 1,
        "scale": raw["scale"],
        "objpos": raw["objpos"] - 1,
        "tompson_row": np.arange(len(box), dtype=np.int32),
    }


def letters(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def read_predictions(path: Path) -> np.ndarray:
    """(N, 16, 2), 1-based, of a .mat or .h5 file."""
    if path.suffix == ".mat":
        return scipy.io.loadmat(path)["preds"]
    with h5py.File(path) as file:
        preds = file["preds"][:]
    return preds.transpose(2, 1, 0) if preds.shape[0] == 2 else preds


@cache
def predicted(key: str) -> np.ndarray:
    """(N, 16, 2) predictions of a golden file's key, 0-based."""
    files = {letters(path.name): path for path in sorted((MPII / "preds").iterdir())}
    for name, path in files.items():
        if name.startswith(letters(key)):
            return read_predictions(path).astype(float) - 1
    return bundle()[f"pred_{key}"].astype(float) - 1


@cache
def real_scores(key: str, recipe: str) -> Scores:
    protocol = PCKh(recipe)
    protocol.update(in_images(mpii()), in_images({"keypoints": predicted(key)}))
    return protocol.compute()


def number(scores: Scores, label: str) -> float:
    """A tool's label for a number -> that number in our scores."""
    label = label.removesuffix(" PCK")
    groups = {row["group"]: row for row in scores.tables["group"]}
    joints = dict(zip(SHORT, scores.tables["joint"], strict=True))
    if label in joints:
        return joints[label]["PCKh@0.5"]
    if label in groups:
        return groups[label]["PCKh@0.5"]
    total = scores.tables["group"][-1]
    name, _, at = label.partition("@")
    if label == "AUC":
        return scores.metrics["AUC"]
    if name in groups and at:
        return groups[name][f"PCKh@{at}"]
    if name.lower() in ("pckh", "pck", "mean"):
        return total[f"PCKh@{at or '0.5'}"]
    raise KeyError(label)


def assert_number(scores: Scores, label: str, golden: float, *, printed: bool = False) -> None:
    """Equal to 1e-6 percent, to quadgk's tolerance for AUC, or to the two decimals that a tool prints."""
    value = number(scores, label)
    if printed:
        assert round(value, 2) == golden
    else:
        assert value == pytest.approx(golden, abs=2e-5 if label == "AUC" else 1e-6, rel=0)


COUNTS = [
    (key, kind, label)
    for key, kinds in load("mpii/golden/mpii_reference_counts.json").items()
    for kind in ("raw_mat", "tompson_our_format")
    for label in kinds[kind]
    if label.startswith("correct_")
]


def truth_of(kind: str) -> tuple[np.ndarray, np.ndarray]:
    columns = mpii()
    if kind == "raw_mat":
        return columns["keypoints"], columns["head_size"]
    return tompson_truth(*(columns[name] for name in ("keypoints", "head_box", "scale", "objpos", "tompson_row")))


@pytest.mark.real
@pytest.mark.parametrize(("key", "kind", "label"), COUNTS)
def test_integer_hits_per_joint(key: str, kind: str, label: str) -> None:
    golden = load("mpii/golden/mpii_reference_counts.json")[key][kind]
    comparison, at = label.removeprefix("correct_").split("@")
    points, head = truth_of(kind)
    compare = {"le": "<=", "lt": "<"}[comparison]
    hit, counted = pckh(predicted(key), points, head, at=float(at), compare=compare)
    assert (hit & counted).sum(0).tolist() == golden[label]
    assert counted.sum(0).tolist() == golden["n_annotated"]
    sums = count(head_distance(predicted(key), points, head), counted, np.array([0, len(head)]), compare=compare)
    assert unpack(sums).hits[0, :, round(100 * float(at))].tolist() == golden[label]


@pytest.mark.real
@pytest.mark.parametrize("key", load("mpii/golden/mpii_reference_counts.json"))
def test_areas_of_the_trapezoid_reference(key: str) -> None:
    golden = load("mpii/golden/mpii_reference_counts.json")[key]
    for kind, recipe in (("raw_mat", "official"), ("tompson_our_format", "hrnet")):
        area = real_scores(key, recipe).metrics["AUC"]
        assert area == pytest.approx(golden[kind]["auc_trapz_0_0.5_pooled"], abs=1e-9, rel=0)


RECIPE_OF = {
    "mpii_official": "official",
    "hrnet": "hrnet",
    "msra_simple_baselines": "hrnet",
    "mmpose_0x": "mmpose0",
    "mmpose_1x": "mmpose1",
    "bearpaw": "bearpaw",
    "deephar": "deephar",
}
NO_RECIPE = ("pose_hg_demo", "visible_only", "pooled16")
VARIANTS = [
    (key, variant, path[-1], golden)
    for key, variants in load("mpii/golden/mpii_pckh_named_variants.json").get("values", {}).items()
    for variant, values in variants.items()
    if variant not in NO_RECIPE
    for path, golden in leaves(values)
]


@pytest.mark.real
@pytest.mark.parametrize(("key", "variant", "label", "golden"), VARIANTS)
def test_named_variants(key: str, variant: str, label: str, golden: float) -> None:
    scores = real_scores(key, RECIPE_OF[variant])
    assert_number(scores, label, golden, printed=variant == "bearpaw" and label != "PCKh@0.5")


PEER_RECIPES = {
    ("bearpaw_eval_PCKh", "printed"): "bearpaw",
    ("bearpaw_eval_PCKh", "per_joint_05"): "bearpaw",
    ("bearpaw_eval_PCKh", "mean"): "bearpaw",
    ("hrnet",): "hrnet",
    ("msra_simple_baselines",): "hrnet",
    ("mmpose_0x_TopDownMpiiDataset",): "mmpose0",
    ("mmpose_MpiiPCKAccuracy",): "mmpose1",
    ("deephar_pckh", "crop_filtered"): "deephar",
    ("deephar_pckh", "all_annotated"): "official",
}
PEERS = [
    (key, path, golden)
    for key, peers in load("mpii/golden/mpii_python_peers.json").get("results", {}).items()
    for path, golden in leaves(peers)
    if path[-1] != "n_thresholds"
]


@pytest.mark.real
@pytest.mark.parametrize(("key", "path", "golden"), PEERS)
def test_the_peers_own_code(key: str, path: tuple[str, ...], golden: float) -> None:
    recipe = PEER_RECIPES.get(path[:2]) or PEER_RECIPES[path[:1]]
    assert_number(real_scores(key, recipe), path[-1], golden, printed="printed" in path)


@pytest.mark.real
@pytest.mark.parametrize("key", load("mpii/golden/mpii_official_octave.json"))
def test_the_official_toolkit(key: str) -> None:
    golden, scores = load("mpii/golden/mpii_official_octave.json")[key], real_scores(key, "official")
    rows = [scores.tables["joint"][index] for index in OFFICIAL] + scores.tables["group"][-2:]
    for column, name in (("pckh05_cols", "PCKh@0.5"), ("pckh02_cols", "PCKh@0.2"), ("pckh01_cols", "PCKh@0.1")):
        assert [row[name] for row in rows] == pytest.approx(golden[column], abs=1e-6, rel=0)
    curve = [row["PCKh"] for row in scores.tables["threshold"]]
    assert curve == pytest.approx(golden["total_curve"], abs=1e-6, rel=0)
    assert scores.metrics["AUC"] == pytest.approx(golden["auc_total"], abs=2e-5, rel=0)
    # quadgk integrates the 50 linear pieces adaptively, to a larger error on the rarer joints
    assert [row["AUC"] for row in rows] == pytest.approx(golden["auc_cols"], abs=1e-3, rel=0)


@pytest.mark.real
def test_tompsons_truth_is_rebuilt_from_the_raw_one() -> None:
    points, head = truth_of("tompson_our_format")
    published = bundle()["gt_tompson"] - 1
    annotated = bundle()["jnt_missing"] == 0
    assert np.isnan(points[~annotated]).all()
    np.testing.assert_allclose(points[annotated], published[annotated], rtol=0, atol=1e-10)
    corners = bundle()["headboxes_src"]
    np.testing.assert_allclose(head, 0.6 * np.linalg.norm(corners[1] - corners[0], axis=0), rtol=0, atol=1e-10)


@pytest.mark.real
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("compare", ["<=", "<"])
def test_the_rebuilt_truth_decides_every_tie_like_the_published_one(seed: int, compare: str) -> None:
    """Whole-pixel predictions near the truth, at all thresholds: many are ties but for the file's 1e-5 px of noise."""
    points, head = truth_of("tompson_our_format")
    published = bundle()["gt_tompson"] - 1
    counted = bundle()["jnt_missing"] == 0
    corners = bundle()["headboxes_src"]
    published_head = 0.6 * np.linalg.norm(corners[1] - corners[0], axis=0)
    random = np.random.default_rng(seed)
    guess = np.rint(published + random.normal(0, 0.2, published.shape) * head[:, None, None])
    whole = np.array([0, len(head)])
    ours = count(head_distance(guess, points, head), counted, whole, compare=compare)
    theirs = count(head_distance(guess, published, published_head), counted, whole, compare=compare)
    assert ours.tolist() == theirs.tolist()


@pytest.mark.real
def test_deephars_crop_drops_the_published_number_of_joints() -> None:
    meta = load("mpii/golden/mpii_python_peers.json")["meta"]
    columns = mpii()
    dropped = ~inside_crop(columns["keypoints"], columns["scale"], columns["objpos"])
    dropped &= np.isfinite(columns["keypoints"]).all(-1)
    assert dropped.sum() == meta["joints_dropped_by_deephar_crop"]
    assert dropped[:, EVALUATED].sum() == meta["joints_dropped_excl_pelvis_thorax"]
