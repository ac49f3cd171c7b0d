"""Poses and boxes that others labelled on clips cut out of MERL's videos: a pose pickle, and an action json.

The pickle is a list of records as the label tool of Lightweight OpenPose writes them, the json a list with a box and
an action per image. Both name the clip that an image was cut from, and through it the official interval.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.converter import Reject, nothing_kept
from har_bench.errors import HarBenchError, completing
from har_bench.foreign import json_file, opening, pickles
from har_bench.foreign.json_records import MalformedError, Record
from har_bench.raw import file_name

JOINTS = 17
OCCLUDED, VISIBLE, UNLABELLED, NO_KEYPOINTS = 0, 1, 2, 255
"""The label tool's visibility code, which is not COCO's; 255 is ours, for records without keypoints."""

_SPELLINGS = {"GlanceatShelf": "GlanceAtShelf"}
_CLIP = re.compile(
    r"(?:(?P<action>[A-Za-z]{1,40})_)?(?P<video>(?P<subject>[0-9]{1,3})_(?P<session>[0-9]{1,3}))"
    r"_crop_(?P<first>[0-9]{1,7})_(?P<last>[0-9]{1,7})_(?P<interval>[A-Za-z]{1,40})"
)
_IMAGE = re.compile(r"(?P<clip>.{1,200})-(?P<number>[0-9]{1,7})\.(?:jpg|png)")
_FRAME = re.compile(r"(?P<number>[0-9]{1,7})\.(?:jpg|png)")

Pixel = Annotated[float, msgspec.Meta(ge=-1e5, le=1e5)]
Side = Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]
Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Int32 = Annotated[int, msgspec.Meta(ge=-(1 << 31), le=(1 << 31) - 1)]
Box = tuple[Pixel, Pixel, Pixel, Pixel]
Joints = list[tuple[Pixel, Pixel, float]]

_HEAD = 4096


class Image(msgspec.Struct):
    """What is needed of the image of an action record."""

    file_name: str


@dataclass(frozen=True)
class Clip:
    """A piece of a video, as its name tells.

    Attributes:
        name: such as ``17_2_crop_1077_1108_RetractFromShelf``, or with another action before it.
        video: the video, such as ``17_2``.
        subject: of the video.
        session: of the video.
        start: its 0-based first frame in the video.
        stop: the frame after its last one.
        action: the class it was labelled with; the official one where the name has no other.
    """

    name: str
    video: str
    subject: str
    session: int
    start: int
    stop: int
    action: str


class Annotation(NamedTuple):
    """One person in one image of a clip.

    Attributes:
        clip: the clip.
        frame: 0-based in the clip.
        size: width and height of the image [px]; None where the record does not say.
        bbox: x, y, w, h [px]; None where the whole image is meant, or the numbers cannot be read.
        keypoints: (17, 2) [px], NaN where unlabelled.
        flags: (17,) the raw visibility code.
        extras: what else the record says, by column of the store.
    """

    clip: Clip
    frame: int
    size: tuple[int | None, int | None]
    bbox: tuple[float, ...] | None
    keypoints: npt.NDArray[np.float64]
    flags: npt.NDArray[np.uint8]
    extras: dict[str, Any]


def read_clips(path: Path, source: str, rejects: list[Reject]) -> list[Annotation]:
    """Every usable record of a pickle or json file, in its order.

    Args:
        path: the file; its ending tells which of the two it is.
        source: its path under the raw root.
        rejects: gets what is wrong with it.

    Raises:
        HarBenchError: it has records, and none can be used.
    """
    json = path.suffix.lower() == ".json"
    found: list[Annotation] = []
    try:
        records = _json(path) if json else _pickle(path)
    except HarBenchError as error:
        rejects.append(Reject(source, path.stem, str(error).replace(str(path), path.name), "dropped"))
        return found
    odd: list[Reject] = []
    for index, raw in enumerate(records):
        try:
            # a record of a pickle goes through json, so that one description checks its types, those of NumPy included
            record = Record(raw if json else msgspec.json.encode(raw, enc_hook=_plain))
            found += _boxed(record, source, index) if json else [_posed(record, source, index)]
            rejects += (Reject(source, f"[{index}].{name}", reason, "repaired") for name, reason in record.flaws)
        except (MalformedError, msgspec.MsgspecError, UnicodeError, TypeError, RecursionError) as error:
            odd.append(Reject(source, f"[{index}]", str(error), "dropped"))
    if odd and not found:
        raise nothing_kept(path, "records of clips", odd)
    rejects += odd
    return found


MARKS = {".json": b'"person_bbox"', ".pkl": b"img_paths", ".pickle": b"img_paths"}
"""By ending, what the beginning of a file of clips holds."""


def is_clips(path: Path) -> bool:
    """Whether a file begins as one of clips."""
    mark = MARKS.get(path.suffix.lower())
    if mark is None:
        return False
    with completing(path, "give a file of clips"), opening.opened(path) as stream:
        head = stream.read(_HEAD)
    return mark in head.replace(b"\0", b"")  # of UTF-16, too


def _json(path: Path) -> Sequence[Any]:
    return json_file.records(path, what="a json list of action records")


def _pickle(path: Path) -> Sequence[Any]:
    found = pickles.load(path)
    if not isinstance(found, list):
        raise HarBenchError(f"{path} holds a {type(found).__name__} and not a list of pose records")
    return found


def _posed(record: Record, source: str, index: int) -> Annotation:
    path = record.needed("img_paths", str)
    image = _IMAGE.fullmatch(file_name(path))
    if image is None:
        raise MalformedError(f"img_paths {path[:80]!r} does not name an image of a clip")
    points, flags = _keypoints(record.needed("keypoints", Joints))
    extras = {
        "origin": source,
        "record": index,
        "image": record.path("img_paths", path),
        "image_id": record.optional("image_id", Int64),
        "num_keypoints": record.optional("num_keypoints", Int32),
        "objpos": record.optional("objpos", tuple[Pixel, Pixel]),
        "area": record.optional("segment_area", float),
        "scale": record.optional("scale_provided", float),
        "segmentation": record.kept("segmentations"),
        "others": record.kept("processed_other_annotations"),
    }
    return Annotation(
        clip=_clip(image["clip"]),
        frame=_frame(image["number"]),
        size=(record.optional("img_width", Side), record.optional("img_height", Side)),
        bbox=record.optional("bbox", Box),
        keypoints=points,
        flags=flags,
        extras=extras,
    )


def _boxed(record: Record, source: str, index: int) -> list[Annotation]:
    """The persons of an action record: one in the last revision of these files, any number in an older one."""
    path, action = record.needed("image", Image).file_name, record.needed("action", str)
    image = _FRAME.fullmatch(file_name(path))
    if image is None:
        raise MalformedError(f"file_name {path[:80]!r} is not the number of a frame")
    clip = _clip(record.needed("id", str))
    if clip.action != _SPELLINGS.get(action, action):
        raise MalformedError(f"action {action[:40]!r} is not that of its id {clip.name}")
    described = Record(record.fields["image"])
    size = described.optional("width", Side), described.optional("height", Side)
    shown = described.path("url", described.optional("url", str)) or described.path("file_name", path)
    record.flaws += ((f"image.{name}", reason) for name, reason in described.flaws)
    points, flags = _keypoints(record.optional("keypoints", Joints) or [])
    extras = {"origin": source, "record": index, "image": shown}
    boxes = _boxes(record.needed("person_bbox", list[Any]), size)
    return [Annotation(clip, _frame(image["number"]), size, box, points, flags, extras) for box in boxes]


def _clip(name: str) -> Clip:
    match = _CLIP.fullmatch(name)
    if match is None:
        raise MalformedError(f"{name[:80]!r} is not the name of a clip, such as 17_2_crop_1077_1108_RetractFromShelf")
    first, last = int(match["first"]), int(match["last"])
    if not 1 <= first <= last:
        raise MalformedError(f"{name} has no frames from {first} to {last}")
    action = match["action"] or match["interval"]
    return Clip(
        name=name,
        video=match["video"],
        subject=match["subject"],
        session=int(match["session"]),
        start=first - 1,
        stop=last,
        action=_SPELLINGS.get(action, action),
    )


def _frame(number: str) -> int:
    """0-based frame of a 1-based image number."""
    if int(number) < 1:
        raise MalformedError(f"image {number} of a clip, whose images count from 1")
    return int(number) - 1


def _keypoints(
    raw: list[tuple[float, float, float]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """(17, 2) points, NaN where unlabelled, and (17,) flags; no keypoints at all are allowed."""
    if not raw:
        return np.full((JOINTS, 2), np.nan), np.full(JOINTS, NO_KEYPOINTS, np.uint8)
    values = np.array(raw)
    if len(values) != JOINTS or not np.isin(values[:, 2], (OCCLUDED, VISIBLE, UNLABELLED)).all():
        raise MalformedError(f"keypoints are not {JOINTS} of x, y and 0 (occluded), 1 (visible) or 2 (not labelled)")
    flags = values[:, 2].astype(np.uint8)
    return np.where((flags == UNLABELLED)[:, None], np.nan, values[:, :2]), flags


def _boxes(raw: list[Any], size: tuple[int | None, int | None]) -> list[tuple[float, ...] | None]:
    """Boxes x, y, w, h [px] from x1, y1, x2, y2: one, a list of them, or none for the whole image.

    In one revision of the files the numbers are shares of the image's sides.
    """
    if not raw:
        return [None]
    nested = raw if isinstance(raw[0], list) else [raw]
    corners = np.array(msgspec.convert(nested, list[Box]))
    if np.max(corners) <= 1:
        width, height = size
        if width is None or height is None:
            raise MalformedError("its person_bbox is in shares of an image without a size")
        corners = corners * np.array([width, height, width, height])
    return [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in corners.tolist()]


def _plain(value: Any) -> Any:
    """NumPy's values as Python's."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is no part of a pose record")
