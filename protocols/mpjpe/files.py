"""Predictions as VideoPose3D and its followers keep them: ``.npz`` archives of poses in metres."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.converter import Converter
from har_bench.errors import HarBenchError, completing
from har_bench.foreign.npz import open_npz
from har_bench.foreign.numbers import numbers
from har_bench.protocol import Foreign

METRE = 1000.0
FARTHEST_M = 100.0


def read_poses(path: Path, dataset: type[Converter], example: str) -> Foreign | None:
    """Poses by sequence, in mm; None when the file is no ``.npz``.

    Two layouts are read: flat, one (n, J, 3) array per name (``/`` will do for ``|``), and VideoPose3D's own nested
    one, ``positions_3d`` as subject -> action -> list of the cameras' arrays.

    Args:
        path: a file of predictions.
        dataset: declares its cameras and how its actions are spelled.
        example: a flat name, such as ``S9|Walking 1|54138969``; all have as many parts.

    Raises:
        HarBenchError: the archive is damaged, a name is no sequence, or the numbers cannot be metres.
    """
    if path.suffix != ".npz":
        return None
    archive = open_npz(path)
    nested = next((name for name in ("positions_3d", "predictions") if name in archive), None)
    named = _nested(path, dataset, nested, archive[nested]) if nested else _flat(path, dataset, example, archive)
    arrays = {sequence: _checked(path, sequence, poses) for sequence, poses in named}
    if not arrays:
        raise HarBenchError(f"{path} holds no poses; name its arrays like {example!r}")
    return Foreign(arrays, "VideoPose3D-like .npz, metres")


def _flat(
    path: Path, dataset: type[Converter], example: str, archive: Mapping[str, npt.NDArray[Any]]
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    parts_of = example.replace("|", "/").count("/")
    for name in archive:
        joined = name.replace("|", "/")
        if joined.count("/") != parts_of:
            raise HarBenchError(
                f"{path}: the array {name!r} is not named like {example!r}; name an array for each sequence so, or "
                "write the poses of all scored rows as one .npy"
            )
        subject, action, camera = joined.rsplit("/", 2)
        yield f"{subject}/{dataset.respelled(action)}/{camera}", archive[name]


def _nested(
    path: Path, dataset: type[Converter], name: str, held: npt.NDArray[Any]
) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    subjects = held.item() if held.shape == () else None
    if not isinstance(subjects, Mapping):
        raise HarBenchError(
            f"{path}: {name} is not a dictionary of subjects, but an array of the shape {held.shape}; write "
            "{subject: {action: [cameras' arrays]}}, or the poses of all scored rows as one .npy"
        )
    for subject, actions in subjects.items():
        if not isinstance(actions, Mapping):
            raise HarBenchError(f"{path}: positions_3d[{subject!r}] is not a dictionary of actions")
        for action, cameras in actions.items():
            if not isinstance(cameras, Mapping | list | tuple) and not (
                isinstance(cameras, np.ndarray) and cameras.ndim
            ):
                raise HarBenchError(f"{path}: positions_3d[{subject!r}][{action!r}] is no list of the cameras' arrays")
            if isinstance(cameras, np.ndarray) and cameras.dtype != object and cameras.ndim == 3:
                raise HarBenchError(
                    f"{path}: positions_3d[{subject!r}][{action!r}] is one array {cameras.shape} and no list of the "
                    f"cameras' arrays: is it in the world's frame, as data_3d_h36m.npz? give the poses in the frame "
                    f"of each camera, for {', '.join(dataset.cameras)}"
                )
            named = cameras.items() if isinstance(cameras, Mapping) else zip(dataset.cameras, cameras, strict=False)
            for camera, poses in named:
                sequence = f"{subject}/{dataset.respelled(str(action))}/{camera}"
                with completing(f"{path}: {sequence}", "write its poses as one array (n, J, 3)"):
                    array = numbers(poses)
                yield sequence, array


def _checked(path: Path, sequence: str, poses: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The poses of a sequence in mm."""
    if poses.dtype.kind != "f":
        raise HarBenchError(
            f"{path}: {sequence} holds {poses.dtype} numbers, and this format is in metres; write it as float32, or "
            "whole millimetres in our columns"
        )
    if poses.ndim != 3 or poses.shape[-1] != 3:
        raise HarBenchError(f"{path}: {sequence} has the shape {poses.shape}; give poses (n, J, 3)")
    if poses.size and np.nanmax(np.abs(poses)) > FARTHEST_M:
        raise HarBenchError(
            f"{path}: {sequence} reaches {np.nanmax(np.abs(poses)):.0f}, and this format is in metres; divide by 1000 "
            "if these are millimetres"
        )
    millimetres: npt.NDArray[Any] = poses * poses.dtype.type(METRE)
    return millimetres
