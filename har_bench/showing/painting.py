"""The frames of a stage as pictures: in the image, in space, or both side by side.

Left and right differ in colour (blue, orange) and in form (squares and thinner lines, discs); the truth is saturated
and predictions are pale; a joint that is occluded is hollow, and one that is absent is not drawn but counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from har_bench.arrays import Bools, Bytes, Floats
from har_bench.drawing.poses import colour_of
from har_bench.showing.space import View, grid, ground, up_of, view_of
from har_bench.showing.stage import Cast, Points, Stage, placed
from har_bench.skeletons import Skeleton

Colour = tuple[int, int, int]

PAPER, INK, SOFT, LINE = (250, 250, 247), (29, 35, 39), (91, 101, 108), (220, 223, 221)
SIDE = 480
"""Of a panel in space, and the height of a blank picture [px]."""

CAPTION = 18
"""Height of a line of the caption [px]."""

LETTER = 12
PALE = 0.55
"""How much of the paper a prediction's colour has."""

DARK_MIDDLE = (110, 60, 150)
"""For joints of no side, on light paper."""


class Look(NamedTuple):
    """How a cast is drawn: how much of it is paper, and the widths of its lines and joints."""

    pale: float
    width: int


@dataclass
class Painter:
    """Draws the frames of a stage, in order.

    Attributes:
        stage: what is drawn.
        beside: a panel in space for each cast, instead of all in one.
        as_recorded: see space from where the camera stood.
    """

    stage: Stage
    beside: bool = False
    as_recorded: bool = False

    def frames(self) -> Iterator[Bytes]:
        """(H, W, 3) RGB uint8, one for each frame."""
        pictures = self.stage.pictures
        for at in range(len(self.stage)):
            picture = None if pictures is None else next(pictures, None)
            yield self.painted(at, picture)

    def painted(self, at: int, picture: Bytes | None) -> Bytes:
        """One frame."""
        panels = [self._image(at, picture)] if self.stage.in_image or picture is not None else []
        panels += [self._space(at, casts) for casts in self._groups]
        height = max(panel.height for panel in panels)
        lines = self._caption(at)
        width = sum(panel.width for panel in panels)
        canvas = Image.new("RGB", (width, height + CAPTION * len(lines)), PAPER)
        left = 0
        for panel in panels:
            canvas.paste(panel, (left, 0))
            left += panel.width
        pen = ImageDraw.Draw(canvas)
        for number, text in enumerate(lines):
            pen.text((6, height + number * CAPTION + 2), text, INK, _font())
        return np.asarray(canvas)

    @cached_property
    def _groups(self) -> list[list[tuple[Cast, Points]]]:
        """Who stands in which panel in space."""
        casts = self.stage.in_space
        if self.beside:
            return [[each] for each in casts]
        return [casts] if casts else []

    def _image(self, at: int, picture: Bytes | None) -> Image.Image:
        if picture is not None:
            canvas, scale = Image.fromarray(np.ascontiguousarray(picture)), 1.0
        else:
            width, height = self.stage.canvas
            scale = SIDE / height
            canvas = Image.new("RGB", (max(1, round(width * scale)), SIDE), PAPER)
        pen = ImageDraw.Draw(canvas)
        thin = max(2, round(min(canvas.size) / 200))
        for cast, points in reversed(self.stage.in_image):
            hollow = points.occluded(at)
            for person, joints in enumerate(points.places[at]):
                _figure(pen, joints * scale, hollow[person], points.bones, self._look(cast, thin))
        return canvas

    def _look(self, cast: Cast, thin: int) -> Look:
        return Look(0.0 if cast is self.stage.truth or len(self.stage.casts) == 1 else PALE, thin)

    @cached_property
    def _view(self) -> View:
        return view_of(self.stage.camera, SIDE, as_recorded=self.as_recorded)

    @cached_property
    def _rooted(self) -> dict[int, Floats]:
        """(F, P, J, 3) of every cast about its roots; further persons stand beside the first as they do."""
        return {id(cast): placed(points, truth=cast is self.stage.truth) for cast, points in self.stage.in_space}

    @cached_property
    def _floor(self) -> float:
        first = next(iter(self._rooted.values()))
        return ground(first, up_of(self.stage.camera))

    def _space(self, at: int, casts: list[tuple[Cast, Points]]) -> Image.Image:
        canvas = Image.new("RGB", (SIDE, SIDE), PAPER)
        pen = ImageDraw.Draw(canvas)
        first = self.stage.in_space[0][1]
        root = first.places[at, 0, first.root]
        for line in self._view.project(grid(self._floor, up_of(self.stage.camera), root)):
            pen.line([*map(tuple, line.tolist())], LINE, 1)
        for cast, points in reversed(casts):
            for joints, hollow in zip(self._rooted[id(cast)][at], points.occluded(at), strict=True):
                _figure(pen, self._view.project(joints), hollow, points.bones, self._look(cast, 3))
        if self.beside:
            pen.text((6, 4), casts[0][0].name, SOFT, _font())
        return canvas

    def _caption(self, at: int) -> list[str]:
        """The sequence and frame, what is absent, and the error of every system."""
        first = self.stage.casts[0]
        points = first.image or first.space
        absent = 0
        if points is not None:
            known = np.isfinite(points.places[at]).all(axis=-1)
            there = known.any(axis=-1)
            absent = int((~known[there]).sum())
        said = [f"{self.stage.title}, frame {self.stage.frames[at]}"]
        said[0] += f", {absent} joint{'' if absent == 1 else 's'} absent" if absent else ""
        for cast in self.stage.casts:
            if cast.error is not None and len(cast.error):
                far = cast.error[at]
                said.append(f"{cast.name}: " + (f"{far:.1f} {cast.unit} off" if np.isfinite(far) else "nothing here"))
        return said


def _figure(pen: ImageDraw.ImageDraw, joints: Floats, hollow: Bools, bones: Skeleton, look: Look) -> None:
    """One person: (J, 2) px."""
    known: Bools = np.asarray(np.isfinite(joints).all(axis=1))
    places = [tuple(each) for each in joints.tolist()]
    colours = _colours(bones, look.pale)
    for start, end in bones.lines:
        if known[start] and known[end]:
            left = bones.joints[end].startswith("left_")
            pen.line((*places[start], *places[end]), colours[end], max(1, look.width - (1 if left else 0)))
    for joint in np.flatnonzero(known).tolist():
        (x, y), reach = places[joint], look.width + 1
        box = (x - reach, y - reach, x + reach, y + reach)
        form = pen.rectangle if bones.joints[joint].startswith("left_") else pen.ellipse
        if hollow[joint]:
            form(box, fill=PAPER, outline=colours[joint], width=max(1, look.width // 2))
        else:
            form(box, fill=colours[joint])


@cache
def _colours(bones: Skeleton, pale: float) -> list[Colour]:
    """The colour of each joint, and of the bone that ends there."""
    found = []
    for joint, name in enumerate(bones.joints):
        sided = name.startswith(("left_", "right_"))
        colour = colour_of(bones, joint) if sided else DARK_MIDDLE
        mixed = [round(part + (paper - part) * pale) for part, paper in zip(colour, PAPER, strict=True)]
        found.append((mixed[0], mixed[1], mixed[2]))
    return found


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(LETTER)
