"""``har-bench info FILE`` says what a file of predictions is: kind, rows, sequences, columns."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import scipy.io

from har_bench.cli.describing import describe
from har_bench.errors import HarBenchError
from har_bench.schema import vector

ROWS = pa.table({"sequence": ["a", "a", "b"], "frame": [0, 1, 0], "keypoints": vector(np.zeros((3, 4, 2)))})


def test_our_columns(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "p.parquet")
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["sequence"], file["keypoints"] = ["a", "a", "b"], np.zeros((3, 4, 2))
    pyarrow.csv.write_csv(ROWS.select(["sequence", "frame"]), tmp_path / "p.csv")
    for name, kind in (("p.parquet", "Parquet"), ("p.h5", "HDF5"), ("p.csv", "CSV")):
        said = describe(str(tmp_path / name))
        assert f"{name}: predictions, {kind} in our columns" in said
        assert "3 rows of 2 sequences\nsequences: a, b" in said
    assert "  keypoints (4 x 2) float64" in describe(str(tmp_path / "p.parquet"))


def test_other_people_s_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", **{"S9|Walking|1": np.zeros((5, 17, 3))})
    scipy.io.savemat(tmp_path / "p.mat", {"preds": np.zeros((2, 16, 2))})
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["preds"] = np.zeros((2, 16, 2))
    (tmp_path / "p.json").write_text(json.dumps([{"image_id": 1, "score": 0.5}]))
    (tmp_path / "q.json").write_text(json.dumps({"results": {}}))
    expected = {
        "p.npz": "S9|Walking|1 (5, 17, 3) float64",
        "p.mat": "preds (2, 16, 2) float64",
        "p.h5": "preds (2, 16, 2) float64",
        "p.json": "a json list of 1 records, the first with image_id, score",
        "q.json": "a json dict results",
    }
    for name, text in expected.items():
        assert text in describe(str(tmp_path / name))


def test_what_nobody_knows_is_said(tmp_path: Path) -> None:
    (tmp_path / "p.xyz").write_text("?")
    with pytest.raises(HarBenchError, match=r"p\.xyz is no store, result or file of predictions in our columns"):
        describe(str(tmp_path / "p.xyz"))
