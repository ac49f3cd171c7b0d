"""MPII's annotations as MATLAB structs: the official RELEASE, and the ``annorect`` copies in Tompson's detections.

Both keep the raw quirks: the fields of ``annorect`` and the order of those of ``point`` differ between images,
numbers have the narrowest integer type that fits, flags are numbers, text or ``[]``, and what is not annotated is
simply absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Bools, Floats
from har_bench.errors import HarBenchError
from har_bench.foreign.mat import load_mat
from har_bench.schema import vector

from .tables import (
    ABSENT,
    EMPTY,
    NO_FIELD,
    OCCLUDED_TEXT,
    VISIBLE_TEXT,
    Annotations,
    RejectLog,
    image_name,
    tompson,
)

RELEASE_FIELDS = ("annolist", "img_train", "version", "single_person", "act", "video_list")
DETECTION_VARIABLES = ("annolist", "RELEASE_img_index", "RELEASE_person_index")
HEAD_BOX = ("x1", "y1", "x2", "y2")
PART_OCCLUSION = tuple(f"part_occ{part}" for part in range(1, 11))
HEAD_ROTATION, TORSO_ROTATION = (
    tuple(f"{part}_r{row}{place}" for row in (1, 2, 3) for place in (1, 2, 3)) for part in ("head", "torso")
)
UNREADABLE = 254

Cells = Sequence[Any]


class Rect(NamedTuple):
    """One ``annorect``: a person, or what is known of one.

    Attributes:
        image: row of the image.
        person: 1-based position in the image's annorect.
        where: its place in the file.
        record: the struct.
    """

    image: int
    person: int
    where: str
    record: np.void

    def cell(self, name: str) -> Any:
        """The value of a field; None where this struct has no such field."""
        return self.record[name] if name in (self.record.dtype.names or ()) else None


def read_release(path: Path, source: str) -> Annotations:
    """Everything in the official ``mpii_human_pose_v1_u12_1.mat``.

    Raises:
        HarBenchError: the file cannot be read, or its RELEASE does not have the official layout.
    """
    release = _structs(load_mat(path).get("RELEASE"))
    missing = [name for name in RELEASE_FIELDS if release is None or name not in (release.dtype.names or ())]
    if release is None or missing:
        raise HarBenchError(f"{path} has no struct RELEASE with {', '.join(RELEASE_FIELDS)}; download it again")
    parts = {name: release[0][name] for name in RELEASE_FIELDS}
    entries, acts = _structs(parts["annolist"]), _structs(parts["act"])
    sizes = {name: np.size(parts[name]) for name in ("annolist", "img_train", "single_person", "act")}
    if entries is None or acts is None or len(set(sizes.values())) > 1:
        described = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise HarBenchError(
            f"{path}: RELEASE must describe every image once, but it holds {described}; download it again"
        )

    log = RejectLog(source)
    given = [_text(_first(_structs(cell), "name")) or "" for cell in _field(entries, "image")]
    names = [image_name(name, f"annolist({index}).image.name", log) for index, name in enumerate(given, start=1)]
    kept = [index for index, name in enumerate(names) if name]
    for index in sorted(set(range(len(names))) - set(kept)):
        log.dropped(f"annolist({index + 1}).image.name", "not the name of a file; the image is left out")
    log.refuse_nothing(path, "images", len(kept))

    train, _ = _numbers(_single(np.ravel(parts["img_train"])))
    for index in np.flatnonzero(~np.isin(train, (0, 1))).tolist():
        log.repaired(f"img_train({index + 1})", "neither 0 nor 1; the image is in no official split")
    labels: dict[str, list[Any]] = {
        "category": _texts(_field(acts, "cat_name"), "act({}).cat_name", log),
        "action": _texts(_field(acts, "act_name"), "act({}).act_name", log),
        "act_id": _integers(_field(acts, "act_id"), "act({}).act_id", log, low=1, legal=-1),
        "frame_sec": _nullable(_column(_field(entries, "frame_sec"), "annolist({}).frame_sec", log)),
        "vididx": _integers(_field(entries, "vididx"), "annolist({}).vididx", log, low=1),
    }
    videos = _texts(list(np.ravel(parts["video_list"])), "video_list({})", log)
    labels["video"] = [videos[at - 1] if at and at <= len(videos) else None for at in labels["vididx"]]
    for index, at in enumerate(labels["vididx"], start=1):
        if at and at > len(videos):
            log.repaired(f"annolist({index}).vididx", f"video_list has no entry {at}; video is null")
    images = {name: [values[index] for index in kept] for name, values in labels.items()}
    images |= {
        "name": [names[index] for index in kept],
        "annolist_index": [index + 1 for index in kept],
        "train": [bool(train[index]) if train[index] in (0, 1) else None for index in kept],
        "release": [_text(parts["version"])] * len(kept),
    }
    rects = _rects([(row, index, entries[index]) for row, index in enumerate(kept)], log)
    people = _decode(rects, log, path)
    singles = [_positions(parts["single_person"].flat[index]) for index in kept]
    people["single_person"] = [rect.person in singles[rect.image] for rect in rects]
    return Annotations("release", images, people, log)


def read_detections(path: Path, source: str) -> Annotations:
    """The 2958 ``annorect`` structs of Tompson's ``detections.mat``; their images are named by his validation list.

    Raises:
        HarBenchError: the file cannot be read, or does not have its layout.
    """
    variables = load_mat(path)
    entries = _structs(variables.get("annolist"))
    indices = [np.ravel(variables[name]) for name in DETECTION_VARIABLES[1:] if name in variables]
    if entries is None or len(indices) < 2 or {part.size for part in indices} != {entries.size}:
        raise HarBenchError(f"{path} does not have {', '.join(DETECTION_VARIABLES)} of one length; download it again")

    log = RejectLog(source)
    split = tompson()
    name_at = dict(zip(split.annolist, split.images, strict=True))
    keys = np.stack([_numbers(_single(part))[0] for part in indices], axis=1).tolist()
    rows: dict[int, int] = {}
    rects: list[Rect] = []
    seen = set()
    for at, (place, person) in enumerate(keys, start=1):
        where = f"annolist({at})"
        if place not in name_at or (name_at[place], person) not in split.row:
            log.dropped(where, f"image {place:g}, person {person:g} is not in Tompson's validation list")
        elif (place, person) in seen:
            log.dropped(where, f"image {place:g}, person {person:g} is given twice; the first is kept")
        else:
            row = rows.setdefault(int(place), len(rows))
            found = _rects([(row, at - 1, entries[at - 1])], log)[:1]
            if not found:
                log.dropped(where, "there is no annorect")
            rects += [rect._replace(person=int(person)) for rect in found]
        seen.add((place, person))
    log.refuse_nothing(path, "persons", len(rects))
    images: dict[str, list[Any]] = {
        "name": [name_at[at] for at in rows],
        "annolist_index": list(rows),
        "train": [True] * len(rows),
    }
    return Annotations("detections", images, _decode(rects, log, path), log)


def _rects(entries: Sequence[tuple[int, int, np.void]], log: RejectLog) -> list[Rect]:
    """The persons of ``(row of the image, 0-based place, annolist entry)``; ``[]`` is an image without any."""
    rects = []
    for row, place, entry in entries:
        cell: Any = entry["annorect"] if "annorect" in (entry.dtype.names or ()) else None
        structs = _structs(cell)
        where = f"annolist({place + 1}).annorect"
        if structs is None and np.size(cell) and cell is not None:
            log.dropped(where, "not a struct")
        for person, record in enumerate(() if structs is None else structs, start=1):
            rects.append(Rect(row, person, f"{where}({person})", record))
    return rects


def _decode(rects: Sequence[Rect], log: RejectLog, path: Path) -> dict[str, Any]:
    """The columns of ``poses`` that ``annorect`` structs hold, pixels 0-based; what is broken goes to ``log``."""
    places = [rect.where for rect in rects]
    keypoints, is_visible = _points(rects, log, path)
    corners = [_column([rect.cell(name) for rect in rects], "{}." + name, log, places) for name in HEAD_BOX]
    box = np.stack(corners, axis=1)
    given = np.isfinite(box)
    for index in np.flatnonzero(given.any(axis=1) & ~given.all(axis=1)).tolist():
        log.repaired(places[index], "the head box is incomplete; it is null")
    box[~given.all(axis=1)] = np.nan
    width, height = box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]
    centres = [_structs(rect.cell("objpos")) for rect in rects]
    position = np.stack(
        [_column([_first(centre, axis) for centre in centres], "{}.objpos." + axis, log, places) for axis in "xy"],
        axis=1,
    )
    return {
        "image": [rect.image for rect in rects],
        "person": [rect.person for rect in rects],
        "keypoints": keypoints,
        "is_visible": is_visible,
        "head_box": _nullable_vector(box - 1),
        "head_size": _nullable(0.6 * np.sqrt(width * width + height * height)),
        "scale": _nullable(_column([rect.cell("scale") for rect in rects], "{}.scale", log, places)),
        "objpos": _nullable_vector(position - 1),
        "part_occ": _part_occlusion(rects, log),
        "head_r": _rotation(rects, HEAD_ROTATION, log),
        "torso_r": _rotation(rects, TORSO_ROTATION, log),
    }


def _points(rects: Sequence[Rect], log: RejectLog, path: Path) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """(N, 16, 2) 0-based joints, NaN where absent, and (N, 16) raw flags."""
    owners: list[int] = []
    numbers: list[int] = []
    cells: dict[str, list[Any]] = {"id": [], "x": [], "y": [], "is_visible": []}
    for row, rect in enumerate(rects):
        annopoints = rect.cell("annopoints")
        points = _structs(_first(_structs(annopoints), "point"))
        if points is None:
            if np.size(annopoints) and annopoints is not None:
                log.repaired(f"{rect.where}.annopoints", "not a struct with points; the person has no joints")
            continue
        owners += [row] * len(points)
        numbers += range(1, len(points) + 1)
        for name, values in cells.items():
            values += _field(points, name)
    owner = np.array(owners, np.int64)
    joint, x, y = (_numbers(cells[name])[0] for name in ("id", "x", "y"))
    flags = np.array([_flag(cell) for cell in cells["is_visible"]], np.uint8)

    known = np.isin(joint, np.arange(16))
    placed = np.isfinite(x) & np.isfinite(y)
    usable = np.flatnonzero(known & placed)
    target = owner[usable] * 16 + joint[usable].astype(np.int64)
    _, first = np.unique(target, return_index=True)
    chosen = usable[first]
    repeated = np.setdiff1d(usable, chosen)
    for trouble, reason in (
        (np.flatnonzero(~known), "the joint id is not one of 0 to 15"),
        (np.flatnonzero(known & ~placed), "the coordinates are not numbers"),
        (repeated, "the joint is given twice; the first is kept"),
    ):
        for at in trouble:
            log.dropped(f"{rects[owners[at]].where}.annopoints.point({numbers[at]})", reason)
    if len(owners) and not len(chosen):
        log.refuse_nothing(path, "records of joints", 0)
    for at in chosen[flags[chosen] == UNREADABLE]:
        where = f"{rects[owners[at]].where}.annopoints.point({numbers[at]}).is_visible"
        log.repaired(where, "not 0, 1 or []; the joint counts as unlabelled")
    flags[flags == UNREADABLE] = EMPTY

    keypoints = np.full((len(rects), 16, 2), np.nan)
    is_visible = np.full((len(rects), 16), ABSENT, np.uint8)
    keypoints.reshape(-1, 2)[target[first]] = np.stack([x[chosen], y[chosen]], axis=1) - 1
    is_visible.reshape(-1)[target[first]] = flags[chosen]
    return keypoints, is_visible


def _flag(cell: Any) -> int:
    """The store's code of a raw ``is_visible``."""
    if cell is None:
        return NO_FIELD
    if not isinstance(cell, np.ndarray) or cell.size > 1:
        return UNREADABLE
    if cell.size == 0:
        return EMPTY
    value = cell.item()
    if cell.dtype.kind == "U":
        return {"0": OCCLUDED_TEXT, "1": VISIBLE_TEXT}.get(value, UNREADABLE)
    return int(value) if cell.dtype.kind in "buif" and value in (0, 1) else UNREADABLE


def _part_occlusion(rects: Sequence[Rect], log: RejectLog) -> Any:
    parts = np.full((len(rects), len(PART_OCCLUSION)), -1, np.int8)
    absent = np.ones(len(rects), bool)
    for row, rect in enumerate(rects):
        for part, name in enumerate(PART_OCCLUSION):
            flag = _flag(rect.cell(name))
            if flag == NO_FIELD:
                continue
            absent[row] = False
            if flag == UNREADABLE:
                log.repaired(f"{rect.where}.{name}", "not 0, 1 or []; it is -1")
            elif flag != EMPTY:
                parts[row, part] = flag % 2
    return vector(parts, mask=absent)


def _rotation(rects: Sequence[Rect], names: Sequence[str], log: RejectLog) -> Any:
    """3 by 3 matrices, whose elements the file holds as text; null where the fields are absent."""
    matrices = np.full((len(rects), len(names)), np.nan)
    absent = np.ones(len(rects), bool)
    for row, rect in enumerate(rects):
        for place, name in enumerate(names):
            cell = rect.cell(name)
            if cell is None:
                continue
            absent[row] = False
            try:
                if np.size(cell):
                    matrices[row, place] = float(_text(cell) or _numbers([cell])[0][0])
                if np.size(cell) and not np.isfinite(matrices[row, place]):
                    raise ValueError
            except ValueError:
                matrices[row, place] = np.nan
                log.repaired(f"{rect.where}.{name}", "not a number; it is NaN")
    return vector(matrices, mask=absent)


def _structs(cell: Any) -> npt.NDArray[np.void] | None:
    """The elements of a MATLAB struct array; None for ``[]`` and for anything else."""
    if isinstance(cell, np.ndarray) and cell.dtype.names and cell.size:
        return cell.ravel()
    return None


def _field(structs: npt.NDArray[np.void], name: str) -> list[Any]:
    """A field's value in every element; None where the structs have no such field."""
    return structs[name].tolist() if name in (structs.dtype.names or ()) else [None] * len(structs)


def _first(structs: npt.NDArray[np.void] | None, name: str) -> Any:
    return None if structs is None else _field(structs[:1], name)[0]


def _single(values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """A plain array as cells of one value each."""
    return list(values.reshape(-1, 1))


def _text(cell: Any) -> str | None:
    if isinstance(cell, np.ndarray) and cell.dtype.kind == "U" and cell.size == 1:
        return str(cell.item())
    return None


def _numbers(cells: Cells) -> tuple[Floats, Bools]:
    """Cells as float64, NaN where there is no single finite number, and where something else than ``[]`` is there.

    The raw types are as narrow as uint8, so nothing may be computed before this.
    """
    values = np.full(len(cells), np.nan)
    broken = np.zeros(len(cells), bool)
    for index, cell in enumerate(cells):
        if isinstance(cell, np.ndarray) and cell.size == 1 and cell.dtype.kind in "uifb":
            values[index] = cell.item()
        else:
            broken[index] = cell is not None and np.size(cell) > 0
    infinite = np.isinf(values)
    values[infinite] = np.nan
    return values, broken | infinite


def _column(cells: Cells, where: str, log: RejectLog, places: Sequence[object] | None = None) -> Floats:
    """:func:`_numbers`, with a line in ``log`` for each that is no number; ``where`` has a slot for the place."""
    values, broken = _numbers(cells)
    for index in np.flatnonzero(broken).tolist():
        place = index + 1 if places is None else places[index]
        log.repaired(where.format(place), "not a number; it is null")
    return values


def _integers(cells: Cells, where: str, log: RejectLog, *, low: int, legal: int = 0) -> list[int | None]:
    """Whole numbers from ``low``; ``legal`` is the file's own word for unknown."""
    found: list[int | None] = []
    for index, value in enumerate(_column(cells, where, log).tolist(), start=1):
        fits = low <= value < 1 << 31 and value == int(value)
        if not fits and not np.isnan(value) and value != legal:
            log.repaired(where.format(index), f"{value:g} is not a whole number from {low}; it is null")
        found.append(int(value) if fits else None)
    return found


def _texts(cells: Cells, where: str, log: RejectLog) -> list[str | None]:
    texts = [_text(cell) for cell in cells]
    for index, (cell, text) in enumerate(zip(cells, texts, strict=True), start=1):
        if text is None and cell is not None and np.size(cell):
            log.repaired(where.format(index), "not text; it is null")
    return texts


def _positions(cell: Any) -> set[float]:
    """The 1-based persons in a cell of single_person; none for ``[]``."""
    return (
        set(_numbers(_single(cell))[0].tolist()) if isinstance(cell, np.ndarray) and cell.dtype.kind in "uif" else set()
    )


def _nullable(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]


def _nullable_vector(values: Floats) -> Any:
    return vector(values, mask=np.asarray(np.isnan(values).any(axis=1)))
