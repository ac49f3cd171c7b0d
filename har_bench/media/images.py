"""Still images as RGB arrays, read with Pillow, and what is refused because no memory should hold it."""

from __future__ import annotations

import re
import struct
import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from har_bench.arrays import Bytes
from har_bench.errors import HarBenchError, completing
from har_bench.foreign import opening

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Of still images; a file with another one is taken for a video."""

MOST_PIXELS = 2 * 89_478_485
"""Where Pillow itself stops, at twice its ``MAX_IMAGE_PIXELS``: half a gigabyte of RGB."""

ALWAYS_PIXELS, PIXELS_PER_BYTE = 1 << 25, 12
"""What any file may unfold to, and what a larger one may: photographs have 2 to 10 pixels in a byte."""

MOST_SCANS = 32
"""Of a JPEG; a progressive one in four colours has eighteen."""

_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
_BEGIN, _SCAN, _END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"

_BROKEN = (
    *(OSError, EOFError, ValueError, SyntaxError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(AssertionError, NotImplementedError, struct.error),
)
"""What Pillow's readers raise of damaged bytes, each in its way."""

_ADVICE = threading.Lock()
"""Pillow warns of large images and odd tags; warnings are switched for the whole process, by one thread at a time."""


def read_image(path: Path, *, upright: bool = False) -> Bytes:
    """(H, W, 3) RGB uint8; grey, palette, transparent, CMYK and 16-bit images become RGB.

    Args:
        path: the file.
        upright: turn the image as its orientation tag says (phones write one). A dataset's annotations are of the
            pixels as they are stored.

    Raises:
        HarBenchError: no such file, no image, a damaged one, one of more than ``MOST_PIXELS``, or of more than 33
            million and than 12 for each byte of the file, or a JPEG of more than ``MOST_SCANS``.
    """
    try:
        with opened(path) as image:
            _refuse_unfolding(path, image)
            if image.format in ("JPEG", "MPO"):
                _refuse_scans(path)
            image.load()
            return _rgb(_turned(image) if upright else image)
    except Image.DecompressionBombError as error:
        most = MOST_PIXELS // 1_000_000
        raise HarBenchError(f"{path} has more than the {most} million pixels that are read; make it smaller") from error
    except _BROKEN as error:
        reason = str(error).partition("\n")[0]
        raise HarBenchError(f"{path} is not a whole image that Pillow can read ({reason}); fetch it again") from error


def size_of(path: Path) -> tuple[int, int]:
    """Width and height [px] as the file is stored; only its head is read, and an orientation tag is not applied.

    Raises:
        HarBenchError: no image.
    """
    try:
        with opened(path) as image:
            return image.size
    except (*_BROKEN, Image.DecompressionBombError) as error:
        raise HarBenchError(f"{path} is not an image that Pillow can read; fetch it again") from error


def opened(path: Path) -> Image.Image:
    """An image whose head is read, without Pillow's advice on sizes and tags.

    Raises:
        HarBenchError: nothing is there, or no file.
    """
    if not path.exists():
        raise HarBenchError(f"{path} is not there; give the path of an image")
    with completing(path, "give the path of an image"):
        opening.size_of(path)
    with _ADVICE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(path)


def _refuse_unfolding(path: Path, image: Image.Image) -> None:
    """A small file may not cost the memory of a large one."""
    pixels, size = image.width * image.height, path.stat().st_size
    if pixels > MOST_PIXELS:
        raise Image.DecompressionBombError
    if pixels > max(ALWAYS_PIXELS, PIXELS_PER_BYTE * size):
        raise HarBenchError(
            f"{path} says that its {size:,} bytes are {image.width} x {image.height} pixels, more than "
            f"{PIXELS_PER_BYTE} a byte; save it smaller"
        )


def _refuse_scans(path: Path) -> None:
    """A scan that changes nothing takes ten bytes, and as long as any other."""
    content = opening.content(path)
    if content.count(_SCAN) <= MOST_SCANS:  # most often all is said: they may stand in what follows the image, too
        return
    scans, at = 0, 0
    while (found := _MARKER.search(content, at)) and found[0] != _END:
        at = found.end() + (0 if found[0] == _BEGIN else int.from_bytes(content[found.end() : found.end() + 2]))
        scans += found[0] == _SCAN
    if scans > MOST_SCANS:
        raise HarBenchError(f"{path} draws its picture {scans:,} times, in as many scans; save it again")


def _turned(image: Image.Image) -> Image.Image:
    with _ADVICE, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ImageOps.exif_transpose(image)


def _rgb(image: Image.Image) -> Bytes:
    if image.mode.startswith("I;16") or image.mode == "I":  # Pillow would cut off what is over 255
        values = np.asarray(image)
        shift = 8 if values.max(initial=0) > 255 else 0
        grey = np.empty(values.shape, np.uint8)
        for out, row in zip(grey, values, strict=True):  # by rows, as another copy of all may be the one too many
            out[:] = (row >> shift).clip(0, 255)
        return np.repeat(grey[..., None], 3, axis=2)
    if "transparency" in image.info and image.mode == "P":
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))
