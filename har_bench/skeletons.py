"""Skeletons as data: joint names, parents, sides, OKS sigmas, and graded mappings between layouts.

The layouts are in ``layouts/``, one file per family. A mapping says for every target joint how good it is: ``exact``
(the same point of the body by the same definition), ``midpoint`` (the mean of its sources) or ``approximate`` (a
neighbour, the same name by another dataset's definition, or a weighted sum of some joints).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError, unknown

Grade = Literal["exact", "midpoint", "approximate"]


class Skeleton(msgspec.Struct, frozen=True, kw_only=True):
    """An ordered joint set.

    Attributes:
        name: such as ``h36m17``.
        family: skeletons of one family share the definition of every joint name.
        about: where the layout comes from.
        joints: J names; left and right are the person's own.
        parents: J indices of each joint's parent, -1 at the root.
        sigmas: J standard deviations of object keypoint similarity, when the dataset defines them.
        official: J names as the raw files print them, when they differ.
    """

    name: str
    family: str
    about: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    sigmas: tuple[float, ...] = ()
    official: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """The position of a joint.

        Raises:
            HarBenchError: no such joint.
        """
        try:
            return self.joints.index(joint)
        except ValueError:
            raise unknown(f"joint of {self.name}", joint, self.joints) from None

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(left, right) indices of every joint that has two sides."""
        names = [(name, "right_" + name.removeprefix("left_")) for name in self.joints if name.startswith("left_")]
        return tuple((self.index(left), self.index(right)) for left, right in names if right in self.joints)

    @property
    def flip(self) -> npt.NDArray[np.intp]:
        """(J,) indices that exchange left and right: ``mirrored = pose[..., skeleton.flip, :]``."""
        order = np.arange(len(self))
        for left, right in self.pairs:
            order[[left, right]] = right, left
        return order

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, joint) indices of every bone."""
        return tuple((parent, joint) for joint, parent in enumerate(self.parents) if parent >= 0)

    @property
    def lines(self) -> tuple[tuple[int, int], ...]:
        """Indices of the two ends of every line that a picture of a pose has, as people draw them.

        They are the bones; but where a layout has no joint in the middle of the shoulders, hips or mouth, a line joins
        their two sides, and none goes from the shoulders to the face.
        """
        found = dict.fromkeys(self.bones)
        for part in ("shoulder", "hip", "mouth"):
            sides = [self.joints.index(name) for name in (f"left_{part}", f"right_{part}") if name in self.joints]
            above = {self.parents[side] for side in sides}
            if len(sides) == 2 and (len(above) == 2 or self.joints[min(above)] in ("nose", "head")):
                found[sides[0], sides[1]] = None
                for side in sides if len(above) == 1 else ():
                    del found[self.parents[side], side]
        return tuple(found)


@dataclass(frozen=True)
class Mapping:
    """How each joint of ``target`` is made from joints of ``source``.

    Attributes:
        source: the layout of the data.
        target: the layout asked for.
        sources: for each target joint, the indices of its source joints.
        grades: for each target joint, how good it is.
        weights: for each target joint, those of its sources, which sum to one; empty for their mean.
    """

    source: Skeleton
    target: Skeleton
    sources: tuple[tuple[int, ...], ...]
    grades: tuple[Grade, ...]
    weights: tuple[tuple[float, ...], ...] = ()

    @property
    def exact(self) -> bool:
        """Whether every joint is the same point of the body."""
        return all(grade == "exact" for grade in self.grades)

    def points(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(..., J source, D) coordinates -> (..., J target, D), of the same type; several sources are averaged."""
        mapped = self._first(values, axis=-2)
        for joint, indices in self._composed():
            weights = self.weights[joint] if self.weights else ()
            given = np.take(values, indices, axis=-2)
            mapped[..., joint, :] = _weighted(given, weights) if weights else given.mean(axis=-2)
        return mapped

    def visibility(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(..., J source) visibility -> (..., J target); of several sources the least visible counts."""
        mapped = self._first(values, axis=-1)
        for joint, indices in self._composed():
            mapped[..., joint] = np.take(values, indices, axis=-1).min(axis=-1)
        return mapped

    def _first(self, values: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
        return np.take(values, [indices[0] for indices in self.sources], axis=axis)

    def _composed(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The target joints that have several sources, with these."""
        return ((joint, indices) for joint, indices in enumerate(self.sources) if len(indices) > 1)


def _weighted(points: npt.NDArray[Any], weights: tuple[float, ...]) -> npt.NDArray[Any]:
    """(..., S, D) points and S weights -> (..., D)."""
    return (points * np.array(weights)[:, None]).sum(axis=-2)  # type: ignore[no-any-return]


@cache
def _data() -> dict[str, Any]:
    """Every layout by name, and under ``mapping`` the tables by source and target."""
    found: dict[str, Any] = {"mapping": {}}
    folder = files("har_bench").joinpath("layouts")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            content = tomllib.loads(file.read_text("utf-8"))
            found["mapping"] |= content.pop("mapping", {})
            found |= content
    return found


def names() -> list[str]:
    """Every skeleton that har_bench knows."""
    return [name for name in _data() if name != "mapping"]


@cache
def skeleton(name: str) -> Skeleton:
    """A skeleton by name.

    Raises:
        HarBenchError: no such skeleton; the known ones are named.
    """
    if name not in names():
        raise unknown("skeleton", name, names())
    return msgspec.convert({"name": name, **_data()[name]}, Skeleton)


def mapping(source: Skeleton, target: Skeleton) -> Mapping:
    """The mapping between two layouts: by name inside a family, else the table in ``layouts/``.

    Raises:
        HarBenchError: there is no table for the pair, or a target joint has no source.
    """
    if source.family == target.family:
        rows: MappingOf[str, Sequence[Any]] = {
            joint: ["exact", joint] for joint in target.joints if joint in source.joints
        }
    else:
        rows = _data()["mapping"].get(source.name, {}).get(target.name, {})
        if not rows:
            raise HarBenchError(f"there is no mapping from {source.name} to {target.name}; add one to layouts/")
    missing = [joint for joint in target.joints if joint not in rows]
    if missing:
        raise HarBenchError(f"{source.name} has nothing for {target.name}'s {', '.join(missing)}")
    parts = [_parts(rows[name][1:]) for name in target.joints]
    return Mapping(
        source=source,
        target=target,
        sources=tuple(tuple(source.index(joint) for joint in part) for part in parts),
        grades=tuple(rows[name][0] for name in target.joints),
        weights=tuple(tuple(weight for weight in part.values() if weight is not None) for part in parts),
    )


def _parts(row: Sequence[Any]) -> MappingOf[str, float | None]:
    """The source joints of a row and their weights: a table of weights, or names, which are averaged."""
    return row[0] if row and isinstance(row[0], dict) else dict.fromkeys(row)
