"""HumanEva-I: 4 subjects, 6 actions, 7 calibrated cameras at 60 Hz, mocap at 120 Hz (Sigal et al., IJCV 2010)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from har_bench.converter import Check, Converter, Shard, Tables
from har_bench.errors import HarBenchError
from har_bench.raw import nothing_found, refuse_archive
from har_bench.skeletons import Skeleton, skeleton

from . import archives, release
from .calibration import COLOUR
from .clips import tables
from .counts import checks
from .takes import DEFECTS

if TYPE_CHECKING:
    from har_bench.store import Store

RAW = f"{release.LAYOUT}; or {archives.LAYOUT}"


@dataclass(frozen=True)
class _Stranger:
    """A file that belongs to no take."""

    path: Path


@dataclass
class HumanEva(Converter):
    """Poses from the official motion capture, or of VideoPose3D's npz; one sequence per chunk and camera."""

    dataset = "humaneva"
    version = "2"
    summary = "HumanEva-I: 3D poses from the official .c3d files without MATLAB, or VideoPose3D's npz"
    raw = RAW
    skeletons = ("humaneva20", "humaneva15")
    citation = (
        "Sigal, Balan, Black. HumanEva: Synchronized Video and Motion Capture Dataset and Baseline Algorithm for "
        "Evaluation of Articulated Human Motion. IJCV 2010"
    )
    licence = "Non-commercial research after registration at humaneva.is.tue.mpg.de; no redistribution."
    notes = (
        "a sequence is a run of frames with a pose in one camera, numbered as in VideoPose3D, where runs without a "
        "pose count; `start_frame` is its first frame in the dataset's own count",
        "a partition without any pose (the withheld Test, takes whose markers were lost) is one sequence per camera",
        "keypoints_3d and keypoints are float64: they equal the official MATLAB code's to 1e-6 mm and 1e-6 px",
        "of the 15 joints, thorax, elbows and knees are means of two points, in the image as well as in space",
        "trial 3 was never filmed: its frames are all rows of the motion capture, 120 Hz, in the first camera's frame",
        "video_frame counts the frames of the released videos from 0",
        *(f"defect {code}: {text}" for code, text in DEFECTS.items()),
    )
    cameras = COLOUR

    def __post_init__(self) -> None:
        self._joints: tuple[str, ...] = self.skeletons

    def layouts(self) -> Sequence[Skeleton]:
        """The 20 points and the 15 joints made of them; the 15 alone from an archive."""
        return [skeleton(name) for name in self._joints]

    def discover(self, raw: Path) -> Sequence[Shard]:
        """One shard per partition of a take, with all its cameras."""
        raw = raw.absolute()
        refuse_archive(raw)
        found = {recording.take.key: recording for recording in release.recordings(raw)}
        if found:
            shards = [Shard(key, found[key].sources, found[key]) for key in sorted(found)]
            strangers = ((path.relative_to(raw).as_posix(), path) for path in release.strangers(raw))
            return [*shards, *(Shard(name, (path,), _Stranger(path)) for name, path in strangers)]
        archive = archives.find(raw)
        if archive is None:
            raise nothing_found(raw, "HumanEva", RAW)
        self._joints = ("humaneva15",)  # the archives have no other joints, so these are the store's own
        folder = raw if raw.is_dir() else raw.parent
        return [
            Shard(key, (*archive.sources, *chunks.cal.values()), chunks)
            for key, chunks in sorted(archives.chunks(archive, folder).items())
        ]

    def read(self, shard: Shard) -> Tables:
        """The partition's poses from every camera."""
        payload: Any = shard.payload
        if isinstance(payload, release.Recording):
            return tables(release.read(payload), 20)
        if isinstance(payload, archives.Chunks):
            return tables(archives.read(payload), archives.JOINTS)
        raise HarBenchError(f"{payload.path} is no take of HumanEva-I; remove it")

    def check(self, store: Store) -> list[Check]:
        """Takes and frames with a pose against the official partitions and VideoPose3D's published archives."""
        return checks(store)

    @classmethod
    def sample(cls, out: Path, *, seed: int = 0) -> None:
        """Write a tiny official tree: three subjects, all three trials, lost markers, and a damaged take."""
        from .sample import write_sample

        write_sample(out, seed)
