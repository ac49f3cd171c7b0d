"""What is to be drawn: who stands where in each frame, by the truth and by each system."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from har_bench.arrays import Bools, Bytes, Floats, Ints
from har_bench.cameras import Camera
from har_bench.errors import HarBenchError
from har_bench.skeletons import Skeleton

OCCLUDED = 1
"""The visibility of a joint whose place is known though it is not seen."""


@dataclass(frozen=True)
class Points:
    """Joints of some persons in every frame of a stage.

    Attributes:
        places: (F, P, J, D) px or mm; NaN where nobody is, or a joint is absent.
        bones: their names and the lines between them.
        visibility: (F, P, J) 0 absent, 1 occluded, 2 visible; None where nobody says.
    """

    places: Floats
    bones: Skeleton
    visibility: Ints | None = None

    def occluded(self, frame: int) -> Bools:
        """(P, J) where a joint is known though it is not seen."""
        said = np.zeros(self.places.shape[1:3], np.int64) if self.visibility is None else self.visibility[frame]
        hollow: Bools = said == OCCLUDED
        return hollow

    @cached_property
    def root(self) -> int:
        """The joint that others hang on."""
        return self.bones.parents.index(-1)


@dataclass(frozen=True)
class Cast:
    """What one source says.

    Attributes:
        name: of the system; ``truth`` for the truth.
        image: in the picture [px], if it is known.
        space: in the camera's frame [mm], if it is known.
        error: (F,) mean distance from the truth in its unit, NaN where there is none; None for the truth.
        unit: of the error.
    """

    name: str
    image: Points | None = None
    space: Points | None = None
    error: Floats | None = None
    unit: str = ""


@dataclass(frozen=True)
class Stage:
    """Everything to be drawn.

    Attributes:
        title: of the sequence.
        frames: (F,) their numbers in it.
        casts: the truth first, if there is one.
        fps: frames a second; None for pictures of anything.
        size: width and height of the picture [px]; found from the points where nobody says.
        camera: that recorded it; it tells what is upright.
        pictures: (F,) pictures (H, W, 3), empty where there is no media; they are read when they are drawn.
        notes: what a reader should know, in a line each.
    """

    title: str
    frames: Ints
    casts: tuple[Cast, ...]
    fps: float | None = None
    size: tuple[int, int] | None = None
    camera: Camera | None = None
    pictures: Iterator[Bytes] | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def truth(self) -> Cast | None:
        """What is true, if that is known."""
        return next((cast for cast in self.casts if cast.error is None), None)

    @property
    def in_image(self) -> list[tuple[Cast, Points]]:
        """The casts that stand in the picture."""
        return [(cast, cast.image) for cast in self.casts if cast.image is not None]

    @property
    def in_space(self) -> list[tuple[Cast, Points]]:
        """The casts that stand in space."""
        return [(cast, cast.space) for cast in self.casts if cast.space is not None]

    @cached_property
    def canvas(self) -> tuple[int, int]:
        """Width and height of the picture [px]."""
        if self.size is not None:
            return self.size
        places = [points.places.reshape(-1, 2) for _, points in self.in_image]
        known = np.concatenate(places)[np.isfinite(np.concatenate(places)).all(axis=1)] if places else np.zeros((0, 2))
        if not len(known):
            return (640, 480)
        width, height = np.ceil(known.max(axis=0) * 1.05 + 20).astype(int).tolist()
        return max(width, 64), max(height, 64)


def dense(frames: Ints, frame: Ints, person: Ints, values: Floats) -> Floats:
    """(F, P, …) rows (n, …) of persons in frames, NaN where a person is not.

    Args:
        frames: (F,) sorted numbers of the frames that are shown; rows of others are left out.
        frame: (n,) of each row.
        person: (n,) of each row.
        values: (n, …) floats.
    """
    persons = np.unique(person)
    found = np.full((len(frames), max(len(persons), 1), *values.shape[1:]), np.nan)
    place = np.searchsorted(frames, frame)
    inside = (place < len(frames)) & np.isin(frame, frames)
    found[place[inside], np.searchsorted(persons, person[inside])] = values[inside]
    return found


def chosen(frames: Ints, span: tuple[int, int] | None, what: str) -> Ints:
    """The frames of a span, from its first to before its last, by their numbers.

    Raises:
        HarBenchError: there is none.
    """
    unique: Ints = np.unique(frames)
    if span is None:
        return unique
    inside: Ints = unique[(unique >= span[0]) & (unique < span[1])]
    if not len(inside):
        there = f"{unique[0]} to {unique[-1]}" if len(unique) else "none"
        raise HarBenchError(f"{what} has no frame from {span[0]} to before {span[1]}; its frames are {there}")
    return inside


def with_error(cast: Cast, truth: Cast | None) -> Cast:
    """A cast with its mean distance from the truth in every frame: in space about the root, else in the picture."""
    nothing = np.full(0, np.nan)
    if truth is None:
        return replace(cast, error=nothing)
    if cast.space is not None and truth.space is not None and cast.space.bones == truth.space.bones:
        moved = [about_root(points) for points in (cast.space, truth.space)]
        return replace(cast, error=_mean_distance(*moved), unit="mm")
    if cast.image is not None and truth.image is not None and cast.image.bones == truth.image.bones:
        return replace(cast, error=_mean_distance(cast.image.places, truth.image.places), unit="px")
    return replace(cast, error=nothing)


def about_root(points: Points) -> Floats:
    """(F, P, J, 3) places with the root of each person at the origin."""
    return points.places - points.places[:, :, points.root : points.root + 1]


def placed(points: Points, *, truth: bool) -> Floats:
    """(F, P, J, 3) about the root of each person; of the truth, further persons stand beside the first as they do."""
    roots = points.places[:, :, points.root]
    apart = np.nan_to_num(roots - roots[:, :1]) if truth else np.zeros_like(roots)
    moved: Floats = about_root(points) + apart[:, :, None]
    return moved


def _mean_distance(first: Floats, second: Floats) -> Floats:
    """(F,) over all persons and joints that both have."""
    if first.shape != second.shape:
        return np.full(0, np.nan)
    far = np.linalg.norm(first - second, axis=-1).reshape(len(first), -1)
    known = np.isfinite(far)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(known, far, 0).sum(axis=1) / known.sum(axis=1)
    return mean
