"""A stranger's clip classification: a sequence is right when it is labelled 0."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa

from har_bench.arrays import Floats
from har_bench.protocol import Batch, Metric, Protocol, Recipe, Scores, matrix


class Clips(Protocol):
    name = "toy/clips"
    version = "1"
    dataset = "penn_action"
    task = "clip-classification"
    summary = "toy"
    metrics = (Metric("right", "%", "higher", "sequences labelled 0"),)
    recipes: ClassVar = {"plain": Recipe("plain", "toy", "nothing", "nobody")}
    truth_table = "sequences"
    truth_columns = ("action",)
    prediction_columns = ("label",)
    complete = True

    def select(self, sequences: pa.Table) -> pa.Table:
        return sequences

    def update(self, truth: Batch, predictions: Batch) -> None:
        for name, rows in predictions.slices():
            self.state.add(name, predictions["label"][rows] == 0)

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        right = self.state.derived(matrix)[:, 0]
        return {"right": 100 * float(np.average(right, weights=weights))}

    def compute(self) -> Scores:
        return Scores(self.metrics_of(), {}, {"sequences": len(self.units())})
