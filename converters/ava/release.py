"""One release of AVA's annotations, with the Kinetics ones that came with it: its files, and their tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.converter import Reject, Tables, nothing_kept
from har_bench.errors import HarBenchError, unknown
from har_bench.files import relative
from har_bench.foreign import compressed
from har_bench.foreign.texts import fields, lines
from har_bench.raw import file_name, files, folders, home, split_word
from har_bench.schema import SEGMENTS as HUB_SEGMENTS
from har_bench.schema import column, sequences_schema, table

from . import labels as ava_labels
from .annotations import CLIP, FILM, Annotations, read_annotations
from .proposals import read_proposals

FPS = 30.0
"""The rate at which the field numbers AVA's frames; the videos' own rates differ."""

BEGINNING = {"ava": FILM[0], "kinetics": CLIP[0]}
"""The second of the video that is frame 0: AVA annotates the minutes 15 to 30 of a film."""

SEGMENTS = pa.schema(
    [
        *HUB_SEGMENTS,
        column("split", pa.string(), about="release/split of the csv"),
        column("timestamp", pa.float64(), "s", about="of the keyframe in the video, as in the csv"),
        column("bbox_normalised", pa.float64(), shape=(4,), about="x1, y1, x2, y2 as fractions of the image"),
        column("action", pa.int32(), about="number of the label in the action list"),
        column("evaluated", pa.bool_(), about="whether the label is one of those that are scored"),
    ]
)
SEQUENCES = sequences_schema(
    [
        column("keyframes", pa.list_(pa.float64()), "s", about="the release's list of annotated seconds"),
        column("excluded", pa.list_(pa.float64()), "s", about="keyframes that are not scored"),
        column("empty", pa.list_(pa.float64()), "s", about="annotated keyframes without a box"),
    ]
)

LISTS = ("videos", "included", "excluded")
"""Kinds of files that tell a release as well as its csv files do."""

_SUFFIXES = re.compile(r"\.(csv|tsv)(\.gz)?$", re.IGNORECASE)
_LISTED = 1000
_FILES = {
    kind: re.compile(pattern, re.IGNORECASE)
    for kind, pattern in {
        "annotations": r"(?P<of>ava|kinetics)_(?P<split>train|val|test)_(?P<release>v\d+\.\d+)\.csv(\.gz)?",
        "excluded": r"ava_(?P<split>train|val|test)_excluded_timestamps_(?P<release>v\d+\.\d+)\.csv",
        "included": r"ava_included_timestamps_(?P<release>v\d+\.\d+)\.txt",
        "videos": r"ava_(?P<split>train|val|test)_(?P<release>v\d+\.\d+)\.txt",
        "actions": r"ava_action_list_(?P<release>v\d+\.\d+)\.pbtxt",
        "evaluated": r"ava_action_list_(?P<release>v\d+\.\d+)_for_activitynet_\d{4}\.pbtxt",
        "media": r"ava_file_names_\w+_v\d+\.\d+\.txt",
        "proposals": r".*proposals?(\W.*|_.*)?\.pkl",
    }.items()
}


@dataclass(frozen=True)
class File:
    """A file of the download, told by its name."""

    kind: str
    path: Path
    of: str = "ava"
    split: str = ""
    release: str = ""

    @property
    def full_split(self) -> str:
        """Such as ``v2.2/train`` and ``kinetics-v1.0/val``."""
        return f"{'' if self.of == 'ava' else f'{self.of}-'}{self.release}/{self.split}"


@dataclass(frozen=True)
class Release:
    """The files of one release, and those that belong to every release."""

    raw: Path
    name: str
    files: tuple[File, ...]

    def of(self, kind: str) -> Iterator[File]:
        """The files of one kind."""
        return (file for file in self.files if file.kind == kind)

    def source(self, file: File) -> str:
        """What rejects call a file."""
        return relative(self.raw, file.path)


def find(raw: Path, wanted: str = "") -> Release | None:
    """The release in a folder, or the newest of several; None where there is no file of AVA's annotations.

    Args:
        raw: the download: its files lie in it, in folders directly below, or in one folder some levels deeper.
        wanted: a release, such as ``v2.1``.

    Raises:
        HarBenchError: ``wanted`` is not there, or a file is there twice.
    """
    found = sorted(_files(raw), key=lambda file: file.path.name.lower())
    for one, other in pairwise(found):
        if one.path.name.lower().removesuffix(".gz") == other.path.name.lower().removesuffix(".gz"):
            raise HarBenchError(f"{one.path} and {other.path} are the same file of AVA; remove one of them")
    annotated = [file for file in found if file.kind == "annotations"]
    listed = [file for file in found if file.kind in LISTS]
    if not annotated and not listed:
        return None
    names = {file.release for file in annotated if file.of == "ava"} or {file.release for file in listed}
    if wanted and wanted not in names:
        raise unknown(f"release of AVA in {raw}", wanted, sorted(names))
    name = wanted or max(names, key=lambda release: [int(part) for part in release[1:].split(".")], default="")
    kept = (file for file in found if file.of != "ava" or file.release in ("", name))
    return Release(raw, name, tuple(kept))


def misnamed(raw: Path) -> HarBenchError | None:
    """The error of a csv that is not called as AVA's are, which tell release and split by their names alone."""
    tables = [path for path in islice(files(raw), _LISTED) if _SUFFIXES.search(path.name)]
    if not tables:
        return None
    split = next(filter(None, (split_word(path, ("train", "val", "test")) for path in tables)), "val")
    return HarBenchError(
        f"{tables[0]} is not called as AVA's annotations are, whose release and split are in their names; "
        f"call it ava_{split}_v2.2.csv if that is what it is"
    )


def _files(raw: Path) -> Iterator[File]:
    """Every file of AVA: in a folder and the folders in it, and in the folders that lead there."""
    root = _root(raw)
    above = (folder for folder in root.parents if folder.is_relative_to(raw))
    inside = [path for folder in above for path in files(folder, 0, also=_file)]
    for path in (*inside, *files(root, 1, also=_file)):
        found = _file(path.name, path.parent)
        if found is not None:
            yield found


def _root(raw: Path) -> Path:
    """The download itself, or the folder above the only one of annotations (else of lists) that lies deeper."""
    for kinds in (("annotations",), LISTS):

        def holds(folder: Path, kinds: tuple[str, ...] = kinds) -> bool:
            return any(found.kind in kinds for path in files(folder, 0) if (found := _file(path.name, folder)))

        if raw.is_file() or any(holds(folder) for folder in folders(raw, 1)):
            return raw
        deeper = home(raw, holds, "AVA")
        if deeper is not None:
            return deeper.parent
    return raw


def _file(name: str, folder: Path = Path()) -> File | None:
    """What a file of a folder is by its name; None where it is none of AVA's."""
    for kind, pattern in _FILES.items():
        matched = pattern.fullmatch(name)
        if matched:
            return File(kind, folder / name, **{name: text.lower() for name, text in matched.groupdict().items()})
    return None


@dataclass
class _Video:
    """What the files say of one video."""

    splits: set[str] = field(default_factory=set)
    media: str | None = None
    film: bool = False
    excluded: list[float] = field(default_factory=list)
    empty: list[float] = field(default_factory=list)


class _Videos(dict[str, _Video]):
    def __missing__(self, name: str) -> _Video:
        self[name] = video = _Video()
        return video


def tables(release: Release) -> Tables:
    """Everything the files of a release hold.

    Raises:
        HarBenchError: a file that is not what its name says.
    """
    rejects: list[Reject] = []
    videos = _Videos()
    names, evaluated = _actions(release)
    segments = []
    for file in release.of("annotations"):
        found = read_annotations(file.path, release.source(file), names, FILM if file.of == "ava" else CLIP)
        rejects += found.rejects
        for video, timestamp in found.empty:
            videos[video].empty.append(timestamp)
        for video in {*found.video.unique().to_pylist(), *(video for video, _ in found.empty)}:
            videos[video].splits.add(file.full_split)
            videos[video].film |= file.of == "ava"
        segments.append(_segments(found, file, names, evaluated))
    poses: list[pa.Table] = []
    seen: set[tuple[str, float]] = set()
    for file in release.of("proposals"):
        proposals, odd = read_proposals(file.path, release.source(file), FPS, seen)
        poses.append(proposals)
        rejects += odd
        for video in proposals["sequence"].unique().to_pylist():
            videos[video].film = True
    _lists(release, videos, rejects)
    return Tables(
        sequences=_sequences(videos, _included(release, rejects), excluding=any(release.of("excluded"))),
        segments=pa.concat_tables(segments) if segments else None,
        poses=pa.concat_tables(poses) if poses else None,
        rejects=rejects,
    )


def _actions(release: Release) -> tuple[dict[int, str], frozenset[int]]:
    """Names by id, and the ids that are scored."""
    listed = next(release.of("actions"), None)
    actions = ava_labels.read_actions(listed.path) if listed else ava_labels.packaged()
    scored = next(release.of("evaluated"), None)
    ids = (action.id for action in ava_labels.read_actions(scored.path)) if scored else ava_labels.packaged_evaluated()
    return {action.id: action.name for action in actions}, frozenset(ids)


def _segments(found: Annotations, file: File, names: dict[int, str], evaluated: frozenset[int]) -> pa.Table:
    frame = np.rint((found.timestamp - BEGINNING[file.of]) * FPS).astype(np.int32)
    of_action = pc.index_in(pa.array(found.action), pa.array(list(names), pa.int32()))
    return table(
        {
            "sequence": found.video,
            "person": found.person,
            "start": frame,
            "stop": frame + 1,
            "label": pa.array(list(names.values()), pa.string()).take(of_action),
            "split": pa.repeat(file.full_split, len(frame)),
            "timestamp": found.timestamp,
            "bbox_normalised": found.box,
            "action": found.action,
            "evaluated": np.isin(found.action, sorted(evaluated)),
        },
        SEGMENTS,
    )


def _lists(release: Release, videos: _Videos, rejects: list[Reject]) -> None:
    """What the lists of videos, files and excluded keyframes say."""
    for file in release.of("excluded"):
        found = read_annotations(file.path, release.source(file), ())
        rejects += found.rejects
        for video, timestamp in found.empty:
            videos[video].excluded.append(timestamp)
            videos[video].film = True
    for file in release.of("videos"):
        for _, video in _lines(file.path):
            videos[video].splits.add(file.full_split)
            videos[video].film = True
    for file in release.of("media"):
        for number, entry in _lines(file.path):
            name = file_name(entry)
            if Path(name).stem not in videos:  # the one official list is of v2.1, and names more than v1.0 has
                continue
            videos[Path(name).stem].media = name
            if name != entry:
                reason = f"{entry[:60]!r} is a path; its last part counts"
                rejects.append(Reject(release.source(file), f"line {number}", reason, "repaired"))


def _lines(path: Path) -> list[tuple[int, str]]:
    """The entries of a list, one a line, with the numbers of their lines."""
    found = [(number, fields(line, {1})[0]) for number, line in enumerate(lines(compressed.read(path), str(path)), 1)]
    odd = next((number for number, text in found if not text.isascii() or "<" in text), None)
    if odd is not None:
        raise HarBenchError(f"{path} is not a list of names, at line {odd}; download it again")
    return [(number, text) for number, text in found if text]


def _included(release: Release, rejects: list[Reject]) -> list[float] | None:
    """The annotated seconds; None where there is no list of them."""
    file = next(release.of("included"), None)
    if file is None:
        return None
    found: list[float] = []
    odd: list[Reject] = []
    for number, text in _lines(file.path):
        if text.isdigit() and len(text) < 8:
            found.append(float(text))
        else:
            odd.append(Reject(release.source(file), f"line {number}", f"{text[:20]!r} is not a second", "dropped"))
    if odd and not found:
        raise nothing_kept(file.path, "seconds", odd)
    rejects += odd
    return found


def _sequences(videos: _Videos, included: list[float] | None, *, excluding: bool) -> pa.Table:
    names = sorted(videos)
    found = [videos[name] for name in names]
    return table(
        {
            "sequence": names,
            "media": [video.media for video in found],
            "fps": np.full(len(names), FPS),
            "splits": [sorted(video.splits) for video in found],
            "keyframes": [included if video.film else None for video in found],
            "excluded": [sorted(video.excluded) if video.film and excluding else None for video in found],
            "empty": [sorted(video.empty) for video in found],
        },
        SEQUENCES,
    )
