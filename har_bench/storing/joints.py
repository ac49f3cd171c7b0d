"""The joint columns of poses in another layout."""

from __future__ import annotations

import pyarrow as pa

from har_bench.schema import column, shape_of, texts_of, to_numpy, vector
from har_bench.skeletons import Mapping as JointMapping

POINTS = ("keypoints", "keypoints_3d")


def in_layout(poses: pa.Table, joints: JointMapping) -> pa.Table:
    """Poses with their joint columns in another layout."""
    for name in (*POINTS, "visibility"):
        if name not in poses.column_names:
            continue
        field = poses.schema.field(name)
        values = to_numpy(poses[name], field)
        mapped = joints.visibility(values) if name == "visibility" else joints.points(values)
        metadata = texts_of(field.metadata)
        fresh = column(
            name,
            field.type.value_type,
            metadata.get("unit", ""),
            shape=(len(joints.target), *shape_of(field)[1:]),
            about=metadata.get("about", ""),
        )
        null = poses[name].is_null().to_numpy() if poses[name].null_count else None
        values_column = vector(mapped, field.type.value_type, mask=null)
        poses = poses.set_column(poses.column_names.index(name), fresh, values_column)
    return poses
