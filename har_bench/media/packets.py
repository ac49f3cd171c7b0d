"""What the packets of a video say before any is decoded: how many frames there are, and how to reach each.

A packet's number is its place in decoding order. Its identity, time and content, tells where a seek landed: some
demuxers (MPEG-PS) give a packet its neighbour's time then, or half of its bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt

from har_bench.foreign import opening

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer
    from av.video.stream import VideoStream

_FURTHEST_REORDERING = 32
"""Pictures; a codec holds back at most 16, so times that reorder more are no presentation times."""
_LARGEST_EMPTY_VOP = 19
"""Bytes; an MPEG-4 packet up to this size may hold no picture (FFmpeg's bound, ``MAX_NVOP_SIZE``)."""
_VP8_SHOW_FRAME = 0x10
"""Bit of the first byte of a VP8 frame (RFC 6386, section 9.1)."""


def demux(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The stream's packets in decoding order, without empty ones: those would tell a decoder that the video ends."""
    return (packet for packet in container.demux(stream) if packet.size)


def identity(packet: Packet[VideoStream]) -> tuple[int | None, int]:
    """What a packet is known by when it is read again."""
    return packet.pts, zlib.crc32(packet)


class Packets:
    """One pass over the packets of a video, without decoding.

    Attributes:
        pts: presentation times [ticks], as far as the container has them.
        dts: decoding times [ticks], as far as the container has them.
        keys: numbers of the key frames.
        shown: (packets,) whether the picture is to be shown; an edit list may need some only as references.
        numbers: packet numbers by identity; None where two packets have the same.
        breaks_off: whether the last packet is incomplete.
        timed: whether ``pts`` are the times at which the pictures are shown.
        all_shown: whether every packet of ``shown`` certainly gives one picture.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.pts: list[int | None] = []
        self.dts: list[int | None] = []
        self.keys: list[int] = []
        self.numbers: dict[tuple[int | None, int], int | None] = {}
        self.breaks_off = False
        shown, empty = [], False
        codec = stream.codec_context.name
        for number, packet in enumerate(demux(container, stream)):
            known_by = identity(packet)
            self.numbers[known_by] = None if known_by in self.numbers else number
            self.pts.append(packet.pts)
            self.dts.append(packet.dts)
            shown.append(not packet.is_discard)
            if packet.is_keyframe:
                self.keys.append(number)
            empty |= _may_be_empty(codec, packet)
            self.breaks_off = packet.is_corrupt
        self.shown = np.array(shown, bool)
        self.timed = self._are_presentation_times(container.format.name, reorders=stream.codec_context.has_b_frames)
        self.all_shown = not empty and not self._begins_cut_off()

    def by_time(self) -> npt.NDArray[np.intp]:
        """Numbers of the shown packets in the order of their presentation; only where ``timed``."""
        shown = np.flatnonzero(self.shown)
        return shown[np.argsort(self._times()[shown])]

    def pace(self) -> Fraction | None:
        """Frames per tick on average; None unless ``timed`` and there are two."""
        times = np.sort(self._times()[self.shown]).tolist() if self.timed else []
        return Fraction(len(times) - 1, times[-1] - times[0]) if len(times) > 1 else None

    def _times(self) -> npt.NDArray[np.int64]:
        return np.array(self.pts, np.int64)

    def _are_presentation_times(self, container: str, *, reorders: bool) -> bool:
        if None in self.pts or len(set(self.pts)) < len(self.pts):
            return False
        if len(self.keys) == len(self.pts):
            return True
        order = np.argsort(self._times())
        moved = np.abs(order - np.arange(len(order))).max(initial=0)
        made_up = "avi" in container or (moved == 0 and reorders)
        return not made_up and bool(moved <= _FURTHEST_REORDERING)

    def _begins_cut_off(self) -> bool:
        """Whether the first pictures may lack what they refer to."""
        if self.keys[:1] != [0]:
            return True
        return self.timed and bool(self._times().min() < self._times()[0])


def _may_be_empty(codec: str, packet: Packet[VideoStream]) -> bool:
    """Whether a packet may hold no picture to show."""
    if codec == "mpeg4":
        return packet.size <= _LARGEST_EMPTY_VOP
    if codec in ("vp8", "libvpx"):
        return not memoryview(packet)[0] & _VP8_SHOW_FRAME
    return False


def announced_bytes(path: Path) -> int:
    """The size that an MP4, AVI, Matroska or WebM file says it has; 0 where it does not say."""
    size = path.stat().st_size
    with opening.opened(path) as file:
        head = file.read(4096)
        if head.startswith(b"\x1a\x45\xdf\xa3"):
            return _end_of_segment(head)
        return _end_of_riff(file, size) if head.startswith(b"RIFF") else _end_of_boxes(file, size)


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """Where the last of an MP4's main boxes ends (ISO/IEC 14496-12, section 4.2)."""
    end = 0
    while end < size:
        file.seek(end)
        head = file.read(16)
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        known = head[4:8] in (b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide")
        if not known or length < 8:  # a box of length 0 goes on to the end of the file
            break
        end += length
    return end


def _end_of_riff(file: BinaryIO, size: int) -> int:
    """Where the last of an AVI's RIFF chunks ends; less the 8 bytes that some writers count twice."""
    end = 0
    while end < size:
        file.seek(end)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or not length:
            break
        end += 8 + length + length % 2
    return max(end - 8, 0)


def _end_of_segment(head: bytes) -> int:
    """Where a Matroska file's segment ends (RFC 8794 and RFC 9559)."""
    at, header = _element_size(head, 4)
    at += header or 0
    if head[at : at + 4] != b"\x18\x53\x80\x67":
        return 0
    at, length = _element_size(head, at + 4)
    return at + length if length is not None else 0


def _element_size(data: bytes, at: int) -> tuple[int, int | None]:
    """The EBML size at ``at``: where it ends, and its value; None where that is unknown, as in a live recording."""
    width = 9 - data[at].bit_length() if at < len(data) else 8
    unknown = (1 << 7 * width) - 1
    value = int.from_bytes(data[at : at + width]) & unknown
    return at + width, None if value == unknown else value
