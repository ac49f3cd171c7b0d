"""AVA's files read the plain way, and what a store holds of them in the same form."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import har_bench
from har_bench.converter import Tables
from har_bench.converters.ava import AVA
from har_bench.converters.ava import tracklets as ava_tracklets
from har_bench.schema import to_numpy
from har_bench.store import Store
from tests.golden import REAL

CONVERTER = "har_bench.converters.ava:AVA"
RELEASE = REAL / "ava"
TRACKLETS = sorted((REAL / "lart" / "tracklets").glob("*.pkl"))
EVERY_ACTION = range(1, 81)


def convert(raw: Path, out: Path, **options: Any) -> Store:
    return har_bench.convert(CONVERTER, raw, out, jobs=1, quiet=True, **options)


def values(table: pa.Table, name: str) -> np.ndarray:
    return to_numpy(table[name], table.schema.field(name))


def read(raw: Path) -> Tables:
    (shard,) = AVA().discover(raw)
    return AVA().read(shard)


def raw_rows(path: Path) -> list[list[str]]:
    """The rows of a csv, read the plain way."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return list(csv.reader(text.splitlines()))


def sort_key(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple((value is not None, value) for value in row)


def expected(rows: list[list[str]]) -> list[tuple[Any, ...]]:
    boxed = [row for row in rows if len(row) > 2]
    return sorted(
        (
            (row[0], float(row[1]), *map(float, row[2:6]), int(row[6]), int(row[7]) if len(row) > 7 else None)
            for row in boxed
        ),
        key=sort_key,
    )


def stored(segments: pa.Table) -> list[tuple[Any, ...]]:
    columns = (segments[name].to_pylist() for name in ("sequence", "timestamp", "bbox_normalised", "action", "person"))
    return sorted(
        ((name, second, *box, *rest) for name, second, box, *rest in zip(*columns, strict=True)), key=sort_key
    )


def poses_of(path: Path) -> pa.Table:
    name = ava_tracklets.parse(path)
    assert name is not None
    return ava_tracklets.read_poses(path, name)


def per_key(found: pa.Table, name: str) -> dict[int, np.ndarray]:
    """A dictionary of a tracklet, back from its column."""
    pairs = zip(found["appearance_index"].to_pylist(), found[name].to_pylist(), strict=True)
    return {key: np.array(value) for key, value in pairs if value is not None}


def assert_whole(raw: dict[str, Any], found: pa.Table) -> None:
    """Every value of a tracklet is in its rows."""
    same = {
        "fid": "frame", "pose_shape": "pose_shape", "3d_joints": "joints_3d", "camera": "camera",
        "camera_bbox": "camera_bbox", "action_label_gt": "action_label_gt", "has_gt": "has_gt",
        "has_detection": "has_detection", "frame_size": "frame_size", "frame_conf": "confidence",
    }  # fmt: skip
    for key, name in same.items():
        array = np.asarray(raw[key]).squeeze()
        assert np.array_equal(values(found, name).squeeze(), array), key
    assert np.array_equal(np.nan_to_num(values(found, "bbox")), np.array(raw["frame_bbox"]))
    assert found["frame_name"].to_pylist() == list(raw["frame_name"])
    assert found["appearance_index"].fill_null(-1).to_pylist() == raw["apperance_index"].ravel().tolist()
    for key, name in (("apperance_dict", "appearance"), ("action_label_psudo", "action_label_pseudo")):
        back = per_key(found, name)
        assert set(back) == set(raw[key])
        assert all(np.array_equal(back[index], raw[key][index][0]) for index in back)
    assert set(raw) == {*same, "frame_bbox", "frame_name", "apperance_index", "apperance_dict", "action_label_psudo"}
