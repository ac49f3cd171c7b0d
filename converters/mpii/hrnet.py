"""The json files of HRNet and simple-baselines: ``annot/valid.json``, ``train.json``, ``trainval.json``, ``test.json``.

mmpose's ``mpii_val.json`` and its kin are the same. A row is a person: ``image``, ``center``, ``scale`` (as in the
RELEASE, to six decimals), ``joints`` (16, 1-based, -1 where missing) and ``joints_vis``, which says whether a joint was
annotated, not whether it is visible. Rows do not say which person of the image they are: those of the validation set
are in the order of Tompson's list, which tells; the others are counted in the order of the file. ``gt_valid.mat``
beside ``valid.json`` has the head boxes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import numpy as np
import pyarrow as pa

from har_bench.arrays import Bools, Floats
from har_bench.errors import HarBenchError
from har_bench.foreign import compressed
from har_bench.foreign.json_records import Record
from har_bench.foreign.mat import load_mat, variable_names
from har_bench.raw import split_word
from har_bench.schema import vector

from .hourglass import UNKNOWN, Point, records, told
from .tables import ABSENT, NO_FIELD, OCCLUDED, Annotations, RejectLog, person_columns, tompson

MARKS = (b'"joints_vis"', b'"center"')
"""What the beginning of such a file holds; a test file has no joints."""

TRUTH = ("headboxes_src", "pos_gt_src", "jnt_missing")
"""The variables of ``gt_valid.mat``."""

ROLES = ("train", "valid", "val", "trainval", "test")
_Joints = Annotated[list[Point], msgspec.Meta(min_length=16, max_length=16)]
_Flags = Annotated[list[float], msgspec.Meta(min_length=16, max_length=16)]
_DECIMALS = 1e-6  # of the json's scales
_LIKE = 1e-3  # share by which a head size and 25 scale may differ; the scale has six decimals
_ROUNDED = 1e-3  # px: the boxes of gt_valid.mat went to a crop and back, and were whole numbers before


def is_hrnet(path: Path) -> bool:
    """Whether a json begins as one of these files."""
    head = compressed.beginning(path, 4096).replace(b"\0", b"")  # of UTF-16, too
    return MARKS[0] in head or (MARKS[1] in head and b'"scale"' in head and b'"image"' in head)


def is_truth(path: Path) -> bool:
    """Whether a .mat file is ``gt_valid.mat``."""
    return set(TRUTH) <= set(variable_names(path))


def role(path: Path) -> str:
    """``train``, ``valid``, ``trainval``, ``test`` or empty: what a file is called, its folder being ``annot``."""
    found = split_word(Path(path.name), ROLES, ignoring=("mpii",)) or ""
    return "valid" if found == "val" else found


def chosen(paths: Sequence[Path]) -> list[Path]:
    """The files that are read: those of the sets, and ``trainval.json`` only in place of them.

    Raises:
        HarBenchError: two files are of one set.
    """
    by_role: dict[str, Path] = {}
    for path in paths:
        if by_role.setdefault(role(path), path) != path:
            raise HarBenchError(f"{by_role[role(path)]} and {path} are the same set of MPII; give one of them")
    if {"train", "valid"} <= by_role.keys():
        by_role.pop("trainval", None)
    elif "trainval" in by_role:
        by_role = {name: path for name, path in by_role.items() if name not in ("train", "valid")}
    return [by_role[name] for name in sorted(by_role)]


@dataclass
class _Set:
    """The rows of one file.

    Attributes:
        path: the file.
        log: what is wrong with it.
        rows: its persons, in its order; ``at`` is the row's place.
        count: how many rows the file has.
    """

    path: Path
    log: RejectLog
    rows: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0


def read_hrnet(paths: Sequence[Path], sources: Sequence[str]) -> Annotations:
    """Every person of the files.

    Args:
        paths: the json files, and ``gt_valid.mat`` if it is there.
        sources: their paths under the raw root.

    Raises:
        HarBenchError: a file cannot be read, or none of its rows can be used.
    """
    named = list(zip(paths, sources, strict=True))
    sets = [_read(path, RejectLog(source)) for path, source in named if path.suffix != ".mat"]
    for each in sets:
        _identify(each)
        each.log.refuse_nothing(each.path, "persons", len(each.rows))
    truths = [(path, RejectLog(source)) for path, source in named if path.suffix == ".mat"]
    valid = next((each for each in sets if role(each.path) == "valid"), None)
    for path, log in truths if valid else ():
        _add_boxes(cast(_Set, valid), path, log)
    images: dict[str, dict[str, Any]] = {}
    people = [_owned(row, each, images) for each in sets for row in each.rows]
    places = dict(zip(tompson().images, tompson().annolist, strict=True))
    columns: dict[str, list[Any]] = {
        "name": list(images),
        "train": [image["train"] for image in images.values()],
        "annolist_index": [places.get(name) for name in images],
    }
    logs = [*(each.log for each in sets), *(log for _, log in truths)]
    log = RejectLog(sources[0], [entry for each in logs for entry in each.entries])
    joints = np.array([each["joints"] for each in people], np.float64).reshape(-1, 16, 2)
    flags = np.array([each["flags"] for each in people], np.uint8).reshape(-1, 16)
    return Annotations("hrnet", columns, person_columns(people, joints, flags) | _head_columns(people), log)


def _head_columns(people: list[dict[str, Any]]) -> dict[str, Any]:
    """Head boxes, and what follows from them: the head size, and the digits of the scale that six decimals lack.

    In the RELEASE a scale is the head size / 25 to the last digit but one; without a box it is the other way round.
    """
    corners = np.array([each["box"] for each in people], np.float64).reshape(-1, 4)
    scale = np.array([each["scale"] for each in people], np.float64)
    known: Bools = np.asarray(np.isfinite(corners).all(axis=1))
    size = np.where(known, _head_size(corners), 25 * scale)
    exact = np.where(np.abs(size / 25 - scale) <= _DECIMALS, size / 25, scale)
    return {
        "head_box": vector(corners - 1, mask=~known),
        "head_size": pa.array(size, mask=np.isnan(size)),
        "scale": pa.array(exact, mask=np.isnan(exact)),
    }


def _head_size(corners: Floats) -> Floats:
    """(N,) px: 0.6 of the diagonals of (N, 4) boxes."""
    width, height = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    return np.asarray(0.6 * np.sqrt(width * width + height * height))


def _owned(row: dict[str, Any], of: _Set, images: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A row with the place of its image; MPII withholds the joints of test images."""
    image = images.setdefault(row["name"], {"row": len(images), "train": None})
    annotated = bool((row["flags"] != ABSENT).any())
    if annotated or role(of.path) in ("train", "valid", "trainval"):
        image["train"] = True
    elif image["train"] is None and role(of.path) == "test":
        image["train"] = False
    return row | {"image": image["row"]}


def _read(path: Path, log: RejectLog) -> _Set:
    found = _Set(path, log)
    for at, record in records(path, log):
        found.count = at + 1
        where = f"[{at}]"
        read = told(record, "image", _joints, where, log)
        if read is None:
            continue
        name, (joints, flags) = read
        scale, centre = record.expected("scale", float), record.expected("center", Point)
        found.rows.append(
            {
                "at": at,
                "name": name,
                "joints": joints,
                "flags": flags,
                "scale": scale if scale is not None and scale > 0 else math.nan,
                "objpos": UNKNOWN if centre in (None, (-1, -1)) else centre,
                "box": [math.nan] * 4,
            }
        )
        for field_, reason in record.flaws:
            log.repaired(f"{where}.{field_}", reason)
    return found


def _joints(record: Record) -> tuple[Floats, Any]:
    """(16, 2) pixels and the flags of the store; a test file has none."""
    if "joints" not in record.fields:
        return np.full((16, 2), np.nan), np.full(16, ABSENT, np.uint8)
    points = np.array(record.needed("joints", _Joints), np.float64)
    placed = ~((points == -1).all(axis=1) | (points == 0).all(axis=1))
    given = record.optional("joints_vis", _Flags)
    flags = np.ones(16) if given is None else np.array(given)
    odd = ~np.isin(flags, (0, 1))
    lost = (flags == 1) & ~placed & (given is not None)
    if odd.any() or lost.any():
        reason = f"{int(odd.sum())} are neither 0 nor 1, and {int(lost.sum())} are 1 for a joint without a place"
        record.flaws.append(("joints_vis", f"{reason}; the places count"))
    # joints_vis is whether a joint was annotated; whoever stores something else there has a place for a hidden joint
    return points, np.where(placed, np.where(flags == 0, OCCLUDED, NO_FIELD), ABSENT).astype(np.uint8)


def _identify(of: _Set) -> None:
    """Number the persons: by Tompson's list in its images, by their order in the others."""
    listed: dict[str, list[int]] = {}
    for name, person in zip(tompson().images, tompson().persons, strict=True):
        listed.setdefault(name, []).append(person)
    counts, met = Counter(row["name"] for row in of.rows), Counter[str]()
    kept = []
    for row in of.rows:
        persons = listed.get(row["name"])
        if persons and counts[row["name"]] != len(persons) and (row["flags"] != ABSENT).any():
            reason = (
                f"Tompson's list has {len(persons)} persons in {row['name']} and the file {counts[row['name']]}, so "
                "which this is cannot be told"
            )
            of.log.dropped(f"[{row['at']}]", reason)
            continue
        order = met[row["name"]]
        met[row["name"]] += 1
        kept.append(row | {"person": persons[order] if persons and order < len(persons) else order + 1})
    of.rows = kept


def _add_boxes(valid: _Set, path: Path, log: RejectLog) -> None:
    """The head boxes of ``gt_valid.mat``, where each agrees with its row's scale, which is 0.04 of the head size."""
    boxes = load_mat(path).get("headboxes_src")
    if not isinstance(boxes, np.ndarray) or boxes.dtype.kind not in "fiu" or boxes.shape != (2, 2, valid.count):
        shape = getattr(boxes, "shape", type(boxes).__name__)
        reason = f"it is {shape}, where (2, 2, {valid.count}) belongs to {valid.path.name}; head sizes are 25 scale"
        log.repaired("headboxes_src", reason)
        return
    corners = boxes.astype(np.float64).reshape(4, -1).T  # x1, y1, x2, y2: the first index is the corner
    whole = np.rint(corners)
    corners = np.where(np.abs(corners - whole) < _ROUNDED, whole, corners)
    sizes = _head_size(corners)
    for row in valid.rows:
        at, size, expected = row["at"], sizes[row["at"]], 25 * row["scale"]
        if math.isnan(expected) or abs(size - expected) < _LIKE * (1 + size):
            row["box"] = corners[at].tolist()
        else:
            reason = (
                f"its head size is {size:.1f} px, and that of {valid.path.name}[{at}] {expected:.1f} px, by its scale"
            )
            log.repaired(f"headboxes_src(:, :, {at + 1})", f"{reason}; the box is null")
