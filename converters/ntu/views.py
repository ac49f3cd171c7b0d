"""How the field picks persons out of NTU RGB+D's skeletons: named rules that read a sequence of the store.

Every rule is a function ``NAME_rows`` that gives, for each of M actors and T frames, the row of the sequence (-1 where
the actor is absent), and a function ``NAME`` that fills in the positions; with the rows any other column can be taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Ints
from har_bench.store import SequenceView

from .tables import to_metres

SHORTEST = 11
"""Frames up to which CTR-GCN takes a body for a phantom."""
WIDE, TOO_WIDE = 0.8, 0.69754
"""A body is wide in a frame where its width exceeds 0.8 of its height; a phantom is so in 0.69754 of its frames."""
SLOTS = 4
"""Bodies of a frame that mmaction2 reads."""


def metres(sequence: SequenceView) -> npt.NDArray[np.float64]:
    """(N, 25, 3) positions in the Kinect's camera space [m], y up: the very numbers of the ``.skeleton`` file."""
    return to_metres(sequence.keypoints_3d)


def taken(values: npt.NDArray[Any], rows: Ints, absent: float = 0) -> npt.NDArray[Any]:
    """(M, T, ...) values of the rows that a rule chose, ``absent`` where it chose none."""
    filled = np.full((*rows.shape, *values.shape[1:]), absent, values.dtype)
    filled[rows >= 0] = values[rows[rows >= 0]]
    return filled


def ctrgcn(sequence: SequenceView) -> npt.NDArray[np.float32]:
    """The denoised bodies of CTR-GCN, which are those of SGN, STTFormer and pyskl.

    Returns:
        (M, T, 25, 3) float32 [m]; M is 2 if several bodies survive, else 1. T counts the frames with a body only, as
        these programs drop the others, so their times are not those of the video.
    """
    return taken(metres(sequence).astype(np.float32), ctrgcn_rows(sequence))


def mmaction2(sequence: SequenceView) -> npt.NDArray[np.float64]:
    """The two of the first four slots in which most moves, as mmaction2 selects them (and stores them as float16).

    Returns:
        (M, T, 25, 3) float64 [m]; M is 0 to 2, T is every frame of the file.
    """
    return taken(metres(sequence), mmaction2_rows(sequence))


def first_two(sequence: SequenceView) -> npt.NDArray[np.float32]:
    """The first two bodies of every frame, whoever they are, as the early ST-GCN and HCN prepared them.

    Returns:
        (2, T, 25, 3) float32 [m]; T is every frame of the file.
    """
    return taken(metres(sequence).astype(np.float32), first_two_rows(sequence))


def first_two_rows(sequence: SequenceView) -> Ints:
    """(2, T) rows of :func:`first_two`."""
    return _by_slot(sequence, 2)


def mmaction2_rows(sequence: SequenceView) -> Ints:
    """(M, T) rows of :func:`mmaction2`.

    The energy of a slot is the sum of the standard deviations of x, y and z over its bodies and joints. Bodies that
    change places in the file are mixed.
    """
    slots, points = _by_slot(sequence, SLOTS), metres(sequence)
    energies = [_energy(points[rows[rows >= 0]]) for rows in slots]
    strongest = slots[np.argsort(energies, kind="stable")[::-1][:2]]
    return strongest[(strongest >= 0).any(axis=1)]


def _energy(points: npt.NDArray[np.float64]) -> float:
    seen = points[points.sum(axis=(1, 2)) != 0]
    return float(sum(seen[..., axis].std() for axis in range(3))) if len(seen) else 0.0


def _by_slot(sequence: SequenceView, slots: int) -> Ints:
    """(slots, T) rows by their place in the frame."""
    rows = np.full((slots, sequence.info["n_frames"]), -1, np.int64)
    slot, frame = sequence.slot, sequence.frame
    inside = slot < slots
    rows[slot[inside], frame[inside]] = np.flatnonzero(inside)
    return rows


class Body(NamedTuple):
    """One body id's track, as CTR-GCN keeps it.

    Attributes:
        person: its id.
        rows: its rows of the sequence, by time.
        start: the first of its frames, counted among those with a body.
        motion: the sum of the variances of x, y and z over its frames and joints [m²].
    """

    person: int
    rows: Ints
    start: int
    motion: float

    @property
    def end(self) -> int:
        """The last frame, were there no gap: these programs close gaps."""
        return self.start + len(self.rows) - 1


def bodies(sequence: SequenceView) -> list[Body]:
    """Every body id, in the order in which the file first names them."""
    frame, slot, person = sequence.frame, sequence.slot, sequence.person
    points = metres(sequence).astype(np.float32)
    seen = np.unique(frame)
    found: dict[int, list[int]] = {}
    for row in np.lexsort((slot, frame)).tolist():
        found.setdefault(int(person[row]), []).append(row)
    return [
        Body(who, np.array(rows), int(np.searchsorted(seen, frame[rows[0]])), _motion(points[rows]))
        for who, rows in found.items()
    ]


def _motion(points: npt.NDArray[np.float32]) -> float:
    return float(points.reshape(-1, 3).var(axis=0).sum())


def ctrgcn_rows(sequence: SequenceView) -> Ints:
    """(M, T) rows of :func:`ctrgcn`.

    Phantoms are dropped as long as two bodies remain: short ones, then wide ones. The strongest motion is actor 1, and
    each further body joins the first actor whose time it does not overlap. Frames without either are dropped.
    """
    found = bodies(sequence)
    frames = len(np.unique(sequence.frame))
    survivors = found if len(found) < 2 else without_wide(without_short(found), metres(sequence).astype(np.float32))
    if len(survivors) == 1:
        return survivors[0].rows[None]
    actors = np.full((min(len(survivors), 2), frames), -1, np.int64)
    survivors = sorted(survivors, key=lambda body: body.motion, reverse=True)
    for body, actor in zip(survivors, assigned(survivors), strict=True):
        if actor >= 0:
            actors[actor, body.start : body.end + 1] = body.rows
    return actors[:, (actors >= 0).any(axis=0)]


def without_short(found: Sequence[Body]) -> list[Body]:
    """The bodies with more than 11 frames."""
    return [body for body in found if len(body.rows) > SHORTEST]


def without_wide(found: Sequence[Body], points: npt.NDArray[np.float32]) -> list[Body]:
    """The bodies that are upright most of the time; the motion of the others is that of their upright frames.

    Args:
        found: bodies, in the order of the file; the last one that remains is kept.
        points: (N, 25, 3) positions of the sequence [m].
    """
    left = len(found)
    kept = []
    for body in found:
        x, y, _ = np.moveaxis(np.ptp(points[body.rows], axis=1), -1, 0)
        upright = x <= WIDE * y
        if left == 1 or upright.all():
            kept.append(body)
        elif (~upright).mean() >= TOO_WIDE:
            left -= 1
        else:
            motion = _motion(points[body.rows[upright]])
            kept.append(body._replace(motion=min(body.motion, motion)))  # the first argument if either is NaN
    return kept


def assigned(found: Sequence[Body]) -> list[int]:
    """For each body, the strongest first: actor 0 or 1, or -1 if it overlaps both in time."""
    spans: list[tuple[int, int]] = [(found[0].start, found[0].end), (0, 0)] if found else []
    actors = [0] if found else []
    for body in found[1:]:
        actors.append(-1)
        for actor, (start, end) in enumerate(spans):
            if min(end, body.end) - max(start, body.start) <= 0:
                spans[actor] = min(start, body.start), max(end, body.end)
                actors[-1] = actor
                break
    return actors
