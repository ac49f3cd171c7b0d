"""Files of detections in json, and the arrays that they become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Ints, Singles
from har_bench.errors import HarBenchError
from har_bench.keypoints.json_joints import JOINTS, SCORES, UnclearError, category_of, joints_of, person_of, sureness_of
from har_bench.keypoints.json_rows import Row, Rows, rows_of
from har_bench.keypoints.json_text import values_of
from har_bench.keypoints.numbering import Image, numbers_of
from har_bench.keypoints.people import People, unseen_as_nan
from har_bench.keypoints.seen import Seen

PERSONS = ("person", "people", "human", "pedestrian")
"""What categories of persons are called."""

REMEDY = (
    "give a list of results with image_id and keypoints, an object with images and annotations, or what "
    "docs/keypoints.md names"
)


@dataclass(frozen=True)
class Json:
    """What a file, or several of one folder, hold.

    Attributes:
        taken_for: the program that writes such files.
        image: (n,) the image of each person: its file's name where the file has a list of images, else its id.
        images: every image that the file names.
        points: (n, J, 2 or 3) x, y, confidence; unseen joints NaN.
        score: (n,) of the person.
        person: (n,) the tracker's ids, -1 where a person has none; None when none has.
        joints: the joints' names, when the file has them.
        layout: what the file calls their order.
        notes: what was left out.
    """

    taken_for: str
    image: Sequence[Image]
    images: Sequence[Image]
    points: Singles
    score: npt.NDArray[np.float64]
    person: Ints | None
    joints: Sequence[str]
    layout: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def word(self) -> str | None:
        """The layout as the file calls it, or by the joints' names: COCO starts at the nose, Human3.6M at the root."""
        if self.layout is not None:
            return self.layout
        first = self.joints[0].lower() if self.joints else ""
        return "coco" if first == "nose" else "h36m" if first.startswith(("root", "pelvis", "hip")) else None


def read_json(path: Path) -> Json:
    """Keypoints of a file, or of a folder with a list of results beside the document that has the images.

    Only persons count: of a file with several categories, those that are no persons are left out and named.

    Raises:
        HarBenchError: no such file, nobody in it, or a result names an image that the document lacks.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    found = [_rows(file) for file in files]
    results = [rows for rows in found if not rows.files] or found  # beside results, annotations are the truth
    facts = next((rows for rows in found if rows.files), found[0]) if found else None
    if facts is None:
        raise HarBenchError(f"{path} holds no keypoints of anybody; detect them again")
    rows = [(_named(path, image, facts.files), person) for each in results for image, person in each.rows]
    images = [facts.files.get(image, image) for each in (facts, *results) for image in each.images]
    taken_for = next((each.taken_for for each in results if each.rows), facts.taken_for)
    return _json(path, replace(facts, taken_for=taken_for, rows=rows, images=images))


def read_frames(path: Path, files: Iterable[Path]) -> Json:
    """Keypoints of a folder with a file a frame; the image of a detection is its file's name.

    Raises:
        HarBenchError: a file of another kind, or nobody in any.
    """
    found = {file.name: _rows(file) for file in files}
    rows: list[Row] = [(name, person) for name, each in found.items() for _, person in each.rows if _somewhere(person)]
    facts = next((each for each in found.values() if each.rows), Rows("", []))
    return _json(path, replace(facts, rows=rows, images=list(found), files={}))


def of_video(path: Path) -> Seen:
    """What a file, or a folder of results and a document, holds of the people in a video.

    Raises:
        HarBenchError: the file is damaged, or an image has no number.
    """
    found = read_json(path)
    numbers = numbers_of(path, found.images)
    people = People(
        np.array([numbers[image] for image in found.image], np.int64), found.points, found.score, found.person
    )
    span = min(numbers.values()), max(numbers.values())
    return Seen(found.taken_for, people, span, word=usual(found), joints=found.joints, notes=found.notes)


def usual(found: Json) -> str | None:
    """The layout that a file names, or that detectors' files of so many joints have where they name none."""
    return found.word or {17: "coco17", 25: "body25"}.get(found.points.shape[1])


def has_document(files: Iterable[Path]) -> bool:
    """Whether one of the files names images, so that the others may be results of them."""
    return any(_rows(file).files for file in files)


def _json(path: Path, found: Rows) -> Json:
    """The arrays of a file's detections."""
    if not found.rows:
        raise HarBenchError(f"{path} holds no keypoints of anybody; detect them again")
    rows, notes = _persons(path, found.rows, found.categories)
    points = _points(path, rows)
    if found.transposed:
        points[..., :2] = points[..., 1::-1]
    person = np.array([person_of(each) for _, each in rows], np.int64)
    return Json(
        found.taken_for,
        [image for image, _ in rows],
        list(dict.fromkeys([*found.images, *(image for image, _ in found.rows)])),
        points,
        np.array([sureness_of(each, own) for (_, each), own in zip(rows, points, strict=True)]),
        None if (person < 0).all() else person,
        found.joints,
        found.layout,
        notes,
    )


def _somewhere(person: Mapping[str, Any]) -> bool:
    """Whether a detection has joints; OpenPose's may have hands alone."""
    return any(person.get(name) for name in JOINTS)


def _rows(file: Path) -> Rows:
    found = rows_of(values_of(file))
    if found is None:
        raise HarBenchError(f"{file} is no json of keypoints that har_bench knows; {REMEDY}")
    return found


def _named(path: Path, image: Image, files: Mapping[Image, str]) -> Image:
    if not files:
        return image
    if image not in files:
        raise HarBenchError(f"{path} has a result of image {image!r}, which its list of images lacks; add it")
    return files[image]


def _persons(path: Path, rows: list[Row], names: Mapping[int, str]) -> tuple[list[Row], tuple[str, ...]]:
    """The detections of persons, and how many are of something else."""
    kinds = [category_of(each) for _, each in rows]
    kinds = [names.get(kind, kind) if isinstance(kind, int) else kind for kind in kinds]
    told = {kind for kind in kinds if kind is not None}
    people = _people_among(path, told)
    kept = [row for row, kind in zip(rows, kinds, strict=True) if kind is None or kind in people]
    others = sorted(map(str, told - people))
    if others:
        which = f"{', '.join(others[:5])}{' and others' if len(others) > 5 else ''}"
        return kept, (f"{len(rows) - len(kept):,} detections of other categories ({which}) are left out",)
    if people <= {*PERSONS, 0, 1}:
        return kept, ()
    return kept, (f"all detections are of the category {next(iter(people))!r}; it is taken for persons",)


def _people_among(path: Path, told: set[int | str]) -> set[int | str]:
    """Which of the categories are persons: by their names, else 0 where they count from it, 1 as in COCO, or the one.

    Raises:
        HarBenchError: there are several, and none of these.
    """
    for usual in ({*PERSONS}, {0}, {1}, told if len(told) < 2 else set()):
        if told & usual:
            return told & usual
    if not told:
        return set()
    there = ", ".join(sorted(map(str, told)))
    raise HarBenchError(f"{path} has detections of {there} and does not say which are persons; keep those of persons")


def _points(path: Path, rows: Sequence[Row]) -> Singles:
    """(n, J, 2 or 3) of all; a detection without any joint has none that is seen."""
    flat = _at_once(rows)
    if flat is not None:
        return unseen_as_nan(flat)
    found: list[Singles] = []
    for place, (image, person) in enumerate(rows):
        try:
            found.append(joints_of(person))
        except UnclearError as error:
            raise HarBenchError(f"{path}: detection {place}, of image {image!r}, has {error}; {REMEDY}") from error
    joints = sorted({len(points) for points in found})
    if len(joints) > 1:
        raise HarBenchError(f"{path} has persons of {joints[0]} to {joints[-1]} joints; give those of one layout")
    every = np.full((len(found), joints[0], max(points.shape[1] for points in found)), np.nan, np.float32)
    for place, points in enumerate(found):
        every[place, :, : points.shape[1]] = points
    return unseen_as_nan(every)


def _at_once(rows: Sequence[Row]) -> Singles | None:
    """The joints of results that are flat lists of x, y, score, as COCO's are, which may be millions; else None."""
    lists = [person.get("keypoints") for _, person in rows]
    length = len(lists[0]) if isinstance(lists[0], list) else 0
    if not length or length % 3 or length % 2 == 0 or any(name in rows[0][1] for name in SCORES):
        return None
    try:
        every = np.array(lists, np.float32)
    except (TypeError, ValueError):
        return None
    return every.reshape(len(rows), -1, 3) if every.shape == (len(rows), length) else None
