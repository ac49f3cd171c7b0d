"""Pictures of people who are white rectangles, and models that see these: known answers without weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from har_bench.media.boxes import Boxes
from har_bench.media.crop_model import CropModel, Seen
from har_bench.media.pixel_model import PixelModel
from har_bench.media.poses import Poses
from har_bench.media.tracking import Watcher

Picture = npt.NDArray[np.uint8]
Rectangle = tuple[int, int, int, int]
"""x, y, width, height [px]."""

PLACES = np.linspace(0.1, 0.9, 17)
"""Where a person's joints are in the rectangle, from its top left to its bottom right."""


def picture(people: Iterable[Rectangle], size: tuple[int, int] = (160, 120)) -> Picture:
    """A dark picture of (width, height) px with people."""
    made = np.full((size[1], size[0], 3), 30, np.uint8)
    for x, y, width, height in people:
        made[y : y + height, x : x + width] = 250
    return made


def save(path: Path, people: Iterable[Rectangle], size: tuple[int, int] = (160, 120)) -> Path:
    """Write such a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(people, size)).save(path)
    return path


def film(
    path: Path, frames: Sequence[Iterable[Rectangle]], *, rate: int = 25, size: tuple[int, int] = (160, 120)
) -> Path:
    """A video of such pictures."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=rate)
        (stream.width, stream.height), stream.pix_fmt, stream.bit_rate = size, "yuv420p", 4_000_000
        for number, people in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture(people, size), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def joints_of(box: Any) -> Any:
    """(17, 2) where the joints of somebody in this rectangle are."""
    return np.array(box[:2]) + PLACES[:, None] * np.array(box[2:])


@dataclass
class Finder(PixelModel):
    """Finds white rectangles, the largest first; in a box, the part that is white."""

    summary = "finds rectangles"
    trains = False
    layout = "coco17"
    detects = True

    least: int = 20

    def look(self, images: Sequence[Picture], boxes: Sequence[Boxes] | None) -> list[Poses]:
        """Rectangles as people."""
        if boxes is None:
            return [_poses(_rectangles(image, self.least)) for image in images]
        return [_poses([_inside(image, box) for box in each.box]) for image, each in zip(images, boxes, strict=True)]


@dataclass
class Steady(Finder):
    """The same, with weights and a way to steady points, though it needs neither."""

    def load(self, weights: Path) -> None:
        """Whatever they are."""

    def watcher(self, people: int = 0, **options: Any) -> Watcher:
        """As without."""
        return super().watcher(people)


@dataclass
class Middle(CropModel):
    """Every joint at the middle of what is white in the crop; the left ear a tenth of the crop to the left of it."""

    summary = "sees the middle of what is white"
    trains = False
    layout = "coco17"
    size = (64, 64)

    def estimate(self, crops: Any) -> Seen:
        """The middle of the crop's white part."""
        white = (np.asarray(crops).mean(axis=-1) > 128).astype(float)
        total = white.sum(axis=(1, 2)).clip(1)
        rows, columns = np.mgrid[: white.shape[1], : white.shape[2]]
        middle = np.stack([(white * place).sum(axis=(1, 2)) / total for place in (columns, rows)], axis=-1)
        points = np.repeat(middle[:, None], 17, axis=1)
        points[:, 3, 0] -= 6.4
        return Seen(points, np.full(points.shape[:2], 0.5))


def _rectangles(image: Picture, least: int) -> list[Rectangle]:
    labelled, _ = ndimage.label(image.mean(axis=-1) > 128)
    found = [
        (part[1].start, part[0].start, part[1].stop - part[1].start, part[0].stop - part[0].start)
        for part in ndimage.find_objects(labelled)
    ]
    return sorted((box for box in found if box[2] * box[3] >= least), key=lambda box: -box[2] * box[3])


def _inside(image: Picture, box: Any) -> Rectangle:
    x, y, width, height = (round(float(value)) for value in box)
    found = _rectangles(image[max(y, 0) : y + height, max(x, 0) : x + width], 1)
    if not found:
        return (x, y, width, height)
    return (found[0][0] + max(x, 0), found[0][1] + max(y, 0), *found[0][2:])


def _poses(boxes: Sequence[Rectangle]) -> Poses:
    count = len(boxes)
    points = np.array([joints_of(box) for box in boxes]).reshape(count, 17, 2)
    score = np.array([min(1.0, box[2] * box[3] / 4000) for box in boxes])
    return Poses(points, np.full((count, 17), 0.9), score, np.array(boxes, float).reshape(count, 4))
