"""Keypoints of videos in NumPy's archives, by the names of their arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Ints, Singles
from har_bench.errors import HarBenchError, completing
from har_bench.foreign.npz import Npz, open_npz
from har_bench.foreign.numbers import numbers
from har_bench.keypoints.layouts import Sides
from har_bench.keypoints.people import People, unseen_as_nan
from har_bench.keypoints.seen import Seen, of_array, one_video, the_one

SCORES = ("scores", "keypoint_scores", "keypoints_scores", "score", "confidence")
FRAMES = ("frame", "frames", "frame_id", "frame_ids", "frame_index")
PERSONS = ("person", "track_id", "track_ids", "ids")


def from_npz(path: Path, video: str | None) -> Seen:
    """VideoPose3D's ``data_2d_custom_NAME.npz``, Detectron's boxes and keypoints, demos' ``reconstruction``, rtmlib's.

    Raises:
        HarBenchError: the archive is damaged or none of them.
    """
    archive = open_npz(path)
    if "positions_2d" in archive:
        return _custom(path, archive, video)
    one_video(path, video)
    if "keypoints" in archive and "boxes" in archive:
        return of_detectron(path, archive)
    if "reconstruction" in archive:  # MHFormer, PoseFormer, StridedTransformer: COCO's joints made Human3.6M's
        taken_for = "keypoints.npz of a lifting model's demo (MHFormer, PoseFormer)"
        return of_array(path, taken_for, archive["reconstruction"], word="h36m17")
    for name in ("keypoints", "kpts"):
        if name in archive:
            return _arrays(path, archive, name)
    raise HarBenchError(
        f"{path} is no .npz of a video (it has {', '.join(archive)}); give positions_2d, reconstruction, or keypoints "
        "with scores or boxes"
    )


def dictionary(archive: Npz, name: str) -> Mapping[str, Any]:
    """A dictionary in VideoPose3D's archives, such as ``metadata``; empty when there is none."""
    value = archive[name] if name in archive else np.array(None)
    found = value.item() if value.ndim == 0 else None
    return found if isinstance(found, Mapping) else {}


def sides_of(metadata: Mapping[str, Any]) -> Sides | None:
    """``keypoints_symmetry``, when the metadata have it."""
    sides = metadata.get("keypoints_symmetry")
    good = isinstance(sides, list | tuple) and all(
        isinstance(side, list | tuple) and all(isinstance(joint, int) for joint in side) for side in sides
    )
    return sides if good else None


def word_of(metadata: Mapping[str, Any]) -> str | None:
    """``layout_name``, when the metadata have it."""
    word = metadata.get("layout_name")
    return word if isinstance(word, str) else None


def _custom(path: Path, archive: Npz, video: str | None) -> Seen:
    """``positions_2d`` = {video: {"custom": [(T, J, 2)]}}, and the videos' sizes in the metadata."""
    videos = {str(key): value for key, value in dictionary(archive, "positions_2d").items()}
    name = the_one(path, videos, video)
    match videos[name]:
        case {"custom": [points]}:
            pass
        case _:
            raise HarBenchError(f"{path}: {name} is not {{'custom': [one array]}}; is it a dataset and no video?")
    metadata = dictionary(archive, "metadata")
    every = metadata.get("video_metadata")
    told = every.get(name) if isinstance(every, Mapping) else None
    size, fps = _facts(path, told if isinstance(told, Mapping) else {})
    facts: dict[str, Any] = {"word": word_of(metadata), "sides": sides_of(metadata), "size": size, "fps": fps}
    with completing(f"{path}: {name}", "write each video as one array (T, J, 2)"):
        array = numbers(points)
    return of_array(path, "VideoPose3D's custom 2D .npz", array, **facts)


class _Frame(NamedTuple):
    """The persons found in a frame: (n, J, 3) x, y, confidence, and (n,) scores."""

    points: Singles
    scores: npt.NDArray[np.float64]


def of_detectron(path: Path, archive: Npz) -> Seen:
    """Per frame the boxes (n, 5), last the score, and keypoints (n, 4, 17): x, y, logit, probability.

    Detectron keeps a list per class, of which the person's is the last.

    Raises:
        HarBenchError: frames that do not fit, or nobody in any.
    """
    if not all(archive[name].ndim for name in ("boxes", "keypoints")):
        raise HarBenchError(f"{path} has no list of frames in boxes or keypoints; infer again")
    with completing(path, "infer again"):
        boxes, keypoints = ([_of_persons(frame) for frame in archive[name]] for name in ("boxes", "keypoints"))
    if len(boxes) != len(keypoints):
        raise HarBenchError(f"{path} has {len(boxes)} frames of boxes and {len(keypoints)} of keypoints; infer again")
    found: dict[int, _Frame] = {}
    for number, (box, poses) in enumerate(zip(boxes, keypoints, strict=True)):
        if not box.size or not poses.size:
            continue
        if box.ndim != 2 or poses.ndim != 3 or poses.shape[1] != 4 or len(box) != len(poses):
            raise HarBenchError(
                f"{path}: frame {number} has boxes {box.shape} and keypoints {poses.shape}; they are (n, 5), (n, 4, 17)"
            )
        found[number] = _Frame(poses[:, [0, 1, 3]].transpose(0, 2, 1), box[:, -1].astype(np.float64))
    if not found:
        raise HarBenchError(f"{path} has nobody in its {len(boxes)} frames; is it the right video?")
    size, fps = _facts(path, dictionary(archive, "metadata"))
    word = "coco" if next(iter(found.values())).points.shape[1] == 17 else None
    people = _together(path, found)
    return Seen("Detectron's .npz", people, (0, len(boxes) - 1), word=word, size=size, fps=fps)


def _of_persons(frame: Any) -> Singles:
    objects = isinstance(frame, np.ndarray) and frame.dtype == object
    by_class = frame if isinstance(frame, list | tuple) or objects else [frame]
    return numbers(by_class[-1] if len(by_class) else []).astype(np.float32)


def _together(path: Path, found: Mapping[int, _Frame]) -> People:
    """The persons of all frames, one a row."""
    try:
        points = np.concatenate([frame.points for frame in found.values()])
    except ValueError as error:
        raise HarBenchError(f"{path} has persons of different numbers of joints; infer again") from error
    frames = np.repeat(list(found), [len(frame.scores) for frame in found.values()])
    scores = np.concatenate([frame.scores for frame in found.values()])
    return People(frames.astype(np.int64), unseen_as_nan(points), scores)


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


def _arrays(path: Path, archive: Npz, name: str) -> Seen:
    """Rtmlib's two arrays, saved: ``keypoints`` and ``scores``, of each frame or, with ``frame``, of each person."""
    points, scores = archive[name], _first(archive, SCORES)
    if points.dtype == object:
        return _ragged(path, points, scores)
    if scores is not None:
        if scores.shape != points.shape[:-1]:
            raise HarBenchError(f"{path} has {name} of shape {points.shape} and scores of {scores.shape}; one a joint")
        points = np.concatenate([points[..., :2], scores[..., None]], axis=-1)
    word = "coco" if points.shape[-2:-1] == (17,) else None
    frames, persons = _first(archive, FRAMES), _first(archive, PERSONS)
    if frames is None:
        return of_array(path, "an .npz of keypoints (rtmlib)", points, word=word)
    if points.ndim != 3 or points.shape[-1] not in (2, 3) or frames.shape != points.shape[:1]:
        raise HarBenchError(f"{path} has {name} of shape {points.shape} and frames of {frames.shape}; one row a person")
    own = of_array(path, "", points).people
    people = People(_whole(path, frames), own.points, own.score, None if persons is None else _whole(path, persons))
    span = int(people.frame.min()), int(people.frame.max())
    return Seen("an .npz of keypoints (rtmlib)", people, span, word=word)


def _first(archive: Npz, names: tuple[str, ...]) -> npt.NDArray[Any] | None:
    return next((archive[name] for name in names if name in archive), None)


def _whole(path: Path, values: npt.NDArray[Any]) -> Ints:
    if values.dtype.kind not in "iuf" or not np.equal(np.mod(values, 1), 0).all():
        raise HarBenchError(f"{path} has frames or persons that are no whole numbers; write them as integers")
    return values.astype(np.int64)


def _ragged(path: Path, frames: npt.NDArray[Any], scores: npt.NDArray[Any] | None) -> Seen:
    """An array of objects: for each frame the (n, J, 2 or 3) of those found in it."""
    if scores is not None and len(scores) != len(frames):
        raise HarBenchError(f"{path} has {len(frames)} frames of keypoints and {len(scores)} of scores; infer again")
    found: dict[int, _Frame] = {}
    for number, frame in enumerate(frames):
        points = np.asarray(frame, np.float32) if frame is not None else np.empty(0, np.float32)
        if not points.size:
            continue
        points = points[None] if points.ndim == 2 else points
        if scores is not None:
            own = _fitting(f"{path}: frame {number}", np.asarray(scores[number], np.float32), points)
            points = np.concatenate([points[..., :2], own[..., None]], axis=-1)
        if points.ndim != 3 or points.shape[-1] not in (2, 3):
            raise HarBenchError(f"{path}: frame {number} has keypoints of shape {points.shape}; (persons, joints, 2)")
        sure = points[..., 2].mean(axis=-1, dtype=np.float64) if points.shape[-1] > 2 else np.ones(len(points))
        found[number] = _Frame(points, sure)
    if not found:
        raise HarBenchError(f"{path} has nobody in its {len(frames)} frames; is it the right video?")
    people = _together(path, found)
    word = "coco" if people.points.shape[1] == 17 else None
    return Seen("an .npz of keypoints (rtmlib)", people, (0, len(frames) - 1), word=word)


def _fitting(where: str, scores: Singles, points: Singles) -> Singles:
    """The scores of a frame in the shape of its joints."""
    if scores.size != points[..., 0].size:
        raise HarBenchError(f"{where} has {scores.size} scores of {points[..., 0].size} joints; write one for each")
    return scores.reshape(points.shape[:-1])
