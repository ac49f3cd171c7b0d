"""Pose errors of whole sequences, averaged over frames or actions: what the MPJPE protocols have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError, unknown
from har_bench.protocol import Batch, Options, Protocol, Records, Scores, of_split, option
from har_bench.protocol.clues import Clues
from har_bench.protocol.declarations import Curve, Facts, Groups, Metric, Recipe, Table
from har_bench.protocol.tables import Members, cell, grouped
from har_bench.results import Row
from har_bench.skeletons import skeleton

from . import clues
from .errors import THRESHOLDS, sequence_sums

ALIGNMENTS = (("", "as predicted"), ("P-", "after the best similarity per pose"), ("N-", "after the best scale"))
ERRORS = tuple(f"{prefix}MPJPE" for prefix, _ in ALIGNMENTS)
LABELS = ("action", "subject", "camera")
"""The columns of ``sequences`` by which the tables break the errors down."""

METRICS = (
    Metric("MPJPE", "mm", "lower", "mean distance from the root-relative truth (Protocol 1)", per_frame=True),
    Metric("P-MPJPE", "mm", "lower", "mean distance after the best similarity per pose (Protocol 2)", per_frame=True),
    Metric("N-MPJPE", "mm", "lower", "mean distance after the best scale per pose (Protocol 3)", per_frame=True),
    Metric("MPJVE", "mm", "lower", "mean distance of the first differences in time, per scored frame"),
    *(
        metric
        for prefix, how in ALIGNMENTS
        for metric in (
            Metric(f"{prefix}3DPCK@150", "%", "higher", f"joints nearer than 150 mm, {how}", per_frame=True),
            Metric(f"{prefix}AUC", "%", "higher", f"mean 3DPCK over 0, 5 … 150 mm, {how}", per_frame=True),
        )
    ),
)

TABLES: tuple[Table, ...] = (
    Facts("average"),
    *(Groups(label, shares_out=True) for label in LABELS),
    Groups("joint", means={name: name for name in ERRORS}),
    Groups("sequence", shares_out=True, means={metric.name: metric.name for metric in METRICS if metric.per_frame}),
    Curve(
        "threshold",
        rises=tuple(f"{prefix}3DPCK" for prefix, _ in ALIGNMENTS),
        areas={f"{prefix}AUC": f"{prefix}3DPCK" for prefix, _ in ALIGNMENTS},
    ),
)


@dataclass(frozen=True)
class PoseRecipe(Recipe):
    """What papers do differently on any motion-capture dataset.

    Attributes:
        average: ``action`` is the plain mean over actions of their frame-weighted means; ``frames`` weights by frames.
        recentre: whether the prediction's own root is subtracted too; the truth's always is.
        joints: the skeleton of those that are scored; the root is joint 0.
        split: the sequences that it scores.
    """

    average: Literal["action", "frames"] = "action"
    recentre: bool = False
    joints: str = ""
    split: str = ""


@dataclass(frozen=True)
class PoseOptions(Options):
    """What of the split is scored."""

    subjects: tuple[str, ...] = option((), "score only these, comma-separated, such as S11")
    actions: tuple[str, ...] = option((), "score only these, comma-separated, such as Walking,Eating")
    cameras: tuple[str, ...] = option((), "score only these, comma-separated, such as 60457274 or C1")


class Scored(NamedTuple):
    """What is kept of a sequence: its sums (see :meth:`PoseAverages.sums`), and its values of :data:`LABELS`."""

    sums: Floats
    labels: tuple[str, ...]


def sums_of(records: Records[Scored]) -> Floats:
    """(S, K) the sequences' sums."""
    return np.stack([record.sums for record in records.values()]) if records else np.zeros((0, 0))


def actions_of(records: Records[Scored]) -> Members:
    """Which sequences have the same action."""
    return Members.of(record.labels[0] for record in records.values())


class PoseAverages(Protocol):
    """An accumulator of 3D pose errors, in the camera frame."""

    metrics = METRICS
    tables = TABLES
    chain = ("P-MPJPE", "N-MPJPE", "MPJPE")
    notes = clues.NOTES
    task = "pose"
    truth_columns = ("keypoints_3d",)
    prediction_columns = ("keypoints_3d",)
    missing: ClassVar[float] = 0.0  # a missing joint is scored as if it were at the root

    recipe: PoseRecipe
    options: PoseOptions
    state: Records[Scored]

    @property
    def has_torch_path(self) -> bool:
        """Yes."""
        return True

    @property
    def skeletons(self) -> tuple[str, ...]:
        """The joints that the recipe scores."""
        return (self.recipe.joints,)

    def select(self, sequences: pa.Table) -> pa.Table:
        """The sequences of the split with the wanted subjects, actions and cameras.

        Raises:
            HarBenchError: a wanted one is not in the split, or nothing is.
        """
        split = self.recipe.split
        chosen = of_split(sequences, split, self.canonical)
        for column in ("subject", "action", "camera"):
            if wanted := getattr(self.options, f"{column}s"):
                found = sorted({str(value) for value in chosen[column].to_pylist()})
                if absent := [name for name in wanted if name not in found]:
                    raise unknown(f"{column} in {split} of the store", absent[0], found)
                chosen = chosen.filter(pc.is_in(chosen[column], pa.array(wanted)))
        return chosen

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
            self.state.add(sequence, Scored(sums, label))

    def _all_sums(self, predicted: Floats, truth: Floats, batch: Batch) -> Iterable[Floats]:
        """The sums of each sequence of a batch, here or on the device."""
        if not self.device:
            return (self.sums(predicted[rows], truth[rows]) for _, rows in batch.slices())
        from .errors_torch import batch_sums

        return batch_sums(predicted, truth, batch.starts, recentre=self.recipe.recentre, device=self.device)

    def clues(self, truth: Batch, predictions: Batch) -> Clues:
        """Whether the poses look like others than the recipe asks for: their unit, root, axes and sides."""
        layout = skeleton(self.recipe.joints)
        found = clues.of_poses(predictions["keypoints_3d"], truth["keypoints_3d"], truth.starts, layout.flip)
        return {name: clue for name, clue in found.items() if name not in ("absolute", "root") or self.relative}

    @property
    def relative(self) -> bool:
        """Whether predictions are expected relative to the root."""
        return not self.recipe.recentre

    def sums(self, predicted: Floats, truth: Floats) -> Floats:
        """The additive statistics of one sequence, by default those of :func:`.errors.sequence_sums`.

        The number of frames T; T if it has a velocity error, else 0; any sums over its frames; and the velocity error
        times T.
        """
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
                for joint, values in zip(skeleton(self.recipe.joints).joints, errors.T.tolist(), strict=True)
            ],
            "threshold": [
                {"threshold": at, **dict(zip(curves, values, strict=True))}
                for at, values in zip(THRESHOLDS.tolist(), below.T.tolist(), strict=True)
            ],
        }

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """The metrics when sequence i of :meth:`units` counts ``weights[i]`` times (once each by default).

        MPJVE is missing when every sequence has a single scored frame.
        """
        found = self.numbers(self.average(weights))
        if not self.state.derived(sums_of)[:, 1].any():
            found.pop("MPJVE", None)
        return found

    def compute(self) -> Scores:
        """Metrics, counts, and breakdowns by action, subject, camera, joint, sequence and threshold."""
        frames = int(self.state.derived(sums_of)[:, 0].sum())
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
            "sequences": len(self.state),
            "frames": frames,
            "joints": frames * len(skeleton(self.recipe.joints)),
        }
        return Scores(self.metrics_of(), tables, counts)

    def average(self, weights: Floats | None = None, *, by_action: bool | None = None) -> Floats:
        """The means per frame (see :func:`means`), averaged over sequences as the recipe does unless told."""
        sums = self.state.derived(sums_of)
        if weights is not None:
            sums = sums * weights[:, None]
        if not (self.recipe.average == "action" if by_action is None else by_action):
            return means(sums.sum(axis=0, keepdims=True)).reshape(-1)
        totals = self.state.derived(actions_of).sums(sums)
        return mean_of(means(totals[totals[:, 0] > 0]))

    def by_action(self) -> list[Row]:
        """The rows of the table ``action``."""
        return self._breakdown("action", 0)

    def row(self, mean: Floats) -> dict[str, float | None]:
        """:meth:`numbers` for a table: None where there is none."""
        return {name: cell(value) for name, value in self.numbers(mean).items()}

    def _breakdown(self, name: str, column: int | None = None) -> list[Row]:
        """A row of frame-weighted metrics for every sequence, or for every value of one of their labels."""
        labels = (record.labels for record in self.state.values())
        values = self.units() if column is None else [label[column] for label in labels]
        groups, totals = grouped(values, self.state.derived(sums_of))
        return [
            {name: group, "frames": int(total[0]), **self.row(mean)}
            for group, total, mean in zip(groups, totals, means(totals), strict=True)
        ]


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


def _parts(mean: Floats) -> tuple[Floats, Floats]:
    """(3, J) errors [mm] and the (3, 31) percentages of joints below the thresholds."""
    joints = (len(mean) - 1 - 3 * len(THRESHOLDS)) // 3
    return mean[: 3 * joints].reshape(3, joints), 100 / joints * mean[3 * joints : -1].reshape(3, -1)
