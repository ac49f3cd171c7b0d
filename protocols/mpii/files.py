"""Predictions in the order of Tompson's 2,958 validation persons, as the hourglass and its followers write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from har_bench.errors import HarBenchError, unknown
from har_bench.foreign.hdf5 import open_hdf5
from har_bench.foreign.mat import load_mat
from har_bench.protocol import Foreign

JOINTS = 16


def read_preds(path: Path) -> Foreign | None:
    """The array ``preds`` of a .mat or .h5 file, made 0-based; None when the file is of another kind.

    Both (N, 16, 2), as Python writes it, and (2, 16, N), as MATLAB's HDF5 files come out, are read.

    Raises:
        HarBenchError: the file is damaged, or ``preds`` has another shape.
    """
    if path.suffix == ".mat":
        variables = load_mat(path)
        if "preds" not in variables:
            raise unknown(f"variable of {path}", "preds", variables)
        preds = np.asarray(variables["preds"])
    elif path.suffix in (".h5", ".hdf5"):
        datasets = open_hdf5(path)
        if "preds" not in datasets:
            return None
        preds = datasets["preds"]
    else:
        return None
    if preds.ndim == 3 and preds.shape[:2] == (2, JOINTS) and preds.shape[2] != 2:
        preds = preds.transpose(2, 1, 0)
    if preds.ndim != 3 or preds.shape[1:] != (JOINTS, 2) or preds.dtype.kind not in "fiu":
        raise HarBenchError(f"{path}: 'preds' has shape {preds.shape}; it must be (2958, {JOINTS}, 2) numbers")
    return Foreign(preds.astype(np.float64) - 1, "'preds' in Tompson's order, MPII's 1-based pixels")
