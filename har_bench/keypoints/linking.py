"""Detections without a tracker's ids, linked through time into persons.

From frame to frame a person moves by a part of their own size, or the boxes of their joints overlap by half. Detections
are linked where that holds, and where no other link is nearly as good: where two people cannot be told apart, both end
there and two new persons begin. A person may so come in pieces, but no piece ever jumps from one to another.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from har_bench.arrays import Floats, Ints, Singles
from har_bench.geometry.boxes import around, overlap
from har_bench.keypoints.people import People

REACH = 0.4
"""How far the joints may be, on average, from where they are expected in the next frame, in sizes of the person."""

SETTLED, SURE = 3, 0.25
"""After so many sightings it is known how somebody moves, and the reach is this."""

OVERLAP = 0.5
"""Or how much the boxes of the joints share of what they cover together."""

PATIENCE = 3
"""Somebody who is missed is expected to move on as before for so many frames."""

MEMORY = 15
"""Frames (of those that the file has) after which somebody who is not seen is forgotten."""

MARGIN, RIVAL = 0.05, 1.5
"""The next best way to link must be worse by so much, in sizes, and by so many times."""

SAME = 0.1
"""Two detections of one frame whose joints are nearer than this, in sizes, are one person found twice."""


@dataclass(eq=False)
class _Path:
    """A person so far: their last detection, and how the body moves [px per frame]."""

    number: int
    frame: int
    points: Singles
    size: float
    velocity: Floats = field(default_factory=lambda: np.zeros(2))
    sightings: int = 1

    @property
    def reach(self) -> float:
        """How far the next detection may be from where it is expected, in sizes."""
        return REACH if self.sightings < SETTLED else SURE

    def expected(self, frame: int) -> npt.NDArray[np.float64]:
        """(J, 2) where the joints should be."""
        steps = min(frame - self.frame, PATIENCE)
        return self.points + self.velocity * steps

    def seen(self, frame: int, points: Singles) -> None:
        """Go on with a detection."""
        moved = np.nanmean((points - self.points).astype(np.float64), axis=0) / (frame - self.frame)
        self.velocity = np.where(np.isfinite(moved), (self.velocity + moved) / 2, self.velocity)
        # a joint that is not seen now is expected where the rest of the body takes it
        carried = self.points + np.nan_to_num(moved, nan=0.0).astype(np.float32) * (frame - self.frame)
        self.points = np.where(np.isfinite(points), points, carried).astype(np.float32)
        self.frame, self.size = frame, size_of(points)
        self.sightings += 1


def link(people: People) -> Ints:
    """(n,) the person of each row, from 1 in the order in which they appear; 0 for a person found twice in a frame."""
    if _alone(people):
        return np.ones(len(people), np.int64)
    found = np.zeros(len(people), np.int64)
    order = np.lexsort((-people.score, people.frame))
    frames, starts = np.unique(people.frame[order], return_index=True)
    step = int(np.median(np.diff(frames))) if len(frames) > 1 else 1
    paths: list[_Path] = []
    born = 0
    for frame, rows in zip(frames.tolist(), np.split(order, starts[1:]), strict=True):
        rows = _once(people, rows)
        paths = [path for path in paths if frame - path.frame <= MEMORY * step]
        points = people.points[rows, :, :2]
        going, lost = _matched(paths, points, frame)
        for index, row in enumerate(rows.tolist()):
            if index in going:
                going[index].seen(frame, points[index])
                found[row] = going[index].number
                continue
            born += 1
            found[row] = born
            paths.append(_Path(born, frame, points[index], size_of(points[index])))
        paths = [path for path in paths if path not in lost]
    return found


def size_of(points: Singles) -> float:
    """The square root of the area of the joints' box [px]; of a flat one, half its longer side."""
    sides = np.nanmax(points, axis=0) - np.nanmin(points, axis=0)
    return float(max(np.sqrt(np.prod(sides, dtype=np.float64)), sides.max() / 2, 1.0))


def distances(expected: npt.NDArray[np.floating], found: Singles) -> Floats:
    """(P, Q) mean distances [px] of the joints that both have, of (P, J, 2) and (Q, J, 2); infinite without any."""
    apart = np.linalg.norm(expected[:, None].astype(np.float64) - found[None], axis=-1)
    shared = np.isfinite(apart)
    number = shared.sum(axis=-1)
    total = np.where(shared, apart, 0).sum(axis=-1)
    means: Floats = np.where(number > 0, total / np.maximum(number, 1), np.inf)
    return means


def _alone(people: People) -> bool:
    """Whether there is one detection a frame, and each within reach of the one before: the usual case, in one go."""
    order = np.argsort(people.frame, kind="stable")
    frames = people.frame[order]
    if len(frames) < 2 or (np.diff(frames) == 0).any():
        return len(frames) < 2
    points = people.points[order, :, :2]
    apart = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    shared = np.isfinite(apart)
    with np.errstate(invalid="ignore"):
        moved = np.where(shared, apart, 0).sum(axis=-1) / shared.sum(axis=-1)
    sizes = np.array([size_of(each) for each in points[:-1]])
    near = shared.any(axis=-1) & (moved <= REACH * sizes)
    pairs = zip(points[:-1][~near], points[1:][~near], strict=True)
    return all(overlap(around(one[None]), around(other[None]))[0, 0] >= OVERLAP for one, other in pairs)


def _once(people: People, rows: Ints) -> Ints:
    """The rows of a frame, best first, without those that repeat a better one."""
    if len(rows) < 2:
        return rows
    points = people.points[rows, :, :2]
    near = distances(points, points) < SAME * np.array([size_of(each) for each in points])[:, None]
    kept: list[int] = []
    for index in range(len(rows)):
        if not near[kept, index].any():
            kept.append(index)
    return rows[kept]


def _matched(paths: list[_Path], points: Singles, frame: int) -> tuple[dict[int, _Path], list[_Path]]:
    """Which path each detection goes on with, and which paths end because they cannot be told from others."""
    if not paths or not len(points):
        return {}, []
    size = np.array([path.size for path in paths])
    expected = np.stack([path.expected(frame) for path in paths])
    cost = distances(expected, points) / size[:, None]
    near = cost <= np.array([path.reach for path in paths])[:, None]
    within = near | ((overlap(around(expected), around(points)) >= OVERLAP) & np.isfinite(cost))
    beyond = 1e6
    taken, given = linear_sum_assignment(np.where(within, cost, beyond))
    pairs = [(one, other) for one, other in zip(taken.tolist(), given.tolist(), strict=True) if within[one, other]]
    doubtful, lost = _doubtful(np.where(within, cost, np.inf), pairs)
    return {other: paths[one] for one, other in pairs if (one, other) not in doubtful}, [paths[one] for one in lost]


def _doubtful(cost: Floats, pairs: list[tuple[int, int]]) -> tuple[set[tuple[int, int]], set[int]]:
    """The pairs that another way to link would replace at nearly the same cost, and all paths that end so.

    Args:
        cost: (P, Q) of linking a path to a detection; infinite where it is out of reach.
        pairs: the links that cost least.
    """
    doubtful: set[tuple[int, int]] = set()
    lost: set[int] = set()
    free_paths = set(range(cost.shape[0])) - {one for one, _ in pairs}
    free_points = set(range(cost.shape[1])) - {other for _, other in pairs}
    for index, (one, other) in enumerate(pairs):
        most = cost[one, other] * RIVAL + MARGIN
        rivals = {path for path in free_paths if cost[path, other] < most}
        if rivals or any(cost[one, point] < most for point in free_points):
            doubtful.add((one, other))
            lost |= {one, *rivals}
        for third, fourth in pairs[index + 1 :]:
            both = cost[one, other] + cost[third, fourth]
            if cost[one, fourth] + cost[third, other] < both * RIVAL + MARGIN:
                doubtful |= {(one, other), (third, fourth)}
                lost |= {one, third}
    return doubtful, lost
