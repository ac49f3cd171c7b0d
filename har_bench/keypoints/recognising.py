"""What a file is, by its first bytes, and what our columns hold of keypoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from har_bench.arrays import Ints
from har_bench.errors import HarBenchError, completing, unknown
from har_bench.foreign import compressed, opening, texts
from har_bench.keypoints.motion import CAMERA
from har_bench.keypoints.people import People
from har_bench.schema import texts_of
from har_bench.scoring.column_files import read_columns
from har_bench.scoring.columns import Columns
from har_bench.scoring.held import Predictions

Kind = Literal["folder", "npz", "npy", "json", "columns"]

MOVING = frozenset(
    [".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".mts", ".3gp", ".gif"]
)
STILL = frozenset([".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".heic"])
"""Names of videos and of images end so."""
MEDIA = MOVING | STILL

_MEDIA = (b"RIFF", b"\x1a\x45\xdf\xa3", b"GIF8", b"\xff\xd8\xff", b"\x89PNG", b"\x00\x00\x01\xba", b"FLV\x01")
"""What images and videos begin with; those of the mp4 family have ``ftyp`` after four bytes."""

_FACTS = ("layout", "axes", "width", "height", "fps")
"""What a Parquet file's metadata may tell."""

_MAGIC: Mapping[bytes, Kind] = {b"PK\x03\x04": "npz", b"\x93NUM": "npy"}


def kind_of(path: Path) -> Kind:
    """What is at ``path``; ``columns`` is left to :func:`har_bench.scoring.predictions.read_columns`.

    Raises:
        HarBenchError: nothing is there, an empty file, or an image or a video.
    """
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise HarBenchError(f"{path} does not exist; give a file or folder of 2D keypoints")
    with completing(path, "give a file of 2D keypoints"), opening.opened(path) as file:
        head = file.read(64)
    if not head:
        raise HarBenchError(f"{path} is empty; was it written completely?")
    if _is_medium(path, head):
        raise HarBenchError(
            f"{path} is an image or a video, and not keypoints; run a 2D pose detector on it (`har-bench pose` is "
            "one), and give what that writes"
        )
    return "json" if _begins_as_json(path, head) else _MAGIC.get(head[:4], "columns")


def _begins_as_json(path: Path, head: bytes) -> bool:
    """Whether a text, in any Unicode and packed or not, begins a list or an object."""
    try:
        head = texts.utf8(compressed.beginning(path, len(head) // 2 * 2) or head, str(path))
    except HarBenchError:  # cut in the middle of a letter, or damaged: another's to name
        return False
    return head.lstrip()[:1] in (b"[", b"{")


def are_media(files: Iterable[Path]) -> bool:
    """Whether there are images or videos, by their names."""
    return any(file.suffix.lower() in MEDIA for file in files)


def _is_medium(path: Path, head: bytes) -> bool:
    known = head.startswith(_MEDIA) or head[4:8] == b"ftyp"
    return known or (path.suffix.lower() in MEDIA and head.lstrip()[:1] not in (b"[", b"{"))


def are_points(values: npt.NDArray[Any]) -> bool:
    """Whether an array can be keypoints: (T, J, 2 or 3) numbers."""
    return values.ndim == 3 and values.shape[2] in (2, 3) and values.dtype.kind in "fiu"


def columns_of(path: Path) -> Predictions:
    """Keypoints in our columns.

    Raises:
        HarBenchError: another kind of file.
    """
    found = read_columns(path)
    if found is None:
        raise HarBenchError(
            f"{path} is no file of keypoints that har_bench knows; docs/keypoints.md has the formats of detectors"
        )
    return found


def word_of(path: Path) -> str | None:
    """The layout that a Parquet file's metadata name."""
    return _metadata(path).get("layout")


def axes_of(path: Path) -> str:
    """The axes that a Parquet file's metadata name; else the camera's."""
    return _metadata(path).get("axes", CAMERA.words)


def facts_of(path: Path) -> dict[str, Any]:
    """The layout, size and frame rate that a Parquet file's metadata tell, as a video's are called."""
    told = _metadata(path)
    facts: dict[str, Any] = {"word": told.get("layout")}
    try:
        if {"width", "height"} <= told.keys():
            facts["size"] = int(told["width"]), int(told["height"])
        if "fps" in told:
            facts["fps"] = float(told["fps"])
    except ValueError as error:
        raise HarBenchError(f"{path} has metadata width, height or fps that are no numbers ({error})") from error
    return facts


def _metadata(path: Path) -> dict[str, str]:
    if path.suffix != ".parquet":
        return {}
    found = texts_of(pq.read_schema(path.absolute()).metadata)
    return {key: text for key, text in found.items() if key in _FACTS}


def points_of(rows: Columns, where: str) -> npt.NDArray[np.float32]:
    """(n, J, 2) px, or (n, J, 3) with ``keypoint_scores`` as the third.

    Raises:
        HarBenchError: there are no keypoints, or not as many scores.
    """
    if "keypoints" not in rows:
        raise unknown(f"column of {where}", "keypoints", rows)
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
        None if person is None else _ids(person),
    )


def _ids(person: Any) -> Ints:
    """Ids as integers; where one is not known, -1."""
    values = np.asarray(person)
    return np.where(np.isfinite(values), values, -1).astype(np.int64) if values.dtype.kind == "f" else values
