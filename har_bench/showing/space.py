"""How a place in space becomes a place on the canvas: our own camera, which follows the root above a ground grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from har_bench.arrays import Floats
from har_bench.cameras import Camera

YAW, PITCH = math.radians(30), math.radians(12)
"""From where a person is seen, as a start."""

REACH = 1150.0
"""What is shown about the root, upwards and sideways [mm]."""

FAR = 5000.0
"""How far our camera is from the root [mm]."""

TILE = 500.0
"""Of the grid on the ground [mm]."""

TILES = 4
"""On either side of the root."""


@dataclass(frozen=True)
class View:
    """Our camera.

    Attributes:
        turn: (3, 3) from the data's axes to ours: x right, y up, z towards the viewer.
        side: of the square canvas [px].
    """

    turn: Floats
    side: int

    def project(self, places: Floats) -> Floats:
        """(..., 3) mm about the root as (..., 2) px."""
        seen = places @ self.turn.T
        shrink = FAR / (FAR - seen[..., 2:])
        scale = self.side / 2 / REACH
        flipped: Floats = self.side / 2 + seen[..., :2] * shrink * scale * np.array([1.0, -1.0])
        return flipped


def view_of(camera: Camera | None, side: int, *, as_recorded: bool = False) -> View:
    """Our camera for joints in the frame of a recording camera.

    Args:
        camera: that recorded them; where it is not known, its own y is taken to point down.
        side: of the canvas [px].
        as_recorded: look from where it stood, instead of from aside and above.
    """
    own = np.diag([1.0, -1.0, -1.0])  # x right, y down, z forward: turned to y up, z towards us
    if as_recorded:
        return View(own, side)
    level = own @ _levelled(camera)
    return View(_rotated(level), side)


def up_of(camera: Camera | None) -> Floats:
    """(3,) which way is up in the frame of a recording camera; its own up where it is not calibrated."""
    if camera is None:
        return np.array([0.0, -1.0, 0.0])
    ups = [sign * camera.R[:, axis] for axis in (1, 2) for sign in (1.0, -1.0)]  # y or z of the world
    return max(ups, key=lambda up: -up[1])  # cameras stand more or less upright


def _levelled(camera: Camera | None) -> Floats:
    """(3, 3) turns a camera's frame so that what is up in the world is -y."""
    up = up_of(camera)
    forward = np.array([0.0, 0.0, 1.0]) - up[2] * up
    forward /= np.linalg.norm(forward)
    right = np.cross(-up, forward)
    return np.stack([right, -up, forward])


def _rotated(level: Floats) -> Floats:
    about_up = np.array([[math.cos(YAW), 0, math.sin(YAW)], [0, 1, 0], [-math.sin(YAW), 0, math.cos(YAW)]])
    down = np.array([[1, 0, 0], [0, math.cos(PITCH), -math.sin(PITCH)], [0, math.sin(PITCH), math.cos(PITCH)]])
    turned: Floats = down @ about_up @ level
    return turned


def ground(places: Floats, up: Floats) -> float:
    """How far below the root the lowest joints are over a whole sequence [mm]: (F, P, J, 3) about their roots."""
    heights = places.reshape(-1, 3) @ up
    known = heights[np.isfinite(heights)]
    return float(np.percentile(known, 1)) if len(known) else -REACH / 2


def grid(height: float, up: Floats, root: Floats) -> Floats:
    """(L, 2, 3) ends of the lines of a grid on the ground, about a root that stands at (3,) in the room."""
    forward = np.array([0.0, 0.0, 1.0]) - up[2] * up
    forward /= np.linalg.norm(forward)
    right = np.cross(-up, forward)
    shift = np.array([root @ right, root @ forward]) % TILE if np.isfinite(root).all() else np.zeros(2)
    reach = TILE * TILES
    lines = []
    for step in range(-TILES, TILES + 1):
        for along, across, moved in ((right, forward, shift[1]), (forward, right, shift[0])):
            at = across * (step * TILE - moved) + up * height
            lines.append([at - along * reach, at + along * reach])
    return np.array(lines)
