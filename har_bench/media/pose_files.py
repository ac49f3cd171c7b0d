"""Files of poses found in pictures: Parquet in our columns, COCO's json, NumPy's npz."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from har_bench import files
from har_bench.errors import HarBenchError
from har_bench.media.poses import Poses
from har_bench.schema import column, shape_of, table, to_numpy
from har_bench.scoring import predictions
from har_bench.skeletons import Skeleton

DECIMALS = 3
"""Of a pixel, in json."""

FRAMES = pa.schema(
    [
        column("sequence", pa.string(), nullable=False),
        column("frame", pa.int32(), about="0-based", nullable=False),
        column("seconds", pa.float64(), "s"),
        column("width", pa.int32(), "px"),
        column("height", pa.int32(), "px"),
    ]
)
"""Every picture that was looked at, whoever is in it."""


_VECTORS = {"keypoints": "points", "keypoint_scores": "scores", "bbox": "boxes", "keypoints_3d": "points_3d"}
"""Columns, and what they are called in :class:`har_bench.media.poses.Poses`."""


@dataclass(frozen=True)
class Part:
    """Some pictures and whom they show: a table of :data:`FRAMES` and one of persons."""

    frames: pa.Table
    poses: pa.Table


def pose_schema(bones: Skeleton, *, in_space: bool) -> pa.Schema:
    """The columns of a person in a picture."""
    count = len(bones)
    about = "about the hips: x right, y down, z away from the camera; of an average person's size"
    deep = [column("keypoints_3d", pa.float32(), "mm", shape=(count, 3), about=about)] if in_space else []
    return pa.schema(
        [
            column("sequence", pa.string(), nullable=False),
            column("frame", pa.int32(), about="0-based", nullable=False),
            column("person", pa.int64(), nullable=False),
            column("keypoints", pa.float32(), "px", shape=(count, 2)),
            column("keypoint_scores", pa.float32(), shape=(count,)),
            column("score", pa.float64()),
            column("bbox", pa.float32(), "px", shape=(4,), about="x, y, w, h around the points"),
            *deep,
        ]
    )


class Sight(NamedTuple):
    """One picture that was looked at, without its pixels.

    Attributes:
        sequence: the film, or the picture's name.
        frame: 0-based.
        seconds: since the film began.
        size: (width, height) [px].
        poses: whom it shows.
    """

    sequence: str
    frame: int
    seconds: float
    size: tuple[int, int]
    poses: Poses


def part_of(seen: Sequence[Sight], schema: pa.Schema) -> Part:
    """What was seen in some pictures, as tables."""
    frames = {
        "sequence": [each.sequence for each in seen],
        "frame": [each.frame for each in seen],
        "seconds": [each.seconds for each in seen],
        "width": [each.size[0] for each in seen],
        "height": [each.size[1] for each in seen],
    }
    some = [each for each in seen if len(each.poses)]
    if not some:
        return Part(table(frames, FRAMES), schema.empty_table())
    counts = [len(each.poses) for each in some]
    rows: dict[str, Any] = {
        "sequence": [each.sequence for each, count in zip(some, counts, strict=True) for _ in range(count)],
        "frame": np.repeat([each.frame for each in some], counts),
        "person": np.concatenate([_numbers(each.poses) for each in some]),
        "score": np.concatenate([each.poses.score for each in some]),
    }
    for name, values in _VECTORS.items():
        if name in schema.names:
            rows[name] = np.concatenate([getattr(each.poses, values) for each in some]).astype(np.float32)
    return Part(table(frames, FRAMES), table(rows, schema))


def _numbers(poses: Poses) -> Any:
    return np.arange(len(poses)) if poses.person is None else poses.person


def poses_of(part: Part) -> Iterator[Poses]:
    """The persons of each frame of a part, as they were seen but for single precision."""
    arrays = {field.name: to_numpy(part.poses[field.name], field) for field in part.poses.schema}
    keys = list(zip(part.poses["sequence"].to_pylist(), part.poses["frame"].to_pylist(), strict=True))
    place = 0
    for key in zip(part.frames["sequence"].to_pylist(), part.frames["frame"].to_pylist(), strict=True):
        first = place
        while place < len(keys) and keys[place] == key:
            place += 1
        rows = slice(first, place)
        deep = arrays["keypoints_3d"][rows] if "keypoints_3d" in arrays else None
        yield Poses(
            arrays["keypoints"][rows],
            arrays["keypoint_scores"][rows],
            arrays["score"][rows],
            arrays["bbox"][rows],
            deep,
            arrays["person"][rows],
        )


def writer(path: Path) -> Callable[[Path, Iterable[Part], Skeleton, Mapping[str, str]], None]:
    """What writes the form that a suffix asks for.

    Raises:
        HarBenchError: another suffix.
    """
    writers = {".parquet": _write_parquet, ".json": _write_json, ".npz": _write_npz}
    if path.suffix not in writers:
        raise HarBenchError(f"{path} cannot be written; poses are written as {', '.join(writers)}")
    return writers[path.suffix]


def _write_parquet(path: Path, parts: Iterable[Part], bones: Skeleton, facts: Mapping[str, str]) -> None:
    """Our columns, a person and frame a row; the facts are in the file's metadata."""
    del bones
    predictions.write((part.poses.replace_schema_metadata(dict(facts)) for part in parts), path)


def _write_npz(path: Path, parts: Iterable[Part], bones: Skeleton, facts: Mapping[str, str]) -> None:
    """The same columns as arrays, ``joints``, and the facts as arrays without a dimension; nothing is pickled."""
    poses = pa.concat_tables(part.poses for part in parts)
    arrays: dict[str, Any] = {"joints": np.array(bones.joints)} | {name: np.array(fact) for name, fact in facts.items()}
    for field in poses.schema:
        values = to_numpy(poses[field.name], field)
        arrays[field.name] = values.astype(str) if values.dtype == object else values
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    files.write_whole(path, buffer.getvalue())


def _write_json(path: Path, parts: Iterable[Part], bones: Skeleton, facts: Mapping[str, str]) -> None:
    """COCO's document: ``images``, ``annotations`` with x, y, score of each joint, and one category with their names.

    A film's ``image_id`` is the number of the frame, another picture's its place in the list.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    ids: dict[tuple[str, int], int] = {}
    film = facts.get("film") == "true"
    for part in parts:
        for row in part.frames.to_pylist():
            number = row["frame"] if film else len(images)
            ids[row["sequence"], row["frame"]] = number
            name = f"{row['sequence']}/{row['frame']:06d}" if film else row["sequence"]
            images.append({"id": number, "file_name": name, "width": row["width"], "height": row["height"]})
        for row in _people(part.poses):
            annotations.append({"id": len(annotations) + 1, "image_id": ids[row.pop("key")], "category_id": 1, **row})
    category = {
        "id": 1,
        "name": "person",
        "keypoints": list(bones.joints),
        "skeleton": [[parent + 1, joint + 1] for parent, joint in bones.bones],
    }
    document = {"info": dict(facts), "images": images, "annotations": annotations, "categories": [category]}
    files.write_whole(path, msgspec.json.encode(document))


def _people(poses: pa.Table) -> Iterator[dict[str, Any]]:
    arrays = {field.name: to_numpy(poses[field.name], field) for field in poses.schema}
    joints = shape_of(poses.schema.field("keypoints"))[0]
    points = np.concatenate([arrays["keypoints"], arrays["keypoint_scores"][..., None]], axis=-1).astype(np.float64)
    for row in range(poses.num_rows):
        box = arrays["bbox"][row].astype(np.float64)
        yield {
            "key": (arrays["sequence"][row], int(arrays["frame"][row])),
            "track_id": int(arrays["person"][row]),
            "keypoints": np.round(points[row], DECIMALS).reshape(-1).tolist(),
            "num_keypoints": joints,
            "bbox": np.round(box, DECIMALS).tolist(),
            "area": round(float(box[2] * box[3]), DECIMALS),
            "iscrowd": 0,
            "score": float(arrays["score"][row]),
        }
