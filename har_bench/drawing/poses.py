"""Skeletons on an image: left and right told apart, what a model is unsure of drawn thin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from har_bench.arrays import Bools, Bytes, Floats
from har_bench.skeletons import Skeleton

LEFT, RIGHT, MIDDLE = (38, 139, 255), (255, 127, 14), (235, 235, 235)
"""Blue for the person's own left, orange for the right, white between: told apart by colour-blind readers too."""
OUTLINE = (20, 20, 20)
SURE = 0.5
"""Scores below are drawn thin."""

_LINES_A_SIDE = 200
"""A line's width is the image's shorter side over this."""
_LETTER = 5
"""A letter's height over a line's width."""


def draw(
    image: Bytes,
    points: Floats,
    bones: Skeleton,
    *,
    scores: Floats | None = None,
    boxes: Floats | None = None,
    labels: Sequence[str] = (),
) -> Bytes:
    """The image with some persons' skeletons.

    Args:
        image: (H, W, 3) RGB uint8.
        points: (n, J, 2) px; a joint that is NaN is left out, and so are its bones.
        bones: the joints' names and parents.
        scores: (n, J) how sure each joint is; all are when left out.
        boxes: (n, 4) x, y, w, h to draw too.
        labels: a text for each person, at the top left of the box or pose.

    Returns:
        (H, W, 3) RGB uint8, another array.
    """
    canvas = Image.fromarray(np.ascontiguousarray(image))
    pen = ImageDraw.Draw(canvas)
    width = max(1, round(min(image.shape[:2]) / _LINES_A_SIDE))
    for row in range(len(points)):
        sure = np.ones(len(bones)) if scores is None else scores[row]
        if boxes is not None:
            _box(pen, boxes[row], width)
        _skeleton(pen, points[row], sure, bones, width)
        if row < len(labels):
            corner = boxes[row, :2] if boxes is not None else _corner(points[row])
            _label(pen, labels[row], corner, width)
    return np.asarray(canvas)


def colour_of(bones: Skeleton, joint: int) -> tuple[int, int, int]:
    """A joint's colour, and that of the bone that ends there, by its side."""
    name = bones.joints[joint]
    return LEFT if name.startswith("left_") else RIGHT if name.startswith("right_") else MIDDLE


def _skeleton(pen: ImageDraw.ImageDraw, points: Floats, sure: Floats, bones: Skeleton, width: int) -> None:
    seen: Bools = np.asarray(np.isfinite(points).all(axis=1))
    lines = [(parent, joint) for parent, joint in bones.bones if seen[parent] and seen[joint]]
    for outline in (True, False):
        for parent, joint in lines:
            thick = width if min(sure[parent], sure[joint]) >= SURE else max(1, width // 3)
            ends = (*points[parent], *points[joint])
            if math.hypot(ends[0] - ends[2], ends[1] - ends[3]) < 1:
                continue
            if outline:
                pen.line(ends, fill=OUTLINE, width=thick + 2)
            else:
                pen.line(ends, fill=colour_of(bones, joint), width=thick)
    for joint in np.flatnonzero(seen).tolist():
        (x, y), radius = points[joint], width if sure[joint] >= SURE else max(1, width // 2)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour_of(bones, joint), outline=OUTLINE)


def _box(pen: ImageDraw.ImageDraw, box: Floats, width: int) -> None:
    if np.isfinite(box).all() and box[2] > 0 and box[3] > 0:
        pen.rectangle((box[0], box[1], box[0] + box[2], box[1] + box[3]), outline=MIDDLE, width=max(1, width // 2))


def _label(pen: ImageDraw.ImageDraw, text: str, corner: Floats, width: int) -> None:
    if not np.isfinite(corner).all():
        return
    font = _font(max(10, _LETTER * width))
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    x, y = max(0.0, float(corner[0])), max(0.0, float(corner[1]) - (bottom - top) - 2 * width)
    pen.rectangle((x, y, x + right - left + 2 * width, y + bottom - top + 2 * width), fill=OUTLINE)
    pen.text((x + width - left, y + width - top), text, fill=MIDDLE, font=font)


def _corner(points: Floats) -> Floats:
    seen = points[np.isfinite(points).all(axis=1)]
    corner: Floats = seen.min(axis=0) if len(seen) else np.full(2, np.nan)
    return corner


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
