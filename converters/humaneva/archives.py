"""VideoPose3D's HumanEva: 15 joints of every chunk, in the world [m] and in the images of the colour cameras [px].

* ``data_3d_humaneva15.npz`` with ``data_2d_humaneva15_gt.npz``: pickled dicts
  ``{"Train/S1": {"Walking 1 chunk0": ...}}``;
* one archive of plain arrays with keys ``3d|Train/S1|Walking 1 chunk0`` and ``2d|Train/S1|Walking 1 chunk0|C1``.

Neither holds the calibrations: those of ``Calibration_Data`` are used where they are there, else recovered ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.converter import Reject
from har_bench.errors import HarBenchError
from har_bench.foreign.npz import open_npz
from har_bench.raw import files

from .calibration import COLOUR, Calibration, read_cal
from .clips import Clip, Footage
from .takes import Take, calibrations, published

JOINTS = 15
POSES, PIXELS = "data_3d_humaneva15.npz", "data_2d_humaneva15_gt.npz"
LAYOUT = f"{POSES} with {PIXELS} (VideoPose3D), or an .npz with keys 3d|Train/S1|Walking 1 chunk0"

_CHUNK = re.compile(r"(\w+ \d) chunk(0|[1-9]\d{0,3})")
_CAMERA_INDEX = {camera: place for place, camera in enumerate(COLOUR)}


@dataclass(frozen=True)
class Archive:
    """Where the arrays are: one file with everything, or poses and pixels apart."""

    poses: Path
    pixels: Path | None

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file."""
        return (self.poses,) if self.pixels in (None, self.poses) else (self.poses, self.pixels)


@dataclass(frozen=True)
class Chunks:
    """The chunks of one partition of a take.

    Attributes:
        archive: their file.
        take: None when the keys name no take of HumanEva.
        keys: the archive's own names, subject and action, by number of the chunk.
        cal: ``.cal`` files of the subject, by camera, where they are there.
    """

    archive: Archive
    take: Take | None
    keys: Mapping[int, tuple[str, str]]
    cal: Mapping[str, Path]


def find(raw: Path) -> Archive | None:
    """The archive in a folder or up to three folders below, or the one that ``raw`` itself is.

    Raises:
        HarBenchError: there are several, none of them in the folder itself, or one cannot be read.
    """
    if raw.is_file():
        return _archive(raw) if raw.suffix == ".npz" else None
    near = [raw / POSES] if (raw / POSES).is_file() else [path for path in files(raw, 0) if path.suffix == ".npz"]
    found = next(filter(None, map(_archive, near)), None)
    if found is not None:
        return found
    deeper = [path for path in files(raw) if path.suffix == ".npz" and path.parent != raw]
    archives = [archive for path in deeper if (archive := _archive(path))]
    if len(archives) > 1:
        raise HarBenchError(f"{archives[0].poses} and {archives[1].poses} both hold HumanEva; give one of these files")
    return archives[0] if archives else None


def _archive(path: Path) -> Archive | None:
    members = open_npz(path)
    if "positions_3d" in members:
        pixels = path.with_name(PIXELS)
        return Archive(path, pixels if pixels.is_file() else None)
    return Archive(path, path) if any(name.startswith("3d|") for name in members) else None


def chunks(archive: Archive, raw: Path) -> dict[str, Chunks]:
    """Every partition of a take, by its key; a name that is no chunk stands alone, without a take."""
    takes = {take.key: take for take in published().takes}
    found: dict[str, dict[int, tuple[str, str]]] = {}
    known: dict[str, Take | None] = {}
    for subject, action in _names(archive):
        match = _CHUNK.fullmatch(action)
        key = f"{subject}/{match[1] if match else action}"
        take = takes.get(key) if match else None
        found.setdefault(key, {})[int(match[2]) if match else 0] = subject, action
        known[key] = take
    folders = {key: raw / take.subject / "Calibration_Data" for key, take in known.items() if take is not None}
    return {
        key: Chunks(archive, known[key], keys, _calibrations(folders[key]) if key in folders else {})
        for key, keys in found.items()
    }


def _calibrations(folder: Path) -> dict[str, Path]:
    return {camera: folder / f"{camera}.cal" for camera in COLOUR if (folder / f"{camera}.cal").is_file()}


def read(wanted: Chunks) -> Footage:
    """One partition of a take.

    Raises:
        HarBenchError: the archive is damaged, or the cameras of the subject are not known.
    """
    take = wanted.take
    if take is None:
        subject, action = wanted.keys[min(wanted.keys)]
        raise HarBenchError(f"{wanted.archive.poses} holds {subject} {action}, which is no take of HumanEva; remove it")
    cameras: dict[str, Calibration] = dict(calibrations(take.subject))
    cameras |= {camera: read_cal(path) for camera, path in wanted.cal.items()}
    missing = [camera for camera in COLOUR if camera not in cameras]
    if missing:
        raise HarBenchError(f"{take.subject}/Calibration_Data/{missing[0]}.cal is missing beside the archive; add it")
    rejects: list[Reject] = []
    found = (_clip(wanted.archive, take, number, names, rejects) for number, names in wanted.keys.items())
    clips = [clip for clip in found if clip is not None]
    starts = published().starts(take)
    images = dict(zip(COLOUR, starts, strict=True)) if starts else {}
    valid = sum(clip.frames for clip in clips)
    return Footage(take, take.last - take.first + 1, valid, clips, cameras, images, rejects)


def _clip(archive: Archive, take: Take, number: int, names: tuple[str, str], rejects: list[Reject]) -> Clip | None:
    """A chunk; None where its poses are of another shape. What is wrong with it goes to ``rejects``."""
    poses, pixels = _arrays(archive, *names)
    where = " ".join(names)
    if not _shaped(poses, 3):
        rejects.append(Reject(archive.poses.name, where, f"no frames of {JOINTS} joints in 3D", "dropped"))
        return None
    world = poses.astype(np.float64) * 1000
    if archive.pixels and not all(_shaped(pixels.get(camera), 2, len(world)) for camera in COLOUR):
        reason = "pixels of another shape than the poses; they are absent in the store"
        rejects.append(Reject(archive.pixels.name, where, reason, "repaired"))
        pixels = {}
    absent = np.full((len(world), JOINTS, 2), np.nan)
    shown = {camera: np.asarray(pixels[camera], np.float64) if pixels else absent for camera in COLOUR}
    # without the lengths of the gaps between chunks, only the place of the first one is known
    return Clip(len(world), number, take.first if number == 0 else None, world, shown)


def _shaped(values: Any, dims: int, length: int | None = None) -> bool:
    """Whether it is (T, 15, dims) numbers, T being ``length`` where that is given."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu" or values.shape[1:] != (JOINTS, dims):
        return False
    return len(values) == length if length is not None else len(values) > 0


def _names(archive: Archive) -> list[tuple[str, str]]:
    """Subject and action of every 3D array."""
    if archive.pixels == archive.poses:
        keys = [name.split("|") for name in open_npz(archive.poses) if name.startswith("3d|")]
        for key in keys:
            if len(key) != 3:
                raise HarBenchError(f"{archive.poses} has a key {'|'.join(key)!r}, where 3d|subject|action is expected")
        return [(subject, action) for _, subject, action in keys]
    positions = _positions(archive.poses, "positions_3d")
    return [(subject, action) for subject, actions in positions.items() for action in actions]


def _arrays(archive: Archive, subject: str, action: str) -> tuple[Any, dict[str, Any]]:
    """The poses, and the pixels by camera."""
    if archive.pixels == archive.poses:
        members = open_npz(archive.poses)
        names = {camera: f"2d|{subject}|{action}|{camera}" for camera in COLOUR}
        pixels = {camera: members[name] for camera, name in names.items() if name in members}
        return members[f"3d|{subject}|{action}"], pixels
    poses = _positions(archive.poses, "positions_3d")[subject][action]
    views = _positions(archive.pixels, "positions_2d").get(subject, {}).get(action, ()) if archive.pixels else ()
    listed = list(views) if isinstance(views, list | tuple) or (isinstance(views, np.ndarray) and views.ndim) else []
    return poses, {camera: listed[place] for camera, place in _CAMERA_INDEX.items() if place < len(listed)}


def _positions(path: Path, name: str) -> dict[str, dict[str, Any]]:
    status = path.stat()
    return _loaded(path, name, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)  # an archive is one pickle of all sequences: each worker reads it once
def _loaded(path: Path, name: str, modified: int, size: int) -> dict[str, dict[str, npt.NDArray[Any]]]:
    del modified, size  # they only tell a changed file from the cached one
    archive = open_npz(path)
    content = archive[name] if name in archive else np.empty(0)
    positions: Any = content.item() if content.shape == () else None
    whole = isinstance(positions, dict) and all(
        isinstance(subject, str) and isinstance(actions, dict) and all(isinstance(action, str) for action in actions)
        for subject, actions in positions.items()
    )
    if not whole:
        raise HarBenchError(f"{path} holds no subject -> action -> arrays in {name}; it is not VideoPose3D's")
    return positions  # type: ignore[no-any-return]
