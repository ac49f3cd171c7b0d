"""Human3.6M as VideoPose3D and MMPose read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from har_bench.arrays import Floats, Singles
from har_bench.errors import HarBenchError
from har_bench.exporting import Done, Exporter
from har_bench.foreign.writing import write_npz
from har_bench.options import option
from har_bench.skeletons import mapping, skeleton
from har_bench.store import SequenceView, Store

from .archives import NPZ
from .metadata import packaged

PIXELS = "data_2d_h36m_gt.npz"
LEFT_OUT = ("S11", "Directions")
"""VideoPose3D leaves it out for every camera, as one camera's video is missing; published numbers are without it."""

_LAYOUT = "h36m17"
_ENLARGED = 1.2
"""How much larger MMPose's square box is than the joints, and of how many pixels it counts the size."""
_UNIT = 200.0


def _takes(sequences: pa.Table) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Subject, name and the sequences by camera of every take, in the order of the store."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in sequences.select(["subject", "name", "camera", "sequence"]).to_pylist():
        found.setdefault((row["subject"], row["name"]), {})[row["camera"]] = row["sequence"]
    for (subject, name), views in found.items():
        yield subject, name, views


def _needs_32(store: Store) -> None:
    if store.skeleton().name != "h36m32":
        raise HarBenchError(f"{store.path} has the joints of {store.skeleton().name}; convert the official h36m32")


@dataclass
class VideoPose3D(Exporter):
    """``positions_3d``: subject, action, (T, 32, 3) m in the world; ``positions_2d``: four cameras' 17 joints.

    World positions are the mean of what the cameras' poses say, which are float32: they differ from the official ones
    by less than 0.001 mm.
    """

    summary = f"VideoPose3D's {NPZ} and {PIXELS}, for its run.py with -k gt and all that follow it"
    loses = (f"{' '.join(LEFT_OUT)}, which VideoPose3D's own files lack; everything=true keeps it",)

    everything: bool = option(False, "also S11 Directions, which published numbers are without")

    def select(self, store: Store) -> pa.Table:
        """Every sequence but that of :data:`LEFT_OUT`."""
        _needs_32(store)
        keys = store.sequences.select(["subject", "name"]).to_pylist()
        kept = [self.everything or (key["subject"], key["name"]) != LEFT_OUT for key in keys]
        return store.sequences.filter(pa.array(kept, pa.bool_()))

    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        """Both archives; a take's cameras are in the order of the dataset's, None where one is missing."""
        joints = mapping(store.skeleton(), skeleton(_LAYOUT))
        worlds: dict[str, dict[str, Singles]] = {}
        pixels: dict[str, dict[str, list[Singles | None]]] = {}
        for subject, name, views in _takes(sequences):
            seen = {camera: store.sequence(views[camera]) for camera in packaged().cameras if camera in views}
            worlds.setdefault(subject, {})[name] = _world(store, subject, seen)
            pixels.setdefault(subject, {})[name] = [
                joints.points(seen[camera].keypoints).astype(np.float32) if camera in seen else None
                for camera in packaged().cameras
            ]
            for view in seen.values():
                done(len(view))
        sides = [list(side) for side in zip(*joints.target.pairs, strict=True)]
        metadata = {"layout_name": "h36m", "num_joints": len(joints.target), "keypoints_symmetry": sides}
        write_npz(out / NPZ, {"positions_3d": worlds})
        write_npz(out / PIXELS, {"positions_2d": pixels, "metadata": metadata})


def _world(store: Store, subject: str, seen: dict[str, SequenceView]) -> Singles:
    """(T, 32, 3) m in the world: the mean of what those cameras say that see a joint."""
    length = max(map(len, seen.values()))
    total, count = np.zeros((length, 32, 3)), np.zeros((length, 32, 1))
    for camera, view in seen.items():
        points = store.camera(camera, subject).to_world(view.keypoints_3d)
        there = np.isfinite(points).all(axis=-1, keepdims=True)
        total[: len(view)] += np.where(there, points, 0)
        count[: len(view)] += there
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count / 1000, np.float32)


@dataclass
class MMPose(Exporter):
    """An archive for each half: ``imgname``, ``center``, ``scale``, ``part`` (N, 17, 3) px, ``S`` (N, 17, 4) m.

    Images are called ``S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg`` and counted from 1; poses are
    in the camera's frame. The square box is 1.2 times as large as the joints; a scale of 1 is 200 px.
    """

    summary = "MMPose's annotation_body3d: h36m_train.npz and h36m_test.npz of every frame, or of some"
    loses = ("joints beyond the 17, and frames with a joint that was not measured",)

    every: int = option(1, "one frame in so many: 5 for MMPose's fps10", least=1)

    def select(self, store: Store) -> pa.Table:
        """The standard split."""
        _needs_32(store)
        halves = [name for name in store.manifest.splits if name.startswith("standard/")]
        if not halves:
            raise HarBenchError(f"{store.path} has no subject of the standard split; convert one of them")
        return pa.concat_tables(store.select(name) for name in sorted(halves))

    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        """``h36m_train.npz`` and ``h36m_test.npz``, as far as there are such subjects."""
        joints = mapping(store.skeleton(), skeleton(_LAYOUT))
        halves: dict[str, list[dict[str, Any]]] = {}
        for view in store.each(sequences, ("frame", "keypoints", "keypoints_3d")):
            row = view.info
            (half,) = [name.removeprefix("standard/") for name in row["splits"] if name.startswith("standard/")]
            points, pixels = (joints.points(each).astype(np.float64) for each in (view.keypoints_3d, view.keypoints))
            kept = (view.frame % self.every == 0) & np.isfinite(points).all((1, 2)) & np.isfinite(pixels).all((1, 2))
            stem = f"{row['subject']}_{row['official'].replace(' ', '_')}.{row['camera']}"
            names = [f"{row['subject']}/{stem}/{stem}_{frame + 1:06d}.jpg" for frame in view.frame[kept].tolist()]
            halves.setdefault(half, []).append(_annotated(names, points[kept], pixels[kept]))
            done(len(names))
        for half, found in halves.items():
            write_npz(
                out / f"h36m_{half}.npz", {name: np.concatenate([one[name] for one in found]) for name in found[0]}
            )


def _annotated(names: list[str], points: Floats, pixels: Floats) -> dict[str, Any]:
    """The arrays of some frames: their images, (N, 17, 3) points [mm] and (N, 17, 2) pixels."""
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    sure = np.ones((*pixels.shape[:2], 1))
    return {
        "imgname": np.array(names, np.str_),
        "center": (low + high) / 2,
        "scale": (high - low).max(axis=1) * _ENLARGED / _UNIT,
        "part": np.concatenate([pixels, sure], axis=-1),
        "S": np.concatenate([points / 1000, sure], axis=-1),
    }
