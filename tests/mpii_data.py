"""MPII: raw files to convert, a second and plain reader of them, and rows of the json."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import scipy.io

from har_bench.converter import Tables
from har_bench.converters.mpii import MPII
from har_bench.converters.mpii.tables import POSES
from har_bench.schema import to_numpy

RELEASE_FILE = "mpii_human_pose_v1_u12_2/mpii_human_pose_v1_u12_1.mat"

SHORT = [
    *("rank", "rkne", "rhip", "lhip", "lkne", "lank", "pelv", "thor"),
    *("neck", "head", "rwri", "relb", "rsho", "lsho", "lelb", "lwri"),
]
"""MPII's joints as the golden files call them."""


def convert(raw: Path) -> Tables:
    (shard,) = MPII().discover(raw)
    return MPII().read(shard)


def columns(poses: pa.Table) -> dict[str, npt.NDArray[Any]]:
    """Vector columns as NumPy, NaN where null."""
    return {
        field.name: to_numpy(poses[field.name], field) for field in POSES if pa.types.is_fixed_size_list(field.type)
    }


class InMemory:
    """What ``check`` needs of a store."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def table(self, name: str) -> pa.Table:
        return getattr(self.tables, name)

    def poses(self, split: str | None = None, columns: list[str] | None = None) -> pa.Table:
        assert self.tables.poses is not None
        return self.tables.poses.select(columns)


# A second reader, value by value, to compare with


def scalar(cell: Any) -> float:
    return float(cell.item()) if cell is not None and cell.size else float("nan")


def get(struct: Any, name: str) -> Any:
    return struct[name] if struct is not None and name in struct.dtype.names else None


def naive_person(rect: Any) -> dict[str, Any]:
    """One annorect as the store should have it."""
    keypoints, flags = np.full((16, 2), np.nan), np.full(16, 255)
    annopoints = get(rect, "annopoints")
    if annopoints is not None and annopoints.size:
        for point in annopoints[0, 0]["point"][0]:
            joint = int(point["id"].item())
            keypoints[joint] = float(point["x"].item()) - 1, float(point["y"].item()) - 1
            flag = get(point, "is_visible")
            flags[joint] = 5 if flag is None else 4 if not flag.size else int(flag.item())
            if flag is not None and flag.size and flag.dtype.kind == "U":
                flags[joint] += 2
    x1, y1, x2, y2 = (scalar(get(rect, name)) for name in ("x1", "y1", "x2", "y2"))
    objpos = get(rect, "objpos")
    place = objpos[0, 0] if objpos is not None and objpos.size else None

    def values(names: list[str], absent: float) -> list[float] | None:
        cells = [get(rect, name) for name in names]
        return None if cells[0] is None else [float(cell.item()) if cell.size else absent for cell in cells]

    grid = [f"{row}{place}" for row in "123" for place in "123"]
    return {
        "keypoints": keypoints,
        "is_visible": flags,
        "visibility": np.where(flags == 255, 0, np.where((flags == 0) | (flags == 2), 1, 2)),
        "head_box": None if np.isnan(x1) else [x1 - 1, y1 - 1, x2 - 1, y2 - 1],
        "head_size": None if np.isnan(x1) else 0.6 * ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5,
        "scale": None if np.isnan(scalar(get(rect, "scale"))) else scalar(get(rect, "scale")),
        "objpos": None if place is None else [scalar(place["x"]) - 1, scalar(place["y"]) - 1],
        "part_occ": values([f"part_occ{part}" for part in range(1, 11)], -1),
        "head_r": values(["head_r" + at for at in grid], np.nan),
        "torso_r": values(["torso_r" + at for at in grid], np.nan),
    }


def naive_release(path: Path) -> dict[tuple[int, int], dict[str, Any]]:
    """(1-based place in annolist, 1-based place in annorect) -> what the store should have."""
    release = scipy.io.loadmat(path)["RELEASE"][0, 0]
    found = {}
    for index, entry in enumerate(release["annolist"][0], start=1):
        rects = entry["annorect"]
        for person in range(1, (rects.size if rects.dtype.names else 0) + 1):
            single = release["single_person"][index - 1, 0]
            found[index, person] = naive_person(rects[0, person - 1]) | {"single_person": person in single}
    return found


def equal_rows(tables: Tables, expected: dict[tuple[int, int], dict[str, Any]]) -> None:
    assert tables.poses is not None
    place = dict(zip(*(tables.sequences[name].to_pylist() for name in ("sequence", "annolist_index")), strict=True))
    rows = {(place[row["sequence"]], row["person"]): row for row in tables.poses.to_pylist()}
    assert rows.keys() == expected.keys()
    for key, values in expected.items():
        for name, value in values.items():
            if name == "head_size" and value is not None:
                assert rows[key][name] == pytest.approx(value, rel=1e-15)
            elif value is None or isinstance(value, bool):
                assert rows[key][name] is value, (key, name)
            else:
                np.testing.assert_array_equal(rows[key][name], np.ravel(value), err_msg=f"{key} {name}")


# Other inputs


def hourglass_row(**changes: Any) -> dict[str, Any]:
    joints = [[float(10 + joint), 20.5, float(joint % 2)] for joint in range(16)]
    return {
        "dataset": "MPI",
        "isValidation": 0.0,
        "img_paths": "015601864.jpg",
        "img_width": 1280.0,
        "img_height": 720.0,
        "objpos": [594.0, 257.0],
        "joint_self": joints,
        "scale_provided": 3.021,
        "joint_others": [[1.0, 2.0, 1.0]],
        "scale_provided_other": {},
        "annolist_index": 5.0,
        "people_index": 1.0,
        **changes,
    }


def edited(sample: Path, edit: Callable[[Any], None]) -> bytes:
    """The sample's RELEASE after an edit, as a file's bytes."""
    release = scipy.io.loadmat(sample / RELEASE_FILE)["RELEASE"]
    edit(release)
    file = io.BytesIO()
    scipy.io.savemat(file, {"RELEASE": release})
    return file.getvalue()


def detections(sample: Path, path: Path, places: list[int], persons: list[int]) -> None:
    """A detections.mat with the first persons of the sample's valid images."""
    entries = scipy.io.loadmat(sample / RELEASE_FILE)["RELEASE"][0, 0]["annolist"]
    annolist = np.empty((1, len(places)), [("annorect", object)])
    for at in range(len(places)):
        annolist[0, at] = (entries[0, 1 + at]["annorect"][:, :1],)
    scipy.io.savemat(path, {"annolist": annolist, "RELEASE_img_index": [places], "RELEASE_person_index": [persons]})


def hrnet_row(image: str = "015601864.jpg", **changes: Any) -> dict[str, Any]:
    """A person as HRNet writes it."""
    joints = [[float(10 + joint), 20.5] for joint in range(16)]
    known = {"joints_vis": [1] * 16, "joints": joints, "image": image, "scale": 3.021046, "center": [594.0, 257.0]}
    return known | changes


def write_sets(folder: Path, **sets: list[Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in sets.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return folder
