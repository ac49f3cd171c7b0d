"""Small stores of AVA and detections for them, as csv."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

import har_bench
from har_bench.protocol import Batch, Scores
from har_bench.protocols.frame_map.actions import ACTIONS
from har_bench.protocols.frame_map.protocol import RECIPES, FrameMAP
from har_bench.store import Store

NAMES = [recipe.name for recipe in RECIPES]

NOCAP = replace(FrameMAP.recipes["official"], name="nocap", cap=0)
"""What get_ava_performance.py computes with its capacity set to 0."""


@cache
def toy(classes: tuple[int, ...] = tuple(ACTIONS)) -> type[FrameMAP]:
    """The protocol with other classes, and with the golden variant of a recipe."""

    class Toy(FrameMAP):
        recipes: ClassVar = {recipe.name: replace(recipe, classes=classes) for recipe in (*RECIPES, NOCAP)}

    return Toy


def store_of(folder: Path, truth: Iterable[str], classes: Sequence[int] = (), split: str = "val_v2.2") -> Store:
    """A store of annotation rows in which only some actions are evaluated."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    (raw / f"ava_{split}.csv").write_text("".join(f"{row}\n" for row in truth))
    if classes:
        listed = "".join(f'item {{\n  name: "c{id_}"\n  id: {id_}\n}}\n' for id_ in classes)
        (raw / f"ava_action_list_{split[-4:]}_for_activitynet_2019.pbtxt").write_text(listed)
    return har_bench.convert("ava", raw, folder / "store", jobs=1, quiet=True)


def written(path: Path, rows: Iterable[str]) -> Path:
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def score_of(
    folder: Path, truth: Iterable[str], found: Iterable[str], classes: tuple[int, ...] = (1, 3, 5), recipe: str = ""
) -> Any:
    store = store_of(folder, truth, classes)
    detections = written(folder / "found.csv", found)
    return har_bench.score(toy(classes)(recipe or None), store, detections, resamples=0)


def by_action(result: Any) -> dict[str, float | None]:
    return {row["action"]: row["AP@0.5"] for row in result.tables["action"]}


CLASSES = (1, 14, 15, 64, 80)


def batch(videos: Sequence[str], rows: Sequence[tuple[Any, ...]], columns: dict[str, Any]) -> Batch:
    """Rows (video, ...) of the videos, with the columns after the first."""
    ordered = [row for video in videos for row in rows if row[0] == video]
    counts = [sum(row[0] == video for row in rows) for video in videos]
    values = list(zip(*ordered, strict=True))[1:] or [()] * len(columns)
    sequences = pa.table(
        {
            "sequence": list(videos),
            "splits": [["v2.2/val"]] * len(videos),
            "empty": [[950.0]] * len(videos),
            "excluded": [[903.0]] * len(videos),
        }
    )
    arrays = {name: np.array(column, kind) for (name, kind), column in zip(columns.items(), values, strict=True)}
    arrays |= {name: array.reshape(-1, 4) for name, array in arrays.items() if name == "bbox_normalised"}
    return Batch(sequences, np.cumsum([0, *counts]), arrays)


def truth_batch(videos: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Batch:
    """Rows (video, second, box, action, person)."""
    kinds = {"timestamp": float, "bbox_normalised": float, "action": np.int32, "person": float}
    made = batch(videos, rows, kinds)
    evaluated = np.isin(made["action"], CLASSES)
    return Batch(made.sequences, made.starts, {**made.columns, "evaluated": evaluated})


def found_batch(videos: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Batch:
    """Rows (video, second, box, action, score)."""
    return batch(videos, rows, {"timestamp": float, "bbox_normalised": float, "label": np.int32, "score": float})


def areas_of(scores: Scores) -> dict[int, float]:
    return {row["id"]: np.nan if row["AP@0.5"] is None else row["AP@0.5"] / 100 for row in scores.tables["action"]}
