"""The mean pose of the training split, predicted for everybody: the floor that every model must beat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.baseline import Baseline, targets
from har_bench.errors import HarBenchError, completing
from har_bench.files import destination, whole
from har_bench.foreign import npy
from har_bench.foreign.numbers import numbers
from har_bench.protocol import Protocol
from har_bench.schema import column, shape_of, to_numpy, vector
from har_bench.store import Store

KEYS = ("sequence", "frame", "person")


@dataclass
class MeanPose(Baseline):
    """Predicts the training set's mean pose.

    In 3D the pose is relative to joint 0 [mm]. In 2D it is placed by the person's ``objpos`` and ``scale``, which the
    MPII protocol gives to every method.
    """

    summary = "the training split's mean pose: the floor every model must beat"

    mean: npt.NDArray[np.float64] | None = field(default=None, init=False)

    def serves(self, store: Store, protocol: Protocol) -> bool:
        """3D poses, and 2D poses where the store says where the persons are."""
        if not super().serves(store, protocol):
            return False
        return set(_anchors(protocol.prediction_columns[0])) <= set(store.schema("poses").names)

    def fit(self, store: Store, protocol: Protocol) -> None:
        """Average the poses of the protocol's training split, joint by joint over the persons that have it."""
        name = protocol.prediction_columns[0]
        total: Any = 0.0
        count: Any = 0
        layout = protocol.skeletons[0] if protocol.skeletons else None
        for batch in store.iter_poses(split=protocol.train_split, columns=[name, *_anchors(name)], skeleton=layout):
            points = _relative(pa.Table.from_batches([batch]), name)
            seen = np.isfinite(points)
            total, count = total + np.where(seen, points, 0).sum(axis=0), count + seen.sum(axis=0)
        if not np.all(count):
            raise HarBenchError(f"{store.path} has no {protocol.train_split} poses to learn from")
        self.mean = total / count

    def predict(self, store: Store, protocol: Protocol) -> Iterator[pa.Table]:
        """The mean pose for every row that the protocol scores."""
        if self.mean is None:
            raise HarBenchError("mean-pose has learnt nothing yet; fit it or load weights")
        name = protocol.prediction_columns[0]
        for table in targets(store, protocol, _anchors(name)):
            points = np.broadcast_to(self.mean, (table.num_rows, *self.mean.shape))
            if name == "keypoints":
                centre, scale = _placed(table)
                points = points * scale + centre
            unit = "px" if name == "keypoints" else "mm"
            yield table.select(list(KEYS)).append_column(
                column(name, pa.float32(), unit, shape=self.mean.shape), vector(points.astype(np.float32))
            )

    def load(self, weights: Path) -> None:
        """Read the mean pose from a ``.npy`` file."""
        with completing(weights, "give a file that mean-pose saved"):
            self.mean = np.array(numbers(npy.load(weights)))

    def save(self, path: Path) -> None:
        """Write the mean pose as a ``.npy`` file."""
        if self.mean is None:
            raise HarBenchError("mean-pose has learnt nothing yet; fit it first")
        with whole(destination(path)) as temporary, temporary.open("wb") as file:
            np.save(file, self.mean)


def _anchors(name: str) -> tuple[str, ...]:
    return ("objpos", "scale") if name == "keypoints" else ()


def _relative(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """(N, J, D) poses relative to their anchor: joint 0 in 3D, ``objpos`` in units of ``scale`` in 2D."""
    field = table.schema.field(name)
    points = to_numpy(table[name], field).astype(np.float64).reshape(table.num_rows, *shape_of(field))
    if name != "keypoints":
        return points - points[:, :1]
    centre, scale = _placed(table)
    return (points - centre) / scale


def _placed(table: pa.Table) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(N, 1, 2) centres [px] and (N, 1, 1) scales of the persons; NaN where the dataset gives none."""
    centre = to_numpy(table["objpos"], table.schema.field("objpos")).astype(np.float64)
    return centre[:, None, :], table["scale"].to_numpy().astype(np.float64)[:, None, None]
