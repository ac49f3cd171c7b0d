"""What the network gets of a clip: a window of frames, the person it is about first, and the others beside it.

With ``quirks`` it is what LART's code makes of the same tracklets, slips included: a training window always begins at
the first frame, and one frame is missing at the end of tracks that fit in; who begins before the window and ends after
it is not there; and of many people chance takes some, in testing too. Without, the window is drawn at random in
training and lies about the key frame in testing, nobody is missing, and those who are longest in sight are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch

from har_bench import remote
from har_bench.arrays import Anything, Bools, Ints, Singles
from har_bench.errors import HarBenchError
from har_bench.foreign import npy

from .clips import Clip, Person
from .network import POSE, Inputs

FRAMES, PEOPLE = 125, 5
Quirks = Literal["none", "lart"]
_TINY, _STILL = 1e-10, 1e-6


class Norm(NamedTuple):
    """What is done to a body: the mean taken away, the deviation divided by.

    Attributes:
        mean: (229,).
        deviation: (229,).
    """

    mean: Singles
    deviation: Singles

    def applied(self, pose: Singles) -> Singles:
        """(..., 229) -> (..., 229)."""
        return np.asarray((pose - self.mean) / (self.deviation + _TINY), np.float32)


@dataclass(frozen=True)
class Item:
    """One window: T frames of P people, the first of whom it is about.

    Attributes:
        start: the row of that person's track with which the window begins.
        frame: (T, P) fid; 0 where there is no row of a track.
        pose: (T, P, 229) normalised; who is on a track and was not detected is the mean of a zero, others are zero.
        joints: (T, P, 135).
        appearance: (T, P, D).
        detected: (T, P).
        body: (T, P, 229) not normalised: what the network may be asked to tell again.
        labels: (T, P, 80).
        has_gt: (T, P).
    """

    start: int
    frame: Ints
    pose: Singles
    joints: Singles
    appearance: Singles
    detected: Bools
    body: Singles
    labels: Singles
    has_gt: Ints


@dataclass(frozen=True)
class Windows:
    """How clips become windows.

    Attributes:
        norm: of the bodies.
        frames, people: T and P.
        quirks: whose slips are made.
    """

    norm: Norm
    frames: int = FRAMES
    people: int = PEOPLE
    quirks: Quirks = "none"

    def training(self, clip: Clip, place: int, random: np.random.RandomState) -> Item:
        """A window about one of the people, drawn at random where the track is longer."""
        length = len(clip.people[place])
        spare = max(length - self.frames, 0)
        if self.quirks == "lart":
            return self._item(clip, place, 0, min(max(length - 1, 1), self.frames), random)
        return self._item(clip, place, int(random.randint(spare + 1)), min(length, self.frames), random)

    def testing(self, clip: Clip, place: int, random: np.random.RandomState, about: int | None = None) -> Item:
        """The window with the row ``about`` of the person's track in it, in the middle as far as the track allows."""
        length = len(clip.people[place])
        start = 0
        if self.quirks == "none" and about is not None:
            start = min(max(about - self.frames // 2, 0), max(length - self.frames, 0))
        return self._item(clip, place, start, min(length, self.frames), random)

    def _item(self, clip: Clip, place: int, start: int, count: int, random: np.random.RandomState) -> Item:
        ego = clip.people[place]
        taken = [ego, *self._others(clip, place, ego.frame[start : start + count], random)]
        shape = (self.frames, self.people)
        item = Item(
            start=start,
            frame=np.zeros(shape, np.int64),
            detected=np.zeros(shape, bool),
            has_gt=np.zeros(shape, np.int64),
            **{
                name: np.zeros((*shape, size), np.float32)
                for name, size in (
                    *(("pose", ego.pose.shape[1]), ("body", ego.pose.shape[1]), ("joints", ego.joints.shape[1])),
                    *(("appearance", ego.appearance.shape[1]), ("labels", ego.labels.shape[1])),
                )
            },
        )
        times = ego.frame[start : start + count]
        for slot, person in enumerate(taken):
            rows, places = aligned(person.frame, times)
            for name in ("frame", "detected", "has_gt", "joints", "appearance", "labels"):
                getattr(item, name)[places, slot] = getattr(person, name)[rows]
            item.body[places, slot] = person.pose[rows]
            item.pose[places, slot] = self.norm.applied(person.pose[rows])
        return item

    def _others(self, clip: Clip, place: int, times: Ints, random: np.random.RandomState) -> list[Person]:
        """Who else is in the window, as many as there is room for."""
        others = [person for other, person in enumerate(clip.people) if other != place]
        room = self.people - 1
        if self.quirks == "lart":
            present = [
                person
                for person in others
                if len(aligned(person.frame, times)[0])
                and not (person.frame[0] < times[0] and person.frame[-1] > times[-1])
            ]
            return [present[which] for which in random.permutation(len(present))[:room]]
        together = [int(person.detected[aligned(person.frame, times)[0]].sum()) for person in others]
        longest = sorted(range(len(others)), key=lambda other: (-together[other], others[other].track))
        return [others[other] for other in longest[:room] if together[other]]


def aligned(frames: Ints, times: Ints) -> tuple[Ints, Ints]:
    """The rows of a track that are at one of the window's rising ``times``, and where in the window they are.

    >>> aligned(np.array([3, 4, 5]), np.array([4, 5, 6]))
    (array([1, 2]), array([0, 1]))
    """
    places = np.searchsorted(times, frames)
    there = np.flatnonzero(places < len(times))
    there = there[times[places[there]] == frames[there]]
    return there, places[there]


def stacked(items: Sequence[Item], device: torch.device | None = None) -> Inputs:
    """A batch of windows, as the network takes it."""

    def batch(name: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([getattr(item, name) for item in items])).to(device)

    return Inputs(batch("pose"), batch("detected"), batch("joints"), batch("appearance"))


def norm_of(mean: Anything, deviation: Anything, width: int) -> Norm:
    """A norm of ``width`` numbers; what the arrays are short of is left as it is."""
    means, deviations = np.zeros(width, np.float32), np.ones(width, np.float32)
    means[: len(mean)], deviations[: len(deviation)] = mean, deviation
    return Norm(means, deviations)


def norm_read(place: str) -> Norm:
    """PHALP's ``mean_std.npy``: (2, ...) the means and deviations of a body, of its first numbers.

    Raises:
        HarBenchError: it is another file.
    """
    path = remote.fetch(place)
    values = np.asarray(npy.load(path))
    if values.dtype.kind != "f" or len(values) != 2 or not 0 < values[0].size <= POSE:
        raise HarBenchError(
            f"{path} is {values.dtype} {values.shape} and not (2, 1, 226); give PHALP's 3D/mean_std.npy"
        )
    mean, deviation = values.reshape(2, -1)
    return norm_of(mean, deviation, POSE)


def measured(poses: Iterable[Singles]) -> Norm:
    """The mean and the deviation of bodies, given in pieces (N, 229); a number that never changes stays undivided.

    >>> norm = measured([np.array([[1, 5]]), np.array([[3, 5]])])
    >>> norm.mean.tolist(), norm.deviation.tolist()
    ([2.0, 5.0], [1.0, 1.0])
    """
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for piece in poses:
        count += len(piece)
        total = total + piece.sum(axis=0, dtype=np.float64)
        squares = squares + np.square(piece, dtype=np.float64).sum(axis=0)
    mean = total / max(count, 1)
    deviation = np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0))
    return Norm(mean.astype(np.float32), np.where(deviation > _STILL, deviation, 1).astype(np.float32))
