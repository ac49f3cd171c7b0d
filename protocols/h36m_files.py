"""Predictions for Human3.6M as VideoPose3D and its followers keep them: ``.npz`` archives in metres."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError
from har_bench.foreign.npz import open_npz
from har_bench.protocol import Foreign

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
"""The order in which VideoPose3D lists the cameras of a sequence."""

METRE = 1000.0
FARTHEST_M = 100.0


def read_npz(path: Path) -> Foreign | None:
    """Poses by sequence, in mm; None when the file is no ``.npz``.

    Two layouts are read: flat, one (n, J, 3) array per ``S9|Walking 1|54138969`` (``/`` will do for ``|``), and
    VideoPose3D's own nested one, ``positions_3d`` as subject -> action -> list of the four cameras' arrays. S1's
    official names (TakingPhoto, WalkingDog) are taken for the canonical ones.

    Raises:
        HarBenchError: the archive is damaged, a name is no sequence, or the numbers cannot be metres.
    """
    if path.suffix != ".npz":
        return None
    archive = open_npz(path)
    nested = next((name for name in ("positions_3d", "predictions") if name in archive), None)
    arrays = dict(_nested(path, archive[nested].item()) if nested else _flat(path, archive))
    if not arrays:
        raise HarBenchError(f"{path} holds no poses; name its arrays like 'S9|Walking 1|54138969'")
    return Foreign(arrays, "VideoPose3D-like .npz, metres")


def _flat(path: Path, archive: Mapping[str, npt.NDArray[Any]]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for name in archive:
        parts = name.replace("|", "/").split("/")
        if len(parts) != 3:
            raise HarBenchError(f"{path}: the array {name!r} is not named like 'S9|Walking 1|54138969'")
        subject, action, camera = parts
        yield _named(path, subject, action, camera, archive[name])


def _nested(path: Path, subjects: Any) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    if not isinstance(subjects, Mapping):
        raise HarBenchError(f"{path}: positions_3d is not a dictionary of subjects")
    for subject, actions in subjects.items():
        if not isinstance(actions, Mapping):
            raise HarBenchError(f"{path}: positions_3d[{subject!r}] is not a dictionary of actions")
        for action, cameras in actions.items():
            named = cameras.items() if isinstance(cameras, Mapping) else zip(CAMERAS, cameras, strict=False)
            for camera, poses in named:
                yield _named(path, str(subject), str(action), str(camera), np.asarray(poses))


def _named(path: Path, subject: str, action: str, camera: str, poses: npt.NDArray[Any]) -> tuple[str, npt.NDArray[Any]]:
    name = action.replace("TakingPhoto", "Photo").replace("WalkingDog", "WalkDog")
    sequence = f"{subject}/{name}/{camera}"
    if poses.ndim != 3 or poses.shape[-1] != 3 or poses.dtype.kind != "f":
        raise HarBenchError(f"{path}: {sequence} has shape {poses.shape}; poses are (n, J, 3) numbers")
    if poses.size and np.nanmax(np.abs(poses)) > FARTHEST_M:
        raise HarBenchError(f"{path}: {sequence} reaches {np.nanmax(np.abs(poses)):.0f}; this format is in metres")
    return sequence, poses * poses.dtype.type(METRE)
