"""Lifted joints through time, and the axes that their numbers are along."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Singles
from har_bench.errors import Malformed
from har_bench.skeletons import Skeleton

Width = TypeVar("Width", np.float32, np.float64)

_WAYS = {"right": (0, 1), "left": (0, -1), "down": (1, 1), "up": (1, -1), "forward": (2, 1), "backward": (2, -1)}
"""Along which of the camera's axes a word goes, and in which direction."""


class Axes(NamedTuple):
    """Where x, y and z go, as seen by the camera."""

    x: str
    y: str
    z: str

    @property
    def words(self) -> str:
        """``x right, y down, z forward``."""
        return f"x {self.x}, y {self.y}, z {self.z}"

    @classmethod
    def told(cls, words: str) -> Axes:
        """The axes of such words.

        Raises:
            Malformed: they are no three axes.
        """
        found = re.fullmatch("x ([a-z]+), y ([a-z]+), z ([a-z]+)", words)
        axes = cls(*found.groups()) if found else None
        if axes is None or {_WAYS[way][0] for way in axes if way in _WAYS} != {0, 1, 2}:
            raise Malformed(f"has the axes {words[:60]!r}, which are none such as {CAMERA.words!r}")
        return axes


CAMERA = Axes("right", "down", "forward")
"""The camera's own, as every model gives them."""

WORLD = Axes("right", "forward", "up")
"""Those of a room that a level camera looks into."""

UPRIGHT = Axes("right", "up", "backward")
"""What programs of animation and of biomechanics expect."""


@dataclass(frozen=True)
class Motion:
    """One person's joints.

    Attributes:
        joints: (T, J, 3) mm.
        person: their number.
        start: the frame of the first row.
    """

    joints: Singles
    person: int = 0
    start: int = 0

    @property
    def frames(self) -> range:
        """The frames of the rows."""
        return range(self.start, self.start + len(self.joints))


@dataclass(frozen=True)
class Scene:
    """Several persons of one video, and what their numbers mean.

    Attributes:
        motions: the persons.
        skeleton: their joints.
        fps: frames per second, when they are known.
        axes: of all joints.
        notes: what a reader of the numbers should know, a line each.
        sequence: the video's name.
    """

    motions: Sequence[Motion]
    skeleton: Skeleton
    fps: float | None = None
    axes: Axes = CAMERA
    notes: tuple[str, ...] = ()
    sequence: str = ""


def turned(joints: npt.NDArray[Width], given: Axes, wanted: Axes) -> npt.NDArray[Width]:
    """(..., 3) joints along other axes."""
    axes, signs = zip(*(_WAYS[way] for way in given), strict=True)
    wished, ways = zip(*(_WAYS[way] for way in wanted), strict=True)
    places = [axes.index(axis) for axis in wished]
    along = np.array(ways, joints.dtype) * np.array(signs, joints.dtype)[places]
    found: npt.NDArray[Width] = joints[..., places] * along
    return found
