"""The three forms in which Human3.6M's poses are found, and how one sequence is read from each.

* ``cdf``: the official archives, ``S9/MyPoseFeatures/D3_Positions/Walking 1.cdf`` (world, mm), with the optional
  ``D2_Positions/Walking 1.54138969.cdf`` (px) and ``D3_Positions_mono/Walking 1.54138969.cdf`` (camera frame, mm);
* ``h5``: 3d-pose-baseline's ``h36m.zip``, ``S9/MyPoses/3D_positions/Walking 1.h5`` (world, mm);
* ``npz``: VideoPose3D's ``data_3d_h36m.npz`` (world, float32 metres).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError
from har_bench.foreign.hdf5 import open_hdf5
from har_bench.foreign.npz import open_npz

from .cdf import read_pose

Poses = npt.NDArray[np.float64]

JOINTS = 32
NPZ = "data_3d_h36m.npz"
LAYOUTS = (
    "S*/MyPoseFeatures/D3_Positions/*.cdf (the official Poses_D3_Positions_S*.tgz, unpacked), "
    f"S*/MyPoses/3D_positions/*.h5 (h36m.zip of 3d-pose-baseline) or {NPZ} (VideoPose3D)"
)


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
    form: Literal["cdf", "h5", "npz"]
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
        return _checked(_positions(self.world)[self.subject][self.name], self.world, (JOINTS, 3)) * 1000


def recordings(raw: Path) -> list[Recording]:
    """Every sequence of the first form that is there, unordered.

    Raises:
        HarBenchError: none of the three forms is there.
    """
    for form in (_cdf, _h5, _npz):
        found = list(form(raw))
        if found:
            return found
    raise HarBenchError(f"{raw} holds no Human3.6M poses: expected {LAYOUTS} below it")


def _cdf(raw: Path) -> Iterator[Recording]:
    for folder in sorted({*raw.glob("S*/MyPoseFeatures"), *raw.glob("S*")}):
        subject = (folder.parent if folder.name == "MyPoseFeatures" else folder).name
        mono, pixels = (_by_camera(folder / kind) for kind in ("D3_Positions_mono", "D2_Positions"))
        world = {path.stem: path for path in (folder / "D3_Positions").glob("*.cdf") if _is_take(path.stem)}
        for name in {**world, **mono}:
            yield Recording(
                subject,
                name,
                "cdf",
                world=world.get(name),
                # the world poses say the same; the files in the cameras' frames are not read besides them
                mono={} if name in world else mono[name],
                pixels=pixels.get(name, {}),
            )


def _by_camera(folder: Path) -> dict[str, dict[str, Path]]:
    """``Walking 1.54138969.cdf`` as ``{"Walking 1": {"54138969": path}}``."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.glob("*.cdf")):
        name, _, camera = path.stem.rpartition(".")
        if name and _is_take(name):
            found.setdefault(name, {})[camera] = path
    return found


def _is_take(name: str) -> bool:
    """Whether a file holds an action: not the range-of-motion take ``_ALL``, not a hidden file."""
    return not name.startswith(("_ALL", "."))


def _h5(raw: Path) -> Iterator[Recording]:
    for path in raw.glob("S*/MyPoses/3D_positions/*.h5"):
        name = path.stem.replace("_", " ")
        if _is_take(path.stem):
            yield Recording(path.parents[2].name, name, "h5", world=path)


def _npz(raw: Path) -> Iterator[Recording]:
    path = raw if raw.is_file() and raw.suffix == ".npz" else raw / NPZ
    if path.is_file():
        for subject, takes in _positions(path).items():
            for name in takes:
                yield Recording(subject, name, "npz", world=path)


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
        raise HarBenchError(f"{path} holds no dataset 3D_positions (it has {', '.join(datasets)}); download it again")
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


def _positions(path: Path) -> dict[str, dict[str, npt.NDArray[Any]]]:
    status = path.stat()
    return _loaded(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)  # the archive is one pickle of all sequences: each worker reads it once
def _loaded(path: Path, modified: int, size: int) -> dict[str, dict[str, npt.NDArray[Any]]]:
    del modified, size  # they only tell a changed file from the cached one
    archive = open_npz(path)
    content = archive["positions_3d"] if "positions_3d" in archive else np.empty(0)
    positions: Any = content.item() if content.shape == () else None
    whole = isinstance(positions, dict) and all(
        isinstance(subject, str)
        and isinstance(takes, dict)
        and all(isinstance(name, str) and isinstance(pose, np.ndarray) for name, pose in takes.items())
        for subject, takes in positions.items()
    )
    if not whole:
        raise HarBenchError(
            f"{path} holds no subject -> action -> poses in positions_3d; it is not VideoPose3D's {NPZ}"
        )
    return positions  # type: ignore[no-any-return]
