"""People in pixels: somebody who walks through an image of 1920 x 1080, in COCO's joints."""

from __future__ import annotations

from typing import Any

import numpy as np

SIZE = (1920, 1080)

STANDING = np.array(
    [
        *[(600, 340), (610, 330), (590, 330), (624, 336), (576, 336)],
        *[(670, 400), (530, 400), (690, 500), (510, 500), (700, 580), (500, 580)],
        *[(642, 600), (558, 600), (644, 740), (556, 740), (650, 880), (550, 880)],
    ],
    np.float32,
)
"""COCO's 17 joints of a person 550 px high."""


def walk(frames: int = 30, at: float = 0, *, seed: int = 0, speed: float = 4) -> np.ndarray[Any, Any]:
    """(T, 17, 2) px; ``at`` is how far to the right of the usual place, ``speed`` px a frame to the right."""
    time = np.arange(frames)[:, None, None]
    swing = 15 * np.sin(time / 5 + np.arange(17)[None, :, None])
    noise = np.random.default_rng(seed).normal(0, 0.7, (frames, 17, 2))
    moved = STANDING + np.array([at, 0]) + speed * time * np.array([1, 0]) + swing * np.array([1, 0.3]) + noise
    return np.asarray(moved, np.float32)


def flat(points: np.ndarray[Any, Any], score: float = 0.9) -> list[float]:
    """x, y, score of every joint of one pose, one after the other, as COCO's results have them."""
    rows = np.concatenate([points, np.full((len(points), 1), score)], axis=1)
    return [float(value) for value in rows.ravel()]
