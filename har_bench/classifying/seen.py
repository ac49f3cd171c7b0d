"""Who is seen in a clip: the joints of its persons, frame by frame, out of a store or of a detector's file."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats
from har_bench.store import SequenceView

PERSONS = 2
"""Of more, those who are seen longest are taken."""

DENOISED = "ctrgcn"
"""The rule that picks NTU RGB+D's persons; it needs the column ``slot``."""


class Seen(NamedTuple):
    """The persons of a clip.

    Attributes:
        points: (M, T, V, 2 or 3) px, or metres and millimetres in space; what is not seen may be any finite number.
        scores: (M, T, V) 0 where a joint is not seen, up to 1.
        size: width and height of the picture [px], where they are known.
    """

    points: Floats
    scores: Floats
    size: tuple[float | None, float | None] = (None, None)


def of_sequence(sequence: SequenceView, column: str = "") -> Seen:
    """The persons of a store's sequence.

    Args:
        sequence: of NTU RGB+D, the denoised bodies in metres; of other stores, those with the most frames.
        column: ``keypoints`` or ``keypoints_3d``; the latter by default, where there is one.
    """
    names = sequence.poses.column_names
    column = column or ("keypoints_3d" if "keypoints_3d" in names else "keypoints")
    size = sequence.info.get("width"), sequence.info.get("height")
    if column == "keypoints_3d" and "slot" in names:
        points = sequence.view(DENOISED).astype(np.float64)
        return Seen(points, (points != 0).any(axis=-1).astype(np.float64), size)
    points, person, frame = getattr(sequence, column).astype(np.float64), sequence.person, sequence.frame
    sure = sequence.visibility == 2 if "visibility" in names else np.ones(points.shape[:-1], bool)
    frames, at = np.unique(frame, return_inverse=True)
    who, which, rows = np.unique(person, return_inverse=True, return_counts=True)
    ranked = np.argsort(-rows, kind="stable")
    place = np.empty(len(who), np.int64)
    place[ranked] = np.arange(len(who))
    filled = np.full((len(who), len(frames), *points.shape[1:]), np.nan)
    scores = np.zeros(filled.shape[:-1])
    filled[place[which], at], scores[place[which], at] = points, sure
    return _finite(filled[:PERSONS], scores[:PERSONS], size)


def of_detections(found: npt.NDArray[Any], size: tuple[float | None, float | None]) -> Seen:
    """One person of a detector's file: (T, V, 2 or 3) px and confidences, NaN where nothing was found."""
    points = found[None, ..., :2].astype(np.float64)
    scores = found[None, ..., 2].astype(np.float64) if found.shape[-1] > 2 else np.ones(points.shape[:-1])
    return _finite(points, scores, size)


def _finite(points: Floats, scores: Floats, size: tuple[float | None, float | None]) -> Seen:
    """Points that are not there become zeros that nobody sees."""
    there = np.isfinite(points).all(axis=-1) & np.isfinite(scores)
    return Seen(np.where(there[..., None], points, 0.0), np.where(there, scores, 0.0), size)
