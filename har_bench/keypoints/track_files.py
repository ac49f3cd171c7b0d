"""Readers of the people in a video, by what a file is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from har_bench.errors import HarBenchError, completing
from har_bench.foreign import npy
from har_bench.foreign.numbers import numbers
from har_bench.keypoints import json_files
from har_bench.keypoints.folder_files import from_folder
from har_bench.keypoints.npz_files import from_npz
from har_bench.keypoints.people import People, unseen_as_nan
from har_bench.keypoints.recognising import Kind, columns_of, facts_of, kind_of, people_of, points_of
from har_bench.keypoints.seen import Seen, of_array, one_video, the_one


def read(path: Path, video: str | None = None) -> Seen:
    """The people in a video, from any file or folder that ``docs/keypoints.md`` names.

    Args:
        path: the file, recognised by its content.
        video: which one, where there are several.

    Raises:
        HarBenchError: an unknown or damaged file, or not the video asked for.
    """
    readers: Mapping[Kind, Callable[[Path, str | None], Seen]] = {
        "folder": from_folder,
        "json": from_json,
        "npy": from_npy,
        "npz": from_npz,
        "columns": from_columns,
    }
    return readers[kind_of(path)](path, video)


def from_json(path: Path, video: str | None) -> Seen:
    """Detections in json; see :mod:`har_bench.keypoints.json_rows`."""
    one_video(path, video)
    return json_files.of_video(path)


def from_npy(path: Path, video: str | None) -> Seen:
    """One array (T, J, 2 or 3), or of several persons.

    Raises:
        HarBenchError: it is damaged or holds objects, or a video is asked for.
    """
    one_video(path, video)
    with completing(path, "write it with numpy.save"):
        return of_array(path, "an array of keypoints", numbers(npy.load(path)))


def from_columns(path: Path, video: str | None) -> Seen:
    """Parquet, CSV or HDF5 in our columns; ``sequence`` is the video. Without ``frame`` rows are all its frames."""
    rows = columns_of(path)
    name = the_one(path, rows.names(), video)
    found = rows.of(name) or {}
    taken_for = f"keypoints, {rows.taken_for}"
    facts = facts_of(path)
    people = people_of(found, str(path))
    if people is None:
        return of_array(path, taken_for, points_of(found, str(path)), **facts)
    if not len(people):
        raise HarBenchError(f"{path} has no rows of {name}; detect somebody in it")
    people = People(people.frame, unseen_as_nan(people.points), people.score, people.person)
    if people.frame.min() < 0:
        raise HarBenchError(f"{path} has a frame {people.frame.min()}; frames of a video count from 0")
    return Seen(taken_for, people, (int(people.frame.min()), int(people.frame.max())), **facts)
