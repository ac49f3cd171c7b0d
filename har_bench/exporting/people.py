"""People followed through a film: what formats that need no store are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from har_bench.arrays import Floats, Ints
from har_bench.skeletons import Skeleton


class Followed(NamedTuple):
    """A person in T frames.

    Attributes:
        person: the number.
        frames: (T,) rising, 0-based.
        points: (T, J, 2) px, or (T, J, 3) mm in the camera's axes; NaN where a joint is not.
        boxes: (T, 4) x, y, w, h [px]; NaN where they are not known.
    """

    person: int
    frames: Ints
    points: Floats
    boxes: Floats


@dataclass(frozen=True)
class People:
    """Everybody in a film.

    Attributes:
        name: of the film.
        skeleton: their joints; None where only their boxes are asked for.
        persons: they.
        size: (width, height) of the film [px], where it is known.
        notes: what a reader should know, a line each.
    """

    name: str
    skeleton: Skeleton | None
    persons: Sequence[Followed]
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
