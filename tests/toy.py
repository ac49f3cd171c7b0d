"""A stranger's plug-ins: a tiny dataset, protocol and baseline that live in no package of har_bench."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from har_bench.arrays import Floats
from har_bench.baseline import Baseline, targets
from har_bench.converter import Check, Converter, Reject, Shard, Tables
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Metric, Options, Protocol, Recipe, Scores, matrix, option
from har_bench.schema import CAMERAS, SEGMENTS, column, poses_schema, sequences_schema, table, vector
from har_bench.store import Store


@dataclass
class Toy(Converter):
    """Each ``NAME.txt`` holds a number of frames; it becomes two sequences of that many random poses.

    A number divisible by 7 is an odd record (a repaired reject); anything but a number is a broken file.
    """

    dataset = "toy"
    version = "1"
    summary = "toy"
    raw = "*.txt files that hold a number of frames"
    skeletons = ("h36m17",)
    citation = "nobody"
    licence = "none"

    scale: float = option(300.0, "standard deviation of the coordinates [mm]")

    def discover(self, raw: Path) -> Sequence[Shard]:
        found = sorted(raw.glob("*.txt"))
        if not found:
            raise HarBenchError(f"{raw} holds no .txt file")
        return [Shard(path.stem, (path,)) for path in found]

    def read(self, shard: Shard) -> Tables:
        path = shard.sources[0]
        text = path.read_text(errors="replace")
        if not text.isdigit():
            raise HarBenchError(f"{path} holds {text[:10]!r} and not a number of frames")
        frames = int(text)
        names = [f"{shard.key}/left", f"{shard.key}/right"]
        random = np.random.default_rng(frames)
        shape = (2 * frames, 17)
        sequences = table(
            {
                "sequence": names,
                "subject": [shard.key] * 2,
                "n_frames": [frames] * 2,
                "splits": [["x/train"], ["x/test", "y/test"]],
                "action": ["walk", None],
            },
            sequences_schema([column("defects", pa.list_(pa.string()))]),
        )
        poses = table(
            {
                "sequence": np.repeat(names, frames).tolist(),
                "frame": np.tile(np.arange(frames), 2),
                "person": np.full(2 * frames, 72057594037944738 + len(shard.key)),
                "visibility": np.full(shape, 2, np.uint8),
                "keypoints": random.normal(size=(*shape, 2)).astype(np.float32),
                "keypoints_3d": (random.normal(size=(*shape, 3)) * self.scale).astype(np.float32),
            },
            poses_schema(17, dims=(2, 3)),
        )
        cameras = table(
            {
                "camera": ["left"],
                "subject": [shard.key],
                **{name: [1.0] for name in ("fx", "fy", "cx", "cy")},
                "R": np.eye(3)[None],
                "t": np.zeros((1, 3)),
                "distortion": np.zeros((1, 5)),
                "model": ["none"],
            },
            CAMERAS,
        )
        segments = table({"sequence": names, "start": [0, 0], "stop": [1, 2], "label": ["x", "y"]}, SEGMENTS)
        rejects = [Reject(path.name, "line 1", "divisible by 7", "repaired")] if frames % 7 == 0 else []
        return Tables(sequences, poses, segments, cameras, rejects)

    def check(self, store: Store) -> list[Check]:
        return [Check("sequences", 4, store.sequences.num_rows)]

    @classmethod
    def sample(cls, out: Path, *, seed: int = 0) -> None:
        write_raw(out, [10 + seed, 20 + seed])


def write_raw(folder: Path, frames: Sequence[int | str]) -> Path:
    """A raw toy download with one file per entry."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(frames):
        (folder / f"s{number:03d}.txt").write_text(str(text))
    return folder


@dataclass(frozen=True)
class ToyOptions(Options):
    """What of the split is scored."""

    every: int = option(1, "every N-th frame", least=1)


class ToyError(Protocol):
    """Mean distance of joint 0, over the x/test split."""

    name = "toy/error"
    version = "1"
    dataset = "toy"
    task = "pose"
    summary = "toy"
    metrics = (Metric("error", "mm", "lower", "mean distance of joint 0"),)
    recipes: ClassVar = {name: Recipe(name, "toy", "nothing", "nobody") for name in ("plain", "double")}
    option_type = ToyOptions
    truth_columns = ("keypoints_3d",)
    prediction_columns = ("keypoints_3d",)
    train_split = "x/train"
    missing = 0.0

    @property
    def skeletons(self) -> tuple[str, ...]:
        return ("h36m17", "h36m32")

    def select(self, sequences: pa.Table) -> pa.Table:
        return sequences.filter(pa.array(["x/test" in splits for splits in sequences["splits"].to_pylist()]))

    def keep(self, sequences: pa.Table, rows: pa.Table) -> pa.ChunkedArray | None:
        return pa.chunked_array([pa.array(rows["frame"].to_numpy() % self.options.every == 0)])

    def update(self, truth: Batch, predictions: Batch) -> None:
        distance = np.linalg.norm(truth["keypoints_3d"][:, 0] - predictions["keypoints_3d"][:, 0], axis=-1)
        for name, rows in truth.slices():
            self.state.add(name, [distance[rows].sum(dtype=np.float64), rows.stop - rows.start])

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        sums = self.state.derived(matrix)
        total, count = (np.ones(len(sums)) if weights is None else weights) @ sums
        return {"error": float(total / count) * (2 if self.recipe.name == "double" else 1)}

    def compute(self) -> Scores:
        return Scores(self.metrics_of(), {}, {"sequences": len(self.state.names())})


@dataclass
class Zero(Baseline):
    """Every joint at the origin."""

    summary = "zero"
    trains = False

    def fit(self, store: Store, protocol: Protocol) -> None:
        """Nothing to learn."""

    def predict(self, store: Store, protocol: Protocol) -> Iterator[pa.Table]:
        for rows in targets(store, protocol):
            zeros = vector(np.zeros((rows.num_rows, 17, 3), np.float32))
            yield rows.select(["sequence", "frame", "person"]).append_column("keypoints_3d", zeros)
