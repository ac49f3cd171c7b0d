"""Samples of a store: its people, frame by frame, in a network's joints."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from har_bench.arrays import Bools, Floats, Ints
from har_bench.classifying.classes import Classes
from har_bench.errors import HarBenchError
from har_bench.media.boxes import annotated
from har_bench.media.of_store import Shot
from har_bench.schema import to_numpy
from har_bench.skeletons import Skeleton
from har_bench.store import Store

from .boxes import Rule, of_joints, of_root, of_scale
from .layouts import slots
from .samples import NO_ACTION, Sample

COLUMNS = (
    *("sequence", "frame", "person", "keypoints", "visibility", "keypoints_3d", "bbox", "objpos", "scale"),
    *("single_person", "num_keypoints", "iscrowd", "image", "splits"),
)
BY_BOX = frozenset({"coco", "merl"})
"""Datasets whose people are looked at in their annotated boxes, as the seed does."""
VISIBLE_ONLY = frozenset({"penn_action"})
"""Datasets of which the original leaves out joints that are labelled, but hidden."""
VISIBLE = 2
LARGER = {"ntu60": 2.0, "ntu120": 2.0}
"""How much larger pictures are than those that the original made of a dataset."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a store.

    Attributes:
        layout: the network's joints.
        dims: 2, or 3 where depths are learnt too.
        every: frames of a sequence that are taken, one in so many.
    """

    layout: Skeleton
    dims: int
    every: int = 1


def samples(
    store: Store, split: str, wanted: Wanted, *, root: Path, classes: Classes | None = None
) -> Iterator[Sample]:
    """Everybody in a split, each person of a sequence by itself.

    Args:
        store: with poses, or with boxes of people.
        split: such as ``train``.
        wanted: joints and frames.
        root: the folder of the raw download, for pictures that rows name.
        classes: what the sequences' classes are; then those without one are left out, and of a sequence only whoever
            is seen longest is taken.

    Raises:
        HarBenchError: the store's joints do not become the network's.
    """
    chosen = store.select(split)
    known = (
        None if classes is None else dict(zip(chosen["sequence"].to_pylist(), classes.class_of(chosen), strict=True))
    )
    infos = {row["sequence"]: row for row in chosen.to_pylist()}
    columns = [name for name in COLUMNS if name in store.schema("poses").names]
    reader = _Reader(store, wanted, root)
    for part, rows in store.rows_by_part(chosen):
        table = store.take(part, rows, columns)
        table = table.filter(pa.array(_learnt_from(table, store.split_names(split), clips=known is not None)))
        for name, people in _people(table):
            action = NO_ACTION if known is None else known[name]
            if action is None:
                continue
            longest = people if known is None else [max(people, key=len)]
            for places in longest:
                if (made := reader.sample(infos[name], table, places[:: wanted.every], action)) is not None:
                    yield made


def _learnt_from(table: pa.Table, splits: Set[str], *, clips: bool) -> Bools:
    """(n,) rows of persons in the splits who are alone, as far as the store says who is; of clips, all."""
    kept = annotated(table) | clips
    if "splits" in table.column_names:
        kept &= np.array([not splits.isdisjoint(names or ()) for names in table["splits"].to_pylist()], bool)
    if "single_person" in table.column_names:
        kept &= table["single_person"].fill_null(False).to_numpy(zero_copy_only=False)
    return kept


def _people(table: pa.Table) -> Iterator[tuple[str, list[Ints]]]:
    """The rows of every person of every sequence, in the order of frames."""
    names = table["sequence"].to_numpy(zero_copy_only=False)
    person, frame = table["person"].to_numpy(), table["frame"].to_numpy()
    order = np.lexsort([frame, person, names])
    edges = np.flatnonzero((names[order][1:] != names[order][:-1]) | (person[order][1:] != person[order][:-1])) + 1
    of: dict[str, list[Ints]] = {}
    for rows in np.split(order, edges) if len(order) else ():
        of.setdefault(str(names[rows[0]]), []).append(rows)
    yield from of.items()


class _Reader:
    """Rows of a table as samples."""

    def __init__(self, store: Store, wanted: Wanted, root: Path) -> None:
        self._store, self._wanted, self._root = store, wanted, root
        self._slots = slots(store.skeleton(), wanted.layout)

    def sample(self, info: dict[str, Any], table: pa.Table, rows: Ints, action: int) -> Sample | None:
        """A person; None where neither joints nor a box say where."""
        of = table.take(rows)
        frames = of["frame"].to_pylist()
        pictures: tuple[Path | Shot, ...] = tuple(Shot(info["sequence"], frame) for frame in frames)
        if info["media"] is None and "image" in of.column_names:
            pictures = tuple(self._root / name for name in of["image"].to_pylist() if name)
        points, boxes = self._points(of), None
        if self._store.dataset in BY_BOX:
            boxes = _column(of, "bbox")
        there = np.isfinite(points[..., :2] if boxes is None else boxes).any()
        if not there or len(pictures) != len(points):
            return None
        return Sample(pictures, points, self._rule(info, of), action, boxes)

    def _points(self, of: pa.Table) -> Floats:
        """(T, J, D) px, and the depth [mm] where it is wanted and known."""
        points = _column(of, "keypoints")
        if self._store.dataset in VISIBLE_ONLY:
            points = np.where((_column(of, "visibility") == VISIBLE)[..., None], points, np.nan)
        if self._wanted.dims > 2 and "keypoints_3d" in of.column_names:
            points = np.concatenate([points, _column(of, "keypoints_3d")[..., 2:]], axis=-1)
            points[~np.isfinite(points).all(axis=-1)] = np.nan
        return self._slots(points)

    def _rule(self, info: dict[str, Any], of: pa.Table) -> Rule:
        if self._store.dataset == "mpii":
            x, y = _column(of, "objpos")[0].tolist()
            return partial(of_scale, (x, y), float(of["scale"][0].as_py()))
        if self._store.dataset == "h36m" and self._wanted.dims > 2:
            f = self._store.camera(info["camera"], info["subject"]).f
            return partial(of_root, (info["width"], info["height"]), (float(f[0]), float(f[1])))
        return partial(of_joints, pixels=LARGER.get(self._store.dataset, 1.0))


def _column(of: pa.Table, name: str) -> Floats:
    if name not in of.column_names:
        raise HarBenchError(f"the store has no column {name} of its people; convert the dataset again")
    return to_numpy(of[name], of.schema.field(name)).astype(np.float64)
