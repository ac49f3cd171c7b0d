"""Parts of inline SVG pictures: axes, lines, texts.

They carry no style of their own: the page's CSS colours them by class, in light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from markupsafe import Markup, escape

LEAST, MOST = 1e-300, 1e300
"""Lengths of an axis that can be divided."""


class Axis(NamedTuple):
    """A linear scale from numbers to pixels."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, number: float) -> float:
        """The pixel of a number; the middle when the axis has no length that a float can hold."""
        span = self.high - self.low
        share = (number - self.low) / span if span and math.isfinite(span) else 0.5
        return self.start + (self.stop - self.start) * share

    def ticks(self) -> list[float]:
        """About five round numbers inside the axis; its ends where there is none between that a float can hold."""
        span = self.high - self.low
        if not LEAST < span < MOST or span < 1e-12 * max(abs(self.low), abs(self.high)):
            return sorted({self.low, self.high})
        digits = math.floor(math.log10(span / 4))
        power = 10.0**digits
        step = next((power * factor for factor in (1, 2, 5) if span / (power * factor) <= 5), power * 10)
        inside = range(math.ceil(self.low / step), math.floor(self.high / step + 1e-9) + 1)
        return [round(index * step, 10 - digits) for index in inside]


def number(value: float) -> str:
    """A number on an axis."""
    return f"{value:g}"


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(x: float, y: float, text: str, kind: str, anchor: str, *, hint: str = "") -> str:
    """A text, with all of it as a hint where it was shortened."""
    title = f"<title>{escape(hint)}</title>" if hint and hint != text else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}{title}</text>'


def svg(width: int, height: int, kind: str, caption: str, parts: Iterable[str]) -> Markup:
    """A picture of parts whose foreign texts are escaped already, which is many times as fast as escaping them here."""
    head = f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(caption)}">'
    return Markup(f"{head}{''.join(parts)}</svg>")  # noqa: S704 -- see above


def mark(x: float, y: float, look: str, hint: str) -> str:
    """A disc or a ring with a hint."""
    return f'<circle class="{look}" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{escape(hint)}</title></circle>'


def path(places: Iterable[tuple[float, float]], kind: str) -> str:
    """A line through places."""
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'


def frame(across: Axis, up: Axis) -> list[str]:
    """The two axes of a chart, with their ticks and a grid."""
    parts = [line(across.start, up.start, across.stop, up.start, "axis")]
    parts += [text(across.at(tick), up.start + 18, number(tick), "tick", "middle") for tick in across.ticks()]
    for tick in up.ticks():
        parts.append(line(across.start, up.at(tick), across.stop, up.at(tick), "grid"))
        parts.append(text(across.start - 6, up.at(tick) + 4, number(tick), "tick", "end"))
    return parts
