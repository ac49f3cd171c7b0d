"""A small synthetic RELEASE in the layout of ``mpii_human_pose_v1_u12_1.mat``, with the quirks of the real one."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.io

from .release import HEAD_BOX, HEAD_ROTATION, PART_OCCLUSION, TORSO_ROTATION
from .tables import tompson

FILE = Path("mpii_human_pose_v1_u12_2", "mpii_human_pose_v1_u12_1.mat")
VALID_ROWS = 12
TRAIN_IMAGES = 20
TEST_IMAGES = 4
SIZE = (1280, 720)
VIDEOS = ("synthetic_0", "synthetic_1", "synthetic_2")
ACTIVITIES = (("running", "jogging", 1), ("sports", "curling", 2), ("dancing", "ballroom, slow", 3))

EXTRA_FIELDS: tuple[tuple[str, ...], ...] = (
    (),
    (*PART_OCCLUSION, *HEAD_ROTATION, *TORSO_ROTATION),
    (*HEAD_ROTATION, *TORSO_ROTATION),
    PART_OCCLUSION,
)
"""What an image's annorect may have between annopoints and scale; its fields are the same for all its persons."""

POINT_FIELDS = (("x", "y", "id", "is_visible"), ("id", "x", "y", "is_visible"), ("x", "y", "id"))

ORDER = (6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15)
"""The commonest order of the points in the real file."""

FIGURE = np.array(
    [
        *[(-0.08, 0.95), (-0.07, 0.72), (-0.06, 0.5), (0.06, 0.5), (0.07, 0.72), (0.08, 0.95)],
        *[(0, 0.5), (0, 0.22), (0, 0.17), (0, 0)],
        *[(-0.18, 0.5), (-0.16, 0.36), (-0.1, 0.22), (0.1, 0.22), (0.16, 0.36), (0.18, 0.5)],
    ]
)
"""(16, 2) a standing person who faces the camera, in heights, from the head top."""

Random = np.random.Generator
Empty = np.zeros((0, 0))


class Entry(NamedTuple):
    """One image: an element of annolist, img_train, act and single_person."""

    name: str
    train: bool
    annorect: npt.NDArray[Any]
    single: Sequence[int] = ()
    activity: tuple[str, str, int] | None = None
    video: int | None = None


def write_sample(out: Path, seed: int) -> None:
    """Write ``out / FILE``; the same seed gives the same bytes."""
    random = np.random.default_rng(seed)
    entries = _entries(random)
    release = {
        "annolist": _struct([_annolist(number, entry) for number, entry in enumerate(entries)]),
        "img_train": np.array([[entry.train for entry in entries]], np.uint8),
        "version": "12",
        "single_person": _cell([_column(entry.single) for entry in entries]).T,
        "act": _struct([_act(entry) for entry in entries]).T,
        "video_list": _cell(VIDEOS),
    }
    file = io.BytesIO()
    scipy.io.savemat(file, {"RELEASE": _struct([release])}, do_compression=True)  # type: ignore[arg-type] # the stubs know no files
    # SciPy's own text names the moment of writing
    text = b"MATLAB 5.0 MAT-file, synthetic sample of har_bench"
    path = out / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.ljust(116) + file.getvalue()[116:])


def _entries(random: Random) -> list[Entry]:
    """About 40 images, the quirks last, in the order of the file."""
    entries = [Entry("900000000.jpg", False, _test_rect(random), single=(1,))]
    split = tompson()
    people: dict[str, int] = {}
    for name, person in zip(split.images[:VALID_ROWS], split.persons[:VALID_ROWS], strict=True):
        people[name] = max(person + len(people) % 2, people.get(name, 0))
    for number in range(TRAIN_IMAGES):
        people[f"91{number:07d}.jpg"] = 1 + number % 3
    for number, (name, count) in enumerate(people.items()):
        activity = ACTIVITIES[number % len(ACTIVITIES)]
        annorect = _struct([_person(random, number, person) for person in range(count)])
        single = range(1, count + 1) if number % 4 else ()
        entries.append(Entry(name, True, annorect, tuple(single), activity, 1 + number % len(VIDEOS)))
    entries += [Entry(f"98000000{number}.jpg", False, _test_rect(random), (1,)) for number in range(TEST_IMAGES)]

    whole = _person(random, 0, 0)
    box = {name: whole[name] for name in HEAD_BOX}
    return [
        *entries,
        Entry("990000000.jpg", False, Empty),
        Entry("990000001.jpg", True, _struct([box]), video=1),
        Entry("990000002.jpg", True, _struct([whole | {"scale": Empty, "objpos": Empty}]), video=2),
        Entry("990000003.jpg", True, _struct([whole, box | dict.fromkeys(("annopoints", "scale", "objpos"), Empty)])),
        Entry("990000001.jpg", False, _test_rect(random), (1,)),
    ]


def _person(random: Random, image: int, person: int) -> dict[str, Any]:
    """One annorect: a stick figure, from whole to nearly nothing in the picture."""
    height = random.uniform(250, 600)
    points = FIGURE + random.normal(0, 0.015, FIGURE.shape)
    points = np.round(points * height + random.uniform((150, 20), (SIZE[0] - 150, 200)))
    if image % 5 == 0:
        points[10, 0] = -12  # a wrist to the left of the picture: the only negative numbers of the file
    centre, upward = points[8:10].mean(axis=0), points[9] - points[8]
    half = np.linalg.norm(upward) / 0.8 * np.array([0.3, 0.4])
    corners = np.concatenate([np.round(centre - half), np.round(centre + half)])
    diagonal = float(np.linalg.norm(corners[2:] - corners[:2]))
    # as in the real file, neck and head top are made from the head box and are not whole pixels
    reach = 0.4 * diagonal * upward / np.linalg.norm(upward)
    points[8], points[9] = (corners[:2] + corners[2:]) / 2 - reach, (corners[:2] + corners[2:]) / 2 + reach
    record: dict[str, Any] = {name: _narrow(value) for name, value in zip(HEAD_BOX, corners, strict=True)}
    record["annopoints"] = _struct([{"point": _struct(_points(random, points, image, person))}])
    for name in EXTRA_FIELDS[image % len(EXTRA_FIELDS)]:
        if name in PART_OCCLUSION:
            record[name] = str(random.integers(2)) if random.random() < 0.9 else Empty
        else:
            record[name] = f"{random.uniform(-1, 1):.5g}" if random.random() < 0.8 else "3.6082e-16"
    record["scale"] = np.array([[0.024 * diagonal]])
    record["objpos"] = _place(points[[6, 7]].mean(axis=0))
    return record


def _points(random: Random, points: npt.NDArray[np.float64], image: int, person: int) -> list[dict[str, Any]]:
    """The joints of one person: some absent, occluded or unlabelled, flags as numbers or as text."""
    fields = POINT_FIELDS[2 if image == VALID_ROWS + 1 else (image + person) % 2]
    missing = {0, 5} if image % 3 == 1 else {0, 1, 4, 5, 10} if image % 7 == 3 else set()
    joints = [joint for joint in (ORDER if image % 2 else random.permutation(16).tolist()) if joint not in missing]
    records = []
    for joint in joints:
        seen = int(random.random() < 0.75)
        flag: Any = str(seen) if image % 6 == 2 else np.array([[seen]], np.uint8)
        x, y = points[joint]
        values = {
            "x": _narrow(x),
            "y": _narrow(y),
            "id": np.array([[joint]], np.uint8),
            "is_visible": Empty if joint in (8, 9) else flag,
        }
        records.append({name: values[name] for name in fields})
    return records


def _test_rect(random: Random) -> npt.NDArray[Any]:
    """What a test image tells: how large and where."""
    place = np.round(random.uniform((200, 200), (SIZE[0] - 200, SIZE[1] - 200)))
    return _struct([{"scale": np.array([[random.uniform(1, 5)]]), "objpos": _place(place)}])


def _annolist(number: int, entry: Entry) -> dict[str, Any]:
    return {
        "image": _struct([{"name": entry.name}]),
        "annorect": entry.annorect,
        "frame_sec": Empty if entry.video is None else _narrow(10 + number),
        "vididx": Empty if entry.video is None else _narrow(entry.video),
    }


def _act(entry: Entry) -> dict[str, Any]:
    category, name, number = entry.activity or (Empty, Empty, -1)
    return {"cat_name": category, "act_name": name, "act_id": np.array([[number]], np.int16)}


def _place(point: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    x, y = np.round(point)
    return _struct([{"x": _narrow(x), "y": _narrow(y)}])


def _narrow(value: float) -> npt.NDArray[Any]:
    """A 1 by 1 array of the narrowest type that holds ``value``, as MATLAB stores it."""
    if value != int(value):
        return np.array([[value]])
    for kind in (np.uint8, np.int16, np.uint16):
        limits = np.iinfo(kind)
        if limits.min <= value <= limits.max and (value < 0 or kind is not np.int16):
            return np.array([[value]], kind)
    return np.array([[value]])


def _struct(records: Sequence[Mapping[str, Any]]) -> npt.NDArray[Any]:
    """A 1 by N MATLAB struct array; all records have the same fields."""
    array = np.empty((1, len(records)), [(name, object) for name in records[0]])
    for at, record in enumerate(records):
        array[0, at] = tuple(record.values())
    return array


def _cell(values: Sequence[Any]) -> npt.NDArray[Any]:
    """A 1 by N MATLAB cell array."""
    array = np.empty((1, len(values)), object)
    for at, value in enumerate(values):
        array[0, at] = value
    return array


def _column(values: Sequence[int]) -> npt.NDArray[Any]:
    """An N by 1 array of small whole numbers; ``[]`` of none."""
    return np.array(values, np.uint8).reshape(-1, 1) if values else Empty
