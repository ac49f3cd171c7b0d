"""The joints of an annotation file in COCO's format: a known layout, or the file's own names, edges and sigmas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np

from har_bench.errors import HarBenchError, unknown
from har_bench.skeletons import Skeleton, names, skeleton

from .categories import Category, Complaint, bones, categories, sigmas
from .document import Document
from .mending import Odd, whole
from .points import points
from .readable import value

KNOWN = ("coco17", "crowdpose14")
"""Layouts that are recognised by the names of their joints."""

WHOLEBODY = "coco-wholebody133"
"""COCO-WholeBody's: its category names 17 joints; the others follow in fields of their own, or in the same list."""

_NULL = msgspec.Raw(b"null")
_NONE = (b"null", b"[]")


class _Joints(msgspec.Struct):
    """The joints of an annotation, as far as they tell the layout."""

    category_id: msgspec.Raw = _NULL
    keypoints: msgspec.Raw = _NULL
    foot_kpts: msgspec.Raw = _NULL


class Choice(NamedTuple):
    """What the user says of the joints.

    Attributes:
        category: the id or the name of the annotations to take; empty takes all.
        joints: names with commas between, the name of a layout, or how many there are; empty leaves it to the file.
        sigmas: one per joint, instead of those of the layout or of the file.
    """

    category: str = ""
    joints: str = ""
    sigmas: Sequence[float] = ()


@dataclass(frozen=True)
class Layout:
    """What the rows of a store are.

    Attributes:
        joints: the layout; None if the file has boxes and no joints.
        parts: whether joints 17 to 132 are in the fields of COCO-WholeBody, such as ``foot_kpts``.
        width: values for each joint: 3, or 2 where there is no v.
        categories: ids of the annotations to take; None takes all.
        silent: whether the file has no annotation and names no joints, so that it goes with any joints.
        empty: whether the file lists neither images nor annotations.
        complaints: what is odd about the categories, and repaired.
    """

    joints: Skeleton | None
    parts: bool = False
    width: int = 3
    categories: frozenset[int] | None = None
    silent: bool = False
    empty: bool = False
    complaints: tuple[Complaint, ...] = field(default=(), compare=False)

    @property
    def graded(self) -> bool:
        """Whether ``v`` of a joint may be other than 0, 1 and 2, as a detector's confidence is."""
        return self.joints is not None and self.joints.name not in KNOWN

    def fits(self, other: Layout) -> bool:
        """Whether two files can be in one store: they have the same joints, and no other sigmas."""
        if self.silent or other.silent:
            return True
        if self.joints is None or other.joints is None:
            return self.joints is other.joints
        sigmas = {each.sigmas for each in (self.joints, other.joints) if each.sigmas}
        return self.joints.joints == other.joints.joints and len(sigmas) < 2


class _Seen(NamedTuple):
    """What the annotations tell.

    Attributes:
        joints: how many most of the first ones have; 0 if none has any.
        width: how many values each joint has.
        parts: whether some have a field ``foot_kpts``.
    """

    joints: int = 0
    width: int = 3
    parts: bool = False


def layout(document: Document, choice: Choice = Choice()) -> Layout:  # noqa: B008 - a NamedTuple does not change
    """The layout of a file's joints.

    Raises:
        HarBenchError: the categories of its annotations have different joints, these have no names or cannot be read,
            or the number of names or sigmas is another one.
    """
    known, complaints = categories(document)
    chosen = _chosen(document, known, choice.category)
    ids = frozenset(each.id for each in chosen if each.id is not None) if choice.category else None
    category = _naming(document, chosen, known)
    given = _wanted(document, category or (chosen[0] if len(chosen) == 1 else None), choice.joints)
    naming = len(given[0] if given else category.keypoints or () if category else ())
    seen = _seen(document, ids if len(known) > 1 else None, naming)
    found, more = given or _named(document, category, seen.joints)
    if given and seen.joints not in (0, naming):
        raise HarBenchError(
            f"the option joints names {naming} joints, and the annotations of {document.path} have {seen.joints}; "
            "name each of them"
        )
    parts = seen.parts and found is not None and found.name == "coco17"
    if parts:
        found = skeleton(WHOLEBODY)
    if found is not None and choice.sigmas:
        if len(choice.sigmas) != len(found):
            raise HarBenchError(
                f"{len(choice.sigmas)} sigmas were given for the {len(found)} joints of {document.path}; give one each"
            )
        found = msgspec.structs.replace(found, sigmas=tuple(choice.sigmas))
    silent = not document.lists("annotations")
    empty = silent and not document.lists("images")
    return Layout(found, parts, seen.width, ids, silent and found is None, empty, (*complaints, *more))


def _chosen(document: Document, known: list[Category], wanted: str) -> list[Category]:
    """The categories of which the user wants the annotations."""
    found = [each for each in known if not wanted or wanted in (str(each.id), each.name)]
    if wanted and not found:
        names = [str(name) for each in known for name in (each.name, each.id) if name not in ("", None)]
        raise unknown(f"category of {document.path}", wanted, names)
    return found


def _naming(document: Document, chosen: list[Category], known: list[Category]) -> Category | None:
    """The category that names the joints; None if none does. What no annotation uses is not asked.

    Raises:
        HarBenchError: annotations are of categories with different joints, or names cannot be read.
    """
    naming = [each for each in chosen if each.keypoints != ()]
    used = _used(document, known) if len(known) > 1 and naming else Counter()
    naming = [each for each in naming if each.id in used] or naming
    for each in naming:
        if each.keypoints is None:
            raise HarBenchError(f"{each.place}.keypoints of {document.path} is no list of names; mend the file")
    if len({each.keypoints for each in naming}) > 1:
        listed = ", ".join(f"{each.name} ({used[each.id]} annotations)" for each in naming)
        raise HarBenchError(
            f"the categories of {document.path} have different joints: {listed}; choose one with the option category"
        )
    return naming[0] if naming else None


def _used(document: Document, known: list[Category]) -> Counter[int | None]:
    """How many annotations with joints each category has."""
    found: Counter[int | None] = Counter()
    by_name = {each.name: each.id for each in known}
    for batch in document.records("annotations", _Joints):
        for record in batch.records:
            if bytes(record.keypoints) not in _NONE:
                found[_category_id(record, by_name)] += 1
    return found


def _category_id(record: _Joints, by_name: dict[str, int | None]) -> int | None:
    try:
        given = value(bytes(record.category_id))
        return by_name.get(given) if isinstance(given, str) and given in by_name else whole(given)
    except ValueError:
        return None


def _seen(document: Document, ids: frozenset[int] | None, named: int) -> _Seen:
    """What the first annotations with joints tell.

    Raises:
        HarBenchError: annotations have joints, and none can be read.
    """
    first, unreadable = "", 0
    for batch in document.records("annotations", _Joints):
        counts: Counter[tuple[int, int]] = Counter()
        for row, record in zip(batch.rows, batch.records, strict=True):
            if bytes(record.keypoints) in _NONE or (ids is not None and _category_id(record, {}) not in ids):
                continue
            try:
                counts[points(record.keypoints).shape(named)] += 1
            except Odd as error:
                first = first or f"annotations[{row}].keypoints: {error}"
                unreadable += 1
        if counts:
            parts = any(bytes(record.foot_kpts) != b"null" for record in batch.records)
            return _Seen(*counts.most_common(1)[0][0], parts)
    if unreadable:
        raise HarBenchError(
            f"{document.path} has joints in {unreadable} annotations, and none can be read: {first}; "
            "write them as [x, y, v, ...]"
        )
    return _Seen()


def _named(document: Document, category: Category | None, count: int) -> tuple[Skeleton | None, list[Complaint]]:
    """The joints by their names, or where they have none by their number.

    Raises:
        HarBenchError: there are joints, and it is not known which.
    """
    given = category.keypoints or () if category else ()
    found = _known(given, count)
    if found is not None or (not given and not count):
        return found, []
    if category is None or not given:
        fitting = [name for name in names() if len(skeleton(name)) == count]
        layouts = f", a layout such as {' or '.join(fitting)}" if fitting else ""
        raise HarBenchError(
            f"no category of {document.path} names its {count} joints; name them with the option joints: names with "
            f"commas between{layouts}, or joints={count} to number them"
        )
    first = _known(given[:count], count) if 0 < count < len(given) else None
    if first is not None:
        reason = f"it names {len(given)} joints, and the annotations have {count}: the first, which are those of"
        return first, [(f"{category.place}.keypoints", f"{reason} {first.name}, are taken")]
    return _own(document, category, given)


def _known(given: tuple[str, ...], count: int) -> Skeleton | None:
    """The known layout of these names, or of that many values where the names are COCO's or none."""
    coco = skeleton("coco17").joints
    if given in ((), coco) and count == len(skeleton(WHOLEBODY)):
        return skeleton(WHOLEBODY)
    if not given and count == len(coco):
        return skeleton("coco17")
    return next((skeleton(name) for name in KNOWN if skeleton(name).joints == given), None)


def _wanted(document: Document, category: Category | None, wanted: str) -> tuple[Skeleton, list[Complaint]] | None:
    """The joints that the user names; None if he leaves it to the file."""
    if not wanted:
        return None
    if wanted in names():
        return skeleton(wanted), []
    given = tuple(each.strip() for each in wanted.split(","))
    if len(given) == 1 and given[0].isdecimal():
        given = tuple(f"joint_{joint}" for joint in range(int(given[0])))
    return _own(document, category or Category("categories", None, "joints"), given)


def _own(document: Document, category: Category, given: tuple[str, ...]) -> tuple[Skeleton, list[Complaint]]:
    """The layout that the file itself describes, or its user."""
    if len(set(given)) < len(given):
        twice = next(name for name, times in Counter(given).items() if times > 1)
        raise HarBenchError(
            f"category {category.name!r} of {document.path} names a joint twice, {twice!r}; give each its own name"
        )
    edges, complaints = bones(category, len(given))
    return Skeleton(
        name=f"{category.name}-{len(given)}",
        family=f"{category.name}-{len(given)}",
        about=f"the joints of category {category.name!r}, as the annotation file names them",
        joints=given,
        parents=_parents(len(given), edges),
        sigmas=_sigmas(document, category, len(given)),
    ), complaints


def _sigmas(document: Document, category: Category, joints: int) -> tuple[float, ...]:
    """Those of the category, or of the file's ``info``."""
    info = document.value("info")
    general = info.get("sigmas") if isinstance(info, dict) else None
    try:
        found = sigmas(category.sigmas or general)
    except Odd as error:
        raise HarBenchError(f"'sigmas' of {document.path} are no numbers; mend the file") from error
    if found and len(found) != joints:
        raise HarBenchError(f"{document.path} has {len(found)} sigmas for {joints} joints; give one for each")
    return found


def _parents(joints: int, edges: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """A tree over the joints: from the lowest of each connected group along the edges, which may form cycles."""
    beside: list[list[int]] = [[] for _ in range(joints)]
    for one, other in edges:
        beside[one].append(other)
        beside[other].append(one)
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
