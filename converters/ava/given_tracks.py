"""PHALP's ``gt_tracks``: boxes that somebody else has tracked, and says what the people in them do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError, Malformed
from har_bench.foreign import joblib
from har_bench.foreign.numbers import numbers
from har_bench.schema import table, vector

from .tracklets import ACTIONS, MISSHAPEN, POSES, Name, poses_of

ANNOTATED = 2
"""What ``has_gt`` is where the actions are somebody's annotation."""

SHARE, SLACK, HALF = 2.0, 1.1, 0.5
"""No box in pixels is as small; how far boxes may go beyond a picture; and how many of them that are corners do."""

_NUMBER = re.compile(r"(\d{1,9})\D*$")
_SIZE = re.compile(r"(\d{1,5})\s*[xX×,]\s*(\d{1,5})")


class Box(NamedTuple):
    """One person in one frame.

    Attributes:
        person: gt_track_id.
        frame: 0-based.
        name: of the frame's file.
        box: (4,) x, y, w, h [px].
        actions: (80,) the annotated ones; None where there are none.
    """

    person: int
    frame: int
    name: str
    box: Floats
    actions: npt.NDArray[np.uint8] | None


def read_file(path: Path, name: Name, size: tuple[int, int] | None, flaws: list[str]) -> pa.Table:
    """The rows of gt_tracks, of a tracklet or of PHALP's results: the content says which.

    Raises:
        HarBenchError: the file is none of them, or not whole.
    """
    found = joblib.load(path)
    if not are_given_tracks(found):
        return poses_of(path, found, name, flaws)
    try:
        return rows_of(path.stem, found, size, flaws)
    except MISSHAPEN as error:
        reason = f"{type(error).__name__}: {error}"
        raise HarBenchError(f"{path} is no whole gt_tracks of PHALP's ({reason}); write it again") from error


def are_given_tracks(found: Any) -> bool:
    """Whether a pickle's content is PHALP's input: frames with ``gt_bbox``."""
    return isinstance(found, dict) and any(isinstance(entry, dict) and "gt_bbox" in entry for entry in found.values())


def size_of(text: str) -> tuple[int, int] | None:
    """Width and height of a text such as 1280x720; None of an empty one.

    Raises:
        HarBenchError: it is another text.
    """
    matched = _SIZE.fullmatch(text.strip())
    if text and (matched is None or not min(int(matched[1]), int(matched[2]))):
        raise HarBenchError(f"the size of the pictures is {text!r}; give width and height [px], such as 1280x720")
    return (int(matched[1]), int(matched[2])) if matched else None


def rows_of(clip: str, found: Mapping[Any, Any], size: tuple[int, int] | None, flaws: list[str]) -> pa.Table:
    """The rows of ``{frame: {gt_bbox (N, 4) x, y, w, h, extra_data {gt_track_id (N,), gt_class}}}``, by track.

    A frame is called by its number, from 1 on, and ``gt_class`` has for every box the numbers of its actions: one, a
    list of them, or 80 times 0 or 1; where it is empty nothing is annotated.

    Args:
        clip: the sequence.
        found: the file's content.
        size: width and height of the pictures [px], which it does not say.
        flaws: gets what is left out.

    Raises:
        LookupError, TypeError, ValueError, Malformed: it is not PHALP's input.
    """
    every = sorted(
        (box for name, entry in found.items() for box in _boxes(str(name), entry, flaws)),
        key=lambda each: (each.person, each.frame),
    )
    if not every:
        return POSES.empty_table()
    keys = {(each.person, each.frame) for each in every}
    if len(keys) != len(every):
        raise ValueError("gt_track_id has a person twice in a frame")
    _check_boxes(np.stack([each.box for each in every]), size)
    count, none = len(every), np.zeros(ACTIONS, np.uint8)
    annotated = np.array([each.actions is not None for each in every])
    width, height = size or (0, 0)
    return table(
        {
            "sequence": pa.repeat(clip, count),
            "frame": np.array([each.frame for each in every], np.int32),
            "person": np.array([each.person for each in every], np.int64),
            "bbox": vector(np.stack([each.box for each in every])),
            "confidence": np.ones(count),
            "frame_name": [each.name for each in every],
            "frame_size": vector(np.tile(np.array([height, width], np.int32), (count, 1))),
            "has_detection": np.ones(count, bool),
            "has_gt": np.where(annotated, ANNOTATED, 0).astype(np.uint8),
            "action_label_gt": vector(np.stack([none if each.actions is None else each.actions for each in every])),
        },
        POSES,
    )


def _check_boxes(boxes: Floats, size: tuple[int, int] | None) -> None:
    """Refuse (N, 4) boxes that are shares of the picture, or its corners, as PHALP's own description has them."""
    if boxes.max() <= SHARE:
        raise ValueError("gt_bbox has shares of the picture; they are x, y, w, h in pixels")
    if size is None:
        return
    ends = boxes[:, :2] + boxes[:, 2:]
    beyond, corners = (ends > SLACK * np.array(size)).any(axis=1), (boxes[:, 2:] > boxes[:, :2]).all()
    if corners and beyond.mean() > HALF and (boxes[:, 2:] <= SLACK * np.array(size)).all():
        raise ValueError("gt_bbox looks like x1, y1, x2, y2; its numbers are x, y, w, h")


def _boxes(name: str, entry: Mapping[str, Any], flaws: list[str]) -> Iterator[Box]:
    number = _NUMBER.search(PurePosixPath(name.replace("\\", "/")).stem)
    if number is None or not int(number[1]):
        raise ValueError(f"the name of a frame, {name[:40]!r}, does not end in its number from 000001.jpg on")
    boxes = numbers(entry["gt_bbox"]).astype(np.float64).reshape(-1, 4)
    extra = entry["extra_data"]
    tracks, classes = numbers(extra["gt_track_id"]).reshape(-1), list(extra.get("gt_class", []))
    if len(tracks) != len(boxes) or len(classes) not in (0, len(boxes)):
        raise ValueError(f"{name} has {len(boxes)} boxes, {len(tracks)} tracks and {len(classes)} classes")
    for place, (box, track) in enumerate(zip(boxes, tracks.tolist(), strict=True)):
        if track != int(track) or track < 0:
            raise ValueError(f"{name} has a track {track!r}")
        if not np.isfinite(box).all() or box[2:].min() <= 0:
            flaws.append(f"{name} has a box of track {int(track)} that is none ({box.tolist()}); it is left out")
            continue
        actions = _actions(classes[place]) if classes else None
        yield Box(int(track), int(number[1]) - 1, name, box, actions)


def _actions(told: Any) -> npt.NDArray[np.uint8] | None:
    """(80,) which actions a box has, of their numbers or of 80 flags; None of nothing."""
    try:
        values = numbers(told).reshape(-1)
    except Malformed as wrong:
        raise ValueError(f"gt_class {wrong}") from wrong
    if not len(values):
        return None
    if len(values) == ACTIONS and np.isin(values, (0, 1)).all():
        return values.astype(np.uint8)
    if not np.isin(values, np.arange(1, ACTIONS + 1)).all():
        raise ValueError(f"gt_class has {values[:5].tolist()}, and actions are numbers from 1 to {ACTIONS}")
    found = np.zeros(ACTIONS, np.uint8)
    found[values.astype(np.int64) - 1] = 1
    return found
