"""What a model sees in one image: some persons' points, in the image's own pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats, Ints
from har_bench.skeletons import Mapping as Joints


@dataclass(frozen=True)
class Poses:
    """n persons of one image.

    Attributes:
        points: (n, J, 2) px.
        scores: (n, J) how sure the model is of each point.
        score: (n,) how sure it is of each person.
        boxes: (n, 4) x, y, w, h [px] around each person.
        points_3d: (n, J, 3) mm: x right, y down, z away from the camera; None where a model has no third dimension.
        person: (n,) ids that stay with a person through a film; None where images are looked at one by one.
        others: what the model's other outputs say of the same persons, by name; none where it has only one.
    """

    points: Floats
    scores: Floats
    score: Floats
    boxes: Floats
    points_3d: Floats | None = None
    person: Ints | None = None
    others: Mapping[str, Poses] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.points)

    def take(self, which: npt.NDArray[np.intp] | list[int]) -> Poses:
        """Some of the persons, in this order."""
        return Poses(
            self.points[which],
            self.scores[which],
            self.score[which],
            self.boxes[which],
            None if self.points_3d is None else self.points_3d[which],
            None if self.person is None else self.person[which],
            {name: other.take(which) for name, other in self.others.items()},
        )

    def mapped(self, joints: Joints) -> Poses:
        """The same persons in another layout; a joint made of several is as sure as the least sure one."""
        return replace(
            self,
            points=joints.points(self.points),
            scores=joints.visibility(self.scores),
            points_3d=None if self.points_3d is None else joints.points(self.points_3d),
            others={name: other.mapped(joints) for name, other in self.others.items()},
        )


def nobody(joints: int, *, in_space: bool = False) -> Poses:
    """No person of a layout with so many joints."""
    return Poses(
        np.zeros((0, joints, 2)),
        np.zeros((0, joints)),
        np.zeros(0),
        np.zeros((0, 4)),
        np.zeros((0, joints, 3)) if in_space else None,
        np.zeros(0, np.int64),
    )


def around(points: Floats) -> Floats:
    """(..., J, 2) points -> (..., 4) the boxes x, y, w, h around them; points that are NaN are left out."""
    low, high = np.nanmin(points, axis=-2), np.nanmax(points, axis=-2)
    return np.concatenate([low, high - low], axis=-1)
