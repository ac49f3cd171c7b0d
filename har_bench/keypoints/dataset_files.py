"""Readers of detections of whole datasets: each gives every clip of a file under the file's own name for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError, completing, unknown
from har_bench.foreign.hdf5 import open_hdf5
from har_bench.foreign.npz import Npz, open_npz
from har_bench.foreign.numbers import numbers
from har_bench.keypoints import npz_files
from har_bench.keypoints.folder_files import best_of, video_name
from har_bench.keypoints.json_files import Json, read_json
from har_bench.keypoints.layouts import Sides
from har_bench.keypoints.people import People
from har_bench.keypoints.recognising import columns_of, people_of, points_of, word_of
from har_bench.scoring.held import Predictions
from har_bench.storing import fingerprint

Clip = tuple[npt.NDArray[np.int64] | None, npt.NDArray[Any]]
"""The numbers of the frames, sorted, or None when they are all there from the first; (n, J, 2 or 3) px."""


@dataclass(frozen=True)
class Found:
    """What a file holds.

    Attributes:
        taken_for: what it was taken for.
        fingerprint: of its bytes.
        clips: what reads each clip, by the file's name of it.
        word: what the file calls the layout.
        sides: which joints are left and right.
    """

    taken_for: str
    fingerprint: str
    clips: Mapping[str, Callable[[], Clip]]
    word: str | None = None
    sides: Sides | None = None


def from_columns(path: Path) -> Found:
    """Parquet, CSV or HDF5 in our columns; of several persons in a frame the one with the best ``score``."""
    rows, word = columns_of(path), word_of(path)
    clips = {name: partial(_rows, rows, name, path) for name in rows.names()}
    return Found(f"keypoints, {rows.taken_for}", rows.fingerprint, clips, word)


def _rows(predictions: Predictions, sequence: str, path: Path) -> Clip:
    rows = predictions.of(sequence) or {}
    people = people_of(rows, f"{path}: {sequence}")
    return (None, points_of(rows, f"{path}: {sequence}")) if people is None else people.best()


def from_hourglass(path: Path) -> Found:
    """3d-pose-baseline's folders ``S9/StackedHourglass/Walking_1.60457274.h5``, each with ``poses`` (T, 16, 2) px.

    The joints are MPII's. ``StackedHourglassFineTuned240`` is read in the same way.

    Raises:
        HarBenchError: the folder has no such file, or those of two detectors.
    """
    files = {file: file.absolute().parts for file in sorted(path.rglob("*.h5"))}
    files = {file: parts for file, parts in files.items() if parts[-2].startswith("StackedHourglass")}
    detectors = sorted({parts[-2] for parts in files.values()})
    if len(detectors) != 1:
        problem = f"has {' and '.join(detectors)}; keep one of them there" if detectors else "has no detections in it"
        raise HarBenchError(f"{path} {problem} (S9/StackedHourglass/Walking_1.60457274.h5, or *.json)")
    clips = {f"{parts[-3]}/{file.stem}": partial(_hourglass, file) for file, parts in files.items()}
    digest = fingerprint.combined(
        f"{name} {fingerprint.of_file(file)}" for name, file in zip(clips, files, strict=True)
    )
    return Found(f"{detectors[0]} .h5 files of 3d-pose-baseline", digest, clips, "mpii")


def _hourglass(file: Path) -> Clip:
    content = open_hdf5(file)
    if "poses" not in content:
        raise unknown(f"dataset of {file}", "poses", content, hint="download it again")
    return None, content["poses"]


def from_npz(path: Path, cameras: Sequence[str]) -> Found:
    """VideoPose3D's ``positions_2d``, or one array per sequence, named like ``S9|Walking 1|54138969``.

    An archive of the latter kind may say its ``layout`` in an array of that name.

    Args:
        path: the archive.
        cameras: whose arrays VideoPose3D's lists hold, in their order.

    Raises:
        HarBenchError: the archive is damaged or of another structure.
    """
    archive = open_npz(path)
    digest = fingerprint.of_file(path)
    if "positions_2d" not in archive:
        word = str(archive["layout"]) if "layout" in archive else None
        clips = {name: partial(_member, archive, name) for name in archive if name != "layout"}
        return Found(".npz with an array per sequence", digest, clips, word)
    nested = _nested(path, npz_files.dictionary(archive, "positions_2d"), cameras)
    clips = {name: partial(_array, points) for name, points in nested}
    metadata = npz_files.dictionary(archive, "metadata")
    return Found("VideoPose3D's 2D .npz", digest, clips, npz_files.word_of(metadata), npz_files.sides_of(metadata))


def from_detectron(path: Path) -> Found:
    """Detectron's tree of ``S1/Walking 1.54138969.mp4.npz``; of several persons in a frame the best one.

    Raises:
        HarBenchError: the folder has no such file.
    """
    files = {video_name(path, file): file for file in sorted(path.rglob("*.npz"))}
    clips = {name: partial(best_of, file) for name, file in files.items()}
    digest = fingerprint.combined(f"{name} {fingerprint.of_file(file)}" for name, file in files.items())
    return Found("Detectron's .npz of each video", digest, clips, "coco")


def _member(archive: Npz, name: str) -> Clip:
    return None, archive[name]


def _array(points: npt.NDArray[Any]) -> Clip:
    return None, points


def _nested(path: Path, subjects: Mapping[str, Any], cameras: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Every camera's array; a camera without a video is None."""
    for subject, actions in subjects.items():
        if not isinstance(actions, Mapping) or not all(isinstance(views, list | tuple) for views in actions.values()):
            raise HarBenchError(f"{path}: positions_2d[{subject!r}] is no dictionary of actions of lists of cameras")
        for action, views in actions.items():
            if len(views) != len(cameras):
                raise HarBenchError(
                    f"{path}: {subject} {action} has {len(views)} cameras and the dataset has {', '.join(cameras)}; "
                    "write None for a camera that is missing"
                )
            for camera, points in zip(cameras, views, strict=True):
                if points is not None:
                    with completing(f"{path}: {subject} {action} {camera}", "write one array (T, J, 2)"):
                        array = numbers(points)
                    yield f"{subject}/{action}/{camera}", array


def from_json(path: Path) -> Found:
    """COCO's json whose images are called like ``S1_Directions_1.54138969_000001.jpg``; numbers start at 1.

    A folder may hold the list of results beside the document with the images.

    Raises:
        HarBenchError: an image's name has no number, or only ids name the images.
    """
    found = read_json(path)
    places = [_place(path, image) for image in found.image]
    names = sorted({name for name, _ in places})
    number = {name: code for code, name in enumerate(names)}
    codes = np.array([number[name] for name, _ in places])
    frames = np.array([frame for _, frame in places], np.int64) - 1
    order = np.argsort(codes, kind="stable")
    pieces = np.split(order, np.searchsorted(codes[order], np.arange(1, len(names))))
    clips = {name: partial(_persons, found, frames, rows) for name, rows in zip(names, pieces, strict=True)}
    return Found("COCO keypoint json", fingerprint.of_path(path), clips, found.word)


def _persons(found: Json, frames: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> Clip:
    return People(frames[rows], found.points[rows], found.score[rows]).best()


def _place(path: Path, image: object) -> tuple[str, int]:
    """The clip and the number of an image; the clip may be the name's own beginning, or its folders."""
    if not isinstance(image, str):
        raise HarBenchError(f"{path} names its images by numbers alone; put the json with their file_name beside it")
    pure = PurePosixPath(image)
    for name in (pure.stem, str(pure.with_suffix(""))):
        parts = re.fullmatch(r"(.*\w.*)[_/](\d{1,9})", name)
        if parts:
            return parts[1], int(parts[2])
    raise HarBenchError(f"{path}: the image {image!r} is not named like S1_Directions_1.54138969_000001.jpg")
