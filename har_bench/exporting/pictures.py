"""Stores as pictures with persons in them, for formats that know nothing else: names, splits, boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError
from har_bench.schema import to_numpy

if TYPE_CHECKING:
    from har_bench.store import Store

STILLS = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
FILMS = {".avi", ".mkv", ".mov", ".mp4", ".mpg", ".webm"}


def picture(row: Mapping[str, Any], frame: int) -> str:
    """The path of a frame's picture below the raw folder: a still's own, of a film ``FILM/000001.jpg``.

    Args:
        row: of the table ``sequences``.
        frame: counted from 0; the files of frames are counted from 1, as tools that extract them do.

    >>> picture({"sequence": "0001", "media": "frames/0001"}, 0)
    'frames/0001/000001.jpg'
    >>> picture({"sequence": "a.jpg", "media": "images/a.jpg"}, 0)
    'images/a.jpg'
    """
    place = PurePosixPath(row["media"] or row["sequence"])
    if place.suffix.lower() in STILLS:
        return str(place)
    film = place.with_suffix("") if place.suffix.lower() in FILMS else place
    return f"{film}/{frame + 1:06d}.jpg"


def refuse_flat(store: Store, whose: str) -> None:
    """Refuse a store without joints in pictures.

    Raises:
        HarBenchError: it has none.
    """
    if not store.manifest.skeletons or not store.parts("poses") or "keypoints" not in store.schema("poses").names:
        raise HarBenchError(f"{store.path} has no joints in pictures, which {whose} is made of; export another store")


def chosen_splits(store: Store, asked: Sequence[str]) -> list[str]:
    """The full names of the splits asked for; all that the store has where none is.

    Raises:
        HarBenchError: there is no such split, or none at all.
    """
    if not store.manifest.splits:
        raise HarBenchError(f"{store.path} has no split, and a file is of one; convert it with its splits")
    return sorted({name for split in asked for name in store.split_names(split)} if asked else store.manifest.splits)


def column(poses: pa.Table, name: str) -> npt.NDArray[Any] | None:
    """A column as NumPy; None where the store has none of the name."""
    return to_numpy(poses[name], poses.schema.field(name)) if name in poses.column_names else None


def boxes(poses: pa.Table, points: Floats) -> Floats:
    """(N, 4) boxes x, y, w, h [px]: the store's, or, where there is none, around the joints that have a place.

    Args:
        poses: rows of the table.
        points: (N, J, 2) their joints, NaN where absent.
    """
    given = column(poses, "bbox")
    found = np.full((len(points), 4), np.nan) if given is None else given.astype(np.float64)
    bare = ~np.isfinite(found).all(axis=1) & np.isfinite(points).any(axis=(1, 2))
    if bare.any():
        low, high = np.nanmin(points[bare], axis=1), np.nanmax(points[bare], axis=1)
        found[bare] = np.concatenate([low, high - low], axis=1)
    return found
