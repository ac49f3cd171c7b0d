"""The stacked-hourglass json of MPII (``mpii_annotations.json``): the 25,204 persons of Tompson's train and valid.

It holds what training needs, rounded to three decimals: no head boxes, no test images, none of the persons in a
validation image who are not on Tompson's list. ``joint_others`` and its kin repeat other rows and are not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from har_bench.foreign import json_file

from .tables import ABSENT, Annotations, RejectLog, is_file_name

_Index = Annotated[float, msgspec.Meta(ge=1, lt=1 << 31, multiple_of=1)]
_Joint = tuple[float, float, float]


class Person(msgspec.Struct):
    """One row of the json; pixels are 1-based."""

    img_paths: str
    img_width: _Index
    img_height: _Index
    annolist_index: _Index
    people_index: _Index
    objpos: tuple[float, float]
    scale_provided: float
    joint_self: Annotated[list[_Joint], msgspec.Meta(min_length=16, max_length=16)]


def read_hourglass(path: Path, source: str) -> Annotations:
    """Everything in the stacked-hourglass json, plain or gzipped.

    Raises:
        HarBenchError: the file is no json list of persons.
    """
    what = "the list of persons of mpii_annotations.json"
    rows = json_file.records(path, what=what, remedy="download it again")
    log = RejectLog(source)
    decoder = msgspec.json.Decoder(Person)
    persons: list[Person] = []
    seen = set()
    for at, row in enumerate(rows):
        try:
            person = decoder.decode(row)
        except json_file.BROKEN as error:
            log.dropped(f"[{at}]", str(error))
            continue
        key = person.img_paths, person.annolist_index, person.people_index
        if not is_file_name(person.img_paths):
            log.dropped(f"[{at}].img_paths", "not the name of a file")
        elif key in seen:
            log.dropped(f"[{at}]", f"image {key[0]}, person {key[2]:g} is given twice; the first is kept")
        elif not {flag for _, _, flag in person.joint_self} <= {0.0, 1.0}:
            log.dropped(f"[{at}].joint_self", "a visibility is neither 0 nor 1")
        else:
            persons.append(person)
        seen.add(key)
    return Annotations("hourglass", *_columns(persons), log)


def _columns(persons: list[Person]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """The columns of images and of people, pixels 0-based."""
    first: dict[tuple[str, float], int] = {}
    owners = [first.setdefault((person.img_paths, person.annolist_index), len(first)) for person in persons]
    _, begins = np.unique(owners, return_index=True)
    images = [persons[begin] for begin in begins]
    joints = np.array([person.joint_self for person in persons], np.float64).reshape(-1, 16, 3)
    absent = (joints == 0).all(axis=2)
    scale = np.array([person.scale_provided for person in persons], np.float64)
    return {
        "name": [image.img_paths for image in images],
        "train": [True] * len(images),
        "annolist_index": [int(image.annolist_index) for image in images],
        "width": [int(image.img_width) for image in images],
        "height": [int(image.img_height) for image in images],
    }, {
        "image": owners,
        "person": [int(person.people_index) for person in persons],
        "keypoints": np.where(absent[..., None], np.nan, joints[..., :2] - 1),
        "is_visible": np.where(absent, ABSENT, joints[..., 2]).astype(np.uint8),
        "scale": scale,
        "head_size": 25 * scale,
        "objpos": np.array([person.objpos for person in persons], np.float64).reshape(-1, 2) - 1,
    }
