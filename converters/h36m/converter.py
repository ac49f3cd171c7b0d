"""Human3.6M: 7 subjects, 15 actions twice each, 4 cameras at 50 Hz, 32 joints (Ionescu et al., TPAMI 2014)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.cameras import Camera, calibration
from har_bench.converter import Check, Converter, Reject, Shard, Tables, without
from har_bench.errors import HarBenchError
from har_bench.raw import files, in_any_case, refuse_archive
from har_bench.schema import CAMERAS, column, poses_schema, sequences_schema, solo_poses, table

from . import metadata as h36m_metadata
from .archives import JOINTS, Poses, Recording, read_cdf
from .layout import LAYOUTS, of_media, recordings
from .metadata import DEFECTS, FPS, Metadata, Take

if TYPE_CHECKING:
    from har_bench.store import Store

POSES = poses_schema(JOINTS, dims=(2, 3))
SEQUENCES = sequences_schema(
    [
        column("official", pa.string(), about="the name of the official files, without extension"),
        column("name", pa.string(), about="action and number as in papers and in VideoPose3D's keys"),
        column("act", pa.int32(), about="number of the action in metadata.xml"),
        column("subact", pa.int32(), about="1 or 2 in metadata.xml; not the number in the name"),
        column(
            "video_frames", pa.int32(), "frames", about="length of the video from this camera; poses may end earlier"
        ),
        column("defects", pa.list_(pa.string()), about="; ".join(f"{code}: {text}" for code, text in DEFECTS.items())),
    ]
)
FRAMES = {"S1": 62094, "S5": 99079, "S6": 62466, "S7": 101621, "S8": 64678, "S9": 79417, "S11": 58244}
"""Frames of each subject's 30 official D3_Positions files."""

TOTALS = (("train", 1_559_752, None), ("test", 543_344, ("S11", "Directions")))
"""Poses of four cameras in the standard split, and the sequence that is not counted."""

_FARTHEST = 1e5  # mm or px from the origin; the capture space is a room
_NEAREST = 100.0  # mm before the camera


@dataclass(frozen=True)
class _Job:
    """What reading one sequence needs: the facts of ``metadata.xml`` about it, and where its files are."""

    raw: Path
    recording: Recording
    take: Take | None
    cameras: dict[str, Camera]
    sizes: dict[str, tuple[int, int]]
    splits: list[str]


@dataclass(frozen=True)
class Human36M(Converter):
    """Poses of the official archives, of 3d-pose-baseline's h5 files or of VideoPose3D's npz, from every camera."""

    dataset = "h36m"
    version = "2"
    summary = "Human3.6M: 3D poses of 7 subjects from 4 calibrated cameras (official CDF, h5 or npz)"
    raw = f"{LAYOUTS}; metadata.xml beside it is used when it is there"
    skeletons = ("h36m32", "h36m17", "h36m-pa17")
    citation = (
        "Ionescu, Papava, Olaru, Sminchisescu. Human3.6M: Large Scale Datasets and Predictive Methods for 3D Human "
        "Sensing in Natural Environments. TPAMI 2014"
    )
    licence = "Academic use after registration at vision.imar.ro/human3.6m; no redistribution."
    notes = (
        "keypoints_3d are computed in float64 as R (X - T) from the world poses and stored as float32",
        "keypoints are those of D2_Positions where these files are there, else the projection with Human3.6M's own "
        "lens formula, which equals them to 1e-4 px",
        "S1's TakingPhoto and WalkingDog are called Photo and WalkDog, as for the other subjects; `official` keeps "
        "the name of the files",
        *(f"defect {code}: {text}; the sequences are kept" for code, text in DEFECTS.items()),
    )
    cameras = h36m_metadata.packaged().cameras
    spellings = h36m_metadata.SPELLINGS

    def discover(self, raw: Path) -> Sequence[Shard]:
        """One shard per subject and sequence, with its four cameras."""
        raw = raw.absolute()
        refuse_archive(raw)
        found = recordings(raw)
        path = _metadata_path(raw)
        metadata = h36m_metadata.read(path) if path else h36m_metadata.packaged()
        # sequences are called subject/name/camera, and a blank sorts before the slash
        found.sort(key=lambda each: f"{each.subject}/{h36m_metadata.canonical(each.name)}/")
        calibrated = cache(metadata.camera)
        shards = [_shard(raw, recording, metadata, path, calibrated) for recording in found]
        for one, other in pairwise(shards):
            if one.key == other.key:
                raise HarBenchError(
                    f"{one.sources[0]} and {other.sources[0]} hold the same sequence; remove one of them"
                )
        return shards

    def read(self, shard: Shard) -> Tables:
        """The sequence from every camera."""
        job: _Job = shard.payload
        if job.take is None:
            known = job.recording.subject, job.recording.name
            raise HarBenchError(
                f"{shard.sources[0]} holds {' '.join(known)}, which is no sequence of Human3.6M; remove it"
            )
        rejects: list[Reject] = []
        views = _views(job, rejects)
        names = [f"{job.take.subject}/{job.take.name}/{camera}" for camera in views]
        lengths = [len(points) for points, _ in views.values()]
        return Tables(
            sequences=_sequences(job, job.take, names, list(views), lengths),
            poses=solo_poses(names, list(views.values()), POSES),
            cameras=_cameras(job, list(views)),
            rejects=rejects,
        )

    def check(self, store: Store) -> list[Check]:
        """Files and frames of every subject that is there, and the published sizes of whole train and test sets."""
        rows = store.table("sequences").select(["subject", "name", "n_frames"]).to_pylist()
        lengths = {(row["subject"], row["name"]): row["n_frames"] for row in rows}
        present = [subject for subject in FRAMES if any(row["subject"] == subject for row in rows)]
        checks = []
        for subject in present:
            official = [
                take.name for take in h36m_metadata.packaged().takes if take.subject == subject and take.act > 1
            ]
            missing = [name for name in official if (subject, name) not in lengths]
            found = sum(length for (owner, _), length in lengths.items() if owner == subject)
            checks.append(
                Check(
                    f"{subject}: files (15 actions x 2{without(missing)})", len(official), len(official) - len(missing)
                )
            )
            checks.append(Check(f"{subject}: frames of the official files", FRAMES[subject], found))
        for split, expected, left_out in TOTALS:
            subjects = h36m_metadata.STANDARD[split]
            if set(subjects) <= set(present):
                kept = (row for row in rows if row["subject"] in subjects and (row["subject"], row["name"]) != left_out)
                note = f" without {' '.join(left_out)}" if left_out else ""
                what = f"{split}: poses of {' '.join(subjects)}{note} (Pavllo et al., CVPR 2019)"
                checks.append(Check(what, expected, sum(row["n_frames"] for row in kept)))
        return checks

    @classmethod
    def sample(cls, out: Path, *, seed: int = 0) -> None:
        """Write a tiny official tree: three subjects, a walking person, the names and defects of the real one."""
        from .sample import write_sample

        write_sample(out, seed)


def _metadata_path(raw: Path) -> Path | None:
    """The official ``metadata.xml``: in the raw folder, beside it, or in a folder below it, the nearest."""
    beside = [in_any_case(folder, "metadata.xml") for folder in (raw, raw.parent)]
    below = (path for path in files(raw, avoid=of_media) if path.name.lower() == "metadata.xml")
    return next((path for path in beside if path.is_file()), None) or next(below, None)


def _shard(
    raw: Path,
    recording: Recording,
    metadata: Metadata,
    metadata_path: Path | None,
    calibrated: Callable[[str, str], Camera],
) -> Shard:
    subject = recording.subject
    take = metadata.take(subject, recording.name)
    cameras = [camera for camera in metadata.cameras if take and (recording.world or camera in recording.mono)]
    files = [recording.world, *recording.mono.values(), *recording.pixels.values(), metadata_path]
    return Shard(
        key=f"{subject}/{h36m_metadata.canonical(recording.name)}",
        sources=tuple(path for path in files if path is not None),
        payload=_Job(
            raw=raw,
            recording=recording,
            take=take if cameras else None,
            cameras={camera: calibrated(subject, camera) for camera in cameras},
            sizes=dict(zip(metadata.cameras, metadata.sizes.get(subject, ()), strict=False)),
            splits=metadata.splits(subject),
        ),
    )


def _views(job: _Job, rejects: list[Reject]) -> dict[str, tuple[Poses, Poses]]:
    """By camera, (T, 32, 3) points in its frame [mm] and (T, 32, 2) pixels; NaN where nothing was measured."""
    world = job.recording.read_world()
    if world is not None:
        world = _within_reach(world)
    views: dict[str, tuple[Poses, Poses]] = {}
    unmeasured: dict[Path, npt.NDArray[np.bool_]] = {}
    for name, camera in job.cameras.items():
        source = job.recording.world or job.recording.mono[name]
        points = camera.to_camera(world) if world is not None else _seen_from(job, source, rejects)
        if points is None:
            continue
        points[points[..., 2] < _NEAREST] = np.nan
        bad = np.asarray(np.isnan(points).any(axis=(1, 2)))
        unmeasured[source] = bad | unmeasured.get(source, bad)
        pixels = camera.project(points)
        if name in job.recording.pixels:
            pixels = _measured_pixels(job, job.recording.pixels[name], pixels, rejects)
        views[name] = points, pixels
    if not any(np.isfinite(points).all(axis=-1).any() for points, _ in views.values()):
        where = job.recording.world or next(iter(job.recording.mono.values()))
        why = f" ({rejects[0].reason})" if rejects else ""
        raise HarBenchError(
            f"{where}: no joint of {job.recording.name} has a position in front of a camera{why}; download it again"
        )
    for source, frames in unmeasured.items():
        if frames.any():
            reason = "joints without a finite position in front of the cameras; they are absent in the store"
            rejects.append(_repaired(job, source, np.flatnonzero(frames), reason))
    return views


def _seen_from(job: _Job, path: Path, rejects: list[Reject]) -> Poses | None:
    """The poses in one camera's frame; None, and a reject, where the file cannot be read: the others may be."""
    try:
        return _within_reach(read_cdf(path, 3))
    except HarBenchError as error:
        reason = str(error).replace(str(path), path.name)
        rejects.append(Reject(_source(job, path), "the whole file", reason, "dropped"))
        return None


def _within_reach(values: Poses) -> Poses:
    """Points, NaN where they are not finite or absurdly far away."""
    near = (np.abs(values) < _FARTHEST).all(axis=-1, keepdims=True)
    return np.where(near, values, np.nan)


def _measured_pixels(job: _Job, path: Path, projected: Poses, rejects: list[Reject]) -> Poses:
    """The pixels of ``D2_Positions``; the projection stands in where the file is too short or not finite."""
    try:
        given = _within_reach(read_cdf(path, 2))
    except HarBenchError as error:
        reason = f"{str(error).replace(str(path), path.name)}; the projection stands in"
        rejects.append(Reject(_source(job, path), "the whole file", reason, "repaired"))
        return projected
    shared = min(len(given), len(projected))
    if len(given) != len(projected):
        remedy = "the projection fills the rest" if len(given) < len(projected) else "the rest is left out"
        frames = np.arange(shared, max(len(given), len(projected)))
        reason = f"{len(given)} frames where the 3D poses have {len(projected)}; {remedy}"
        rejects.append(_repaired(job, path, frames, reason))
    absent = np.isnan(projected[:shared])
    filled = np.isnan(given[:shared]) & ~absent
    if filled.any():
        reason = "joints without a finite position; the projection fills them"
        rejects.append(_repaired(job, path, np.flatnonzero(filled.any(axis=(1, 2))), reason))
    pixels = projected.copy()
    pixels[:shared] = np.where(absent | filled, projected[:shared], given[:shared])
    return pixels


def _repaired(job: _Job, path: Path, frames: npt.NDArray[np.intp], reason: str) -> Reject:
    what = f"{len(frames)} frames from {frames[0]} to {frames[-1]}" if len(frames) > 1 else f"frame {frames[0]}"
    where = f"{job.recording.name}, {what}" if job.recording.form == "npz" else what
    return Reject(_source(job, path), where, reason, "repaired")


def _source(job: _Job, path: Path) -> str:
    return path.relative_to(job.raw if job.raw.is_dir() else job.raw.parent).as_posix()


def _sequences(job: _Job, take: Take, names: list[str], cameras: list[str], lengths: list[int]) -> pa.Table:
    video = dict(zip(job.sizes, take.video_frames, strict=True))
    rows = len(names)
    return table(
        {
            "sequence": names,
            "subject": [take.subject] * rows,
            "action": [take.action] * rows,
            "camera": cameras,
            "media": [f"{take.subject}/Videos/{take.official}.{camera}.mp4" for camera in cameras],
            "n_frames": lengths,
            "fps": [FPS] * rows,
            "width": [job.sizes[camera][0] for camera in cameras],
            "height": [job.sizes[camera][1] for camera in cameras],
            "splits": [job.splits] * rows,
            "official": [take.official] * rows,
            "name": [take.name] * rows,
            "act": [take.act] * rows,
            "subact": [take.subact] * rows,
            "video_frames": [video[camera] for camera in cameras],
            "defects": [take.defects(length) for length in lengths],
        },
        SEQUENCES,
    )


def _cameras(job: _Job, names: list[str]) -> pa.Table:
    sizes = [job.sizes[name] for name in names]
    return table(
        {
            **calibration({name: job.cameras[name] for name in names}, job.recording.subject),
            "width": [width for width, _ in sizes],
            "height": [height for _, height in sizes],
        },
        CAMERAS,
    )
