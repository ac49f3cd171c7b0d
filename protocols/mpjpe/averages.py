"""Pose errors of whole sequences, averaged over frames or actions: what the MPJPE protocols have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Metric, Protocol, Recipe, Scores
from har_bench.results import Row
from har_bench.skeletons import skeleton

from .errors import THRESHOLDS, sequence_sums

ALIGNMENTS = (("", "as predicted"), ("P-", "after the best similarity per pose"), ("N-", "after the best scale"))
ERRORS = tuple(f"{prefix}MPJPE" for prefix, _ in ALIGNMENTS)
LABELS = ("action", "subject", "camera")
"""The columns of ``sequences`` by which the tables break the errors down."""

METRICS = (
    Metric("MPJPE", "mm", "lower", "mean distance from the root-relative truth (Protocol 1)"),
    Metric("P-MPJPE", "mm", "lower", "mean distance after the best similarity per pose (Protocol 2)"),
    Metric("N-MPJPE", "mm", "lower", "mean distance after the best scale per pose (Protocol 3)"),
    Metric("MPJVE", "mm", "lower", "mean distance of the first differences in time, per scored frame"),
    *(
        metric
        for prefix, how in ALIGNMENTS
        for metric in (
            Metric(f"{prefix}3DPCK@150", "%", "higher", f"joints nearer than 150 mm, {how}"),
            Metric(f"{prefix}AUC", "%", "higher", f"mean 3DPCK over 0, 5 … 150 mm, {how}"),
        )
    ),
)


@dataclass(frozen=True)
class PoseRecipe(Recipe):
    """What papers do differently on any motion-capture dataset.

    Attributes:
        average: ``action`` is the plain mean over actions of their frame-weighted means; ``frames`` weights by frames.
        recentre: whether the prediction's own root is subtracted too; the truth's always is.
        skeleton: the scored joints; the root is joint 0.
        split: the sequences that it scores.
    """

    average: Literal["action", "frames"] = "action"
    recentre: bool = False
    skeleton: str = ""
    split: str = ""


class PoseAverages(Protocol):
    """An accumulator of 3D pose errors, in the camera frame.

    A sequence's sums are those of :meth:`sums`: the number of frames T; T if it has a velocity error, else 0; any sums
    over its frames; and the velocity error times T.
    """

    task = "pose"
    metrics = METRICS
    truth_columns = ("keypoints_3d",)
    prediction_columns = ("keypoints_3d",)
    missing: ClassVar[float] = 0.0  # a missing joint is scored as if it were at the root

    recipe: PoseRecipe

    @property
    def has_torch_path(self) -> bool:
        """Yes."""
        return True

    def __init__(self, recipe: str | None = None, **options: Any) -> None:
        """Choose a recipe and its options.

        Raises:
            HarBenchError: an unknown recipe or option.
        """
        super().__init__(recipe, **options)
        self.labels: dict[str, tuple[str, ...]] = {}

    @property
    def skeletons(self) -> tuple[str, ...]:
        """The joints that the recipe scores."""
        return (self.recipe.skeleton,)

    def merge(self, other: Self) -> None:
        """Take over the sequences another accumulator scored."""
        super().merge(other)
        self.labels |= other.labels

    def narrowed(self, sequences: pa.Table, split: str, columns: Sequence[str]) -> pa.Table:
        """The sequences whose ``subject`` is listed by the option ``subjects``, and so on, column by column.

        Raises:
            HarBenchError: a listed one is not there.
        """
        for column in columns:
            if wanted := [name for name in self.option(f"{column}s").split(",") if name]:
                found = sorted(set(sequences[column].to_pylist()))
                if absent := sorted(set(wanted) - set(found)):
                    there = ", ".join(found) or "none"
                    raise HarBenchError(f"the store has no {column} {', '.join(absent)} in {split}; there are {there}")
                sequences = sequences.filter(pc.is_in(sequences[column], pa.array(wanted)))
        return sequences

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Score whole sequences: (N, J, 3) camera-frame truth [mm] and the recipe's predictions [mm].

        Raises:
            HarBenchError: a pose is not finite, or a sequence comes twice.
        """
        labels = zip(*(truth.sequences[name].to_pylist() for name in LABELS), strict=True)
        every = self._all_sums(predictions["keypoints_3d"], truth["keypoints_3d"], truth)
        for (sequence, rows), sums, label in zip(truth.slices(), every, labels, strict=True):
            if rows.start == rows.stop:
                continue
            if not np.isfinite(sums).all():
                raise HarBenchError(f"sequence {sequence!r} has a pose that is not finite; give every joint a position")
            self.state.add(sequence, sums)
            self.labels[sequence] = label

    def _all_sums(self, predicted: Floats, truth: Floats, batch: Batch) -> Iterable[Floats]:
        """The sums of each sequence of a batch, here or on the device."""
        if not self.device:
            return (self.sums(predicted[rows], truth[rows]) for _, rows in batch.slices())
        from .errors_torch import batch_sums

        return batch_sums(predicted, truth, batch.starts, recentre=self.recipe.recentre, device=self.device)

    def sums(self, predicted: Floats, truth: Floats) -> Floats:
        """The additive statistics of one sequence, by default those of :func:`.errors.sequence_sums`."""
        return sequence_sums(predicted, truth, recentre=self.recipe.recentre)

    def numbers(self, mean: Floats) -> dict[str, float]:
        """The metrics from means per frame (see :func:`means`)."""
        errors, below = _parts(mean)
        found = dict(zip(ERRORS, errors.mean(axis=1).tolist(), strict=True))
        found["MPJVE"] = float(mean[-1])
        for (prefix, _), curve in zip(ALIGNMENTS, below, strict=True):
            found[f"{prefix}3DPCK@150"] = float(curve[-1])
            found[f"{prefix}AUC"] = float(curve.mean())
        return found

    def details(self, mean: Floats) -> dict[str, list[Row]]:
        """The tables below the sequence: by joint and by threshold."""
        errors, below = _parts(mean)
        curves = [f"{prefix}3DPCK" for prefix, _ in ALIGNMENTS]
        return {
            "joint": [
                {"joint": joint, **dict(zip(ERRORS, values, strict=True))}
                for joint, values in zip(skeleton(self.recipe.skeleton).joints, errors.T.tolist(), strict=True)
            ],
            "threshold": [
                {"threshold": at, **dict(zip(curves, values, strict=True))}
                for at, values in zip(THRESHOLDS.tolist(), below.T.tolist(), strict=True)
            ],
        }

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """The metrics when sequence i of ``state.names()`` counts ``weights[i]`` times (once each by default).

        MPJVE is missing when every sequence has a single scored frame.
        """
        found = self.numbers(self.average(weights))
        if not self.state.matrix()[:, 1].any():
            found.pop("MPJVE", None)
        return found

    def compute(self) -> Scores:
        """Metrics, counts, and breakdowns by action, subject, camera, joint, sequence and threshold."""
        frames = int(self.state.matrix()[:, 0].sum())
        details = self.details(self.average())
        tables: dict[str, list[Row]] = {
            "average": [
                {"average": name, **self.row(self.average(by_action=by_action))}
                for name, by_action in (("action mean", True), ("frame-weighted", False))
            ],
            **{name: self._breakdown(name, column) for column, name in enumerate(LABELS)},
            "joint": details.pop("joint"),
            "sequence": self._breakdown("sequence"),
            **details,
        }
        counts = {
            "sequences": len(self.state.sums),
            "frames": frames,
            "joints": frames * len(skeleton(self.recipe.skeleton)),
        }
        return Scores(self.metrics_of(), tables, counts)

    def average(self, weights: Floats | None = None, *, by_action: bool | None = None) -> Floats:
        """The means per frame (see :func:`means`), averaged over sequences as the recipe does unless told."""
        sums = self.state.matrix()
        if weights is not None:
            sums = sums * weights[:, None]
        if not (self.recipe.average == "action" if by_action is None else by_action):
            return means(sums.sum(axis=0, keepdims=True)).reshape(-1)
        _, totals = grouped([self.labels[name][0] for name in self.state.names()], sums)
        return mean_of(means(totals[totals[:, 0] > 0]))

    def row(self, mean: Floats) -> dict[str, float | None]:
        """:meth:`numbers` for a table: None where there is none."""
        return {name: None if isnan(value) else value for name, value in self.numbers(mean).items()}

    def _breakdown(self, name: str, column: int | None = None) -> list[Row]:
        """A row of frame-weighted metrics for every sequence, or for every value of one of their labels."""
        names = self.state.names()
        values = names if column is None else [self.labels[sequence][column] for sequence in names]
        groups, totals = grouped(values, self.state.matrix())
        return [
            {name: group, "frames": int(total[0]), **self.row(mean)}
            for group, total, mean in zip(groups, totals, means(totals), strict=True)
        ]


def grouped(values: list[str], sums: Floats) -> tuple[list[str], Floats]:
    """The distinct values, sorted, and the (G, K) sums of their (S, K) rows."""
    groups, index = np.unique(values, return_inverse=True)
    member = (index == np.arange(len(groups))[:, None]).astype(np.float64)
    return groups.tolist(), np.matmul(member, sums)


def means(sums: Floats) -> Floats:
    """(G, K) sums of sequences -> (G, K - 2) means per frame; the last, the velocity error, may be NaN."""
    found = sums[:, 2:] / sums[:, :1]
    np.divide(sums[:, -1], sums[:, 1], out=found[:, -1], where=sums[:, 1] > 0)
    found[sums[:, 1] == 0, -1] = nan
    return found


def mean_of(groups: Floats) -> Floats:
    """(K,) plain mean of the (G, K) means of groups; of the velocity errors, those that there are."""
    moving = groups[~np.isnan(groups[:, -1]), -1]
    return np.concatenate((groups[:, :-1].mean(axis=0), [moving.mean() if len(moving) else nan]))


def text_list(value: Any) -> str:
    """Names, comma-separated or in a list, as one sorted text without repetitions or blanks."""
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return ",".join(sorted({part.strip() for part in text.split(",")} - {""}))


def _parts(mean: Floats) -> tuple[Floats, Floats]:
    """(3, J) errors [mm] and the (3, 31) percentages of joints below the thresholds."""
    joints = (len(mean) - 1 - 3 * len(THRESHOLDS)) // 3
    return mean[: 3 * joints].reshape(3, joints), 100 / joints * mean[3 * joints : -1].reshape(3, -1)
