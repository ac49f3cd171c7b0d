"""Skeletons as data: joint names, parents, sides, OKS sigmas, and graded mappings between layouts.

The layouts are in ``layouts/``, one file per family. A mapping says for every target joint how good it is: ``exact``
(the same point of the body by the same definition), ``midpoint`` (the mean of its sources) or ``approximate`` (a
neighbour, or the same name by another dataset's definition).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError

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
            raise HarBenchError(f"{self.name} has no joint {joint!r}; it has {', '.join(self.joints)}") from None

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(left, right) indices of every joint that has two sides."""
        names = [name for name in self.joints if name.startswith("left_")]
        return tuple((self.index(name), self.index("right_" + name.removeprefix("left_"))) for name in names)

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


@dataclass(frozen=True)
class Mapping:
    """How each joint of ``target`` is made from joints of ``source``.

    Attributes:
        source: the layout of the data.
        target: the layout asked for.
        sources: for each target joint, the indices of its source joints.
        grades: for each target joint, how good it is.
    """

    source: Skeleton
    target: Skeleton
    sources: tuple[tuple[int, ...], ...]
    grades: tuple[Grade, ...]

    @property
    def exact(self) -> bool:
        """Whether every joint is the same point of the body."""
        return all(grade == "exact" for grade in self.grades)

    def points(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(..., J source, D) coordinates -> (..., J target, D), of the same type; midpoints are means."""
        return self._apply(values, np.mean, axis=-2)

    def visibility(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(..., J source) visibility -> (..., J target); a midpoint is as visible as its worst source."""
        return self._apply(values, np.min, axis=-1)

    def _apply(self, values: npt.NDArray[Any], reduce: Any, axis: int) -> npt.NDArray[Any]:
        first = [indices[0] for indices in self.sources]
        mapped = np.take(values, first, axis=axis)
        for joint, indices in enumerate(self.sources):
            if len(indices) > 1:
                place = (Ellipsis, joint) + (slice(None),) * (-axis - 1)
                mapped[place] = reduce(np.take(values, indices, axis=axis), axis=axis)
        return mapped


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
        raise HarBenchError(f"no skeleton is called {name!r}; there are {', '.join(names())}")
    return msgspec.convert({"name": name, **_data()[name]}, Skeleton)


def mapping(source: Skeleton, target: Skeleton) -> Mapping:
    """The mapping between two layouts: by name inside a family, else the table in ``layouts/``.

    Raises:
        HarBenchError: there is no table for the pair, or a target joint has no source.
    """
    if source.family == target.family:
        rows: MappingOf[str, list[str]] = {joint: ["exact", joint] for joint in target.joints if joint in source.joints}
    else:
        rows = _data()["mapping"].get(source.name, {}).get(target.name, {})
        if not rows:
            raise HarBenchError(f"there is no mapping from {source.name} to {target.name}; add one to layouts/")
    missing = [joint for joint in target.joints if joint not in rows]
    if missing:
        raise HarBenchError(f"{source.name} has nothing for {target.name}'s {', '.join(missing)}")
    return Mapping(
        source=source,
        target=target,
        sources=tuple(tuple(source.index(joint) for joint in rows[name][1:]) for name in target.joints),
        grades=tuple(rows[name][0] for name in target.joints),  # type: ignore[misc]
    )
