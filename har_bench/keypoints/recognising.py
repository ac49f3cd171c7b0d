"""What a file is, by its first bytes, and what our columns hold of keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from har_bench.errors import HarBenchError
from har_bench.keypoints.people import People
from har_bench.scoring.column_files import read_columns
from har_bench.scoring.columns import Columns
from har_bench.scoring.held import Predictions

Kind = Literal["folder", "npz", "npy", "json", "columns"]

_MAGIC: Mapping[bytes, Kind] = {b"PK\x03\x04": "npz", b"\x93NUM": "npy"}


def kind_of(path: Path) -> Kind:
    """What is at ``path``; ``columns`` is left to :func:`har_bench.scoring.predictions.read_columns`.

    Raises:
        HarBenchError: nothing is there, or an empty file.
    """
    if path.is_dir():
        return "folder"
    if not path.is_file():
        raise HarBenchError(f"{path} does not exist; give a file or folder of 2D keypoints")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise HarBenchError(f"{path} is empty; was it written completely?")
    return "json" if head.lstrip()[:1] in (b"[", b"{") else _MAGIC.get(head[:4], "columns")


def are_points(values: npt.NDArray[Any]) -> bool:
    """Whether an array can be keypoints: (T, J, 2 or 3) numbers."""
    return values.ndim == 3 and values.shape[2] in (2, 3) and values.dtype.kind in "fiu"


def columns_of(path: Path) -> tuple[Predictions, str | None]:
    """Keypoints in our columns, and their layout when a Parquet file's metadata have ``layout``.

    Raises:
        HarBenchError: another kind of file.
    """
    found = read_columns(path)
    if found is None:
        raise HarBenchError(f"{path} is no file of keypoints that har_bench knows; docs/keypoints.md has the formats")
    word = (pq.read_schema(path).metadata or {}).get(b"layout") if path.suffix == ".parquet" else None
    return found, word.decode() if word else None


def points_of(rows: Columns, where: str) -> npt.NDArray[np.float32]:
    """(n, J, 2) px, or (n, J, 3) with ``keypoint_scores`` as the third.

    Raises:
        HarBenchError: there are no keypoints, or not as many scores.
    """
    if "keypoints" not in rows:
        raise HarBenchError(f"{where} has no column 'keypoints'; it has {', '.join(rows)}")
    points = np.asarray(rows["keypoints"], np.float32)
    if "keypoint_scores" not in rows:
        return points
    scores = np.asarray(rows["keypoint_scores"], np.float32)
    if scores.shape != points.shape[:2]:
        raise HarBenchError(f"{where} has {scores.shape[1:]} keypoint_scores of {points.shape[1]} joints; one for each")
    return np.concatenate([points, scores[..., None]], axis=-1)


def people_of(rows: Columns, where: str) -> People | None:
    """The persons of a sequence in our columns; None without ``frame``: the rows are then the frames in order."""
    if "frame" not in rows:
        return None
    score: Any = rows.get("score", np.ones(len(rows["frame"])))
    person = rows.get("person")
    return People(
        np.asarray(rows["frame"], np.int64),
        points_of(rows, where),
        np.asarray(score, np.float64),
        None if person is None else np.asarray(person, np.int64),
    )
