"""Predictions for Human3.6M as VideoPose3D and its followers keep them: ``.npz`` archives in metres."""

from __future__ import annotations

from pathlib import Path

from har_bench.protocol import Foreign

from .videopose3d_files import Naming, read_poses


def _canonical(action: str) -> str:
    return action.replace("TakingPhoto", "Photo").replace("WalkingDog", "WalkDog")


NAMING = Naming(("54138969", "55011271", "58860488", "60457274"), "S9|Walking 1|54138969", _canonical)


def read_npz(path: Path) -> Foreign | None:
    """Poses by sequence, in mm; None when the file is no ``.npz``.

    See :func:`.videopose3d_files.read_poses`; S1's official names (TakingPhoto, WalkingDog) are taken for the
    canonical ones.

    Raises:
        HarBenchError: the archive is damaged, a name is no sequence, or the numbers cannot be metres.
    """
    return read_poses(path, NAMING)
