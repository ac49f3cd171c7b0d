"""What models of pictures say, as tables of predictions in our columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from har_bench.arrays import Anything
from har_bench.media.poses import Poses
from har_bench.schema import column, table
from har_bench.skeletons import Skeleton

KEYS = ("sequence", "frame", "person")


def posed(rows: pa.Table, seen: Sequence[Poses], back: Anything, bones: Skeleton, name: str) -> pa.Table:
    """What was seen, picture by picture, as predictions for the rows; ``back`` puts it into their order."""
    count = len(bones)
    flat = np.concatenate([poses.points for poses in seen] or [np.zeros((0, count, 2))])[back]
    boxes = np.concatenate([poses.boxes for poses in seen] or [np.zeros((0, 4))])[back]
    made = {key: rows[key] for key in KEYS}
    made |= {"keypoints": flat.astype(np.float32), "bbox": boxes.astype(np.float32)}
    if name == "keypoints_3d":
        deep = [poses.points_3d for poses in seen if poses.points_3d is not None]
        placed = np.concatenate(deep or [np.zeros((0, count, 3))])[back]
        made[name] = (placed - placed[:, :1]).astype(np.float32)
    return table(made, pose_schema(bones.name, count, in_space=name == "keypoints_3d"))


def pose_schema(layout: str, joints: int, *, in_space: bool) -> pa.Schema:
    """The columns of a pose for every row that a protocol scores."""
    deep = [column("keypoints_3d", pa.float32(), "mm", shape=(joints, 3), about="about the root")] if in_space else []
    return pa.schema(
        [
            column("sequence", pa.string(), nullable=False),
            column("frame", pa.int32(), about="0-based", nullable=False),
            column("person", pa.int64(), nullable=False),
            column("keypoints", pa.float32(), "px", shape=(joints, 2)),
            column("bbox", pa.float32(), "px", shape=(4,), about="x, y, w, h: where it was looked"),
            *deep,
        ],
        {"layout": layout},
    )


def detection_schema(layout: str, joints: int) -> pa.Schema:
    """The columns of everybody found."""
    return pa.schema(
        [
            column("sequence", pa.string(), nullable=False),
            column("frame", pa.int32(), about="0-based", nullable=False),
            column("keypoints", pa.float32(), "px", shape=(joints, 2)),
            column("keypoint_scores", pa.float32(), shape=(joints,)),
            column("score", pa.float64()),
            column("bbox", pa.float32(), "px", shape=(4,), about="x, y, w, h"),
        ],
        {"layout": layout},
    )
