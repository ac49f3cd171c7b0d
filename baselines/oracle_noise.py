"""The ground truth with Gaussian noise: a known answer, to test a pipeline and to see what an error size means."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.baseline import Baseline, targets
from har_bench.options import option
from har_bench.protocol import Protocol
from har_bench.schema import column, shape_of, to_numpy, vector
from har_bench.store import Store


@dataclass
class OracleNoise(Baseline):
    """Predicts the truth plus independent Gaussian noise on every coordinate."""

    summary = "the ground truth plus Gaussian noise: a known answer to test a pipeline with"
    trains = False

    sigma: float = option(10.0, "standard deviation of the noise [mm in 3D, px in 2D]")
    seed: int = option(0, "with the sequence's name it fixes the noise, so neither order nor partition changes it")

    def fit(self, store: Store, protocol: Protocol) -> None:
        """Nothing to learn."""

    def predict(self, store: Store, protocol: Protocol) -> Iterator[pa.Table]:
        """Noisy truth for every row that the protocol scores; an absent joint is put at the mean of the others."""
        name = protocol.prediction_columns[0]
        for table in targets(store, protocol, [name]):
            field = table.schema.field(name)
            points = to_numpy(table[name], field).astype(np.float64)
            if name == "keypoints_3d":
                points = points - points[:, :1]
            points = np.where(np.isnan(points), _mean_of_present(points), points) + self._noise(table, points.shape)
            yield table.select(["sequence", "frame", "person"]).append_column(
                column(name, pa.float32(), shape=shape_of(field)), vector(points.astype(np.float32))
            )

    def describe(self) -> dict[str, Any]:
        """The noise that was added."""
        return {"sigma": self.sigma, "seed": self.seed}

    def _noise(self, table: pa.Table, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        runs = pc.run_end_encode(table["sequence"].combine_chunks())
        noise, start = np.empty(shape), 0
        for name, stop in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            random = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
            noise[start:stop] = random.normal(0.0, self.sigma, (stop - start, *shape[1:]))
            start = stop
        return noise


def _mean_of_present(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, 1, D) mean of each pose's present joints."""
    seen = np.isfinite(points)
    mean: npt.NDArray[np.float64] = np.where(seen, points, 0.0).sum(axis=1, keepdims=True)
    mean /= np.maximum(seen.sum(axis=1, keepdims=True), 1)
    return mean
