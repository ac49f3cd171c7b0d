"""HumanEva-I: raw folders of the sample, what the converter makes of them, and the same in other forms."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ezc3d
import numpy as np
import pyarrow.compute as pc
import scipy.io

import har_bench
from har_bench.converter import Tables
from har_bench.converters.humaneva import HumanEva, archives
from har_bench.converters.humaneva import release as release
from har_bench.converters.humaneva.c3d import read_c3d
from har_bench.converters.humaneva.calibration import COLOUR, read_cal
from har_bench.schema import to_numpy
from har_bench.skeletons import mapping, skeleton
from har_bench.store import Store
from tests.golden import REAL

CONVERTER = "har_bench.converters.humaneva:HumanEva"


FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))


DATA = REAL / "humaneva"


RAW = DATA / "humaneva_synth_raw"


FLAT = DATA / "humaneva15_flat.npz"


J20, J15 = skeleton("humaneva20"), skeleton("humaneva15")


TO_15 = mapping(J20, J15)


AVERAGED = [joint for joint, grade in enumerate(TO_15.grades) if grade == "midpoint"]


def convert(raw: Path, out: Path, **options: Any) -> Store:
    return har_bench.convert(CONVERTER, raw, out, jobs=1, quiet=True, **options)


def tables(raw: Path, *keys: str) -> dict[str, Tables]:
    converter = HumanEva()
    return {shard.key: converter.read(shard) for shard in converter.discover(raw) if not keys or shard.key in keys}


def column(found: Tables, name: str, sequence: str) -> np.ndarray:
    assert found.poses is not None
    rows = found.poses.filter(pc.equal(found.poses["sequence"], sequence))
    return to_numpy(rows[name], rows.schema.field(name))


def write_pickled(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """VideoPose3D's two files from the flat archive's arrays."""
    positions: dict[str, dict[str, Any]] = {}
    pixels: dict[str, dict[str, Any]] = {}
    for name in (name for name in arrays if name.startswith("3d|")):
        _, subject, action = name.split("|")
        positions.setdefault(subject, {})[action] = arrays[name]
        views = [arrays[f"2d|{subject}|{action}|{camera}"] for camera in COLOUR]
        pixels.setdefault(subject, {})[action] = views
    np.savez_compressed(folder / archives.POSES, allow_pickle=True, positions_3d=np.array(positions, object))
    metadata = {"layout_name": "humaneva15", "num_joints": 15}
    np.savez_compressed(
        folder / archives.PIXELS, allow_pickle=True, positions_2d=np.array(pixels, object), metadata=np.array(metadata)
    )


def write_mat(path: Path, c3d: Path) -> None:
    """What MATLAB's readc3d saves beside a C3D file."""
    take = read_c3d(c3d)
    labels = np.empty((1, len(take.labels)), object)
    labels[0] = take.labels
    parameter = {"name": np.array([["LABELS"]], object), "data": labels}
    group = {"name": np.array([["POINT"]], object), "Parameter": parameter}
    scipy.io.savemat(path, {"Markers": take.points, "ParameterGroup": group})


# ---- VideoPose3D's layout


def flat(raw: Path) -> dict[str, np.ndarray]:
    """The sample's colour cameras as VideoPose3D would archive them."""
    arrays = {}
    for found in tables(raw).values():
        for row in found.sequences.to_pylist():
            if any(name.startswith("videopose3d") for name in row["splits"]):
                key = f"{row['partition']}/{row['subject']}|{row['action']} 1 chunk{row['chunk']}"
                view = read_cal(raw / row["subject"] / "Calibration_Data" / f"{row['camera']}.cal").camera
                points = TO_15.points(column(found, "keypoints_3d", row["sequence"]))
                arrays[f"3d|{key}"] = (view.to_world(points) / 1000).astype("f4")
                pixels = TO_15.points(column(found, "keypoints", row["sequence"]))
                arrays[f"2d|{key}|{row['camera']}"] = pixels.astype("f4")
    return arrays


def assert_equals_ezc3d(path: Path) -> None:
    expected, found = ezc3d.c3d(str(path)), read_c3d(path)
    points = np.nan_to_num(expected["data"]["points"][:3].transpose(2, 1, 0))
    groups = expected["parameters"]["POINT"]
    labels = [groups[name]["value"] for name in ("LABELS", "LABELS2") if name in groups]
    assert list(found.labels) == [label for part in labels for label in part]
    assert np.array_equal(found.points, points)
