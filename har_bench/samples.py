"""A synthetic person who walks: for demos, samples and tests, where no research data may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.skeletons import skeleton

# Bone lengths of an adult [mm], by joint of ``h36m32``; a bone ends at its joint, and joints that share a point have 0.
_LENGTHS = {
    "right_hip": 133.0, "right_knee": 443.0, "right_ankle": 454.0, "right_toe_base": 163.0, "right_toe_tip": 75.0,
    "left_hip": 133.0, "left_knee": 443.0, "left_ankle": 454.0, "left_toe_base": 163.0, "left_toe_tip": 75.0,
    "spine": 233.0, "thorax": 257.0, "neck": 121.0, "head": 115.0,
    "left_collar": 257.0, "left_shoulder": 151.0, "left_elbow": 279.0, "left_wrist": 252.0,
    "left_thumb_tip": 100.0, "left_hand": 100.0,
    "right_collar": 257.0, "right_shoulder": 151.0, "right_elbow": 279.0, "right_wrist": 252.0,
    "right_thumb_tip": 100.0, "right_hand": 100.0,
}  # fmt: skip
_SOLE = 40.0  # height of a toe joint above the ground [mm]


def walking_person(
    frames: int, seed: int | np.random.Generator = 0, *, fps: float = 50.0, radius: float = 1200.0
) -> npt.NDArray[np.float32]:
    """A person walking on a circle about the origin, feet on the ground, in the world frame of Human3.6M (z up).

    Args:
        frames: T, how many frames.
        seed: chooses body size, pace, gait, direction and starting point.
        fps: frames per second.
        radius: of the circle [mm].

    Returns:
        (T, 32, 3) joints of ``h36m32`` [mm]; bone lengths are constant.
    """
    rng = np.random.default_rng(seed)
    size, stride, swing, bend = rng.uniform([0.93, 0.85, 0.34, 0.7], [1.07, 1.05, 0.46, 1.1])
    time = np.arange(frames) / fps
    phase = 2 * np.pi * (stride * time + rng.uniform())
    body = size * _body(phase, swing, bend)

    direction = rng.choice([-1, 1])
    speed = 4 * swing * 0.9 * 897 * size * stride  # two steps of the legs' opening in each stride [mm/s]
    around = direction * speed / radius * time + rng.uniform(0, 2 * np.pi)
    place = radius * np.stack([np.cos(around), np.sin(around)], axis=-1)
    forward = direction * np.stack([-np.sin(around), np.cos(around)], axis=-1)
    left = np.stack([-forward[:, 1], forward[:, 0]], axis=-1)

    world = np.empty_like(body)
    world[..., :2] = place[:, None] + body[..., :1] * forward[:, None] + body[..., 1:2] * left[:, None]
    world[..., 2] = body[..., 2] - body[..., 2].min(axis=1, keepdims=True) + _SOLE
    return np.asarray(world, np.float32)


def _body(phase: npt.NDArray[np.float64], swing: float, bend: float) -> npt.NDArray[np.float64]:
    """(T, 32, 3) joints about the hip: x forward, y left, z up [mm]."""
    bones = skeleton("h36m32")
    directions = _directions(phase, swing, bend)
    points = np.zeros((len(phase), len(bones), 3))
    for index, (joint, parent) in enumerate(zip(bones.joints, bones.parents, strict=True)):
        if parent >= 0:
            points[:, index] = points[:, parent]
        if joint in _LENGTHS:
            points[:, index] += _LENGTHS[joint] * directions[joint]
    return points


def _directions(phase: npt.NDArray[np.float64], swing: float, bend: float) -> dict[str, npt.NDArray[np.float64]]:
    """Unit vectors (T, 3) of every bone with a length: limbs swing in the sagittal plane, arms against legs."""
    lean = 0.06 + 0.02 * np.cos(2 * phase)
    directions: dict[str, npt.NDArray[np.float64]] = {
        "spine": _up(lean), "thorax": _up(lean), "neck": _up(lean + 0.25), "head": _up(lean)
    }  # fmt: skip
    for side, sign, step in (("left", 1.0, phase), ("right", -1.0, phase + np.pi)):
        thigh = swing * np.sin(step)
        shank = thigh - 0.08 - bend * np.maximum(0, np.cos(step)) ** 2
        arm = -0.8 * swing * np.sin(step)
        forearm = arm + 0.35 + 0.15 * np.cos(step)
        twist = 0.12 * np.sin(step)  # of the shoulders, and less of the hips, about the vertical
        directions |= {
            f"{side}_hip": _sideways(sign, 0.4 * twist),
            f"{side}_knee": _down(thigh),
            f"{side}_ankle": _down(shank),
            f"{side}_toe_base": _down(shank + 1.25),
            f"{side}_toe_tip": _down(shank + 1.5),
            f"{side}_collar": _up(lean),
            f"{side}_shoulder": _sideways(sign, -twist),
            f"{side}_elbow": _down(arm),
            f"{side}_wrist": _down(forearm),
            f"{side}_thumb_tip": _down(forearm + 0.7),
            f"{side}_hand": _down(forearm),
        }
    return directions


def _down(angle: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Straight down at 0, forward at pi/2."""
    return np.stack([np.sin(angle), np.zeros_like(angle), -np.cos(angle)], axis=-1)


def _up(angle: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Straight up at 0, forward at pi/2."""
    return np.stack([np.sin(angle), np.zeros_like(angle), np.cos(angle)], axis=-1)


def _sideways(sign: float, angle: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """To the left (+1) or right (-1) at 0, turning forward."""
    return np.stack([np.sin(angle), sign * np.cos(angle), np.zeros_like(angle)], axis=-1)
