"""The ``.mat`` twin of a ``.c3d`` file, as MATLAB's ``readc3d`` leaves it; read only where the original is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from har_bench.errors import HarBenchError
from har_bench.foreign.mat import load_mat

from .c3d import Trajectories


def read_mat(path: Path) -> Trajectories:
    """``Markers`` (N, P, 3) [mm] and the labels in ``ParameterGroup``.

    Raises:
        HarBenchError: the file is damaged, or holds something else.
    """
    found = load_mat(path)
    try:
        points = np.array(found["Markers"], np.float64)
        labels = tuple(_labels(found["ParameterGroup"]))
        if points.ndim != 3 or points.shape[2] != 3 or not points.size or not labels:
            raise ValueError(f"its Markers are of shape {points.shape}, with {len(labels)} labels")
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise HarBenchError(
            f"{path} holds no Markers (N, P, 3) with POINT LABELS ({error}); add the .c3d file of that name"
        ) from error
    points[np.isnan(points).any(axis=-1)] = 0
    return Trajectories(path, labels[: points.shape[1]], points)


def _labels(groups: Any) -> list[str]:
    """The texts of the parameter LABELS of the group POINT: structs and cells nested one in another."""
    for group in groups.ravel():
        if _text(group["name"]) == "POINT":
            for parameter in group["Parameter"].ravel():
                if _text(parameter["name"]) == "LABELS":
                    return [_text(cell).strip() for cell in parameter["data"].ravel()]
    return []


def _text(value: Any) -> str:
    """The text inside nested cells."""
    while isinstance(value, np.ndarray):
        value = value.ravel()[0]
    return str(value)
