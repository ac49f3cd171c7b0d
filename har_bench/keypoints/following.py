"""Everybody in a detector's file, or in one of lifted joints, as people who were followed through a film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from har_bench.errors import HarBenchError
from har_bench.exporting import Followed, People
from har_bench.foreign import opening
from har_bench.geometry.boxes import around
from har_bench.keypoints.motion import CAMERA
from har_bench.keypoints.tracks import open_tracks
from har_bench.schema import to_numpy
from har_bench.skeletons import skeleton

LIFTED = ".parquet"
"""What ``har-bench lift`` writes and says everything that is needed of itself."""


def open_people(
    path: str | Path, *, layout: str | None = None, size: tuple[int, int] | None = None, video: str | None = None
) -> People:
    """Everybody in a file of 2D keypoints (docs/keypoints.md), or of joints that ``har-bench lift`` wrote (.parquet).

    Args:
        path: the file.
        layout: the joints' skeleton, where the file does not say.
        size: (width, height) of the film [px], where the file does not say.
        video: which film, where the file holds several.

    Raises:
        HarBenchError: it is another file, or its axes are not the camera's.
    """
    path = Path(path)
    if path.suffix == LIFTED and "keypoints_3d" in (table := _table(path)).column_names:
        return _lifted(path, table, layout, size)
    tracks = open_tracks(path, layout=layout, size=size, video=video)
    persons = []
    for track in tracks:
        frames = np.arange(track.start, track.start + len(track.points))
        points = track.points.astype(np.float64)
        persons.append(Followed(track.person, frames, points, around(points)))
    notes = tuple(dict.fromkeys(note for track in tracks for note in track.notes))
    return People(path.stem, skeleton(tracks[0].layout), persons, tracks[0].size, notes)


def _table(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    try:
        return pq.read_table(pa.BufferReader(opening.read(path)))
    except (pa.ArrowException, OSError) as error:
        raise HarBenchError(f"{path} is no whole parquet ({error}); write it again") from error


def _lifted(path: Path, table: pa.Table, layout: str | None, size: tuple[int, int] | None) -> People:
    """(mm) joints in space, of one film."""
    said = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    named = layout or said.get("layout")
    if not named or not {"sequence", "frame", "person"} <= set(table.column_names):
        raise HarBenchError(
            f"{path} does not say whose joints in which frames these are; give what har-bench lift wrote"
        )
    if said.get("axes", CAMERA.words) != CAMERA.words:
        raise HarBenchError(f"{path} has the axes {said['axes']}, not the camera's; lift it without --world")
    films = table["sequence"].unique().to_pylist()
    if len(films) > 1:
        raise HarBenchError(f"{path} is of {len(films)} films; give a file of one")
    points = to_numpy(table["keypoints_3d"], table.schema.field("keypoints_3d")).astype(np.float64)
    bones = skeleton(named)
    if points.shape[1:] != (len(bones), 3):
        raise HarBenchError(f"{path} has joints of shape {points.shape[1:]}, and {named} has {len(bones)}; name theirs")
    frame, person = (table[name].to_numpy().astype(np.int64) for name in ("frame", "person"))
    persons = []
    for number in np.unique(person).tolist():
        rows = np.flatnonzero(person == number)
        rows = rows[np.argsort(frame[rows], kind="stable")]
        persons.append(Followed(number, frame[rows], points[rows], np.full((len(rows), 4), np.nan)))
    return People(str(films[0]) if films else path.stem, bones, persons, size)
