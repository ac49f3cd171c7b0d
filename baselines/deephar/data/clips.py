"""Which frames of a sequence are a clip: about its middle, anywhere in it, or several one after the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from har_bench.arrays import Ints

STRETCH = 1.5
"""A sequence that is shorter than a clip becomes so much longer, as often as needed, by frames that are seen twice."""


def centre(length: int, frames: int, step: int = 1) -> Ints:
    """The clip in the middle of a sequence.

    Args:
        length: frames of the sequence, at least one.
        frames: of the clip.
        step: see one frame in so many; fewer are left out where the sequence is too short for it.

    Returns:
        (``frames``,) indices.

    >>> centre(10, 4, 2).tolist(), centre(3, 4).tolist()
    ([1, 3, 5, 7], [0, 0, 1, 2])
    """
    fitted = _fitted(length, frames, step)
    return _indices(length, frames, fitted, fitted.spare // 2)


def drawn(length: int, frames: int, step: int, random: np.random.Generator) -> Ints:
    """A clip as :func:`centre` makes it, but anywhere in the sequence."""
    fitted = _fitted(length, frames, step)
    return _indices(length, frames, fitted, int(random.integers(fitted.spare + 1)))


def several(length: int, frames: int, step: int) -> list[Ints]:
    """Clips that begin half a clip's frames and ``step`` - 1 after each other; none where a sequence is too short.

    >>> [clip.tolist() for clip in several(9, 4, 2)]
    [[0, 2, 4, 6]]
    """
    starts = range(0, length - frames * step + 1, apart(frames, step))
    return [start + step * np.arange(frames) for start in starts]


def apart(frames: int, step: int) -> int:
    """By how many frames the next clip of a sequence begins later."""
    return frames // 2 + step - 1


class _Fitted(NamedTuple):
    """How often a sequence is stretched, the step that then fits, and by how much a clip can be moved."""

    stretches: int
    step: int
    spare: int


def _fitted(length: int, frames: int, step: int) -> _Fitted:
    stretches = 0
    while (stretched := int(length * STRETCH**stretches)) < frames:
        stretches += 1
    step = max(min(step, stretched // frames), 1)
    return _Fitted(stretches, step, stretched - 1 - (frames - 1) * step)


def _indices(length: int, frames: int, fitted: _Fitted, start: int) -> Ints:
    places = start + fitted.step * np.arange(frames)
    return np.minimum((places / STRETCH**fitted.stretches).astype(np.int64), length - 1)
