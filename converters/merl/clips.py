"""Poses and boxes that others labelled on clips cut out of MERL's videos: a pose pickle, and an action json.

The pickle is a list of records as the label tool of Lightweight OpenPose writes them, the json a list with a box and
an action per image. Both name the clip that an image was cut from, and through it the official interval.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.converter import Reject
from har_bench.errors import HarBenchError
from har_bench.foreign import json_file, pickles

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
_NONE = msgspec.Raw(b"[]")


class PoseRecord(msgspec.Struct):
    """One person of the pose pickle."""

    img_paths: str
    img_width: Side
    img_height: Side
    bbox: tuple[Pixel, Pixel, Pixel, Pixel]
    keypoints: list[tuple[Pixel, Pixel, float]]
    image_id: Int64 | None = None
    num_keypoints: Int32 | None = None
    objpos: tuple[Pixel, Pixel] | None = None
    segment_area: float | None = None
    scale_provided: float | None = None
    segmentations: msgspec.Raw = _NONE
    processed_other_annotations: msgspec.Raw = _NONE


class Image(msgspec.Struct):
    """The image of an action record."""

    file_name: str
    width: Side
    height: Side
    url: str | None = None


class ActionRecord(msgspec.Struct):
    """One image of the action json."""

    action: str
    id: str
    image: Image
    person_bbox: list[Any]
    keypoints: list[tuple[Pixel, Pixel, float]] = []


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
        size: width and height of the image [px].
        bbox: x, y, w, h [px]; None where the whole image is meant.
        keypoints: (17, 2) [px], NaN where unlabelled.
        flags: (17,) the raw visibility code.
        extras: what else the record says, by column of the store.
    """

    clip: Clip
    frame: int
    size: tuple[int, int]
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
    """
    json = path.suffix == ".json"
    found: list[Annotation] = []
    try:
        records = _json(path) if json else _pickle(path)
    except HarBenchError as error:
        rejects.append(Reject(source, path.stem, str(error).replace(str(path), path.name), "dropped"))
        return found
    for index, record in enumerate(records):
        try:
            found += _boxed(record, source, index) if json else [_posed(record, source, index)]
        except (HarBenchError, msgspec.MsgspecError, UnicodeError, TypeError, RecursionError) as error:
            rejects.append(Reject(source, f"[{index}]", str(error), "dropped"))
    return found


def _json(path: Path) -> Sequence[Any]:
    return json_file.records(path, what="a json list of action records")


def _pickle(path: Path) -> Sequence[Any]:
    found = pickles.load(path)
    if not isinstance(found, list):
        raise HarBenchError(f"{path} holds a {type(found).__name__} and not a list of pose records")
    return found


def _posed(record: Any, source: str, index: int) -> Annotation:
    # the record goes through json, so that one description checks its types, those of NumPy included
    pose = msgspec.json.decode(msgspec.json.encode(record, enc_hook=_plain), type=PoseRecord)
    image = _IMAGE.fullmatch(PurePosixPath(pose.img_paths).name)
    if image is None:
        raise HarBenchError(f"img_paths {pose.img_paths[:80]!r} does not name an image of a clip")
    points, flags = _keypoints(pose.keypoints)
    extras = {
        "origin": source,
        "record": index,
        "image": pose.img_paths,
        "image_id": pose.image_id,
        "num_keypoints": pose.num_keypoints,
        "objpos": pose.objpos,
        "area": pose.segment_area,
        "scale": pose.scale_provided,
        "segmentation": _kept(pose.segmentations),
        "others": _kept(pose.processed_other_annotations),
    }
    return Annotation(
        clip=_clip(image["clip"]),
        frame=_frame(image["number"]),
        size=(pose.img_width, pose.img_height),
        bbox=pose.bbox,
        keypoints=points,
        flags=flags,
        extras=extras,
    )


def _boxed(record: msgspec.Raw, source: str, index: int) -> list[Annotation]:
    """The persons of an action record: one in the last revision of these files, any number in an older one."""
    action = msgspec.json.decode(record, type=ActionRecord)
    image = _FRAME.fullmatch(PurePosixPath(action.image.file_name).name)
    if image is None:
        raise HarBenchError(f"file_name {action.image.file_name[:80]!r} is not the number of a frame")
    clip = _clip(action.id)
    if clip.action != _SPELLINGS.get(action.action, action.action):
        raise HarBenchError(f"action {action.action[:40]!r} is not that of its id {clip.name}")
    size = action.image.width, action.image.height
    points, flags = _keypoints(action.keypoints)
    extras = {"origin": source, "record": index, "image": action.image.url or action.image.file_name}
    frame = _frame(image["number"])
    return [Annotation(clip, frame, size, box, points, flags, extras) for box in _boxes(action.person_bbox, size)]


def _clip(name: str) -> Clip:
    match = _CLIP.fullmatch(name)
    if match is None:
        raise HarBenchError(f"{name[:80]!r} is not the name of a clip, such as 17_2_crop_1077_1108_RetractFromShelf")
    first, last = int(match["first"]), int(match["last"])
    if not 1 <= first <= last:
        raise HarBenchError(f"{name} has no frames from {first} to {last}")
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
        raise HarBenchError(f"image {number} of a clip, whose images count from 1")
    return int(number) - 1


def _keypoints(
    raw: list[tuple[float, float, float]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """(17, 2) points, NaN where unlabelled, and (17,) flags; no keypoints at all are allowed."""
    if not raw:
        return np.full((JOINTS, 2), np.nan), np.full(JOINTS, NO_KEYPOINTS, np.uint8)
    values = np.array(raw)
    if len(values) != JOINTS or not np.isin(values[:, 2], (OCCLUDED, VISIBLE, UNLABELLED)).all():
        raise HarBenchError(f"keypoints are not {JOINTS} of x, y and 0 (occluded), 1 (visible) or 2 (not labelled)")
    flags = values[:, 2].astype(np.uint8)
    return np.where((flags == UNLABELLED)[:, None], np.nan, values[:, :2]), flags


def _boxes(raw: list[Any], size: tuple[int, int]) -> list[tuple[float, ...] | None]:
    """Boxes x, y, w, h [px] from x1, y1, x2, y2: one, a list of them, or none for the whole image.

    In one revision of the files the numbers are shares of the image's sides.
    """
    if not raw:
        return [None]
    nested = raw if isinstance(raw[0], list) else [raw]
    corners = msgspec.convert(nested, list[tuple[Pixel, Pixel, Pixel, Pixel]])
    scaled = np.array(corners) * (np.tile(size, 2) if np.max(corners) <= 1 else 1)
    return [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in scaled.tolist()]


def _plain(value: Any) -> Any:
    """NumPy's values as Python's."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is no part of a pose record")


def _kept(raw: msgspec.Raw) -> str | None:
    """The json of a field; None where it says nothing."""
    text = bytes(raw).decode()
    return None if text in ("[]", "null", "{}") else text
