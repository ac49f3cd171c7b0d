"""MPII as HRNet's files: read back by our own reader, by scipy, and held against Tompson's real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.io

import har_bench
from har_bench.schema import to_numpy
from har_bench.store import Store
from tests.golden import REAL


def column(store: Store, name: str, split: str | None = None) -> np.ndarray:
    rows = store.poses(split)
    return to_numpy(rows[name], rows.schema.field(name))


@pytest.fixture(scope="module")
def store(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return har_bench.convert("mpii", sample, tmp_path_factory.mktemp("mpii") / "store", jobs=1, quiet=True)


def test_the_sets_are_read_back(store: Store, tmp_path: Path) -> None:
    written = store.export("hrnet", tmp_path / "out", quiet=True)
    names = ["gt_valid.mat", "test.json", "train.json", "valid.json"]
    assert [path.name for path in written.files] == names
    again = har_bench.convert("mpii", tmp_path / "out", tmp_path / "again", jobs=1, quiet=True)
    assert not again.manifest.rejects
    for split in ("tompson/valid", "tompson/train"):
        known = np.isfinite(column(store, "scale", split).astype(float))
        assert again.poses(split)["sequence"].to_pylist() == store.poses(split).filter(known)["sequence"].to_pylist()
        for name in ("keypoints", "scale", "objpos", "tompson_row"):
            same = column(again, name, split), column(store, name, split)[known]
            assert np.allclose(*same, rtol=0, atol=1e-9, equal_nan=True), name
        assert ((column(again, "visibility", split) > 0) == (column(store, "visibility", split) > 0)[known]).all()
    assert column(again, "head_box", "tompson/valid") == pytest.approx(column(store, "head_box", "tompson/valid"))
    assert again.poses("tompson/valid")["person"].to_pylist() == store.poses("tompson/valid")["person"].to_pylist()


def test_hrnet_s_evaluation_finds_what_it_looks_up(store: Store, tmp_path: Path) -> None:
    store.export("hrnet", tmp_path / "out", quiet=True)
    truth = scipy.io.loadmat(tmp_path / "out" / "annot" / "gt_valid.mat")
    rows = json.loads((tmp_path / "out" / "annot" / "valid.json").read_text())
    names = " ".join(str(cell[0]) for cell in truth["dataset_joints"][0])
    assert np.where(truth["dataset_joints"] == "head")[1][0] == 9
    assert names == "rank rkne rhip lhip lkne lank pelv thor neck head rwri relb rsho lsho lelb lwri"
    points = np.array([row["joints"] for row in rows])
    assert np.array_equal(truth["pos_gt_src"], points.transpose(1, 2, 0))
    assert np.array_equal(1 - truth["jnt_missing"], np.array([row["joints_vis"] for row in rows]).T)
    diagonal = np.linalg.norm(truth["headboxes_src"][1] - truth["headboxes_src"][0], axis=0)
    assert 0.024 * diagonal == pytest.approx([row["scale"] for row in rows])
    test = json.loads((tmp_path / "out" / "annot" / "test.json").read_text())
    assert {frozenset(row) for row in test} == {frozenset({"image", "scale", "center"})}


def test_without_head_boxes_there_is_no_truth_of_them(store: Store, tmp_path: Path) -> None:
    store.export("hrnet", tmp_path / "out", quiet=True)
    (tmp_path / "out" / "annot" / "gt_valid.mat").unlink()
    bare = har_bench.convert("mpii", tmp_path / "out", tmp_path / "bare", jobs=1, quiet=True)
    written = bare.export("hrnet", tmp_path / "again", quiet=True)
    assert "gt_valid.mat" not in [path.name for path in written.files]
    assert written.notes == ["gt_valid.mat was not written, as the head boxes of some persons are not known"]


@pytest.mark.real
def test_the_real_validation_set_is_tompson_s(tmp_path: Path) -> None:
    """But for the 13 joints of which his file has a coordinate at 0."""
    real = har_bench.convert("mpii", REAL / "mpii/bearpaw/detections.mat", tmp_path / "store", jobs=1, quiet=True)
    written = real.export("hrnet", tmp_path / "out", quiet=True)
    assert written.poses == 2958
    theirs = scipy.io.loadmat(REAL / "mpii/bearpaw/detections_our_format.mat")
    ours = scipy.io.loadmat(tmp_path / "out" / "annot" / "gt_valid.mat")
    assert np.array_equal(ours["jnt_missing"], theirs["jnt_missing"])
    assert ours["headboxes_src"] == pytest.approx(theirs["headboxes_src"], abs=1e-3)
    there = ours["jnt_missing"] == 0
    differs = (np.abs(ours["pos_gt_src"] - theirs["pos_gt_src"]).max(axis=1) > 1e-3) & there
    assert differs.sum() == 13
    again = har_bench.convert("mpii", tmp_path / "out", tmp_path / "again", jobs=1, quiet=True)
    assert np.array_equal(column(again, "keypoints"), column(real, "keypoints"), equal_nan=True)
    assert np.allclose(column(again, "scale"), column(real, "scale"), rtol=1e-12, atol=0)
