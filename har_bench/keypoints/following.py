"""Everybody in a file of keypoints, or of joints in space, as people who were followed through a film."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from har_bench.errors import HarBenchError, listed, unknown
from har_bench.exporting import Followed, People
from har_bench.geometry.boxes import around
from har_bench.keypoints.motion import CAMERA
from har_bench.keypoints.recognising import axes_of, columns_of, word_of
from har_bench.keypoints.tracks import open_tracks
from har_bench.scoring.columns import Columns
from har_bench.scoring.held import Predictions
from har_bench.skeletons import skeleton

IN_SPACE = "keypoints_3d"
OURS = (".parquet", ".csv", ".h5", ".hdf5")
"""What files in our columns are called; ``har-bench lift`` writes the first, and says all of itself that is needed."""


def open_people(
    path: str | Path, *, layout: str | None = None, size: tuple[int, int] | None = None, video: str | None = None
) -> People:
    """Everybody in a file of 2D keypoints (docs/keypoints.md), or of joints in space in our columns.

    Args:
        path: the file.
        layout: the joints' skeleton, where the file does not say.
        size: (width, height) of the film [px], where the file does not say.
        video: which film, where the file holds several.

    Raises:
        HarBenchError: it is another file, or its axes are not the camera's.
    """
    path = Path(path)
    found = columns_of(path) if path.suffix.lower() in OURS else None
    if found is not None and IN_SPACE in (found.of(next(iter(found.names()), "")) or {}):
        return _in_space(path, found, layout, size, video)
    tracks = open_tracks(path, layout=layout, size=size, video=video)
    persons = []
    for track in tracks:
        frames = np.arange(track.start, track.start + len(track.points))
        points = track.points.astype(np.float64)
        persons.append(Followed(track.person, frames, points, around(points)))
    notes = tuple(dict.fromkeys(note for track in tracks for note in track.notes))
    return People(path.stem, skeleton(tracks[0].layout), persons, tracks[0].size, notes)


def _in_space(
    path: Path, found: Predictions, layout: str | None, size: tuple[int, int] | None, video: str | None
) -> People:
    """(mm) joints of one film."""
    named, axes, films = layout or word_of(path), axes_of(path), list(found.names())
    if axes != CAMERA.words:
        raise HarBenchError(f"{path} has the axes {axes}, not the camera's; lift it without --world")
    if video is not None and video not in films:
        raise unknown(f"film of {path}", video, films)
    if video is None and len(films) > 1:
        raise HarBenchError(f"{path} is of {len(films)} films ({listed(films)}); name one with --video")
    rows: Columns = found.of(video or films[0]) or {}
    if not named or not {"frame", "person"} <= set(rows):
        raise HarBenchError(
            f"{path} does not say whose joints in which frames these are; give --layout, and columns frame and person"
        )
    bones = skeleton(named)
    points = np.asarray(rows[IN_SPACE], np.float64)
    if points.shape[1:] != (len(bones), 3):
        raise HarBenchError(f"{path} has joints of shape {points.shape[1:]}, and {named} has {len(bones)}; name theirs")
    frame, person = (np.asarray(rows[name]).astype(np.int64) for name in ("frame", "person"))
    persons = []
    for number in np.unique(person).tolist():
        mine = np.flatnonzero(person == number)
        mine = mine[np.argsort(frame[mine], kind="stable")]
        if (np.diff(frame[mine]) == 0).any():
            twice = frame[mine][1:][np.diff(frame[mine]) == 0][0]
            raise HarBenchError(f"{path} has person {number} twice in frame {twice}; give everybody a number")
        persons.append(Followed(number, frame[mine], points[mine], np.full((len(mine), 4), np.nan)))
    return People(video or str(films[0]), bones, persons, size)
