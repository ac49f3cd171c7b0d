"""What is published about HumanEva-I beside what a store holds of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from har_bench.converter import Check, without
from har_bench.schema import to_numpy

from .calibration import CAMERAS, COLOUR
from .takes import Take, published

if TYPE_CHECKING:
    from har_bench.store import Store

Row = dict[str, Any]


def checks(store: Store) -> list[Check]:
    """Of the official files: takes, cameras, video offsets and poses; of VideoPose3D's archives: poses and pixels."""
    rows = [row for row in store.sequences.to_pylist() if row["partition"]]
    subjects = sorted({row["subject"] for row in rows})
    takes = [take for take in published().takes if take.subject in subjects]
    if store.skeleton().name == "humaneva20":
        official = [*_takes(rows, takes, subjects), *_cameras(store, subjects), _offsets(rows), *_captured(rows, takes)]
        return [_subjects(subjects, 4), *official, *_valid(rows, takes), _chunks(rows, takes)]
    return [_subjects(subjects, 3), _pixels(store), *_valid(rows, takes), _chunks(rows, takes)]


def _subjects(present: list[str], count: int) -> Check:
    """VideoPose3D's archives have no S4, whose motion capture is withheld."""
    missing = [f"S{number}" for number in range(1, count + 1) if f"S{number}" not in present]
    return Check(f"subjects{without(missing)}", count, count - len(missing))


def _key(row: Row) -> str:
    return f"{row['partition']}/{row['subject']}/{row['action']} {row['trial']}"


def _takes(rows: list[Row], takes: list[Take], subjects: list[str]) -> Iterator[Check]:
    present = {_key(row) for row in rows}
    for subject in subjects:
        official = [take.key for take in takes if take.subject == subject]
        missing = [key for key in official if key not in present]
        what = f"{subject}: partitions of takes (official release{without(missing)})"
        yield Check(what, len(official), len(official) - len(missing))


def _cameras(store: Store, subjects: list[str]) -> Iterator[Check]:
    present = {(row["subject"], row["camera"]) for row in store.table("cameras").to_pylist()}
    for subject in subjects:
        missing = [camera for camera in CAMERAS if (subject, camera) not in present]
        yield Check(f"{subject}: calibrated cameras{without(missing)}", len(CAMERAS), len(CAMERAS) - len(missing))


def _offsets(rows: list[Row]) -> Check:
    """Each sequence of a colour camera says which frame of its video shows the dataset's frame 1."""
    starts = published().image_starts
    known = expected = 0
    for row in rows:
        published_here = starts.get(f"{row['subject']}/{row['action']} {row['trial']}")
        if published_here and row["camera"] in COLOUR:
            expected += 1
            image = None if row["video_frame"] is None else row["video_frame"] - row["start_frame"] + 2
            known += image == published_here[COLOUR.index(row["camera"])]
    return Check("sequences that lie in their videos as in VideoPose3D's sync_data", expected, known)


def _captured(rows: list[Row], takes: list[Take]) -> Iterator[Check]:
    found = {_key(row): row["partition_frames"] for row in rows}
    for take in takes:
        if not take.filmed and take.key in found:
            yield Check(f"{take.key}: frames of motion capture (official release)", take.last, found[take.key])


def _valid(rows: list[Row], takes: list[Take]) -> Iterator[Check]:
    found = {_key(row): row["partition_valid"] for row in rows}
    for take in takes:
        if take.chunks is not None:
            what = f"{take.key}: frames with a pose (VideoPose3D's data_3d_humaneva15.npz)"
            yield Check(what, sum(take.chunks.values()), found.get(take.key) or 0)


def _chunks(rows: list[Row], takes: list[Take]) -> Check:
    found = {(_key(row), row["chunk"]): row["n_frames"] for row in rows}
    expected = {(take.key, int(number)): length for take in takes for number, length in (take.chunks or {}).items()}
    equal = sum(found.get(chunk) == length for chunk, length in expected.items())
    return Check("chunks of VideoPose3D's data_3d_humaneva15.npz, by number and length", len(expected), equal)


def _pixels(store: Store) -> Check:
    field = store.schema("poses").field("keypoints")
    columns = (store.read("poses", part, ["keypoints"])["keypoints"] for part in store.parts("poses"))
    arrays = [to_numpy(values, field) for values in columns]
    found = sum(int(np.isfinite(array).all(axis=(1, 2)).sum()) for array in arrays)
    return Check("poses with pixels (data_2d_humaneva15_gt.npz)", sum(map(len, arrays)), found)
