"""Anybody's pictures, frame by frame: an image, a folder of images, a video, a webcam.

Every picture is decoded once, by threads that are a little ahead, and nothing is kept: memory is flat however long a
film is. Images and videos are turned upright where their tags say so.
"""

from __future__ import annotations

import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from har_bench.arrays import Bytes
from har_bench.errors import HarBenchError
from har_bench.media import video
from har_bench.media.images import SUFFIXES, read_image
from har_bench.media.reading import mapped, read_ahead, threads_of

AHEAD = 8
"""Frames that are decoded before they are asked for."""
USUAL_FPS = 30.0
"""Of a film that does not say."""

CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}:none"), "win32": ("dshow", "video={}")}
"""What FFmpeg calls a system's cameras."""


@dataclass(frozen=True)
class Frame:
    """One picture.

    Attributes:
        sequence: the name of its film; of a still image, its file's.
        index: 0-based number in the film.
        seconds: since the film began.
        pixels: (H, W, 3) RGB uint8.
    """

    sequence: str
    index: int
    seconds: float
    pixels: Bytes


class Source(ABC):
    """Where frames come from; close it, or use it in a ``with`` block.

    Attributes:
        name: in words, for errors and progress.
        film: whether the frames follow each other in time; else they are pictures of anything.
        fps: frames per second, where known.
        count: how many frames there are; None where nobody knows.
    """

    name: str
    film: bool
    fps: float | None
    count: int | None

    @abstractmethod
    def frames(self, which: slice = slice(None)) -> Iterator[Frame]:
        """The frames of a slice, from its start upwards.

        Raises:
            HarBenchError: one of them cannot be decoded.
        """

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - images have nothing to close
        """Let go of what is open."""


def open_source(source: str | Path, *, fps: float | None = None, workers: int = 0) -> Source:
    """What ``source`` names.

    Args:
        source: an image, a video, a folder of images, or a webcam's number.
        fps: frames per second, which make a folder of images a film, in the order of their names.
        workers: threads that decode still images; 0 is one per processor.

    Raises:
        HarBenchError: nothing is there, or nothing that can be read.
    """
    path = Path(source)
    if str(source).isdecimal() and not path.exists():
        return Webcam(str(source))
    if path.is_dir():
        return Stills(_images_of(path), film=path.name if fps else "", fps=fps, workers=workers)
    if path.suffix.lower() in SUFFIXES:
        return Stills([path], workers=1)
    return Film(path)


class Stills(Source):
    """Images, each by itself or, with a film's name, one after the other."""

    def __init__(self, paths: Sequence[Path], *, film: str = "", fps: float | None = None, workers: int = 0) -> None:
        self.paths, self._film, self._workers = list(paths), film, threads_of(workers)
        self.name = str(self.paths[0] if len(self.paths) == 1 else self.paths[0].parent)
        self.film, self.fps, self.count = bool(film), fps, len(self.paths)

    def frames(self, which: slice = slice(None)) -> Iterator[Frame]:
        """The images, decoded by threads."""
        chosen = range(len(self.paths))[which]
        return mapped(self._frame, chosen, workers=self._workers, ahead=2 * self._workers)

    def _frame(self, place: int) -> Frame:
        path = self.paths[place]
        pixels = read_image(path, upright=True)
        if not self.film:
            return Frame(path.name, 0, 0.0, pixels)
        return Frame(self._film, place, place / (self.fps or USUAL_FPS), pixels)


class Film(Source):
    """A video file."""

    film = True

    def __init__(self, path: Path) -> None:
        self._video = video.open_video(path, threads=0, upright=True)
        self.path, self.name = path, str(path)
        self.fps = float(self._video.fps) if self._video.fps else None
        self.count = self._video.n_frames

    def frames(self, which: slice = slice(None)) -> Iterator[Frame]:
        """The frames, read ahead."""
        return read_ahead(self._read(which), AHEAD)

    def close(self) -> None:
        """Close the video."""
        self._video.close()

    def _read(self, which: slice) -> Iterator[Frame]:
        try:
            seconds = self._video.timestamps
        except HarBenchError:
            seconds = np.arange(self.count or 0) / USUAL_FPS
        for index in range(len(seconds))[which]:
            since = float(seconds[index] - seconds[0])
            yield Frame(self.path.stem, index, since, self._video.frame(index))


class Webcam(Source):
    """A camera of this machine, until somebody stops it."""

    film, fps, count = True, None, None

    def __init__(self, number: str) -> None:
        if not video.installed():
            raise HarBenchError(f"a webcam is read with PyAV: {video.INSTALL}")
        import av

        kind, place = CAMERAS.get(sys.platform, CAMERAS["linux"])
        self.name = f"webcam {number}"
        try:
            self._container: Any = av.open(place.format(number), format=kind)
        except (av.FFmpegError, ValueError, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise HarBenchError(f"no webcam {number} can be opened ({reason}); give the path of a video") from error

    def frames(self, which: slice = slice(None)) -> Iterator[Frame]:
        """What the camera sees from now on; frames that nobody is ready for are not kept."""
        return read_ahead(self._read(which), 1)

    def close(self) -> None:
        """Let the camera go."""
        self._container.close()

    def _read(self, which: slice) -> Iterator[Frame]:
        began = time.monotonic()
        first, step = which.start or 0, which.step or 1
        for index, picture in enumerate(self._container.decode(video=0)):
            if which.stop is not None and index >= which.stop:
                return
            if index >= first and (index - first) % step == 0:
                pixels = picture.to_ndarray(format="rgb24")
                yield Frame("webcam", index, time.monotonic() - began, pixels)


def _images_of(folder: Path) -> list[Path]:
    found = sorted((path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES), key=_in_order)
    if not found:
        raise HarBenchError(
            f"{folder} holds no image ({', '.join(sorted(SUFFIXES))}); give a folder that does, or a video"
        )
    return found


def _in_order(path: Path) -> tuple[tuple[int, str], ...]:
    """Numbers in names count as numbers: 9.jpg comes before 10.jpg."""
    parts = re.split(r"(\d+)", path.name)
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)
