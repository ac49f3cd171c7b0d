"""The tables of a store: their columns, types and units.

Every column's unit, and the shape of every vector column, live in the Arrow field's metadata, so a Parquet file
explains itself. Vectors are flat fixed-size lists: ``keypoints`` of 17 joints is ``list<float>[34]`` with
``shape = "17,2"``, and :func:`to_numpy` gives it back as an ``(N, 17, 2)`` array without a copy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.errors import HarBenchError, unknown

SCHEMA_VERSION = 2
"""Of a store's layout; 2 seals every part and the manifest."""

TABLES = ("sequences", "cameras", "segments", "poses", "rejects")
"""Every table a store may hold, in the order in which its content is fingerprinted."""

PARTITIONED = ("segments", "poses")
"""Tables written as one part file per shard; the others are small and are one file."""

SORT_KEYS = {
    "sequences": ("sequence",),
    "cameras": ("subject", "camera"),
    "segments": ("sequence", "start", "stop", "label"),
    "poses": ("sequence", "person", "frame"),
}


def column(
    name: str, kind: pa.DataType, unit: str = "", *, shape: tuple[int, ...] = (), about: str = "", nullable: bool = True
) -> pa.Field:
    """One column: a scalar of ``kind``, or a vector of ``shape`` whose elements are ``kind``."""
    metadata = {
        key: text for key, text in (("unit", unit), ("shape", ",".join(map(str, shape))), ("about", about)) if text
    }
    return pa.field(name, pa.list_(kind, math.prod(shape)) if shape else kind, nullable, metadata or None)


def poses_schema(
    joints: int, *, points: pa.DataType | None = None, dims: Iterable[int] = (2,), extras: Iterable[pa.Field] = ()
) -> pa.Schema:
    """The ``poses`` table of a skeleton with ``joints`` joints.

    Args:
        joints: J, the number of joints.
        points: element type of the coordinates; float32 unless the raw data needs more (MPII's are doubles).
        dims: which coordinates exist: 2 gives ``keypoints`` [px], 3 gives ``keypoints_3d`` [mm, camera frame].
        extras: the dataset's own columns.
    """
    points = points or pa.float32()
    fields = [
        column("sequence", pa.string(), nullable=False),
        column("frame", pa.int32(), about="0-based", nullable=False),
        column("person", pa.int64(), about="the dataset's own id", nullable=False),
        column("bbox", pa.float32(), "px", shape=(4,), about="x, y, w, h"),
    ]
    if 2 in dims:
        fields.append(column("keypoints", points, "px", shape=(joints, 2), about="NaN where absent"))
    fields.append(
        column("visibility", pa.uint8(), shape=(joints,), about="0 absent, 1 occluded or inferred, 2 visible")
    )
    if 3 in dims:
        fields.append(
            column("keypoints_3d", points, "mm", shape=(joints, 3), about="camera frame: x right, y down, z forward")
        )
    return pa.schema([*fields, *extras])


def sequences_schema(extras: Iterable[pa.Field] = ()) -> pa.Schema:
    """The ``sequences`` table: one row is a clip from one camera, or one still image."""
    return pa.schema(
        [
            column("sequence", pa.string(), nullable=False),
            column("subject", pa.string()),
            column("action", pa.string()),
            column("camera", pa.string()),
            column("media", pa.string(), about="path under the raw root"),
            column("n_frames", pa.int32(), "frames"),
            column("fps", pa.float64(), "1/s"),
            column("width", pa.int32(), "px"),
            column("height", pa.int32(), "px"),
            column("splits", pa.list_(pa.string()), about="names such as xsub/train"),
            *extras,
        ]
    )


SEGMENTS = pa.schema(
    [
        column("sequence", pa.string(), nullable=False),
        column("person", pa.int64()),
        column("start", pa.int32(), "frames", about="0-based, inclusive", nullable=False),
        column("stop", pa.int32(), "frames", about="0-based, exclusive", nullable=False),
        column("label", pa.string(), nullable=False),
        column("bbox", pa.float32(), "px", shape=(4,), about="x, y, w, h"),
    ]
)
CAMERAS = pa.schema(
    [
        column("camera", pa.string(), nullable=False),
        column("subject", pa.string()),
        *(column(name, pa.float64(), "px") for name in ("fx", "fy", "cx", "cy")),
        column("model", pa.string(), about="distortion formula: h36m, opencv or none"),
        column("distortion", pa.float64(), shape=(5,), about="k1, k2, p1, p2, k3"),
        column("R", pa.float64(), shape=(3, 3), about="world to camera, row-major"),
        column("t", pa.float64(), "mm", shape=(3,), about="X_camera = R X_world + t"),
        column("width", pa.int32(), "px"),
        column("height", pa.int32(), "px"),
    ]
)
REJECTS = pa.schema(
    [
        column("source", pa.string(), about="path under the raw root", nullable=False),
        column("locator", pa.string(), about="where in that file", nullable=False),
        column("reason", pa.string(), nullable=False),
        column("action", pa.string(), about="dropped or repaired", nullable=False),
    ]
)


def texts_of(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    """What a file or a column says of itself; bytes that are no UTF-8 are replaced."""
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in (metadata or {}).items()}


def shape_of(field: pa.Field) -> tuple[int, ...]:
    """The shape of one value of a vector column; ``()`` for a scalar column."""
    text = texts_of(field.metadata).get("shape", "")
    if text:
        return tuple(map(int, text.split(",")))
    return (field.type.list_size,) if pa.types.is_fixed_size_list(field.type) else ()


def vector(
    values: npt.ArrayLike, kind: pa.DataType | None = None, *, mask: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """An (N, ...) array as a flat fixed-size-list column; rows where ``mask`` is true become null."""
    array = np.ascontiguousarray(values)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)  # Arrow takes no other machine's bytes
    flat = pa.array(array.reshape(-1), type=kind)
    size = math.prod(array.shape[1:])
    return pa.FixedSizeListArray.from_arrays(flat, size, mask=None if mask is None else pa.array(mask))


def one_array(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array; copied only when it has several chunks."""
    if isinstance(values, pa.Array):
        return values
    if values.num_chunks == 1:
        return values.chunk(0)
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)


def to_numpy(data: pa.ChunkedArray | pa.Array, field: pa.Field) -> npt.NDArray[Any]:
    """A column as NumPy: numbers and vectors without a copy where Arrow allows it, everything else as objects.

    Null vectors become NaN (0 for integers); null scalars follow ``pyarrow.Array.to_numpy``.
    """
    array = one_array(data)
    if not pa.types.is_fixed_size_list(array.type):
        return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    size = array.type.list_size
    values = array.values.slice(array.offset * size, len(array) * size)
    if values.null_count and not pa.types.is_floating(values.type):  # behind null vectors; NumPy has no null integer
        values = values.fill_null(0)
    flat = values.to_numpy(zero_copy_only=False)
    if array.null_count:
        flat = flat.copy()
        null = np.repeat(array.is_null().to_numpy(zero_copy_only=False), size)
        flat[null] = np.nan if flat.dtype.kind == "f" else 0
    return flat.reshape(len(array), *(shape_of(field) or (size,)))  # type: ignore[no-any-return]


def table(columns: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    """A table of ``schema`` from NumPy arrays, lists or Arrow arrays; absent columns are null.

    Raises:
        HarBenchError: a column that the schema does not have, or a value that does not fit its column.
    """
    if absent := sorted(set(columns) - set(schema.names)):
        raise unknown("column of the schema", absent[0], schema.names)
    rows = len(next(iter(columns.values())))
    return pa.Table.from_arrays([_as_column(columns.get(field.name), field, rows) for field in schema], schema=schema)


def solo_poses(
    names: Sequence[str], clips: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any]]], schema: pa.Schema
) -> pa.Table:
    """The poses of sequences that show one person in every frame, from frame 0.

    Args:
        names: of the sequences.
        clips: each one's (T, J, 3) joints before the camera [mm] and (T, J, 2) pixels; a joint whose place is not
            finite is absent, any other is visible.
        schema: see :func:`poses_schema`.
    """
    lengths = [len(points) for points, _ in clips]
    number = schema.field("keypoints").type.value_type.to_pandas_dtype()
    points, pixels = (np.concatenate(parts, dtype=number) for parts in zip(*clips, strict=True))
    return table(
        {
            "sequence": pa.array(names).take(pa.array(np.repeat(np.arange(len(names)), lengths))),
            "frame": np.concatenate([np.arange(length, dtype=np.int32) for length in lengths]),
            "person": np.zeros(len(points), np.int64),
            "keypoints": pixels,
            "visibility": np.where(np.isfinite(points).all(axis=-1), np.uint8(2), np.uint8(0)),
            "keypoints_3d": points,
        },
        schema,
    )


def _as_column(values: Any, field: pa.Field, rows: int) -> pa.Array:
    if values is None:
        return pa.nulls(rows, field.type)
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.cast(field.type)
    try:
        if pa.types.is_fixed_size_list(field.type) and isinstance(values, np.ndarray):
            return vector(values, field.type.value_type)
        return pa.array(values, type=field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise HarBenchError(f"column {field.name!r} cannot hold its values: {error}") from error
