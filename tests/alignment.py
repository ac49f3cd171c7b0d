"""The textbook that alignments are held to: Umeyama's similarity, reflections excluded, by one batched SVD."""

from __future__ import annotations

import numpy as np

from har_bench.arrays import Floats
from har_bench.geometry import Similarity


def by_svd(source: Floats, target: Floats) -> Similarity:
    """The similarities that lay (N, J, 3) points best upon others (Umeyama, TPAMI 1991)."""
    mean, goal = source.mean(axis=1, keepdims=True), target.mean(axis=1, keepdims=True)
    source, target = source - mean, target - goal
    U, S, Vt = np.linalg.svd(np.swapaxes(source, 1, 2) @ target)
    sign = np.sign(np.linalg.det(U @ Vt))
    S[:, 2] *= sign
    Vt[:, 2] *= sign[:, None]
    R = np.swapaxes(U @ Vt, 1, 2)
    s = S.sum(axis=1) / np.square(source).sum(axis=(1, 2))
    return Similarity(R, s, goal[:, 0] - s[:, None] * (R @ np.swapaxes(mean, 1, 2))[..., 0])


def moved(points: Floats, by: Similarity) -> Floats:
    """(N, J, 3) points under similarities."""
    return by.s[:, None, None] * (points @ np.swapaxes(by.R, 1, 2)) + by.t[:, None]
