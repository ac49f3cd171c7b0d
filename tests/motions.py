"""A stranger's dataset of actions: somebody raises an arm, kicks or bends, and a protocol knows the three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

import har_bench
from har_bench.converter import Converter, Shard, Tables
from har_bench.protocols.accuracy.protocol import Accuracy, recipes, sliced
from har_bench.schema import poses_schema, sequences_schema, table
from har_bench.skeletons import skeleton
from har_bench.store import Store

ACTIONS = ("bend", "kick", "raise")
MOVES: Mapping[str, tuple[str, ...]] = {
    "bend": ("head", "left_shoulder", "right_shoulder"),
    "kick": ("left_knee", "left_ankle"),
    "raise": ("right_elbow", "right_wrist"),
}
STANDING = {"head": 0.0, "shoulder": 20.0, "elbow": 40.0, "wrist": 55.0, "hip": 60.0, "knee": 80.0, "ankle": 100.0}


def clip(action: str, frames: int, random: np.random.Generator, *, layout: str = "penn13") -> Any:
    """(T, V, 2) px of somebody who does it, wherever they stand."""
    joints = skeleton(layout).joints
    sides = {"left": 10.0, "right": -10.0}
    base = np.array([[sides.get(name.split("_")[0], 0.0), STANDING.get(name.split("_")[-1], 0.0)] for name in joints])
    phase = np.sin(np.linspace(0, 2 * np.pi, frames) + random.uniform(0, 1))
    moved = np.isin(joints, MOVES[action])[None, :, None] * phase[:, None, None] * np.array([25.0, 15.0])
    place, size = random.uniform(200, 400, 2), random.uniform(0.7, 1.4)
    return place + size * (base + moved) + random.normal(size=(frames, len(joints), 2))


@dataclass
class Motions(Converter):
    """Every action six times to learn from and three times to be told."""

    dataset = "motions"
    version = "1"
    summary = "motions"
    raw = "nothing"
    skeletons = ("penn13",)
    citation = "nobody"
    licence = "none"

    def discover(self, raw: Path) -> Sequence[Shard]:
        return [Shard(action, (raw,)) for action in ACTIONS]

    def read(self, shard: Shard) -> Tables:
        random = np.random.default_rng(len(shard.key))
        clips = [clip(shard.key, int(random.integers(9, 25)), random) for _ in range(9)]
        names = [f"{shard.key}{number}" for number in range(len(clips))]
        lengths = [len(each) for each in clips]
        sequences = table(
            {
                "sequence": names,
                "action": [shard.key] * len(clips),
                "n_frames": lengths,
                "width": [640] * len(clips),
                "height": [480] * len(clips),
                "splits": [["train" if number < 6 else "test"] for number in range(len(clips))],
            },
            sequences_schema(),
        )
        poses = table(
            {
                "sequence": np.repeat(names, lengths).tolist(),
                "frame": np.concatenate([np.arange(length) for length in lengths]),
                "person": np.zeros(sum(lengths), np.int64),
                "visibility": np.full((sum(lengths), 13), 2, np.uint8),
                "keypoints": np.concatenate(clips).astype(np.float32),
            },
            poses_schema(13),
        )
        return Tables(sequences, poses)


class MotionAccuracy(Accuracy):
    """Which of the three."""

    name = "motions/accuracy"
    dataset = "motions"
    summary = "motions"
    recipes: ClassVar = recipes()
    truth_columns = ("action", "n_frames", "camera")
    split, train_split, codes = "test", "train", ACTIONS
    slices = ("camera",)
    tables = sliced(*slices)

    def class_of(self, sequences: pa.Table) -> list[int | None]:
        return [ACTIONS.index(action) for action in sequences["action"].to_pylist()]

    def spellings(self) -> Mapping[str, int]:
        return {name: number for number, name in enumerate(ACTIONS)}


def store(folder: Path) -> Store:
    """The converted dataset."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    return har_bench.convert("tests.motions:Motions", raw, folder / "store", jobs=1, quiet=True)
