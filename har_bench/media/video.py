"""Frame-exact video reading with PyAV (``pip install 'har-bench[video]'``).

Frame ``i`` is the ``i``-th picture that decoding the whole file gives, whatever the container, and reading it alone
gives the same pixels. One pass over the packets, without decoding, finds their times and the key frames; a frame is
reached from the key frame at or before it. Three things make that harder than it sounds:

- Where a demuxer lands after a seek is its own business, so the landing is compared with the packets of that pass, and
  where it is not understood the file is read again from its start.
- AVI and raw streams do not say when a picture is shown (all videos of NTU RGB+D are H.264 with B-frames in AVI: the
  times that their packets seem to have are in decoding order). Their order is learnt by decoding once, and only when a
  frame is asked for that lies behind.
- Some packets show nothing: those before the start of an edit list, VP8's hidden frames, MPEG-4's empty ones, pictures
  whose references were cut off. Edit lists are marked; for the others too the video is decoded once.
"""

from __future__ import annotations

import importlib.util
import itertools
import operator
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError, completing
from har_bench.foreign import opening
from har_bench.media.packets import Packets, announced_bytes, demux, identity

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

Image = npt.NDArray[np.uint8]

INSTALL = "pip install 'har-bench[video]'"

_INTRA = (0, 1)
"""Picture types (FFmpeg's ``AVPictureType``) that refer to no other picture: untold, and I."""
_CLOSE = Fraction(1, 100)
"""How far a file's frame rate may be from that of its frames; Matroska states 30 for whatever was made from 30."""


def installed() -> bool:
    """Whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


def open_video(path: str | Path, *, threads: int = 1, upright: bool = False) -> Video:
    """Open a video for frame-exact reading; its packets are read once, nothing is decoded.

    Args:
        path: the video file.
        threads: of the decoder; 0 is one per processor. One is best where many processes read many videos.
        upright: turn frames as the file's rotation tag says (phones write one), whatever ``width`` and ``height`` say.

    Raises:
        HarBenchError: PyAV is not installed, or the file is absent, empty, cut short or not a video.

    Example:
        >>> with open_video("S001C001P001R001A001_rgb.avi") as video:          # doctest: +SKIP
        ...     video.n_frames, video.width, video.height, video.frame(42).shape
        (103, 1920, 1080, (1080, 1920, 3))
    """
    return Video(Path(path), threads=threads, upright=upright)


class Video:
    """An open video; close it, or use it in a ``with`` block. Not for several threads at a time.

    Attributes:
        path: the file.
        width: of a stored picture [px]; pixel aspect ratios are not applied, rotation tags only where asked for.
        height: of a stored picture [px].
        fps: the average frame rate [1/s]; None where the file does not tell.
    """

    def __init__(self, path: Path, *, threads: int = 1, upright: bool = False) -> None:
        self.path = path
        self._threads, self._upright = threads, upright
        self._refuse_what_is_cut_short()
        self._container, self._stream = self._opened()
        self._closed = False
        self.width, self.height = self._stream.codec_context.width, self._stream.codec_context.height
        self._base = self._stream.time_base
        try:
            self._packets = self._indexed()
        except HarBenchError:
            self.close()
            raise
        self.fps = self._frame_rate()
        self._n_frames = int(self._packets.shown.sum()) if self._packets.all_shown else None
        self._rank: dict[int, int] | None = None
        self._order = np.zeros(0, np.intp)
        self._keys: list[tuple[int, int]] = []
        if self._packets.all_shown and self._packets.timed:
            self._set_order(self._packets.by_time())
        self._start(0)

    def __repr__(self) -> str:
        return f"<video {self.path}: {self.width} x {self.height}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; what is known without decoding stays known."""
        self._closed = True
        self._run: Iterator[tuple[int, VideoFrame]] = iter(())
        self._container.close()

    def __len__(self) -> int:
        return self.n_frames

    def __iter__(self) -> Iterator[Image]:
        return self.frames()

    @property
    def n_frames(self) -> int:
        """How many pictures decoding the whole file gives."""
        if self._n_frames is None:
            self._learn_order()
        return self._n_frames or 0

    @property
    def timestamps(self) -> npt.NDArray[np.float64]:
        """When each frame is shown: (n_frames,) seconds on the stream's own clock, which need not begin at 0."""
        count, packets, base = self.n_frames, self._packets, self._base
        # a stream without presentation times shows its pictures at the pace at which it decodes them
        times, order = (packets.pts, self._order) if packets.timed else (packets.dts, np.flatnonzero(packets.shown))
        ticks = [times[number] for number in order[:count]]
        if base and None not in ticks:
            return np.array(ticks, np.float64) * base.numerator / base.denominator
        if not self.fps:
            raise HarBenchError(f"{self.path} says neither when its frames are shown nor how fast; remux it with times")
        return np.arange(count) / float(self.fps)

    def frame(self, index: int) -> Image:
        """Frame ``index`` as an (H, W, 3) uint8 RGB image.

        Raises:
            HarBenchError: there is no such frame, or it cannot be decoded whole.
        """
        index = operator.index(index)
        if not 0 <= index < self.n_frames:
            raise HarBenchError(f"{self.path} has no frame {index}; its {self.n_frames} frames count from 0")
        with _blaming(self.path):
            picture = self._picture(index)
            if picture.is_corrupt:  # FFmpeg paints over what it could not decode
                raise HarBenchError(
                    f"frame {index} of {self.path} is damaged; fetch the video again, or encode it anew"
                )
            image: Image = picture.to_ndarray(format="rgb24")  # type: ignore[assignment]
            return np.rot90(image, picture.rotation // 90) if self._upright and picture.rotation else image

    def frames(self, which: slice | Iterable[int] = slice(None)) -> Iterator[Image]:
        """Frames as (H, W, 3) uint8 RGB images, in the order asked for; neighbours are decoded without seeking.

        Ask in ascending order where key frames are rare: a video of NTU RGB+D has one.

        Args:
            which: a slice, or frame indices.
        """
        for index in range(*which.indices(self.n_frames)) if isinstance(which, slice) else which:
            yield self.frame(index)

    def _frame_rate(self) -> Fraction | None:
        """The rate that the file states, unless its frames are shown at another one."""
        stated, base = self._stream.average_rate or self._stream.guessed_rate, self._base
        fps = Fraction(stated.numerator, stated.denominator) if stated else None
        pace = self._packets.pace()
        if not pace or not base:
            return fps
        measured = pace * Fraction(base.denominator, base.numerator)
        return fps if fps and abs(fps - measured) < _CLOSE * measured else measured

    def _picture(self, index: int) -> VideoFrame:
        if self._rank is None and index < self._next:
            self._learn_order()
        behind = bisect_right(self._keys, index, key=operator.itemgetter(0))
        rank, nearest = self._keys[behind - 1] if behind else (0, 0)
        if rank <= self._next <= index and (found := self._advance(index)):
            return found
        for first in dict.fromkeys((nearest, 0)):
            self._start(first)
            if found := self._advance(index):
                return found
        raise HarBenchError(f"frame {index} of {self.path} cannot be decoded; the file is damaged, fetch it again")

    def _start(self, first: int) -> None:
        self._run, self._next = self.decode(first), 0
        self._first, self._whole = first, first == 0

    def _advance(self, index: int) -> VideoFrame | None:
        """Decode up to frame ``index``; None if it does not come, or may refer to what lies before the start."""
        for number, picture in self._run:
            rank = self._next if self._rank is None else self._rank.get(number, -1)
            self._next = max(self._next, rank + 1)
            # a key frame that is predicted is a recovery point: what follows it is whole only nearly, and in a while
            self._whole |= number == self._first and picture.pict_type in _INTRA
            if rank >= index:
                return picture if rank == index and self._whole else None
        return None

    def _learn_order(self) -> None:
        """Decode everything once: the order in which the pictures come is the order of the frames."""
        with _blaming(self.path):
            order = [number for number, _ in self.decode(0)]
        if not order or self._n_frames not in (None, len(order)):
            raise HarBenchError(
                f"{self.path} holds {np.count_nonzero(self._packets.shown)} frames of which {len(order)} can be "
                "decoded; the file is damaged, fetch it again"
            )
        self._set_order(np.array(order, np.intp))
        self._start(0)

    def _set_order(self, order: npt.NDArray[np.intp]) -> None:
        self._order, self._n_frames = order, len(order)
        self._rank = {number: rank for rank, number in enumerate(order.tolist())}
        self._keys = sorted((self._rank[number], number) for number in self._packets.keys if number in self._rank)

    def decode(self, first: int) -> Iterator[tuple[int, VideoFrame]]:
        """Pictures in the order they are shown, each with the number of its packet, from packet ``first`` on."""
        import av

        packets = self._packets_from(first)
        codec = self._stream.codec_context
        for number, packet in itertools.chain(zip(itertools.count(first), packets, strict=False), [(0, None)]):
            if packet is not None:
                packet.pts = number  # a decoder hands it on to the picture, untouched
            try:
                pictures = codec.decode(packet)
            except av.FFmpegError:  # a packet that is refused gives no picture, and that is what is reported
                continue
            yield from ((picture.pts, picture) for picture in pictures if picture.pts is not None)

    def _packets_from(self, first: int) -> Iterator[Packet[VideoStream]]:
        """The packets from number ``first`` on, by seeking where that lands on packets that are known."""
        import av

        if self._closed:
            raise HarBenchError(f"{self.path} was closed; open it again")
        known = self._packets
        for time in (known.pts[first], known.dts[first]):
            if time is None:
                continue
            try:
                self._container.seek(time, stream=self._stream)
            except av.FFmpegError:
                continue
            packets = demux(self._container, self._stream)
            for packet in packets:
                number = known.numbers.get(identity(packet))
                if number == first:
                    return itertools.chain([packet], packets)
                if number is None or number > first:
                    break
        self._container.close()
        self._container, self._stream = self._opened()
        return itertools.islice(demux(self._container, self._stream), first, None)

    def _refuse_what_is_cut_short(self) -> None:
        if not self.path.exists():
            raise HarBenchError(f"{self.path} is not there; give the path of a video file")
        with completing(self.path, "fetch it again"):
            size = opening.size_of(self.path)
            announced = announced_bytes(self.path)
        if announced > size:
            raise HarBenchError(f"{self.path} holds {size:,} of the {announced:,} bytes it announces; fetch it again")

    def _opened(self) -> tuple[InputContainer, VideoStream]:
        try:
            import av
        except ImportError as error:
            raise HarBenchError(f"{self.path} is a video, and reading it needs PyAV: {INSTALL}") from error
        with _blaming(self.path):
            # a playlist that calls itself a video must not send us elsewhere; a title may be in any encoding
            only_files = {"protocol_whitelist": "file"}
            container = av.open(f"file:{self.path}", options=only_files, metadata_errors="replace")
        stream = container.streams.best("video")
        codec: VideoCodecContext | None = getattr(stream, "codec_context", None)  # None too where FFmpeg knows it not
        if stream is None or codec is None:
            container.close()
            what = "no video" if stream is None else "a video of an unknown codec"
            raise HarBenchError(f"{self.path} holds {what}; give a file that FFmpeg can decode")
        codec.thread_count, codec.thread_type = self._threads, "AUTO"
        return container, stream  # type: ignore[return-value]

    def _indexed(self) -> Packets:
        with _blaming(self.path):
            packets = Packets(self._container, self._stream)
        if packets.breaks_off:
            raise HarBenchError(f"{self.path} breaks off after {len(packets.pts) - 1} frames; fetch it again")
        if not packets.shown.any():
            raise HarBenchError(f"{self.path} holds no frame; fetch it again")
        return packets


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """FFmpeg's errors as ours, and the IndexError with which PyAV meets a stream that turns up on the way."""
    import av

    try:
        yield
    except (av.FFmpegError, IndexError) as error:
        reason = getattr(error, "strerror", None) or error
        raise HarBenchError(f"{path} is not a whole video ({reason}); fetch it again") from error
