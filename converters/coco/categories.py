"""The categories of a file: their names, and the joints that they name, however they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .document import Document
from .mending import Odd, number, whole

Complaint = tuple[str, str]
"""A place in the file, and what is repaired there."""


@dataclass(frozen=True)
class Category:
    """One of ``categories``.

    Attributes:
        place: in the file, such as ``categories[0]``.
        id: None if it has none.
        name: its own, or else its id.
        keypoints: names of its joints; None if it has some that cannot be read.
        skeleton: its edges, as the file has them.
        sigmas: of its joints, as the file has them.
    """

    place: str
    id: int | None
    name: str
    keypoints: tuple[str, ...] | None = ()
    skeleton: Any = None
    sigmas: Any = None


def categories(document: Document) -> tuple[list[Category], list[Complaint]]:
    """The categories of a file, none if it names none; and what was repaired in them."""
    given = document.value("categories")
    if isinstance(given, dict):  # by their ids, or by anything else
        given = list(given.values())
    found: list[Category] = []
    complaints: list[Complaint] = []
    for row, each in enumerate(given or []):
        place = f"categories[{row}]"
        if not isinstance(each, dict):
            complaints.append((place, "it is no object; it is taken for absent"))
            continue
        category = _category(place, each)
        if category.id is None:
            complaints.append((f"{place}.id", "it is no whole number; no annotation is of this category"))
        elif any(other.id == category.id and category.keypoints in ((), other.keypoints) for other in found):
            complaints.append((f"{place}.id", f"id {category.id} is listed again; the first is kept"))
            continue
        found.append(category)
    return found, complaints


def _category(place: str, given: dict[str, Any]) -> Category:
    try:
        identity = whole(given.get("id"))
    except Odd:
        identity = None
    name, names = given.get("name"), given.get("keypoints") or []
    readable = isinstance(names, list) and all(isinstance(each, str | int) for each in names)  # some number them
    return Category(
        place=place,
        id=identity,
        name=name if isinstance(name, str) and name else f"category {identity}",
        keypoints=tuple(map(str, names)) if readable else None,
        skeleton=given.get("skeleton"),
        sigmas=given.get("sigmas"),
    )


def sigmas(given: Any) -> tuple[float, ...]:
    """Sigmas of joints, of a category or of the whole file.

    Raises:
        Odd: they are no numbers.
    """
    if not given:
        return ()
    if not isinstance(given, list):
        raise Odd
    return tuple(map(number, given))


def bones(category: Category, joints: int) -> tuple[list[tuple[int, int]], list[Complaint]]:
    """The edges between joints, as pairs of their places from 0; and what could not be used of them.

    COCO counts joints from 1, and many files from 0: which it is, a 0 tells. Where it is neither, no edge is believed.
    """
    place, given = f"{category.place}.skeleton", category.skeleton
    if not given:
        return [], []
    if not isinstance(given, list):
        return [], [(place, "it is no list of pairs; no bone is known")]
    pairs = [pair for pair in map(_pair, given) if pair is not None]
    ends = [end for pair in pairs for end in pair]
    first = 0 if 0 in ends else 1
    if first == 0 and max(ends) >= joints:
        return [], [(place, f"it counts from 0 up to {max(ends)}, and there are {joints} joints; no bone is known")]
    found = [(one - first, other - first) for one, other in pairs]
    found = [pair for pair in found if all(0 <= end < joints for end in pair)]
    left_out = len(given) - len(found)
    if not left_out:
        return found, []
    return found, [(place, f"{left_out} of {len(given)} pairs are not of its {joints} joints; they are left out")]


def _pair(given: Any) -> tuple[int, int] | None:
    """Two numbers of joints as the file counts; None if they are not two, or no numbers."""
    if not isinstance(given, list) or len(given) != 2:
        return None
    try:
        return whole(given[0]), whole(given[1])
    except Odd:
        return None
