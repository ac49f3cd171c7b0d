"""Human3.6M's real test poses as a store would hold them, and the two sets of predictions with known scores."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.cameras import Camera
from har_bench.protocol import Batch
from har_bench.schema import column, sequences_schema, table
from tests.golden import REAL, load

Poses = npt.NDArray[np.float32]

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
SHIFTED = ("S9/Greeting", "S9/SittingDown 1", "S9/Waiting 1")
SCHEMA = sequences_schema([column("defects", pa.list_(pa.string()))])


@cache
def cameras() -> dict[str, Camera]:
    """The calibrated cameras, by names such as ``S9|54138969``."""
    return {
        name: Camera(
            f=np.array(row["f"]),
            c=np.array(row["c"]),
            R=np.array(row["R_world_to_cam"]),
            t=-np.array(row["R_world_to_cam"]) @ row["camera_centre_mm"],
            distortion=np.array([*row["k"][:2], *row["p"], row["k"][2]]),
            model="h36m",
        )
        for name, row in load("h36m/golden/h36m_cameras.json").items()
    }


def options_of(block: str) -> dict[str, Any]:
    """The protocol's options for what a block of a golden file says by its name, such as ``S11_only_cam60457274``."""
    camera, subject = (re.search(words, block) for words in (r"cam(?:era)?_?(\d{8})", r"(?:^|_)(S\d+)"))
    found = {
        "cameras": camera[1] if camera else "",
        "subjects": subject[1] if subject else "",
        "without_damaged": "without_damaged" in block,
        "every": 64 if re.search("1_?in_?64|one_in_64", block) else 1,
    }
    return {name: value for name, value in found.items() if value and (name, value) != ("every", 1)}


@dataclass(frozen=True)
class H36M:
    """S9 and S11 without S9's Discussion 1: 59 clips from four cameras each.

    Attributes:
        sequences: the store's ``sequences`` table.
        world: (T, 17, 3) world poses [m] by clip, such as ``S9/Walking 1``.
    """

    sequences: pa.Table
    world: Mapping[str, Poses]

    def truth(self, sequence: str) -> Poses:
        """(T, 17, 3) camera-frame poses [mm]."""
        clip, camera = sequence.rsplit("/", 1)
        calibrated = cameras()[f"{clip.split('/')[0]}|{camera}"]
        return calibrated.to_camera(self.world[clip] * np.float64(1000)).astype(np.float32)

    def batch(self, name: str, poses: Poses) -> Batch:
        """One sequence's poses as the engine hands them over."""
        rows = self.sequences.filter(pa.array([name == other for other in self.sequences["sequence"].to_pylist()]))
        return Batch(rows, np.array([0, len(poses)]), {"keypoints_3d": poses})


@cache
def read() -> H36M:
    """The packed real poses, with the defects that the converter records."""
    with np.load(REAL / "h36m" / "h36m_S9_S11_world17_f32_m.npz") as file:
        world = {key.replace("|", "/"): file[key] for key in file.files}
    rows: list[dict[str, Any]] = []
    for clip, poses in world.items():
        subject, name = clip.split("/")
        defects = ["shifted"] * (clip in SHIFTED) + ["camera-missing"] * (clip == "S11/Directions")
        rows.extend(
            {
                "sequence": f"{clip}/{camera}",
                "subject": subject,
                "action": name.split(" ")[0],
                "camera": camera,
                "n_frames": len(poses),
                "fps": 50.0,
                "splits": ["standard/test"],
                "defects": defects,
            }
            for camera in CAMERAS
        )
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return H36M(table(columns, SCHEMA), world)


def closed_form(truth: Poses) -> Poses:
    """(T, J, 3) predictions [mm] made from camera-frame truth [mm] by a formula, whose scores are known.

    1.05 times the root-relative truth, plus 30 sin(0.9 j + 1.7 k + 0.05 t) + 10 cos(0.31 t (k + 1)) for frame t,
    joint j and axis k.
    """
    t, j, k = np.ogrid[: len(truth), : truth.shape[1], :3]
    wave = 30 * np.sin(0.9 * j + 1.7 * k + 0.05 * t) + 10 * np.cos(0.31 * t * (k + 1))
    return (1.05 * (truth - truth[:, :1]) + wave).astype(np.float32)


def lifted() -> dict[str, Poses]:
    """Every 64th frame's prediction [mm] of a small network that lifted real 2D detections, by sequence."""
    with np.load(REAL / "h36m" / "h36m_real_pred_1in64.npz") as file:
        return {key.replace("|", "/"): file[key] * np.float32(1000) for key in file.files}
