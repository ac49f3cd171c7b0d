"""Whether the images and videos beside a raw download are those that its annotations speak of.

For every sequence whose ``media`` path exists under the raw root, the size in pixels and the number of frames are
compared with the store's. Images are never decoded (Pillow reads their heads), videos neither (their packets are
counted, with PyAV); of a folder of frames, the files are counted and the first one gives the size.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from har_bench.errors import HarBenchError
from har_bench.media import video
from har_bench.media.images import SUFFIXES, size_of
from har_bench.progress import progress
from har_bench.store import Store
from har_bench.workers import executor, unordered

_BATCH = 256
"""Files per task: an image costs less than sending it to another process."""


@dataclass(frozen=True)
class Difference:
    """A sequence whose image or video is not what the store says.

    Attributes:
        sequence: its name in the store.
        path: of the image, folder or video, under the raw root.
        what: ``size``, ``frames`` or ``content`` (it cannot be read).
        expected: what the store says.
        found: what the file says.
    """

    sequence: str
    path: str
    what: str
    expected: str
    found: str

    def line(self) -> str:
        """The difference in a sentence."""
        if self.what == "content":
            return f"{self.path} (sequence {self.sequence}) cannot be read: {self.found}"
        return f"{self.path} (sequence {self.sequence}): {self.what} {self.found}, expected {self.expected}"


@dataclass
class MediaReport:
    """What became of every sequence that names an image or a video.

    Attributes:
        raw: the raw root.
        checked: sequences compared with their file.
        present: sequences whose file is there, and of which the store states neither size nor length.
        absent: sequences whose file is not there.
        unread: sequences whose video is there but was not opened, because PyAV is not installed.
        differences: in the order of the sequences.
    """

    raw: Path
    checked: int = 0
    present: int = 0
    absent: int = 0
    unread: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing differs; absent files are no difference."""
        return not self.differences

    def lines(self, most: int = 20) -> Iterator[str]:
        """The report in sentences, with the first ``most`` differences."""
        found = self.checked + self.present + self.unread
        if not found + self.absent:
            yield "the store names no images or videos"
            return
        yield f"{found:,} of {found + self.absent:,} sequences have their image or video under {self.raw}"
        if self.checked:
            unlike = len({difference.sequence for difference in self.differences})
            verdict = f"{unlike:,} of them differ from what the store says" if unlike else "all agree with the store"
            yield f"checked for size and number of frames: {self.checked:,}; {verdict}"
        if self.present:
            yield f"only found, since the store knows neither their size nor their number of frames: {self.present:,}"
        if self.unread:
            yield f"videos not opened, since PyAV is not installed: {self.unread:,}; {video.INSTALL}"
        for one in self.differences[:most]:
            yield one.line()
        if len(self.differences) > most:
            yield f"and {len(self.differences) - most:,} more differences"


@dataclass(frozen=True)
class _Expected:
    """What the store says of a sequence's file; None is not known."""

    sequence: str
    path: str
    size: tuple[int, int] | None
    frames: int | None
    at_least: bool

    @property
    def known(self) -> bool:
        return self.size is not None or self.frames is not None


@dataclass(frozen=True)
class _Seen:
    """What is at a path: nothing, something that was not opened, or something with these properties."""

    there: bool
    size: tuple[int, int] | None = None
    frames: int | None = None
    problem: str = ""


def check_media(store: Store, raw: str | Path, *, jobs: int = 1, quiet: bool = True) -> MediaReport:
    """Compare images and videos under ``raw`` with what the store says of them.

    A store whose poses end before the video does has its own column for the video's length, ``video_frames``; one whose
    sequences are parts of a video has a column ``video_frame``, the frame at which a part begins.

    Args:
        store: a converted dataset.
        raw: the folder it was converted from, or one in which the images and videos lie in the same way.
        jobs: processes; 0 means one per processor.
        quiet: no progress.

    Raises:
        HarBenchError: ``raw`` does not exist.
    """
    raw = Path(raw)
    if not raw.exists():
        raise HarBenchError(f"{raw} does not exist; give the folder with the images or videos of {store.dataset}")
    root = raw if raw.is_dir() else raw.parent
    expected = list(_expected(store))
    paths: dict[str, bool] = {}
    for one in expected:
        paths[one.path] = paths.get(one.path, False) or one.known
    seen: dict[str, _Seen] = {}
    items = list(paths.items())
    with executor(jobs) as (pool, width):
        size = max(1, min(_BATCH, len(items) // (4 * width)))
        batches = [tuple(items[start : start + size]) for start in range(0, len(items), size)]
        with progress("media", len(batches), quiet=quiet) as bar:
            for batch, found in unordered(pool, width, functools.partial(_look, root), batches):
                seen.update(zip((path for path, _ in batch), found, strict=True))
                bar.advance(rows=len(batch))
    report = MediaReport(root)
    for one in expected:
        _compare(report, one, seen[one.path])
    return report


def _expected(store: Store) -> Iterator[_Expected]:
    columns = ["sequence", "media", "n_frames", "width", "height", "video_frames", "video_frame"]
    rows = store.sequences.select([name for name in columns if name in store.sequences.column_names])
    for row in rows.to_pylist():
        if row["media"] is not None:
            size = None if row["width"] is None or row["height"] is None else (row["width"], row["height"])
            yield _Expected(row["sequence"], row["media"], size, *_length(row))


def _length(row: dict[str, Any]) -> tuple[int | None, bool]:
    """How many frames a sequence's file has, and whether it may have more."""
    if "video_frames" in row:
        return row["video_frames"], False
    if "video_frame" in row:
        known = row["video_frame"] is not None and row["n_frames"] is not None
        return row["video_frame"] + row["n_frames"] if known else None, True
    return row["n_frames"], False


def _look(root: Path, items: Sequence[tuple[str, bool]]) -> list[_Seen]:
    """Look at some files; those of which nothing is known are not opened. Runs in a worker process."""
    return [_open(root / path) if known else _Seen((root / path).exists()) for path, known in items]


def _open(path: Path) -> _Seen:
    try:
        if path.is_dir():
            frames = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
            if not frames:
                raise HarBenchError(f"{path} holds no image")
            return _Seen(there=True, size=size_of(frames[0]), frames=len(frames))
        if not path.exists():
            return _Seen(there=False)
        if path.suffix.lower() in SUFFIXES:
            return _Seen(there=True, size=size_of(path), frames=1)
        if not video.installed():
            return _Seen(there=True)
        with video.open_video(path) as film:
            return _Seen(there=True, size=(film.width, film.height), frames=film.n_frames)
    except HarBenchError as error:
        return _Seen(there=True, problem=str(error))


def _compare(report: MediaReport, expected: _Expected, seen: _Seen) -> None:
    """Count a sequence, and note how its file differs."""
    differ = functools.partial(Difference, expected.sequence, expected.path)
    if not seen.there:
        report.absent += 1
    elif not expected.known:
        report.present += 1
    elif seen.problem:
        report.checked += 1
        report.differences.append(differ("content", "a readable file", seen.problem))
    elif seen.size is None or seen.frames is None:
        report.unread += 1
    else:
        report.checked += 1
        if expected.size is not None and seen.size != expected.size:
            report.differences.append(differ("size", _pixels(expected.size), _pixels(seen.size)))
        enough = expected.at_least and expected.frames is not None and seen.frames >= expected.frames
        if expected.frames not in (None, seen.frames) and not enough:
            least = "at least " if expected.at_least else ""
            report.differences.append(differ("frames", f"{least}{expected.frames:,}", f"{seen.frames:,}"))


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
