"""Short videos in which each frame carries its number, encoded here with PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

Image = npt.NDArray[np.uint8]

WIDTH, HEIGHT, CELL = 128, 96, 16
BITS = 8
NOISE = np.random.default_rng(0).integers(0, 256, (64, 256), np.uint8).repeat(4, 0).repeat(4, 1)[..., None].repeat(3, 2)


def picture(number: int) -> Image:
    """A texture that moves, so that pictures refer to each other, under a row of black and white cells: the number."""
    image = NOISE[2 * number % 128 :][:HEIGHT, 3 * number % 512 :][:, :WIDTH].copy()
    bits = (number >> np.arange(BITS)) & 1
    image[:CELL] = 255 * bits.astype(np.uint8).repeat(CELL)[None, :, None]
    return image


def number_of(image: Image) -> int:
    """The number that a decoded picture carries."""
    cells = image[4:12].mean(axis=(0, 2)).reshape(BITS, CELL)[:, 4:12].mean(axis=1)
    return int(((cells > 128) << np.arange(BITS)).sum())


def encode(
    path: Path,
    codec: str = "libx264",
    frames: int = 50,
    *,
    b_frames: int = 0,
    gop: int = 12,
    options: Mapping[str, str] | None = None,
    times: Sequence[int] | None = None,
    rate: int = 30,
) -> Path:
    """Encode ``frames`` numbered pictures; ``times`` are theirs in milliseconds, else they come at ``rate``."""
    try:
        av.codec.Codec(codec, "w")
    except av.FFmpegError:
        pytest.skip(f"this PyAV has no encoder {codec}")
    base = Fraction(1, rate) if times is None else Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=dict(options or {}))
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", gop
        stream.codec_context.max_b_frames, stream.codec_context.time_base = b_frames, base
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = number if times is None else times[number], base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def packets_of(path: Path) -> list[Any]:
    """The packets of a video."""
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def remux(source: Path, target: Path, packets: Iterable[Any], *, options: Mapping[str, str] | None = None) -> Path:
    """Write packets of ``source``, changed or not, to another file."""
    with av.open(str(source)) as template, av.open(str(target), "w", options=dict(options or {})) as container:
        stream = container.add_stream_from_template(template.streams.video[0])
        for packet in packets:
            packet.stream = stream
            container.mux(packet)
    return target


def decoded(path: Path) -> list[Image]:
    """Every frame, by PyAV alone, from the start to the end."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
