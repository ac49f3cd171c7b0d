"""Joints in a room instead of before a camera: a guess, as no picture says how the camera is held.

The camera is taken to be level, and whoever is lowest to stand on the floor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from har_bench.arrays import Singles
from har_bench.keypoints.motion import CAMERA, WORLD, turned

SAID = "the room is a guess: the camera is taken to be level, and {who} to stand on the floor"


def in_room(motions: Sequence[Singles], *, placed: bool) -> tuple[list[Singles], str]:
    """Persons' (T, J, 3) joints [mm] in the camera's axes, in those of a level room: x right, y forward, z up.

    Args:
        motions: each person's joints.
        placed: they are before the camera. Else they are about the root, whose path is not known.

    Returns:
        The joints, and what is guessed. Where persons are placed, z is 0 at the lowest joint of all frames; else it is
        at each frame's own lowest joint, so that nobody ever leaves the floor.
    """
    level = [turned(joints, CAMERA, WORLD) for joints in motions]
    if placed:
        floor = min(float(joints[..., 2].min()) for joints in level)
        down = [joints - np.array([0, 0, floor], np.float32) for joints in level]
        return [joints.astype(np.float32) for joints in down], SAID.format(who="the lowest foot of all frames")
    for joints in level:
        joints[..., 2] -= joints[..., 2].min(axis=1, keepdims=True)
    return [joints.astype(np.float32) for joints in level], SAID.format(who="the lowest foot of every frame")
