"""Drawn pictures as a film (``.mp4``), a moving picture (``.gif``) or one picture (``.png``), written as they come."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from har_bench.arrays import Bytes
from har_bench.errors import HarBenchError
from har_bench.files import whole
from har_bench.media import video

TILES = 12
"""Of a contact sheet, at least half as many where there are so many pictures."""
TILE, GUTTER, GROUND = 400, 6, (40, 40, 40)
"""Pixels across, pixels between them, and the colour there."""
GIF_SIDE = 480
"""Pixels; larger pictures are made smaller."""
GIF_FRAMES = 1000
MOST_DRAWN = 1 << 14
"""Colours of a picture that is no photograph."""
STILL_FPS = 1.0
"""Pictures a second where they are no film."""

_KINDS = (".mp4", ".gif", ".png")


class Canvas(ABC):
    """Takes pictures one by one."""

    @abstractmethod
    def __init__(self, temporary: Path, fps: float) -> None: ...

    @abstractmethod
    def add(self, image: Bytes) -> None:
        """The next picture, (H, W, 3) RGB uint8."""

    @abstractmethod
    def finish(self) -> None:
        """Everything was added."""

    def close(self) -> None:  # noqa: B027 - not everything is open until it is finished
        """Let go of what is open, finished or not."""


def check(path: Path, *others: str) -> None:
    """Refuse what :func:`canvas` cannot write, before any work.

    Args:
        path: the file.
        others: what else a picture may be written as, for the error.

    Raises:
        HarBenchError: another suffix, or PyAV is not installed.
    """
    if path.suffix.lower() not in _KINDS:
        raise HarBenchError(f"{path} cannot be drawn; pictures are written as {', '.join((*_KINDS, *others))}")
    if path.suffix.lower() == ".mp4" and not video.installed():
        raise HarBenchError(f"{path} is a video, and writing it needs PyAV: {video.INSTALL}")


@contextmanager
def canvas(path: Path, fps: float | None) -> Iterator[Canvas]:
    """What takes pictures and writes them to ``path``, whole, when the block ends well.

    Args:
        path: ``.mp4``; ``.gif``, at most 480 px large; ``.png``: the only picture, or a contact sheet of some.
        fps: pictures a second; one where they are no film.

    Raises:
        HarBenchError: a film too long for a GIF, or one that cannot be encoded.
    """
    check(path)
    kinds: dict[str, type[Canvas]] = {".mp4": _Film, ".gif": _Gif, ".png": _Sheet}
    with whole(path) as temporary, ExitStack() as stack:
        made = kinds[path.suffix.lower()](temporary, fps or STILL_FPS)
        stack.callback(made.close)
        yield made
        made.finish()


class _Film(Canvas):
    """H.264, or MPEG-4 where this FFmpeg lacks it; pictures of another size than the first are put into its frame."""

    def __init__(self, temporary: Path, fps: float) -> None:
        import av

        self._container: Any = av.open(str(temporary), "w", format="mp4")
        self._rate = Fraction(fps).limit_denominator(1001)
        self._stream: Any = None
        self._count = 0

    def add(self, image: Bytes) -> None:
        import av

        if self._stream is None:
            self._begin(image.shape[1] - image.shape[1] % 2 or 2, image.shape[0] - image.shape[0] % 2 or 2)
        fitted = _fitted(image, (self._stream.width, self._stream.height))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(fitted), format="rgb24")
        frame.pts, frame.time_base = self._count, 1 / self._rate
        self._count += 1
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder holds back."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def _begin(self, width: int, height: int) -> None:
        import av

        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        self._stream = self._container.add_stream(codec, rate=self._rate)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.codec_context.time_base = 1 / self._rate


class _Gif(Canvas):
    def __init__(self, temporary: Path, fps: float) -> None:
        self._path, self._fps = temporary, fps
        self._frames: list[Image.Image] = []

    def add(self, image: Bytes) -> None:
        if len(self._frames) == GIF_FRAMES:
            raise HarBenchError(f"a GIF holds at most {GIF_FRAMES:,} pictures; name an .mp4, or look at fewer frames")
        shown = Image.fromarray(np.ascontiguousarray(image))
        shown.thumbnail((GIF_SIDE, GIF_SIDE))
        if self._frames and shown.size != self._frames[0].size:
            shown = Image.fromarray(_fitted(np.asarray(shown), self._frames[0].size))
        drawn = shown.getcolors(MOST_DRAWN) is not None  # lines on paper: the fast way finds every colour of them
        way = Image.Quantize.FASTOCTREE if drawn else Image.Quantize.MEDIANCUT
        self._frames.append(shown.quantize(128, method=way))

    def finish(self) -> None:
        """Write them all."""
        if self._frames:
            first, *others = self._frames
            milliseconds = max(20, round(1000 / self._fps))  # viewers slow down what is faster
            first.save(self._path, "GIF", save_all=True, append_images=others, duration=milliseconds, loop=0)


class _Sheet(Canvas):
    """The only picture as it is, or some of many, evenly spread, side by side."""

    def __init__(self, temporary: Path, fps: float) -> None:
        del fps
        self._path, self._every, self._seen = temporary, 1, 0
        self._tiles: list[Image.Image] = []
        self._first: Bytes | None = None

    def add(self, image: Bytes) -> None:
        self._first = image if self._seen == 0 else self._first
        if self._seen % self._every == 0:
            if len(self._tiles) == 2 * TILES:  # twice as far apart from here on
                self._tiles, self._every = self._tiles[::2], 2 * self._every
            if self._seen % self._every == 0:
                tile = Image.fromarray(np.ascontiguousarray(image))
                tile.thumbnail((TILE, TILE))
                self._tiles.append(tile)
        self._seen += 1

    def finish(self) -> None:
        """Lay them out."""
        if self._seen == 1 and self._first is not None:
            Image.fromarray(np.ascontiguousarray(self._first)).save(self._path, "PNG")
            return
        chosen = [self._tiles[place] for place in _spread(len(self._tiles))]
        if not chosen:
            return
        across = math.ceil(math.sqrt(len(chosen)))
        width, height = max(tile.width for tile in chosen) + GUTTER, max(tile.height for tile in chosen) + GUTTER
        size = across * width + GUTTER, math.ceil(len(chosen) / across) * height + GUTTER
        sheet = Image.new("RGB", size, GROUND)
        for place, tile in enumerate(chosen):
            middle = (width - GUTTER - tile.width) // 2, (height - GUTTER - tile.height) // 2
            corner = place % across * width + GUTTER, place // across * height + GUTTER
            sheet.paste(tile, (corner[0] + middle[0], corner[1] + middle[1]))
        sheet.save(self._path, "PNG")


def _spread(count: int) -> list[int]:
    """At most :data:`TILES` of so many places, the first and last among them."""
    if count <= TILES:
        return list(range(count))
    return [round(place * (count - 1) / (TILES - 1)) for place in range(TILES)]


def _fitted(image: Bytes, size: tuple[int, int]) -> Bytes:
    """The image in a frame of (width, height): as it is where only a row or column is too much, else resized."""
    width, height = size
    if (image.shape[1] - width, image.shape[0] - height) in ((0, 0), (0, 1), (1, 0), (1, 1)):
        return image[:height, :width]
    scale = min(width / image.shape[1], height / image.shape[0])
    shown = Image.fromarray(np.ascontiguousarray(image)).resize(
        (max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale)))
    )
    framed = Image.new("RGB", size)
    framed.paste(shown, ((width - shown.width) // 2, (height - shown.height) // 2))
    return np.asarray(framed)
