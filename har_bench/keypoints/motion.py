"""Lifted joints through time, and the axes that their numbers are along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from har_bench.arrays import Singles
from har_bench.errors import HarBenchError
from har_bench.skeletons import Skeleton


class Axes(NamedTuple):
    """Where x, y and z go, as seen by the camera."""

    x: str
    y: str
    z: str

    @property
    def words(self) -> str:
        """``x right, y down, z forward``."""
        return f"x {self.x}, y {self.y}, z {self.z}"


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


def upright(joints: Singles, axes: Axes) -> Singles:
    """(..., 3) joints along :data:`UPRIGHT` axes.

    Raises:
        HarBenchError: axes that are none of these.
    """
    x, y, z = (joints[..., axis] for axis in range(3))
    if axes == CAMERA:
        return np.stack([x, -y, -z], axis=-1)
    if axes == WORLD:
        return np.stack([x, z, -y], axis=-1)
    raise HarBenchError(f"joints along {axes.words} cannot be turned upright; give the camera's axes or the world's")
