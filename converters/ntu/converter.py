"""NTU RGB+D 60 and 120: actions before three Kinect v2 (Shahroudy et al., CVPR 2016; Liu et al., TPAMI 2020)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from har_bench.converter import Check, Converter, Reject, Shard, Tables, without
from har_bench.errors import HarBenchError
from har_bench.raw import files, folders, nothing_found, refuse_archive

from . import archives as ntu_archives
from . import skeleton_file as ntu_skeleton_file
from .archives import Part
from .metadata import SUFFIX, is_sequence_folder, of_skeleton_file, packaged, published, recorded, sample, setups
from .sample import write_sample
from .skeleton_file import FLAGS, Frames, SkeletonFile
from .tables import DEFECTS, POSES, Clip, Columns, single, tables, to_millimetres

if TYPE_CHECKING:
    from har_bench.store import Store

SKELETON = "skeleton"
"""What the column ``form`` calls the official files."""
FILES = 128
"""Files of a shard: 300 kB each, nearly 40 MB together."""

SPLITS = {
    60: {"xsub/train": 40_091, "xsub/test": 16_487, "xview/train": 37_646, "xview/test": 18_932},
    120: {"xsub/train": 63_026, "xsub/test": 50_919, "xset/train": 54_468, "xset/test": 59_477},
}
"""Sequences of each split, without those that are listed missing."""


class _NTU(Converter):
    """Both datasets; a subclass says how many classes it has."""

    classes: ClassVar[int]
    version = "2"
    raw = (
        f"{SUFFIX} files in this folder, in folders in it, or in nturgb* folders in those (as the official archives "
        f"unpack), or up to three folders below; else {ntu_archives.LAYOUTS}, likewise"
    )
    skeletons = ("ntu25", "ntu-pa17", "ntu-pa20")
    licence = "Academic, non-commercial use after registration at the ROSE Lab; no redistribution"
    notes = (
        "mirrored: true; Kinect images are mirrored, so a person's left looks like a right. Joint names are the "
        "person's own; ntu-pa17 and ntu-pa20 name the sides as they look",
        "keypoints_3d are the Kinect's camera space with y turned down, in mm: x runs to the right of the mirrored "
        "image. har_bench.converters.ntu.views.metres gives back the very numbers of the files",
        "keypoints are the files' colorX and colorY unchanged: continuous, from 0, of the 1920x1080 color image; "
        "whether a pixel's centre lies at 0 or at 0.5 is not documented. An infinite one could not be mapped",
        "visibility is the joint's tracking state (0 not tracked, 1 inferred, 2 tracked), and 0 where it has no "
        "position; joints that are not tracked keep the position that the files give",
        "person is the body id; a frame without bodies has no row, and n_frames counts it",
        "numbers are float32, which keeps the seven digits that the files print; below 1e-38 they become 0",
        "sequences that the authors list as missing or incomplete are kept, with listed_missing, and are in no split",
        *(f"defect {code}: {text}; the sequences are kept" for code, text in DEFECTS.items()),
        f"forms other than {SUFFIX}: {ntu_archives.NOTE}",
    )

    def discover(self, raw: Path) -> Sequence[Shard]:
        """Shards of 128 files, or of as many sequences of an archive."""
        raw = raw.absolute()
        refuse_archive(raw)
        base = raw if raw.is_dir() else raw.parent
        for present in (_near(raw), files(raw, avoid=is_sequence_folder, also=of_skeleton_file)):
            listed = list(present)
            shards = self._shards(listed, base) or ntu_archives.discover(listed, base, self.classes)
            if shards:
                return shards
        names = ((path, of_skeleton_file(path.name)) for path in files(raw, avoid=is_sequence_folder))
        others = [path for path, name in names if name and (of := sample(name)) and of.action > self.classes]
        if others:
            raise HarBenchError(
                f"{raw} holds only classes beyond the {self.classes} of {self.dataset}, such as {others[0].name}; "
                "convert it as ntu120"
            )
        raise nothing_found(raw, self.dataset, self.raw)

    def _shards(self, present: list[Path], base: Path) -> list[Shard]:
        """The shards of ``.skeleton`` files; none where there are none."""
        found, strangers = self._skeletons(present)
        names = sorted(found)
        shards = []
        for first in range(0, len(names), FILES):
            group = names[first : first + FILES]
            # the first shard reports the files that are no sequence's
            odd = tuple(path.relative_to(base).as_posix() for path in strangers) if first == 0 else ()
            shards.append(Shard(group[0], tuple(found[name] for name in group), Part(SKELETON, base, odd)))
        return shards

    def _skeletons(self, present: list[Path]) -> tuple[dict[str, Path], list[Path]]:
        """The ``.skeleton`` files by the names of their sequences, and those that have no such name."""
        found: dict[str, Path] = {}
        strangers = []
        for path in present:
            name = of_skeleton_file(path.name)
            if name is None:
                continue
            of = sample(name)
            if of is None:
                strangers.append(path)
            elif name in found:
                raise HarBenchError(f"{found[name]} and {path} are the same sequence; remove one of them")
            elif of.action <= self.classes:
                found[name] = path
        return found, strangers

    def read(self, shard: Shard) -> Tables:
        """All frames and bodies of the shard's sequences."""
        part: Part = shard.payload
        if part.form != SKELETON:
            return ntu_archives.read(part, shard.sources, self.classes)
        reason = "its name is no sequence's, such as S001C001P001R001A001"
        rejects = [Reject(source, "its name", reason, "dropped") for source in part.chosen]
        clips = []
        for path in shard.sources:
            source = path.relative_to(part.base).as_posix()
            of = sample(of_skeleton_file(path.name) or "")
            try:
                found = _read(path)
            except HarBenchError as error:
                rejects.append(Reject(source, "the whole file", str(error).replace(str(path), source), "dropped"))
                continue
            rejects += _complaints(found, source)
            columns, whole = _columns(found.frames, finite=found.finite), not found.problem
            clips.append(Clip(of, len(found.frames.bodies), columns, source, found.finite, whole=whole))
        return tables(clips, self.classes, part.form, POSES, rejects)

    def check(self, store: Store) -> list[Check]:
        """The sequences of every setup, those listed missing, and the splits of a whole dataset."""
        rows = store.table("sequences", ["sequence", "setup", "form"]).to_pylist()
        names = {row["sequence"] for row in rows if row["setup"]}
        present = {row["setup"] for row in rows}
        whole = rows[0]["form"] == SKELETON  # what others made of the files leaves the listed ones out
        listed = packaged().missing
        checks, complete = [], present.issuperset(setups(self.classes))
        for setup in setups(self.classes) if names else ():
            count = recorded(setup) - (0 if whole else sum(name.startswith(f"S{setup:03}") for name in listed))
            if setup not in present:
                checks.append(Check(f"S{setup:03}: sequences; all are missing", count, 0))
                continue
            absent = [of.name for of in published(setup) if of.name not in names and (whole or of.name not in listed)]
            checks.append(Check(f"S{setup:03}: sequences{without(absent)}", count, count - len(absent)))
        if complete:
            checks += [
                Check(f"sequences of {split}, without those listed missing", count, store.manifest.splits.get(split, 0))
                for split, count in SPLITS[self.classes].items()
            ]
        if complete and whole:
            expected = [name for name in listed if self.classes == 120 or name < "S018"]
            what = "sequences with missing or incomplete skeletons (the authors' list)"
            checks.append(Check(what, len(expected), len(names.intersection(expected))))
        return checks

    @classmethod
    def sample(cls, out: Path, *, seed: int = 0) -> None:
        """Write a few official files: two persons, gaps, frames without anybody, a sequence that is listed missing."""
        write_sample(out, seed, cls.classes)


@dataclass(frozen=True)
class NTU60(_NTU):
    """The 60 classes of setups S001 to S017, whatever else is in the folder."""

    dataset = "ntu60"
    classes = 60
    summary = "NTU RGB+D 60: Kinect v2 skeletons of 60 actions, one or two persons, three cameras"
    citation = "Shahroudy, Liu, Ng, Wang. NTU RGB+D: A Large Scale Dataset for 3D Human Activity Analysis. CVPR 2016"


@dataclass(frozen=True)
class NTU120(_NTU):
    """All 120 classes, setups S001 to S032."""

    dataset = "ntu120"
    classes = 120
    summary = "NTU RGB+D 120: Kinect v2 skeletons of 120 actions, one or two persons, three cameras"
    citation = (
        "Liu, Shahroudy, Perez, Wang, Duan, Kot. NTU RGB+D 120: A Large-Scale Benchmark for 3D Human Activity "
        "Understanding. TPAMI 2020"
    )


def _near(raw: Path) -> Iterator[Path]:
    """The files where they usually are: in the folder, in folders in it, and in nturgb* folders in those."""
    yield from files(raw, 1, avoid=is_sequence_folder, also=of_skeleton_file)
    for folder in folders(raw, 2, avoid=is_sequence_folder):
        if folder.parent.parent == raw and folder.name.lower().startswith("nturgb"):
            yield from files(folder, 0, also=of_skeleton_file)


def _read(path: Path) -> SkeletonFile:
    """A file with frames.

    Raises:
        HarBenchError: it is no .skeleton file, or no frame of it can be read.
    """
    found = ntu_skeleton_file.read(path)
    if len(found.frames.bodies):
        return found
    if found.problem:
        raise HarBenchError(
            f"{path}, line {found.line}: {found.problem}, before the first whole frame of the {found.declared} "
            "announced; download it again"
        )
    raise HarBenchError(f"{path} announces no frame; download it again")


def _complaints(found: SkeletonFile, source: str) -> Iterator[Reject]:
    """What is wrong with a file that could be read."""
    if found.problem:
        kept = f"{len(found.frames.bodies)} whole frames of the {found.declared} announced are kept"
        yield Reject(source, f"line {found.line}", f"{found.problem}; {kept}", "repaired")
    if found.long:
        reason = f"{found.long} numbers have more than the seven digits of official files; they become float32"
        yield Reject(source, "the whole file", reason, "repaired")


def _columns(frames: Frames, *, finite: bool) -> Columns:
    """The columns of :data:`POSES`, but for the sequence's name."""
    points, tracking = to_millimetres(frames.numbers[:, :, :3]), frames.tracking
    here = True if finite else np.isfinite(points).all(axis=-1)
    return {
        "frame": frames.frame,
        "slot": frames.slot,
        "person": frames.person,
        "keypoints": single(frames.numbers[:, :, 5:7]),
        "visibility": np.where(here, tracking, np.uint8(0)),
        "keypoints_3d": points,
        "tracking_state": tracking,
        "depth_keypoints": single(frames.numbers[:, :, 3:5]),
        "orientation": single(frames.numbers[:, :, 7:]),
        "lean": single(frames.lean),
        **{name: frames.flags[:, place] for place, name in enumerate(FLAGS)},
    }
