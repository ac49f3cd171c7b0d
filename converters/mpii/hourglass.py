"""The stacked-hourglass json of MPII (``mpii_annotations.json``): the 25,204 persons of Tompson's train and valid.

It holds what training needs, rounded to three decimals: no head boxes, no test images, none of the persons in a
validation image who are not on Tompson's list. ``joint_others`` and its kin repeat other rows and are not read.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats
from har_bench.foreign import json_file
from har_bench.foreign.json_records import MalformedError, Record

from .tables import ABSENT, EMPTY, Annotations, RejectLog, image_name, person_columns

UNKNOWN = (math.nan, math.nan)

_OF_IMAGE = {"annolist_index": "annolist_index", "img_width": "width", "img_height": "height"}
"""Fields of a row that are about its image, and the store's columns."""

Index = Annotated[float, msgspec.Meta(ge=1, lt=1 << 31, multiple_of=1)]
Point = tuple[float, float]
T = TypeVar("T")
_Joints = Annotated[list[tuple[float, float, float]], msgspec.Meta(min_length=16, max_length=16)]


class _Usual(msgspec.Struct, gc=False):
    """The fields that are read, of the kinds as which they are asked for below."""

    img_paths: str
    people_index: Index
    joint_self: _Joints
    annolist_index: Index
    img_width: Index
    img_height: Index
    scale_provided: float
    objpos: Point


def records(path: Path, log: RejectLog, usual: type[msgspec.Struct] | None = None) -> Iterator[tuple[int, Record]]:
    """Every object of a json list, plain or gzipped, with its place; what is no object is reported.

    Args:
        path: the file.
        log: where that is reported.
        usual: what nearly all of them are.

    Raises:
        HarBenchError: the file is no json list.
    """
    rows = json_file.records(path, what="a json list of persons", remedy="download it again")
    for at, row in enumerate(rows):
        try:
            yield at, Record(row, usual)
        except json_file.BROKEN as error:
            log.dropped(f"[{at}]", f"it is no record of a person ({error})")


def told(record: Record, image: str, read: Callable[[Record], T], where: str, log: RejectLog) -> tuple[str, T] | None:
    """The name of a person's image, from the field of this name, and what is read of the person.

    A person without either is dropped, and None.
    """
    try:
        name, found = image_name(record.needed(image, str), f"{where}.{image}", log), read(record)
    except (MalformedError, UnicodeError) as error:
        log.dropped(where, str(error))
        return None
    if not name:
        log.dropped(f"{where}.{image}", "not the name of a file")
        return None
    return name, found


def read_hourglass(path: Path, source: str) -> Annotations:
    """Everything in the stacked-hourglass json, plain or gzipped.

    Raises:
        HarBenchError: the file is no json list of persons, or none of them can be used.
    """
    log = RejectLog(source)
    people: list[dict[str, Any]] = []
    values = array("d")
    images: dict[str, dict[str, Any]] = {}
    seen: set[tuple[str, float]] = set()
    for at, record in records(path, log, _Usual):
        where = f"[{at}]"
        found = told(record, "img_paths", _numbered, where, log)
        if found is None:
            continue
        name, (person, joints) = found
        if (name, person) in seen:
            log.dropped(where, f"image {name}, person {person:g} is given twice; the first is kept")
            continue
        seen.add((name, person))
        image = images.setdefault(name, {"row": len(images)})
        for field, column in _OF_IMAGE.items():
            value = record.optional(field, Index)
            image[column] = image.get(column) or (None if value is None else int(value))
        people.append(_person(record, image["row"], int(person)))
        values.extend(joints)
        for field, reason in record.flaws:
            log.repaired(f"{where}.{field}", reason)
    log.refuse_nothing(path, "persons", len(people))
    columns: dict[str, list[Any]] = {
        column: [image[column] for image in images.values()] for column in _OF_IMAGE.values()
    }
    named: dict[str, list[Any]] = {"name": list(images), "train": [True] * len(images)}
    given = np.array(values).reshape(-1, 16, 3)
    return Annotations("hourglass", named | columns, person_columns(people, given[..., :2], _flags(given)), log)


def _numbered(record: Record) -> tuple[float, list[float]]:
    """A person's number and joints."""
    return record.needed("people_index", Index), _joints(record)


def _person(record: Record, image: int, person: int) -> dict[str, Any]:
    """What :func:`person_columns` takes of one person."""
    scale = record.expected("scale_provided", float)
    return {
        "image": image,
        "person": person,
        "scale": math.nan if scale is None else scale,
        "objpos": record.expected("objpos", Point) or UNKNOWN,
    }


def _joints(record: Record) -> list[float]:
    """16 times x, y and visibility, one after the other."""
    values = [*chain.from_iterable(record.needed("joint_self", _Joints))]
    flags = values[2::3]
    odd = len(flags) - flags.count(0) - flags.count(1)
    if odd:
        reason = f"{odd} visibilities are neither 0 nor 1; these joints count as unlabelled"
        record.flaws.append(("joint_self", reason))
    return values


def _flags(given: Floats) -> npt.NDArray[np.uint8]:
    """(N, 16) flags of the store, of x, y and visibility (N, 16, 3); (0, 0, 0) is an absent joint."""
    flag = given[..., 2]
    known = np.where((flag == 0) | (flag == 1), flag, EMPTY)
    return np.where((given == 0).all(axis=2), ABSENT, known).astype(np.uint8)
