"""BlazePose on films as MediaPipe runs it: where somebody was is where to look next, and the detector looks for others.

A person's next region is made of the two auxiliary points of this frame, always steadied. Who is not found in a region
is lost: the frame has no such pose, and the next frame's detector may find them again. MediaPipe follows one person;
here there may be several, each with filters of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from har_bench.arrays import Bytes, Floats
from har_bench.geometry.boxes import overlap
from har_bench.media.poses import Poses, around
from har_bench.media.tracking import Identities, Watcher

from . import detector
from .detector import Region, region
from .eyes import Eyes
from .filters import LowPass, OneEuro, plain, restored
from .landmarks import HIPS, JOINTS, Landmarks

Smooth = Literal["false", "true", "mediapipe"]

TICK = 0.033333
"""Seconds between two frames as MediaPipe's Python interface tells its filters, whatever the video's rate is."""
ELSEWHERE = 0.5
"""Intersection over union of two regions over which they are of one person."""
APART = 0.22
"""Mean distance of two poses' points, over the longer side of a box, under which they are of one person. Two who
stand shoulder to shoulder are a quarter of their height apart."""


@dataclass
class Steady:
    """The filters of one person.

    Attributes:
        points: of the joints [px]; starts anew when the person is lost.
        auxiliary: of the two points that make the next region; starts anew too.
        world: of the joints in space [m]; goes on after a loss.
        visibility: goes on after a loss.
        seen: when the person was seen last [s].
        steadied: when the points in space were given last [s].
    """

    points: OneEuro = field(default_factory=lambda: OneEuro(0.05, 80))
    auxiliary: OneEuro = field(default_factory=lambda: OneEuro(0.01, 10))
    world: OneEuro = field(default_factory=lambda: OneEuro(0.1, 40))
    visibility: LowPass = field(default_factory=LowPass)
    seen: float = 0.0

    def __call__(self, found: Landmarks, seconds: float, *, smooth: bool) -> Landmarks:
        """This frame's landmarks: the auxiliary points are steadied, the others where ``smooth`` says so.

        Args:
            found: as the network gave them.
            seconds: on the filters' clock.
            smooth: whether to steady the joints too.
        """
        step, scale = seconds - self.seen, 1 / found.size
        self.seen = seconds
        points = found.points.copy()
        points[HIPS:, :2] = self.auxiliary(found.points[HIPS:, :2], step, scale)
        if not smooth:
            return replace(found, points=points)
        points[:JOINTS] = self.points(found.points[:JOINTS], step, scale)
        return replace(
            found, points=points, world=self.world(found.world, step), visibility=self.visibility(found.visibility)
        )

    def lost(self) -> None:
        """The person was not found."""
        self.points.previous = self.auxiliary.previous = None


class Followed(Watcher):
    """Follows people through a film.

    Args:
        eyes: both networks.
        make: poses of landmarks.
        people: how many at most; 0 is everybody whom the detector finds.
        threshold: the detector's least score.
        smooth: ``false``, ``true`` (filters with the film's own times), or ``mediapipe`` (30 frames a second, always).
    """

    def __init__(
        self, eyes: Eyes, make: Callable[[list[Landmarks]], Poses], *, people: int, threshold: float, smooth: Smooth
    ) -> None:
        self._eyes, self._make, self._people = eyes, make, people
        self._threshold, self._smooth = threshold, smooth
        self._identities = Identities()
        self._regions: dict[int, Region] = {}
        self._filters: dict[int, Steady] = {}
        self._frame = -1

    def __call__(self, image: Bytes, seconds: float) -> Poses:
        """The persons of the next frame."""
        self._frame += 1
        clock = self._frame * TICK if self._smooth == "mediapipe" else seconds
        numbers: list[int | None] = list(self._regions)
        regions = list(self._regions.values())
        if not regions or (self._people != 1 and len(regions) < (self._people or len(regions) + 1)):
            fresh = self._found(image, regions)
            numbers, regions = numbers + [None] * len(fresh), regions + fresh
        seen = self._eyes.look([image] * len(regions), regions)
        present = [row for row, each in enumerate(seen) if each.present]
        self._lose([number for row, number in enumerate(numbers) if number is not None and row not in present])
        kept = self._apart([numbers[row] for row in present], [seen[row] for row in present])
        made, order = self._steadied(kept, seconds, clock)
        poses = self._make(made)
        return replace(poses, person=np.array(order, np.int64))

    def _found(self, image: Bytes, known: list[Region]) -> list[Region]:
        """Regions of persons whom the detector finds elsewhere than in the known regions."""
        room = self._people - len(known) if self._people else None
        fresh: list[Region] = []
        found = self._eyes.search_whole([image], self._threshold)[0]
        for points in found.points[: 1 if self._people == 1 else None]:
            one = region(points[detector.HIPS], points[detector.CIRCLE])
            if not any(_shared(one, other) > ELSEWHERE for other in known + fresh):
                fresh.append(one)
        return fresh[:room]

    def _lose(self, numbers: list[int]) -> None:
        for number in numbers:
            del self._regions[number]
            self._filters[number].lost()

    def _apart(self, numbers: list[int | None], seen: list[Landmarks]) -> list[tuple[int | None, Landmarks]]:
        """Without those who turned out to be somebody who is followed already: two regions may slide to one person."""
        kept: list[tuple[int | None, Landmarks]] = []
        for number, each in zip(numbers, seen, strict=True):
            if any(_same(each, other) for _, other in kept):
                self._lose([number] if number is not None else [])
                continue
            kept.append((number, each))
        return kept

    def _steadied(
        self, kept: list[tuple[int | None, Landmarks]], seconds: float, clock: float
    ) -> tuple[list[Landmarks], list[int]]:
        boxes = np.array([around(each.points[:JOINTS, :2]) for _, each in kept]).reshape(-1, 4)
        order = self._numbered([number for number, _ in kept], boxes, seconds)
        made = []
        for number, (_, each) in zip(order, kept, strict=True):
            steady = self._filters.setdefault(number, Steady())
            made.append(steady(each, clock, smooth=self._smooth != "false"))
            self._regions[number] = made[-1].region
        for number in set(self._filters) - set(self._identities.boxes):
            if self._people != 1:
                del self._filters[number]
        return made, order

    def _numbered(self, numbers: list[int | None], boxes: Floats, seconds: float) -> list[int]:
        """Everybody's number: that of whoever was followed, of somebody remembered, or a new one."""
        if self._people == 1:  # whoever it is, as in MediaPipe
            return [0] * len(numbers)
        new = [row for row, number in enumerate(numbers) if number is None]
        old = [number for number in numbers if number is not None]
        for number, box in zip(numbers, boxes.tolist(), strict=True):
            if number is not None:
                self._identities.remember(number, box, seconds)
        claimed = iter(self._identities.claim(boxes[new], seconds, np.array(old, np.int64)).tolist())
        return [next(claimed) if number is None else number for number in numbers]

    def state(self) -> dict[str, Any]:
        """Regions, filters and numbers."""
        return {
            "frame": self._frame,
            "regions": [[number, asdict(each)] for number, each in self._regions.items()],
            "filters": [[number, plain(asdict(each))] for number, each in self._filters.items()],
            "identities": self._identities.state(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on."""
        self._frame = state["frame"]
        self._regions = {number: Region(**each) for number, each in state["regions"]}
        self._filters = {number: _steady(each) for number, each in state["filters"]}
        self._identities.resume(state["identities"])


def _steady(state: dict[str, Any]) -> Steady:
    kinds = {"points": OneEuro, "auxiliary": OneEuro, "world": OneEuro, "visibility": LowPass}
    made = {name: kind(**restored(state[name])) for name, kind in kinds.items()}
    return Steady(**made, seen=state["seen"])


def _shared(one: Region, other: Region) -> float:
    """Intersection over union of two regions, as if they were not turned."""
    boxes = [
        np.array([[each.x - each.side / 2, each.y - each.side / 2, each.side, each.side]]) for each in (one, other)
    ]
    return float(overlap(*boxes)[0, 0])


def _same(one: Landmarks, other: Landmarks) -> bool:
    points, others = one.points[:JOINTS, :2], other.points[:JOINTS, :2]
    return float(np.linalg.norm(points - others, axis=1).mean()) < APART * float(around(others)[2:].max())
