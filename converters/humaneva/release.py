"""The official download, ``S1/{Image_Data,Mocap_Data,Calibration_Data,Sync_Data}``: what is there, and reading it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from har_bench.converter import Reject
from har_bench.errors import HarBenchError
from har_bench.raw import files, homes, in_any_case

from .c3d import Trajectories, read_c3d
from .calibration import CAMERAS, Calibration, Sync, read_cal, read_measures, read_sync
from .clips import Clip, Footage, runs, under
from .joints import body, seen, shoulder_radius
from .mat import read_mat
from .takes import Take, published

SUBJECTS = ("S1", "S2", "S3", "S4")
PARTS = ("Mocap_Data", "Sync_Data", "Image_Data")
"""The folders of a subject that tell of takes."""

LAYOUT = "S*/{Image_Data,Mocap_Data,Calibration_Data,Sync_Data} (the official HumanEva-I, unpacked)"


@dataclass(frozen=True)
class Recording:
    """Where the files of one partition of a take are.

    Attributes:
        take: which.
        folder: the subject's folder.
        mocap: the motion capture, a ``.c3d`` file or its ``.mat`` twin; None where there is neither.
        static: the subject's static take, likewise.
        measures: the subject's ``.mp`` file.
        sync: the ``.ofs`` files, by camera.
        calibrations: the ``.cal`` files, by camera.
        home: the path under the raw root of what holds the subject's folder, see :func:`~.clips.under`.
    """

    take: Take
    folder: Path
    mocap: Path | None
    static: Path | None
    measures: Path | None
    sync: Mapping[str, Path] = field(default_factory=dict)
    calibrations: Mapping[str, Path] = field(default_factory=dict)
    home: str = ""

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file that :func:`read` opens."""
        body_files = (self.mocap, self.static, self.measures) if self.mocap else ()
        found = (*body_files, *self.sync.values(), *self.calibrations.values())
        return tuple(path for path in found if path is not None)


def recordings(raw: Path) -> Iterator[Recording]:
    """Every published partition of a take of which there is motion capture, a video or a ``.ofs`` file.

    Raises:
        HarBenchError: a subject is there twice.
    """
    found = subjects(raw)
    for take in published().takes:
        folder = found.get(take.subject)
        if folder is None:
            continue
        mocap = _capture(folder, take.stem)
        sync = _by_camera(folder, f"Sync_Data/{take.stem}_({{}}).ofs")
        if mocap or sync or _by_camera(folder, f"Image_Data/{take.stem}_({{}}).avi"):
            yield Recording(
                take,
                folder,
                mocap,
                _capture(folder, "Static"),
                _measures(folder),
                sync,
                _by_camera(folder, "Calibration_Data/{}.cal"),
                home=_home(folder, raw),
            )


def _home(folder: Path, raw: Path) -> str:
    """The path under the raw root of what holds a subject's folder; ``..`` where that folder itself was given."""
    if folder == raw:
        return ".."
    return "" if folder.parent == raw else folder.parent.relative_to(raw).as_posix()


def subjects(raw: Path) -> dict[str, Path]:
    """The folders S1 to S4, wherever they lie up to three folders deep, also in several places.

    Raises:
        HarBenchError: a subject is there twice.
    """
    found: dict[str, Path] = {}
    for home in homes(raw, _inside):
        for folder in _inside(home):
            name = folder.name.upper()
            if name in found:
                raise HarBenchError(f"{found[name]} and {folder} are the same subject; remove one of them")
            found[name] = folder
    return found


def _inside(folder: Path) -> list[Path]:
    """The subjects' folders in a folder, or itself if it is one."""
    if folder.name.upper() in SUBJECTS and _tells(folder):
        return [folder]
    return [path for name in SUBJECTS if _tells(path := in_any_case(folder, name))]


def _tells(folder: Path) -> bool:
    """Whether a folder has one of those that tell of takes."""
    return any(in_any_case(folder, part).is_dir() for part in PARTS)


def strangers(raw: Path) -> list[Path]:
    """Motion capture under the names of no take."""
    known = {(take.subject, take.stem) for take in published().takes}
    known = {(subject, stem.lower()) for subject, stem in known}
    return [
        path
        for subject, folder in subjects(raw).items()
        for path in files(in_any_case(folder, "Mocap_Data"), 0)
        if path.suffix.lower() == ".c3d" and (subject, path.stem.lower()) not in known and path.stem.lower() != "static"
    ]


def read(recording: Recording) -> Footage:
    """One partition of a take, its poses resampled at the instants of its frames.

    Raises:
        HarBenchError: a file is missing or damaged.
    """
    take = recording.take
    rejects: list[Reject] = []
    calibrations = _calibrations(recording, rejects)
    sync = _sync(recording)
    images = sync.images or {}
    if recording.mocap is None:
        if take.partition != "Test":
            raise HarBenchError(f"{recording.folder / 'Mocap_Data' / take.stem}.c3d is missing; add it")
        whole = Clip(take.last - take.first + 1, start=take.first)
        return Footage(take, whole.frames, None, [whole], calibrations, images, rejects, recording.home)

    motion = _read_capture(recording.mocap)
    if not take.filmed:  # no image to show the poses in: the first camera's frame is as good as any
        calibrations = dict(list(calibrations.items())[:1])
    clips, valid, frames = _clips(recording, motion, sync)
    return Footage(take, frames, valid, clips, calibrations, images, rejects, recording.home)


def _calibrations(recording: Recording, rejects: list[Reject]) -> dict[str, Calibration]:
    """The cameras by name; one whose file cannot be read is left out, and reported."""
    found: dict[str, Calibration] = {}
    odd: list[Reject] = []
    for camera, path in recording.calibrations.items():
        try:
            found[camera] = read_cal(path)
        except HarBenchError as error:
            source = under(recording.home, "/".join(path.parts[-3:]))
            reason = f"{str(error).replace(str(path), path.name)}; {recording.take.key} is left out from {camera}"
            odd.append(Reject(source, camera, reason, "dropped"))
    if not found:
        why = f" that can be read ({odd[0].reason})" if odd else ""
        raise HarBenchError(f"{recording.folder / 'Calibration_Data'} holds no .cal file{why}; add those of C1 to BW4")
    rejects += odd
    return found


def _clips(recording: Recording, motion: Trajectories, sync: Sync) -> tuple[list[Clip], int, int]:
    """The clips, how many frames they have together, and how many the partition has."""
    take = recording.take
    last = take.last if take.filmed else len(motion)
    rows = sync.rows(np.arange(take.first, last + 1))
    frames = len(rows)
    found = seen(motion, rows)
    joints = np.full((frames, 20, 3), np.nan)
    if found.any():
        radius = shoulder_radius(_read_capture(_present(recording, recording.static, "Static.c3d")))
        measures = read_measures(_present(recording, recording.measures, f"{take.subject}.mp"))
        joints[found] = body(motion, rows[found], radius, measures)
    whole = np.asarray(np.isfinite(joints).all(axis=(1, 2)))
    clips = [
        Clip(part.stop - part.start, number, take.first + part.start, joints[part]) for number, part in runs(whole)
    ]
    return clips or [Clip(frames, start=take.first)], int(whole.sum()), frames


def _sync(recording: Recording) -> Sync:
    """How the frames lie in the motion capture; those that were never filmed are its rows."""
    if not recording.take.filmed:
        return Sync()
    missing = [camera for camera in CAMERAS if camera not in recording.sync]
    if not missing:
        return read_sync(list(recording.sync.values()))
    if recording.mocap is None:
        return Sync()
    name = f"{recording.take.stem}_({missing[0]}).ofs"
    raise HarBenchError(
        f"{recording.folder / 'Sync_Data' / name} is missing, and all seven cameras' are needed to place the frames of "
        f"{recording.take.key} in the motion capture; add it"
    )


def _present(recording: Recording, path: Path | None, name: str) -> Path:
    if path is None:
        raise HarBenchError(f"{recording.folder / 'Mocap_Data' / name} is missing; add it")
    return path


def _capture(folder: Path, stem: str) -> Path | None:
    """A ``.c3d`` file, else its ``.mat`` twin."""
    candidates = (in_any_case(folder, f"Mocap_Data/{stem}{suffix}") for suffix in (".c3d", ".mat"))
    return next((path for path in candidates if path.exists()), None)


def _read_capture(path: Path) -> Trajectories:
    return read_c3d(path) if path.suffix.lower() == ".c3d" else read_mat(path)


def _measures(folder: Path) -> Path | None:
    """``S1.mp``, or whatever the only ``.mp`` file is called."""
    inside = files(in_any_case(folder, "Mocap_Data"), 0, also=_is_measures)
    found = [path for path in inside if _is_measures(path.name)]
    named = [path for path in found if path.stem.upper() == folder.name.upper()]
    return next(iter(named or found), None)


def _is_measures(name: str) -> bool:
    return name.lower().endswith(".mp")


def _by_camera(folder: Path, pattern: str) -> dict[str, Path]:
    paths = {camera: in_any_case(folder, pattern.format(camera)) for camera in CAMERAS}
    return {camera: path for camera, path in paths.items() if path.exists()}
