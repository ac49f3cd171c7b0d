"""Curves on a chart, such as losses over the epochs of a training."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

SIZE = 800, 480
EDGES = 70, 30, 20, 40
"""Left, above, right, below of the chart [px]."""
COLOURS = ((38, 139, 255), (255, 127, 14), (44, 160, 44), (148, 103, 189), (140, 86, 75), (23, 190, 207))
INK, GRID = (40, 40, 40), (225, 225, 225)
LINES = 5
"""At most so many steps between the lines of the grid."""


def chart(curves: Mapping[str, Sequence[float]], *, first: int = 1, across: str = "epoch") -> bytes:
    """A chart as PNG, of all curves on one axis, which is logarithmic where every number is above 0.

    Args:
        curves: numbers by name; one that is not finite is a gap.
        first: what the first number of every curve stands at.
        across: what the numbers are counted by.
    """
    image = Image.new("RGB", SIZE, "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default()
    left, top, right, bottom = EDGES[0], EDGES[1], SIZE[0] - EDGES[2], SIZE[1] - EDGES[3]
    every = [value for curve in curves.values() for value in curve if math.isfinite(value)] or [0.0]
    logarithmic = min(every) > 0
    low, high = (math.log10(min(every)), math.log10(max(every))) if logarithmic else (min(every), max(every))
    width, height = max(max(map(len, curves.values()), default=1) - 1, 1), max(high - low, 1e-12)
    for step in range(LINES + 1):
        value = low + height * step / LINES
        y = bottom - (bottom - top) * step / LINES
        pen.line((left, y, right, y), GRID)
        pen.text((left - 6, y), f"{10**value if logarithmic else value:.4g}", INK, font, anchor="rm")
    for step in range(0, width + 1, max(-(-width // LINES), 1)):
        pen.text((left + (right - left) * step / width, bottom + 8), str(first + step), INK, font, anchor="ma")
    pen.text(((left + right) / 2, SIZE[1] - 14), across, INK, font, anchor="ma")
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [
            (left + (right - left) * at / width, bottom - (bottom - top) * (_scaled(value, logarithmic) - low) / height)
            for at, value in enumerate(curve)
            if math.isfinite(value)
        ]
        if len(places) > 1:
            pen.line(places, colour, 2)
        for x, y in places:
            pen.ellipse((x - 2, y - 2, x + 2, y + 2), colour)
        pen.text((left + 10 + 140 * number, 8), name, colour, font)
    found = io.BytesIO()
    image.save(found, "PNG")
    return found.getvalue()


def _scaled(value: float, logarithmic: bool) -> float:
    return math.log10(value) if logarithmic else value
