"""Which frames of a clip a network sees: pyskl's uniform clips, and one frame of each of equal segments."""

from __future__ import annotations

import numpy as np

from har_bench.arrays import Ints

TEST_SEED = 255
"""Every sample's clips are drawn from a generator of this seed, so the order of samples changes nothing."""

Random = np.random.RandomState
"""The generator whose draws are those of the published programs."""


def uniform(length: int, frames: int, random: Random, *, start: int | None = None) -> Ints:
    """(``frames``,) places in a clip of ``length`` frames, as pyskl draws them.

    A clip shorter than that loops. One of less than twice as many frames leaves out as many as are too many; of a
    longer one, a frame is taken from each of equal segments.

    Args:
        length: T, at least 1.
        frames: L, how many are wanted.
        random: draws what is left to chance.
        start: where a short clip begins; by chance by default.
    """
    random.rand()  # pyskl draws a share to crop and its place, though it never crops
    random.randint(1)
    if length < frames:
        first = random.randint(0, length) if start is None else start
        return np.arange(first, first + frames) % length
    if length < 2 * frames:
        skipped = np.zeros(frames + 1, np.int64)
        skipped[random.choice(frames + 1, length - frames, replace=False)] = 1
        return np.arange(frames) + np.cumsum(skipped)[:-1]
    bounds = np.arange(frames + 1) * length // frames
    return bounds[:-1] + random.randint(np.diff(bounds))


def uniform_tests(length: int, frames: int, clips: int) -> Ints:
    """(``clips``, ``frames``) places of the clips that are tested; the first one is the clip of a validation."""
    random = Random(TEST_SEED)
    starts = [clip if length < clips else clip * length // clips for clip in range(clips)]
    return np.stack([uniform(length, frames, random, start=start) for start in starts])


def segments(length: int, frames: int, random: Random) -> Ints:
    """(``frames``,) one place in each of equal segments; a shorter clip's frames come several times."""
    bounds = np.arange(frames + 1) * length // frames
    if length < frames:
        return bounds[:-1]
    return bounds[:-1] + random.randint(np.diff(bounds))


def middles(length: int, frames: int, clips: int = 1) -> Ints:
    """(``clips``, ``frames``) places in equal segments: of one clip the middles, of several other shares of them."""
    shares = (np.arange(clips)[:, None] + 0.5) / clips
    return ((np.arange(frames) + shares) * length / frames).astype(np.int64)
