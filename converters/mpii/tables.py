"""MPII's store: its columns, its splits, and the tables made from what one raw file holds."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Floats
from har_bench.converter import Reject, Tables, nothing_kept
from har_bench.raw import file_name, stays_inside
from har_bench.schema import column, poses_schema, sequences_schema, table, vector

Origin = Literal["release", "detections", "hourglass", "hrnet"]

OCCLUDED, VISIBLE, OCCLUDED_TEXT, VISIBLE_TEXT, EMPTY, NO_FIELD, ABSENT = 0, 1, 2, 3, 4, 5, 255
"""The values of ``is_visible`` in the store: the raw flag of a joint, without loss."""

SEQUENCES = sequences_schema(
    [
        column("origin", pa.string(), about="raw file: release, detections (Tompson's), hourglass or hrnet (json)"),
        column("release", pa.string(), about="RELEASE.version"),
        column("annolist_index", pa.int32(), about="1-based position in RELEASE.annolist"),
        column("category", pa.string(), about="RELEASE.act.cat_name"),
        column("act_id", pa.int32(), about="RELEASE.act.act_id; null where unlabelled (-1)"),
        column("frame_sec", pa.float64(), "s", about="time in the video"),
        column("vididx", pa.int32(), about="1-based position in RELEASE.video_list"),
        column("video", pa.string(), about="YouTube id"),
    ]
)

POSES = poses_schema(
    16,
    points=pa.float64(),
    extras=[
        column(
            "is_visible",
            pa.uint8(),
            shape=(16,),
            about="raw flag: 0, 1 = number 0, 1; 2, 3 = text '0', '1'; 4 = []; 5 = no such field; 255 = joint absent",
        ),
        column("head_box", pa.float64(), "px", shape=(4,), about="x1, y1, x2, y2"),
        column(
            "head_size",
            pa.float64(),
            "px",
            about="0.6 of the head box's diagonal; 25 scale from json files, which have no boxes",
        ),
        column("scale", pa.float64(), about="person's height / 200 px"),
        column("objpos", pa.float64(), "px", shape=(2,), about="rough centre of the person"),
        column("single_person", pa.bool_(), about="listed in RELEASE.single_person: far enough from the others"),
        column("part_occ", pa.int8(), shape=(10,), about="part_occ1 to part_occ10: 1 occluded, 0 not, -1 = []"),
        column("head_r", pa.float64(), shape=(3, 3), about="rotation of the head, row-major"),
        column("torso_r", pa.float64(), shape=(3, 3), about="rotation of the torso, row-major"),
        column("splits", pa.list_(pa.string()), about="of this person"),
        column("tompson_row", pa.int32(), about="0-based row in Tompson's validation order"),
    ],
)


@dataclass
class RejectLog:
    """Broken records of one raw file, in the order in which they were met.

    Attributes:
        source: the file, as a path under the raw root.
        entries: what was met.
    """

    source: str
    entries: list[Reject] = field(default_factory=list)

    def dropped(self, locator: str, reason: str) -> None:
        """A record that is not in the store."""
        self.entries.append(Reject(self.source, locator, reason, "dropped"))

    def repaired(self, locator: str, reason: str) -> None:
        """A record that is in the store, mended."""
        self.entries.append(Reject(self.source, locator, reason, "repaired"))

    def refuse_nothing(self, path: Path, records: str, kept: int) -> None:
        """Refuse a file that has records of a kind, of which none is kept.

        Args:
            path: the file.
            records: the kind, in the plural.
            kept: how many are.

        Raises:
            HarBenchError: none is, and some were dropped.
        """
        dropped = [entry for entry in self.entries if entry.action == "dropped"]
        if dropped and not kept:
            raise nothing_kept(path, records, dropped)


@dataclass
class Annotations:
    """What one raw file holds, in its own order.

    Attributes:
        origin: which of MPII's raw files it is.
        images: columns with one value per image: ``name``, ``train`` (None where unknown), ``annolist_index`` and
            whatever else of :data:`SEQUENCES` the file knows.
        people: columns with one value per person: ``image`` (row of ``images``), ``person`` (1-based), ``keypoints``
            (N, 16, 2), ``is_visible`` (N, 16) and whatever else of :data:`POSES` the file knows.
        log: its broken records.
    """

    origin: Origin
    images: dict[str, list[Any]]
    people: dict[str, Any]
    log: RejectLog


class Tompson(NamedTuple):
    """Tompson's validation split of the training images, in its own order.

    Attributes:
        images: (2958,) image names.
        annolist: (2958,) 1-based positions in RELEASE.annolist.
        persons: (2958,) 1-based positions in annorect.
        row: (image, person) -> row.
    """

    images: tuple[str, ...]
    annolist: tuple[int, ...]
    persons: tuple[int, ...]
    row: dict[tuple[str, int], int]


@cache
def tompson() -> Tompson:
    """The list that comes with har_bench (``tompson_valid.csv``)."""
    text = files(__package__).joinpath("tompson_valid.csv").read_text("utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    images = tuple(row["image"] for row in rows)
    persons = tuple(int(row["person"]) for row in rows)
    return Tompson(
        images,
        tuple(int(row["annolist_index"]) for row in rows),
        persons,
        {key: index for index, key in enumerate(zip(images, persons, strict=True))},
    )


def image_name(given: str, where: str, log: RejectLog) -> str:
    """The name of an image's file; of a path, the last part, which is reported; empty where there is none."""
    name = file_name(given)
    usable = name.strip(".") and "\0" not in name
    if usable and not (stays_inside(given) and name == given):
        log.repaired(where, f"{given[:80]!r} is a path; the last part is the name")
    return name if usable else ""


def person_columns(people: list[dict[str, Any]], joints: Floats, flags: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """The columns of persons that a json file tells, pixels 0-based.

    Args:
        people: each has ``image`` (a row), ``person``, and ``scale`` and ``objpos`` (2,), NaN where they are not known.
        joints: (N, 16, 2) 1-based pixels.
        flags: (N, 16) of ``is_visible``.
    """
    scale = np.array([each["scale"] for each in people], np.float64)
    position = np.array([each["objpos"] for each in people], np.float64).reshape(-1, 2) - 1
    return {
        "image": [each["image"] for each in people],
        "person": [each["person"] for each in people],
        "keypoints": np.where((flags == ABSENT)[..., None], np.nan, joints - 1),
        "is_visible": flags,
        "scale": pa.array(scale, mask=np.isnan(scale)),
        "head_size": pa.array(25 * scale, mask=np.isnan(scale)),
        "objpos": vector(position, mask=np.asarray(np.isnan(position).any(axis=1))),
    }


def tables(annotations: Annotations) -> Tables:
    """The store's tables of one raw file: sequences by name, poses by (sequence, person)."""
    images, people = annotations.images, annotations.people
    keys = _keys(annotations)
    owner = np.asarray(people["image"], np.int64)
    persons = np.asarray(people["person"], np.int64)
    annotated = (people["is_visible"] != ABSENT).any(axis=1)
    listed, valid = _tompson_rows(images, owner, persons)
    train = [bool(flag) for flag in images["train"]]
    in_train = annotated & np.array(train, bool)[owner] & ~valid[owner]
    official = [[] if flag is None else [f"official/{'train' if flag else 'test'}"] for flag in images["train"]]

    image_splits = [list(names) for names in official]
    trained = set(owner[in_train].tolist())
    for image, names in enumerate(image_splits):
        names += ["tompson/valid"] * bool(valid[image]) + ["tompson/train"] * (image in trained)
    person_splits = [
        official[image] + ["tompson/valid"] * (row >= 0) + ["tompson/train"] * bool(training)
        for image, row, training in zip(owner.tolist(), listed.tolist(), in_train, strict=True)
    ]

    sequences = {
        **{name: values for name, values in images.items() if name not in ("name", "train")},
        "sequence": keys,
        "origin": [annotations.origin] * len(keys),
        "media": [f"images/{name}" for name in images["name"]],
        "n_frames": [1] * len(keys),
        "splits": image_splits,
    }
    poses = {
        **{name: values for name, values in people.items() if name != "image"},
        "sequence": [keys[image] for image in owner],
        "frame": np.zeros(len(owner), np.int32),
        "person": persons,
        "visibility": _visibility(people["is_visible"]),
        "splits": person_splits,
        "tompson_row": pa.array(listed, mask=listed < 0),
    }
    return Tables(
        sequences=table(sequences, SEQUENCES).sort_by("sequence"),
        poses=table(poses, POSES).sort_by([("sequence", "ascending"), ("person", "ascending")]),
        rejects=annotations.log.entries,
    )


def _keys(annotations: Annotations) -> list[str]:
    """One key per image: its name, and its place as well where the name came before."""
    keys, seen = [], set()
    for name, index in zip(annotations.images["name"], annotations.images["annolist_index"], strict=True):
        key = name
        if name in seen:
            key = f"{name}@{index}"
            reason = f"image {name} is listed more than once; this occurrence is sequence {key}"
            annotations.log.repaired(f"annolist({index}).image.name", reason)
        seen.add(name)
        keys.append(key)
    return keys


def _tompson_rows(
    images: dict[str, list[Any]], owner: npt.NDArray[np.int64], persons: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Each person's row in Tompson's list (-1: none), and whether each image is in it.

    An image is found by its name; of equal names the first training image counts.
    """
    split = tompson()
    first: dict[str, int] = {}
    for image, (name, train) in enumerate(zip(images["name"], images["train"], strict=True)):
        if train:
            first.setdefault(name, image)
    valid = np.zeros(len(images["name"]), bool)
    valid[[first[name] for name in split.images if name in first]] = True
    rows = [
        split.row.get((images["name"][image], person), -1) if valid[image] else -1
        for image, person in zip(owner.tolist(), persons.tolist(), strict=True)
    ]
    return np.array(rows, np.int32), valid


def _visibility(flags: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """(N, 16) raw flags -> 0 absent, 1 occluded, 2 visible; an unlabelled joint counts as visible."""
    occluded = np.isin(flags, (OCCLUDED, OCCLUDED_TEXT))
    return np.where(flags == ABSENT, 0, np.where(occluded, 1, 2)).astype(np.uint8)
