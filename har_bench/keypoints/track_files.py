"""Readers of one person in one video: each gives the frames in which the person was seen."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError, completing
from har_bench.foreign import json_file, npy
from har_bench.foreign.budget import Budget
from har_bench.foreign.npz import Npz, open_npz
from har_bench.foreign.numbers import numbers
from har_bench.keypoints.coco_json import read_json
from har_bench.keypoints.dataset_files import dictionary, sides_of, word_of
from har_bench.keypoints.layouts import Sides
from har_bench.keypoints.people import People, unseen_as_nan
from har_bench.keypoints.recognising import columns_of, people_of, points_of

LONGEST = 1 << 24
"""Frames; three days at 60 a second. Not even such a video has a frame of a higher number."""


@dataclass(frozen=True)
class Seen:
    """What a file holds of a person.

    Attributes:
        taken_for: what it was taken for.
        frames: (n,) their numbers from 0, sorted; None when all are there.
        points: (n, J, 2 or 3) px, the third a confidence.
        word: what the file calls the layout.
        sides: which joints are left and right.
        size: (width, height) of the video [px].
        fps: frames per second.
    """

    taken_for: str
    frames: npt.NDArray[np.int64] | None
    points: npt.NDArray[Any]
    word: str | None = None
    sides: Sides | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None


def from_npy(path: Path, person: int | None, video: str | None) -> Seen:
    """One array (T, J, 2 or 3).

    Raises:
        HarBenchError: it is damaged or holds objects, or a person or video is asked for.
    """
    _alone(path, person, video)
    with completing(path, "write it with numpy.save"):
        return Seen("an array of keypoints", None, numbers(npy.load(path)))


def from_columns(path: Path, person: int | None, video: str | None) -> Seen:
    """Parquet, CSV or HDF5 in our columns; ``sequence`` is the video."""
    rows, word = columns_of(path)
    name = _the_one(path, rows.names(), video)
    found = rows.of(name) or {}
    people = people_of(found, str(path))
    if people is None:
        _alone(path, person, None)
        return Seen(f"keypoints, {rows.taken_for}", None, points_of(found, str(path)), word)
    return Seen(f"keypoints, {rows.taken_for}", *_one(people, path, person), word)


def from_npz(path: Path, person: int | None, video: str | None) -> Seen:
    """VideoPose3D's ``data_2d_custom_NAME.npz``, or what its ``infer_video_d2`` writes for each video.

    Raises:
        HarBenchError: the archive is damaged or neither of them.
    """
    archive = open_npz(path)
    _alone(path, person, None)
    if "positions_2d" in archive:
        return _custom(path, archive, video)
    if "keypoints" in archive and "boxes" in archive:
        _alone(path, None, video)
        return _inferred(path, archive)
    raise HarBenchError(
        f"{path} is no .npz of a video (it has {', '.join(archive)}); give positions_2d, or boxes and keypoints"
    )


def _custom(path: Path, archive: Npz, video: str | None) -> Seen:
    """``positions_2d`` = {video: {"custom": [(T, J, 2)]}}, and the videos' sizes in the metadata."""
    videos = {str(key): value for key, value in dictionary(archive, "positions_2d").items()}
    name = _the_one(path, videos, video)
    match videos[name]:
        case {"custom": [points]}:
            pass
        case _:
            raise HarBenchError(f"{path}: {name} is not {{'custom': [one array]}}; is it a dataset and no video?")
    metadata = dictionary(archive, "metadata")
    every = metadata.get("video_metadata")
    facts = every.get(name) if isinstance(every, Mapping) else None
    with completing(f"{path}: {name}", "write each video as one array (T, J, 2)"):
        array = numbers(points)
    return Seen(
        "VideoPose3D's custom 2D .npz",
        None,
        array,
        word_of(metadata),
        sides_of(metadata),
        *_facts(path, facts if isinstance(facts, Mapping) else {}),
    )


def _inferred(path: Path, archive: Npz) -> Seen:
    """Per frame the boxes (n, 5), last the score, and keypoints (n, 4, 17): x, y, logit, probability.

    Detectron keeps a list per class, of which the person's is the last.
    """
    if not all(archive[name].ndim for name in ("boxes", "keypoints")):
        raise HarBenchError(f"{path} has no list of frames in boxes or keypoints; infer again")
    with completing(path, "infer again"):
        boxes, keypoints = ([_of_persons(frame) for frame in archive[name]] for name in ("boxes", "keypoints"))
    if len(boxes) != len(keypoints):
        raise HarBenchError(f"{path} has {len(boxes)} frames of boxes and {len(keypoints)} of keypoints; infer again")
    frames, points = [], []
    for number, (box, poses) in enumerate(zip(boxes, keypoints, strict=True)):
        if not box.size or not poses.size:
            continue
        if box.ndim != 2 or poses.ndim != 3 or poses.shape[1] != 4 or len(box) != len(poses):
            raise HarBenchError(
                f"{path}: frame {number} has boxes {box.shape} and keypoints {poses.shape}; they are (n, 5), (n, 4, 17)"
            )
        frames.append(number)
        points.append(poses[np.argmax(box[:, -1])][[0, 1, 3]].T)
    if not frames:
        raise HarBenchError(f"{path} has nobody in its {len(boxes)} frames; is it the right video?")
    every = np.full((len(boxes), *points[0].shape), np.nan, np.float32)
    every[frames] = points
    word = "coco" if every.shape[1] == 17 else None
    return Seen("infer_video_d2's .npz", None, every, word, None, *_facts(path, dictionary(archive, "metadata")))


def _of_persons(frame: Any) -> npt.NDArray[np.float32]:
    objects = isinstance(frame, np.ndarray) and frame.dtype == object
    by_class = frame if isinstance(frame, list | tuple) or objects else [frame]
    return numbers(by_class[-1] if len(by_class) else []).astype(np.float32)


def _facts(path: Path, metadata: Mapping[str, Any]) -> tuple[tuple[int, int] | None, float | None]:
    """A video's (width, height) and frames per second, where VideoPose3D's metadata have them.

    Raises:
        HarBenchError: they are no numbers.
    """
    try:
        size = (int(metadata["w"]), int(metadata["h"])) if {"w", "h"} <= set(metadata) else None
        return size, float(metadata["fps"]) if "fps" in metadata else None
    except (TypeError, ValueError, OverflowError) as error:
        raise HarBenchError(f"{path} has w, h or fps that are no numbers ({error}); write numbers") from error


def from_json(path: Path, person: int | None, video: str | None) -> Seen:
    """COCO's results (``image_id`` is the frame, or its image's name), or AlphaPose's (``"12.jpg"``).

    Seventeen joints are COCO's unless the file names others.

    Raises:
        HarBenchError: the file is damaged, or an image has no number.
    """
    _alone(path, None, video)
    found = read_json(path)
    frames = np.array([_number(path, image) for image in found.image], np.int64)
    word = found.word or ("coco" if found.points.shape[1] == 17 else None)
    people = People(frames, found.points, found.score, found.person)
    return Seen("COCO or AlphaPose keypoint json", *_one(people, path, person), word)


def _number(path: Path, image: float | str) -> int:
    digits = re.findall(r"\d+", Path(image).stem) if isinstance(image, str) else [image]
    if not digits:
        raise HarBenchError(f"{path}: the image {image!r} has no number in its name; call images like 000012.jpg")
    return _possible(path, int(digits[-1]))


class _Someone(msgspec.Struct):
    pose_keypoints_2d: list[float]
    person_id: list[int] = []


class _Frame(msgspec.Struct):
    people: list[_Someone]


def from_openpose(path: Path, person: int | None, video: str | None) -> Seen:
    """OpenPose's folder, a file ``NAME_000000000012_keypoints.json`` per frame; the first file is frame 0.

    Of several persons the one with the highest mean confidence. BODY_25 is ``body25``.

    Raises:
        HarBenchError: no such files, files of several videos, or a damaged one.
    """
    files = {file: re.fullmatch(r"(.*?)_?(\d+)_keypoints\.json", file.name) for file in sorted(path.iterdir())}
    matched = {file: match for file, match in files.items() if match}
    if not matched:
        raise HarBenchError(f"{path} has no *_keypoints.json of OpenPose; give that folder, or one file of keypoints")
    name = _the_one(path, sorted({match[1] for match in matched.values()}), video)
    numbers, everybody = [], []
    for file, match in matched.items():
        if match[1] != name:
            continue
        numbers.append(int(match[2]))
        frame: _Frame = json_file.read(file, _Frame, what="a file of OpenPose", remedy="run OpenPose again")
        everybody.append(frame.people)
    last = _possible(path, max(numbers) - min(numbers))
    rows = [(number, someone) for number, people in zip(numbers, everybody, strict=True) for someone in people]
    lengths = {len(someone.pose_keypoints_2d) for _, someone in rows}
    if len(lengths) != 1 or min(lengths) == 0 or min(lengths) % 3:
        has = " and ".join(map(str, sorted(lengths))) or "no"
        raise HarBenchError(f"{path} has {has} numbers a person; x, y, confidence of the same joints are needed")
    points = unseen_as_nan(np.array([someone.pose_keypoints_2d for _, someone in rows]).reshape(len(rows), -1, 3))
    ids = np.array([(someone.person_id or [-1])[0] for _, someone in rows])
    people = People(
        np.array([number - min(numbers) for number, _ in rows]),
        points,
        points[..., 2].mean(axis=1, dtype=np.float64),
        None if (ids == -1).all() else ids,
    )
    frames, chosen = _one(people, path, person)
    every = frames_of(path, last + 1, points.shape[1:])
    every[frames] = chosen
    return Seen("OpenPose's folder of json", None, every, "body25" if points.shape[1] == 25 else None)


def _one(people: People, path: Path, person: int | None) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """One person, in frames that may be those of a video."""
    frames, points = people.one(path, person)
    _possible(path, int(frames[0]))
    _possible(path, int(frames[-1]))
    return frames, points


def frames_of(path: Path, count: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """(count, *shape) NaN: frames in which nobody is seen yet.

    Raises:
        HarBenchError: so many frames that the file, or the folder's files, cannot be of them.
    """
    size = sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size
    with completing(path, f"its last frame is {count - 1}, is that right?"):
        Budget(size).charge(4 * count * math.prod(shape))
    return np.full((count, *shape), np.nan, np.float32)


def _possible(path: Path, frame: int) -> int:
    if not 0 <= frame < LONGEST:
        raise HarBenchError(f"{path} has a frame {frame}; frames of a video count from 0 to at most {LONGEST}")
    return frame


def _the_one(path: Path, names: Iterable[str], video: str | None) -> str:
    """The video asked for, or the only one."""
    there = [str(name) for name in names]
    if video is None and len(there) == 1:
        return there[0]
    if video in there:
        return str(video)
    some = ", ".join(map(repr, there[:10]))
    if video is None:
        raise HarBenchError(f"{path} holds {len(there)} videos ({some}); say which one")
    raise HarBenchError(f"{path} holds no video {video!r}; it has {some}")


def _alone(path: Path, person: int | None, video: str | None) -> None:
    """Refuse a choice that a file does not offer."""
    if person is not None:
        raise HarBenchError(f"{path} does not tell persons apart; leave the person out")
    if video is not None:
        raise HarBenchError(f"{path} is of one video; leave {video!r} out")
