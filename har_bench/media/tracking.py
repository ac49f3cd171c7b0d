"""Following people through a film: whose pose is whose from one frame to the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from har_bench.arrays import Bytes, Floats, Ints
from har_bench.geometry.boxes import overlap
from har_bench.media.poses import Poses

SAME = 0.3
"""Intersection over union from which on boxes of two frames are of one person."""
MEMORY = 1.0
"""Seconds for which somebody who is not seen keeps the number."""


class Watcher(ABC):
    """Sees a film frame by frame."""

    @abstractmethod
    def __call__(self, image: Bytes, seconds: float) -> Poses:
        """The persons of the next frame, with ``person`` ids, the surest first.

        Args:
            image: (H, W, 3) RGB.
            seconds: since the film began.
        """

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What it remembers, as plain data that json can hold, so that another one can go on from here."""

    @abstractmethod
    def resume(self, state: dict[str, Any]) -> None:
        """Go on from another one's :meth:`state`."""


class Identities:
    """Numbers for persons, by the overlap of their boxes with those of the last frames."""

    def __init__(self) -> None:
        self.boxes: dict[int, list[float]] = {}
        self.seen: dict[int, float] = {}
        self.next = 0

    def claim(self, boxes: Floats, seconds: float, taken: Ints | None = None) -> Ints:
        """Numbers of the persons in these boxes (n, 4): those that are remembered by overlap, else new ones.

        Args:
            boxes: x, y, w, h [px], the surest first.
            seconds: since the film began.
            taken: numbers that others of this frame have already.
        """
        self.forget(seconds)
        free = [number for number in self.boxes if taken is None or number not in taken]
        shared = overlap(boxes, np.array([self.boxes[number] for number in free]).reshape(-1, 4))
        found = np.full(len(boxes), -1, np.int64)
        for place in np.argsort(-shared, axis=None, kind="stable"):
            row, other = np.unravel_index(place, shared.shape)
            if shared[row, other] < SAME:
                break
            if found[row] < 0 and free[other] not in found:
                found[row] = free[other]
        for row in np.flatnonzero(found < 0):
            found[row], self.next = self.next, self.next + 1
        for number, box in zip(found.tolist(), boxes.tolist(), strict=True):
            self.remember(number, box, seconds)
        return found

    def remember(self, number: int, box: list[float], seconds: float) -> None:
        """Where somebody is now."""
        self.boxes[number], self.seen[number] = box, seconds

    def forget(self, seconds: float) -> None:
        """Let go of those who were not seen for :data:`MEMORY` seconds."""
        for number in [number for number, last in self.seen.items() if seconds - last > MEMORY]:
            del self.boxes[number], self.seen[number]

    def state(self) -> dict[str, Any]:
        """As plain data."""
        numbers = list(self.boxes)
        return {
            "numbers": numbers,
            "boxes": [self.boxes[number] for number in numbers],
            "seen": [self.seen[number] for number in numbers],
            "next": self.next,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from another one's state."""
        self.boxes = dict(zip(state["numbers"], state["boxes"], strict=True))
        self.seen = dict(zip(state["numbers"], state["seen"], strict=True))
        self.next = state["next"]


class ByOverlap(Watcher):
    """Looks at every frame by itself, and tells persons apart by overlap.

    Args:
        look: finds the persons of an image, the surest first.
        people: how many at most; 0 is everybody.
    """

    def __init__(self, look: Callable[[Bytes], Poses], people: int = 0) -> None:
        self._look, self._people = look, people
        self._identities = Identities()

    def __call__(self, image: Bytes, seconds: float) -> Poses:
        """The persons of a frame."""
        found = self._look(image)
        found = found.take(list(range(min(self._people or len(found), len(found)))))
        return replace(found, person=self._identities.claim(found.boxes, seconds))

    def state(self) -> dict[str, Any]:
        """Numbers and boxes."""
        return self._identities.state()

    def resume(self, state: dict[str, Any]) -> None:
        """Go on."""
        self._identities.resume(state)
