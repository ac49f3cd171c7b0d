"""MERL Shopping: the one published record of a pose pickle, an action record, and reading a raw folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import har_bench
from har_bench.converter import Tables
from har_bench.converters.merl import MERL
from har_bench.converters.merl.labels import CLASSES
from har_bench.converters.merl.sample import intervals
from har_bench.store import Store

DATASET = "har_bench.converters.merl:MERL"

README_RECORD: dict[str, Any] = {
    "img_paths": "17_2_crop_1077_1108_RetractFromShelf-0004.jpg",
    "img_width": 920,
    "img_height": 680,
    "image_id": 1,
    "bbox": [602.7314290727887, 324.3657157897949, 218.69714235578266, 119.07430627005441],
    "num_keypoints": 24,
    "keypoints": [
        *([0.0, 0.0, 2], [747.5, 366.0285714285714, 1], [0.0, 0.0, 2], [741.4201450892857, 385.51311383928567, 1]),
        *([0.0, 0.0, 2], [704.9828591482981, 418.7314265659877, 1], [782.9857142857143, 393.3, 0]),
        *([632.4342917306083, 353.47713884626114, 1], [0.0, 0.0, 2], [690.2628631591797, 350.8485674176897, 1]),
        *([764.5200060163226, 340.00571027483255, 1], [0.0, 0.0, 2], [0.0, 0.0, 2], [0.0, 0.0, 2], [0.0, 0.0, 2]),
        *([615.348577444894, 386.66285313197545, 1], [0.0, 0.0, 2]),
    ],
}
"""The one published record of a pose pickle, in the README of its loader."""

ACTION_RECORD: dict[str, Any] = {
    "action": "LookatShelf",
    "keypoints": [],
    "id": "LookatShelf_33_1_crop_3243_3374_InspectProduct",
    "image": {"url": "clips/2.jpg", "file_name": "2.jpg", "width": 920, "height": 680},
    "person_bbox": [100.0, 200.0, 300.5, 400.0],
}


def read(folder: Path) -> Tables:
    (shard,) = MERL().discover(folder)
    return MERL().read(shard)


def convert(raw: Path, out: Path) -> Store:
    return har_bench.convert(DATASET, raw, out, jobs=1, strict=True, quiet=True)


def cells_of(store: Store, video: str) -> list[list[list[int]]]:
    """A video's intervals as its label file has them: per class, 1-based and inclusive, in the order of the rows."""
    rows = [row for row in store.table("segments").to_pylist() if row["sequence"] == video]
    rows.sort(key=lambda row: (row["class_id"], row["row"]))
    assert all(row["label"] == CLASSES[row["class_id"] - 1] for row in rows)
    return [[[row["start"] + 1, row["stop"]] for row in rows if row["class_id"] == each] for each in range(1, 6)]


def tlabs(**changes: Any) -> list[Any]:
    cells = list(intervals(np.random.default_rng(0)))
    for name, cell in changes.items():
        cells[int(name[1:])] = cell
    return cells
