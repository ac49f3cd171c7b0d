"""A stranger's clip classification: a sequence is right when it is labelled 0."""

from __future__ import annotations

import numpy as np

from har_bench.arrays import Floats
from har_bench.protocol import Batch, Metric, Scores, matrix
from tests.toy import ToyProtocol


class Clips(ToyProtocol):
    name = "toy/clips"
    dataset = "penn_action"
    task = "clip-classification"
    metrics = (Metric("right", "%", "higher", "sequences labelled 0"),)
    truth_table = "sequences"
    truth_columns = ("action",)
    prediction_columns = ("label",)
    complete = True

    def update(self, truth: Batch, predictions: Batch) -> None:
        for name, rows in predictions.slices():
            self.state.add(name, predictions["label"][rows] == 0)

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        right = self.state.derived(matrix)[:, 0]
        return {"right": 100 * float(np.average(right, weights=weights))}

    def compute(self) -> Scores:
        return Scores(self.metrics_of(), {}, {"sequences": len(self.units())})
