"""The three forms in which Human3.6M's poses are kept, and how one sequence is read from each.

* ``cdf``: the official archives, ``S9/MyPoseFeatures/D3_Positions/Walking 1.cdf`` (world, mm), with the optional
  ``D2_Positions/Walking 1.54138969.cdf`` (px) and ``D3_Positions_mono/Walking 1.54138969.cdf`` (camera frame, mm);
* ``h5``: 3d-pose-baseline's ``h36m.zip``, ``S9/MyPoses/3D_positions/Walking 1.h5`` (world, mm);
* ``npz``: VideoPose3D's ``data_3d_h36m.npz`` (world, float32 metres).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError, unknown
from har_bench.foreign.hdf5 import open_hdf5
from har_bench.foreign.npz import open_npz

from .cdf import read_pose

Poses = npt.NDArray[np.float64]

JOINTS = 32
NPZ = "data_3d_h36m.npz"
Form = Literal["cdf", "h5", "npz"]


@dataclass(frozen=True)
class Recording:
    """Where the poses of one sequence are.

    Attributes:
        subject: such as ``S9``.
        name: as the file or key calls it, official or canonical.
        form: which of the three forms.
        world: the file with the poses in the world frame, if there is one.
        mono: files with the poses in a camera's frame, by camera.
        pixels: files with the projected poses, by camera.
    """

    subject: str
    name: str
    form: Form
    world: Path | None = None
    mono: Mapping[str, Path] = field(default_factory=dict)
    pixels: Mapping[str, Path] = field(default_factory=dict)

    def read_world(self) -> Poses | None:
        """(T, 32, 3) world poses [mm], or None when only those in the cameras' frames exist.

        Raises:
            HarBenchError: the file is not what its name says.
        """
        if self.world is None:
            return None
        if self.form == "cdf":
            return read_cdf(self.world, 3)
        if self.form == "h5":
            return read_h5(self.world)
        return _checked(positions(self.world)[self.subject][self.name], self.world, (JOINTS, 3)) * 1000


def read_cdf(path: Path, dims: Literal[2, 3]) -> Poses:
    """(T, 32, dims) poses of an official file, in the file's unit.

    Its only variable, ``Pose``, is (1, T, 32 dims).

    Raises:
        HarBenchError: the file is damaged, or holds something else.
    """
    return _checked(read_pose(path), path, (JOINTS, dims), leading=True)


def read_h5(path: Path) -> Poses:
    """(T, 32, 3) world poses [mm] of 3d-pose-baseline's archive, which stores them as (96, T).

    Raises:
        HarBenchError: the file is damaged, or holds something else.
    """
    datasets = open_hdf5(path)
    if "3D_positions" not in datasets:
        raise unknown(f"dataset of {path}", "3D_positions", datasets, hint="download it again")
    return _checked(datasets["3D_positions"].T, path, (JOINTS, 3))


def _checked(values: Any, path: Path, shape: tuple[int, int], *, leading: bool = False) -> Poses:
    """``values`` as (T, *shape) float64."""
    array = np.asarray(values)
    if leading and array.ndim == 3 and len(array) == 1:
        array = array[0]
    flat = shape[0] * shape[1]
    if array.dtype.kind not in "fiu" or array.shape[1:] not in {shape, (flat,)} or not len(array):
        raise HarBenchError(
            f"{path} holds {array.dtype} values of shape {array.shape} where frames of {flat} numbers are expected; "
            "download it again"
        )
    return array.astype(np.float64).reshape(len(array), *shape)


def positions(path: Path) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Poses [m] by subject and action of VideoPose3D's archive.

    Raises:
        HarBenchError: the file is damaged, or holds something else.
    """
    status = path.stat()
    return _loaded(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)  # the archive is one pickle of all sequences: each worker reads it once
def _loaded(path: Path, modified: int, size: int) -> dict[str, dict[str, npt.NDArray[Any]]]:
    del modified, size  # they only tell a changed file from the cached one
    archive = open_npz(path)
    content = archive["positions_3d"] if "positions_3d" in archive else np.empty(0)
    found: Any = content.item() if content.shape == () else None
    whole = isinstance(found, dict) and all(
        isinstance(subject, str)
        and isinstance(takes, dict)
        and all(isinstance(name, str) and isinstance(pose, np.ndarray) for name, pose in takes.items())
        for subject, takes in found.items()
    )
    if not whole:
        raise HarBenchError(
            f"{path} holds no subject -> action -> poses in positions_3d; it is not VideoPose3D's {NPZ}"
        )
    return found  # type: ignore[no-any-return]
