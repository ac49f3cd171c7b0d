"""Lifted 3D joints of a video, in files that other tools read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench import files
from har_bench.errors import HarBenchError
from har_bench.schema import column, table
from har_bench.scoring import predictions
from har_bench.skeletons import Skeleton, skeleton

SUFFIXES = (".npy", ".parquet", ".json")

DECIMALS = 3
"""Of a millimetre, in json."""


def write_joints(
    path: str | Path,
    joints: npt.NDArray[Any],
    layout: str,
    *,
    fps: float | None = None,
    sequence: str = "",
    person: int = 0,
) -> None:
    """Write joints in the form that the suffix asks for, whole or not at all.

    * ``.npy``: (T, J, 3) float32;
    * ``.parquet``: our columns ``sequence, frame, person, keypoints_3d``, with ``layout`` and ``fps`` in the metadata;
    * ``.json``: ``layout, joints, parents, unit, fps`` and ``frames``, a list of frames of joints of x, y, z.

    Args:
        path: where to.
        joints: (T, J, 3) mm, in the camera's axes: x right, y down, z forward.
        layout: their skeleton's name.
        fps: frames per second, when they are known.
        sequence: the video's name, for Parquet; by default the file's.
        person: the person's id, for Parquet.

    Raises:
        HarBenchError: another suffix, or joints that the layout does not have.
    """
    path, bones = Path(path), skeleton(layout)
    if joints.shape[1:] != (len(bones), 3):
        raise HarBenchError(f"{path} cannot hold joints of shape {joints.shape}; {layout} is (frames, {len(bones)}, 3)")
    joints = np.asarray(joints, np.float32)
    path = files.destination(path, *SUFFIXES)
    if path.suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, joints)
        files.write_whole(path, buffer.getvalue())
    elif path.suffix == ".parquet":
        predictions.write([_table(joints, bones, fps, sequence or path.stem, person)], path)
    else:
        files.write_whole(path, _json(joints, bones, fps))


def _table(joints: npt.NDArray[np.float32], bones: Skeleton, fps: float | None, sequence: str, person: int) -> pa.Table:
    about = "camera's axes: x right, y down, z forward"
    schema = pa.schema(
        [
            column("sequence", pa.string(), nullable=False),
            column("frame", pa.int32(), about="0-based", nullable=False),
            column("person", pa.int64(), nullable=False),
            column("keypoints_3d", pa.float32(), "mm", shape=(len(bones), 3), about=about),
        ],
        {"layout": bones.name} | ({} if fps is None else {"fps": str(fps)}),
    )
    rows = len(joints)
    columns = {
        "sequence": [sequence] * rows,
        "frame": np.arange(rows),
        "person": np.full(rows, person),
        "keypoints_3d": joints,
    }
    return table(columns, schema)


def _json(joints: npt.NDArray[np.float32], bones: Skeleton, fps: float | None) -> bytes:
    return msgspec.json.encode(
        {
            "layout": bones.name,
            "joints": bones.joints,
            "parents": bones.parents,
            "unit": "mm",
            "fps": fps,
            "frames": np.round(joints.astype(np.float64), DECIMALS).tolist(),
        }
    )
