"""The joints of an annotation file in COCO's format: a known layout, or the file's own names, edges and sigmas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from har_bench.errors import HarBenchError
from har_bench.skeletons import Skeleton, skeleton

from .document import Document

KNOWN = ("coco17", "crowdpose14")
"""Layouts that are recognised by the names of their joints."""

WHOLEBODY = "coco-wholebody133"
"""COCO-WholeBody's: its category names 17 joints; the others follow in fields of their own, or in the same list."""


class Category(msgspec.Struct):
    """One of ``categories``; ``skeleton`` counts joints from 1."""

    id: int
    name: str
    keypoints: list[str] = []
    skeleton: list[tuple[int, int]] = []
    sigmas: list[float] = []


class _Joints(msgspec.Struct):
    """The joints of an annotation, as far as they tell the layout."""

    keypoints: list[float] | None = None
    foot_kpts: list[float] | None = None


@dataclass(frozen=True)
class Layout:
    """What the rows of a store are.

    Attributes:
        joints: the layout; None if the file has boxes and no joints.
        parts: whether joints 17 to 132 are in the fields of COCO-WholeBody, such as ``foot_kpts``.
    """

    joints: Skeleton | None
    parts: bool = False

    @property
    def graded(self) -> bool:
        """Whether ``v`` of a joint may be other than 0, 1 and 2, as a detector's confidence is."""
        return self.joints is not None and self.joints.name not in KNOWN


def categories(document: Document) -> list[Category]:
    """The categories of a file; none if it names none.

    Raises:
        HarBenchError: they are not as COCO defines them.
    """
    return document.value("categories", list[Category]) if "categories" in document.members else []


def layout(document: Document, sigmas: Sequence[float] = ()) -> Layout:
    """The layout of a file's joints.

    Args:
        document: the file.
        sigmas: one per joint, instead of those of the layout or of the file.

    Raises:
        HarBenchError: its categories have different joints, or the number of sigmas is another one.
    """
    named = [category for category in categories(document) if category.keypoints]
    if len({tuple(category.keypoints) for category in named}) > 1:
        raise HarBenchError(f"the categories of {document.path} have different joints; put each into a file of its own")
    first = _first(document)
    count = len(first.keypoints or ()) // 3
    found = _known(named[0].keypoints if named else [], count)
    parts = first.foot_kpts is not None and found is not None and found.name == "coco17"
    if parts:
        found = skeleton(WHOLEBODY)
    if found is None and named:
        found = _own(document, named[0])
    if found is None and count:
        raise HarBenchError(f"no category of {document.path} names its {count} joints; add them as 'keypoints'")
    if found is not None and sigmas:
        if len(sigmas) != len(found):
            raise HarBenchError(f"{len(sigmas)} sigmas were given for the {len(found)} joints of {document.path}")
        found = msgspec.structs.replace(found, sigmas=tuple(sigmas))
    return Layout(found, parts)


def _first(document: Document) -> _Joints:
    """The first annotation that has joints."""
    for batch in document.records("annotations", _Joints):
        for record in batch.records:
            if record.keypoints:
                return record
    return _Joints()


def _known(names: list[str], count: int) -> Skeleton | None:
    """The known layout of these names, or of that many values where the names are COCO's or none."""
    coco = list(skeleton("coco17").joints)
    if names in ([], coco) and count == len(skeleton(WHOLEBODY)):
        return skeleton(WHOLEBODY)
    if not names and count == len(coco):
        return skeleton("coco17")
    return next((skeleton(name) for name in KNOWN if list(skeleton(name).joints) == names), None)


def _own(document: Document, category: Category) -> Skeleton:
    """The layout that the file itself describes."""
    names = category.keypoints
    if len(set(names)) < len(names):
        raise HarBenchError(
            f"category {category.name!r} of {document.path} names a joint twice; give each its own name"
        )
    sigmas = category.sigmas or _general_sigmas(document)
    if sigmas and len(sigmas) != len(names):
        raise HarBenchError(f"{document.path} has {len(sigmas)} sigmas for {len(names)} joints; give one for each")
    return Skeleton(
        name=f"{category.name}-{len(names)}",
        family=f"{category.name}-{len(names)}",
        about=f"the joints of category {category.name!r}, as the annotation file names them",
        joints=tuple(names),
        parents=_parents(len(names), category.skeleton),
        sigmas=tuple(sigmas),
    )


def _general_sigmas(document: Document) -> list[float]:
    """``sigmas`` of the file's ``info``."""
    info = document.value("info", dict[str, Any]) if "info" in document.members else {}
    try:
        return msgspec.convert(info.get("sigmas", []), list[float])
    except msgspec.ValidationError as error:
        raise HarBenchError(
            f"'sigmas' in the info of {document.path} are no numbers ({error}); mend the file"
        ) from error


def _parents(joints: int, edges: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """A tree over the joints: from the lowest of each connected group along the edges, which may form cycles."""
    beside: list[list[int]] = [[] for _ in range(joints)]
    for one, other in edges:
        if 1 <= one <= joints and 1 <= other <= joints:  # CrowdPose's list is that of COCO's 17 joints
            beside[one - 1].append(other - 1)
            beside[other - 1].append(one - 1)
    parents, seen = np.full(joints, -1), np.zeros(joints, bool)
    for root in range(joints):
        waiting = [] if seen[root] else [root]
        seen[root] = True
        while waiting:
            joint = waiting.pop(0)
            for neighbour in sorted(beside[joint]):
                if not seen[neighbour]:
                    seen[neighbour], parents[neighbour] = True, joint
                    waiting.append(neighbour)
    return tuple(parents.tolist())
