"""The Human3.6M protocol: pose errors of whole sequences, averaged as papers average them.

The metrics are those of :mod:`.pose_errors`; they are importable from here too, and usable on arrays alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Floats, Foreign, Metric, Protocol, Recipe, Scores
from har_bench.results import Row
from har_bench.skeletons import skeleton
from har_bench.store import Store

from .h36m_files import read_npz
from .pose_errors import THRESHOLDS, sequence_sums
from .pose_errors import auc3d as auc3d
from .pose_errors import mpjpe as mpjpe
from .pose_errors import mpjpe_errors as mpjpe_errors
from .pose_errors import mpjve as mpjve
from .pose_errors import mpjve_errors as mpjve_errors
from .pose_errors import n_mpjpe as n_mpjpe
from .pose_errors import n_mpjpe_errors as n_mpjpe_errors
from .pose_errors import p_mpjpe as p_mpjpe
from .pose_errors import p_mpjpe_errors as p_mpjpe_errors
from .pose_errors import pck3d as pck3d


@dataclass(frozen=True)
class MPJPERecipe(Recipe):
    """What papers on Human3.6M do differently.

    Attributes:
        average: ``action`` is the plain mean over actions of their frame-weighted means; ``frames`` weights by frames.
        recentre: whether the prediction's own root is subtracted too; the truth's always is.
        every: one frame in so many is scored, from frame 0.
        skeleton: the 17 joints; the root is joint 0.
        drop: defects whose sequences the recipe leaves out.
        split: the sequences that it scores.
    """

    average: Literal["action", "frames"] = "action"
    recentre: bool = False
    every: int = 1
    skeleton: str = "h36m17"
    drop: tuple[str, ...] = ("camera-missing",)
    split: str = "standard/test"


RECIPES = (
    MPJPERecipe(
        "videopose3d",
        about="S9 and S11, every frame, the prediction's root as it comes, mean over actions",
        oracle="VideoPose3D, run.py --evaluate",
        cite="Pavllo et al., CVPR 2019",
    ),
    MPJPERecipe(
        "recentred",
        about="as videopose3d, with the prediction's own root subtracted",
        oracle="VideoPose3D's losses on predictions centred as 3d-pose-baseline and SemGCN centre them",
        cite="Martinez et al., ICCV 2017; Zhao et al., CVPR 2019",
        recentre=True,
    ),
    MPJPERecipe(
        "deephar",
        about="every 64th frame, deephar's 17 joints (PA17J), both roots subtracted, mean over all samples",
        oracle="deephar's formula; its own list of frames is not public, so every 64th is counted from frame 0",
        cite="Luvizon et al., CVPR 2018",
        average="frames",
        recentre=True,
        every=64,
        skeleton="h36m-pa17",
    ),
)

ALIGNMENTS = (("", "as predicted"), ("P-", "after the best similarity per pose"), ("N-", "after the best scale"))


class MPJPE(Protocol):
    """Human3.6M's 3D pose errors, root-relative, in the camera frame.

    A sequence's sums are those of :func:`sequence_sums`.
    """

    name = "h36m/mpjpe"
    version = "1"
    dataset = "h36m"
    task = "pose"
    summary = "3D pose errors on Human3.6M: MPJPE, P-MPJPE, N-MPJPE, MPJVE, 3DPCK, AUC"
    metrics = (
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
    recipes: ClassVar[Mapping[str, MPJPERecipe]] = MappingProxyType({recipe.name: recipe for recipe in RECIPES})
    options: ClassVar[Mapping[str, tuple[Any, str]]] = MappingProxyType(
        {
            "every": (None, "score one frame in so many, from frame 0 (default: the recipe's)"),
            "cameras": ("", "score only these, comma-separated, such as 60457274"),
            "subjects": ("", "score only these of the test subjects, comma-separated, such as S11"),
            "without_damaged": (False, "leave out the sequences whose truth is shifted (three of S9's)"),
        }
    )
    truth_columns = ("keypoints_3d",)
    prediction_columns = ("keypoints_3d",)
    train_split = "standard/train"
    missing = 0.0  # a missing joint is scored as if it were at the root

    recipe: MPJPERecipe

    def __init__(self, recipe: str | None = None, **options: Any) -> None:
        """Choose a recipe and its options; values may be texts, as a command line gives them.

        Raises:
            HarBenchError: an unknown recipe or option, or a value that its option cannot take.
        """
        super().__init__(recipe, **{name: _parsed(name, value) for name, value in options.items()})
        if self.given.get("every") == self.recipe.every:
            del self.given["every"]
        self.every: int = self.given.get("every", self.recipe.every)
        self.labels: dict[str, tuple[str, str, str]] = {}
        self.left_out: dict[str, str] = {}

    @property
    def skeletons(self) -> tuple[str, ...]:
        """The joints that the recipe scores."""
        return (self.recipe.skeleton,)

    def read_foreign(self, path: Path, store: Store) -> Foreign | None:
        """VideoPose3D-like ``.npz``: arrays by ``S9|Walking 1|54138969``, or its nested ``positions_3d``; in metres."""
        del store
        return read_npz(path)

    def merge(self, other: Self) -> None:
        """Take over the sequences another accumulator scored."""
        super().merge(other)
        self.labels |= other.labels
        self.left_out |= other.left_out

    def select(self, sequences: pa.Table) -> pa.Table:
        """The test sequences of the wanted subjects and cameras, without those that the recipe leaves out.

        What is left out for a defect is remembered for :meth:`compute`.

        Raises:
            HarBenchError: a wanted subject or camera is not in the split, or nothing remains.
        """
        test = sequences.filter(_any_of(sequences["splits"], [self.recipe.split]))
        for column in ("subject", "camera"):
            if wanted := [name for name in self.option(f"{column}s").split(",") if name]:
                found = sorted(set(test[column].to_pylist()))
                if absent := sorted(set(wanted) - set(found)):
                    there = ", ".join(found) or "none"
                    raise HarBenchError(
                        f"the store has no {column} {', '.join(absent)} in {self.recipe.split}; there are {there}"
                    )
                test = test.filter(pc.is_in(test[column], pa.array(wanted)))
        drop = [*self.recipe.drop, *(["shifted"] if self.option("without_damaged") else [])]
        faulty = _any_of(test["defects"], drop)
        out = test.filter(faulty)
        self.left_out = {
            name: ", ".join(defect for defect in defects if defect in drop)
            for name, defects in zip(out["sequence"].to_pylist(), out["defects"].to_pylist(), strict=True)
        }
        selected = test.filter(pc.invert(faulty))
        if not len(selected):
            raise HarBenchError(
                f"{self.canonical} has nothing to score: the store has {len(test)} sequences of "
                f"{self.recipe.split} and {len(self.left_out)} of them are left out; convert S9 or S11"
            )
        return selected

    def keep(self, sequences: pa.Table, rows: pa.Table) -> pa.ChunkedArray | None:
        """One frame in ``every``, from frame 0; None when that is all of them."""
        del sequences
        if self.every == 1:
            return None
        return pa.chunked_array([pa.array(rows["frame"].to_numpy() % self.every == 0)])

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Score whole sequences: (N, J, 3) camera-frame truth [mm] and root-relative predictions [mm].

        Raises:
            HarBenchError: a pose is not finite, or a sequence comes twice.
        """
        labels = zip(*(truth.sequences[name].to_pylist() for name in ("action", "subject", "camera")), strict=True)
        for (sequence, rows), label in zip(truth.slices(), labels, strict=True):
            if rows.start == rows.stop:
                continue
            sums = sequence_sums(
                predictions["keypoints_3d"][rows], truth["keypoints_3d"][rows], recentre=self.recipe.recentre
            )
            if not np.isfinite(sums).all():
                raise HarBenchError(f"sequence {sequence!r} has a pose that is not finite; give every joint a position")
            self.state.add(sequence, sums)
            self.labels[sequence] = label

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """The metrics when sequence i of ``state.names()`` counts ``weights[i]`` times (once each by default).

        MPJVE is missing when every sequence has a single scored frame.
        """
        found = _metrics(self._average(weights))
        if not self.state.matrix()[:, 1].any():
            del found["MPJVE"]
        return found

    def compute(self) -> Scores:
        """Metrics, counts, and breakdowns by action, subject, camera, joint, sequence and threshold."""
        mean = self._average()
        errors, below = _parts(mean)
        joints = skeleton(self.recipe.skeleton).joints
        frames = int(self.state.matrix()[:, 0].sum())
        prefixes = [prefix for prefix, _ in ALIGNMENTS]
        tables: dict[str, list[Row]] = {
            "average": [
                {"average": name, **_row(self._average(by_action=by_action))}
                for name, by_action in (("action mean", True), ("frame-weighted", False))
            ],
            **{name: self._breakdown(name, column) for column, name in enumerate(("action", "subject", "camera"))},
            "joint": [
                {"joint": joint, **dict(zip([f"{prefix}MPJPE" for prefix in prefixes], values, strict=True))}
                for joint, values in zip(joints, errors.T.tolist(), strict=True)
            ],
            "sequence": self._breakdown("sequence"),
            "threshold": [
                {"threshold": at, **dict(zip([f"{prefix}3DPCK" for prefix in prefixes], values, strict=True))}
                for at, values in zip(THRESHOLDS.tolist(), below.T.tolist(), strict=True)
            ],
            "left_out": [{"sequence": name, "defects": self.left_out[name]} for name in sorted(self.left_out)],
        }
        counts = {
            "sequences": len(self.state.sums),
            "frames": frames,
            "joints": frames * len(joints),
            "left_out": len(self.left_out),
        }
        return Scores(self.metrics_of(), tables, counts)

    def _average(self, weights: Floats | None = None, *, by_action: bool | None = None) -> Floats:
        """The means per frame (see :func:`_means`), averaged over sequences as the recipe does unless told."""
        sums = self.state.matrix()
        if weights is not None:
            sums = sums * weights[:, None]
        if not (self.recipe.average == "action" if by_action is None else by_action):
            return _means(sums.sum(axis=0, keepdims=True)).reshape(-1)
        _, totals = _grouped([self.labels[name][0] for name in self.state.names()], sums)
        means = _means(totals[totals[:, 0] > 0])
        moving = means[~np.isnan(means[:, -1]), -1]
        velocity = moving.mean() if len(moving) else nan
        return np.concatenate((means[:, :-1].mean(axis=0), [velocity]))

    def _breakdown(self, name: str, column: int | None = None) -> list[Row]:
        """A row of frame-weighted metrics for every sequence, or for every value of one of their labels."""
        names = self.state.names()
        values = names if column is None else [self.labels[sequence][column] for sequence in names]
        groups, totals = _grouped(values, self.state.matrix())
        return [
            {name: group, "frames": int(total[0]), **_row(mean)}
            for group, total, mean in zip(groups, totals, _means(totals), strict=True)
        ]


def _grouped(values: list[str], sums: Floats) -> tuple[list[str], Floats]:
    """The distinct values, sorted, and the (G, K) sums of their (S, K) rows."""
    groups, index = np.unique(values, return_inverse=True)
    member = (index == np.arange(len(groups))[:, None]).astype(np.float64)
    return groups.tolist(), np.matmul(member, sums)


def _means(sums: Floats) -> Floats:
    """(G, K) sums of sequences -> (G, K - 2) means per frame; the last, the velocity error, may be NaN."""
    means = sums[:, 2:] / sums[:, :1]
    np.divide(sums[:, -1], sums[:, 1], out=means[:, -1], where=sums[:, 1] > 0)
    means[sums[:, 1] == 0, -1] = nan
    return means


def _parts(mean: Floats) -> tuple[Floats, Floats]:
    """(3, J) errors [mm] and the (3, 31) percentages of joints below the thresholds."""
    joints = (len(mean) - 1 - 3 * len(THRESHOLDS)) // 3
    return mean[: 3 * joints].reshape(3, joints), 100 / joints * mean[3 * joints : -1].reshape(3, -1)


def _metrics(mean: Floats) -> dict[str, float]:
    errors, below = _parts(mean)
    found = dict(zip(("MPJPE", "P-MPJPE", "N-MPJPE"), errors.mean(axis=1).tolist(), strict=True))
    found["MPJVE"] = float(mean[-1])
    for (prefix, _), curve in zip(ALIGNMENTS, below, strict=True):
        found[f"{prefix}3DPCK@150"] = float(curve[-1])
        found[f"{prefix}AUC"] = float(curve.mean())
    return found


def _row(mean: Floats) -> dict[str, float | None]:
    return {name: None if isnan(value) else value for name, value in _metrics(mean).items()}


def _any_of(lists: pa.ChunkedArray, wanted: Collection[str]) -> pa.Array:
    """For each list of texts, whether it holds any of the wanted ones; a null list holds none."""
    return pa.array([any(text in wanted for text in texts or ()) for texts in lists.to_pylist()], pa.bool_())


def _parsed(name: str, value: Any) -> Any:
    """An option's value in its one canonical form.

    Raises:
        HarBenchError: it has none.
    """
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value).strip()
    if name in ("cameras", "subjects"):
        return ",".join(sorted({part.strip() for part in text.split(",")} - {""}))
    if name == "without_damaged":
        flags = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in flags:
            raise HarBenchError(f"h36m/mpjpe cannot read without_damaged={text!r}; write true or false")
        return flags[text.lower()]
    if name == "every" and value is not None:
        if not (text.isdecimal() and int(text) > 0):
            raise HarBenchError(f"h36m/mpjpe cannot read every={text!r}; write a whole number such as 64")
        return int(text)
    return value
