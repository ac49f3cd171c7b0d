"""The HumanEva protocol: 3D pose errors of the Validate sequences, as papers and as the official code define them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats, taken
from har_bench.converter import known_of
from har_bench.protocol import Foreign, Groups, Metric, Scores, by_name, option
from har_bench.protocol.tables import grouped
from har_bench.results import Row
from har_bench.skeletons import mapping, skeleton
from har_bench.store import Store

from .averages import METRICS, TABLES, PoseAverages, PoseOptions, PoseRecipe, mean_of, means, sums_of
from .errors import mpjpe_errors
from .files import read_poses

CELLS = frozenset(f"{subject}/{action}" for subject in ("S1", "S2", "S3") for action in ("Walking", "Jog", "Box"))
"""The subjects and actions whose plain mean papers print."""

POINTS, JOINTS = skeleton("humaneva20"), skeleton("humaneva15")
ROOT = POINTS.index("torso_distal")


OFFICIAL = (
    Metric("error", "mm", "lower", "official: mean of 15 distances from the truth, absolute"),
    Metric("error_rel", "mm", "lower", "official: mean of 14 distances, both poses relative to their pelvis"),
)


@dataclass(frozen=True)
class HumanEvaRecipe(PoseRecipe):
    """What evaluations of HumanEva do differently, besides what :class:`PoseRecipe` says.

    Attributes:
        measure: ``mpjpe``, the errors of :mod:`.errors` on 15 joints, or ``error``, :func:`error` and
            :func:`error_rel` on the 20 points.
    """

    measure: Literal["mpjpe", "error"] = "mpjpe"


RECIPES = (
    HumanEvaRecipe(
        "videopose3d",
        about="Validate of trial 1, colour cameras, 15 joints, the prediction's root as it comes, mean over actions",
        oracle="VideoPose3D, run.py --dataset humaneva15 --evaluate, with and without --by-subject",
        cite="Pavllo et al., CVPR 2019",
        joints="humaneva15",
        split="videopose3d/test",
    ),
    HumanEvaRecipe(
        "official",
        about="HumanEva's own code on 20 points, absolute and relative to the pelvis, all cameras, mean over frames; "
        "needs a store of the official release, since archives have 15 joints",
        oracle="HumanEva-I release code, body_pose: error, error_rel",
        cite="Sigal et al., IJCV 2010",
        average="frames",
        joints="humaneva20",
        split="official/validate",
        measure="error",
    ),
)


def _terms(changes: dict[str, tuple[str, ...]]) -> npt.NDArray[np.intp]:
    """(15, 2) the two of the 20 points behind each term, twice the same for most; as the 15 joints unless changed."""
    made_of = {
        joint: tuple(POINTS.joints[place] for place in places)
        for joint, places in zip(JOINTS.joints, mapping(POINTS, JOINTS).sources, strict=True)
    }
    names = (made_of | changes).values()
    return np.array([[POINTS.index(points[0]), POINTS.index(points[-1])] for points in names])


TERMS = _terms({})
RELATIVE_TERMS = _terms({"thorax": ("torso_proximal", "head_distal"), "head": ("head_proximal",)})[1:]


def error_terms(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """(N, 15) the terms of :func:`error` for (N, 20, 3) poses, in their unit and in the order of ``humaneva15``.

    Thorax, elbows and knees are two points each: their term is the mean of the two distances, not the distance of
    the means.
    """
    return _absolute(_points(predicted), _points(truth))


def error_rel_terms(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> Floats:
    """(N, 14) the terms of :func:`error_rel` for (N, 20, 3) poses: both relative to ``torso_distal``, without pelvis.

    Its thorax is the mean over ``torso_proximal`` and ``head_distal``, and its head is ``head_proximal``.
    """
    return _relative(_points(predicted), _points(truth))


def error(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """The official code's ``error()``: the mean of 15 terms of (N, 20, 3) absolute poses, in their unit."""
    return float(error_terms(predicted, truth).mean())


def error_rel(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """The official code's ``error_rel()``: the mean of 14 terms of (N, 20, 3) poses, in their unit."""
    return float(error_rel_terms(predicted, truth).mean())


def _absolute(predicted: Floats, truth: Floats) -> Floats:
    return mpjpe_errors(predicted, truth)[:, TERMS].mean(axis=-1)  # type: ignore[no-any-return]


def _relative(predicted: Floats, truth: Floats) -> Floats:
    first, second = (poses - poses[:, ROOT : ROOT + 1] for poses in (predicted, truth))
    return mpjpe_errors(first, second)[:, RELATIVE_TERMS].mean(axis=-1)  # type: ignore[no-any-return]


def _points(poses: npt.ArrayLike) -> Floats:
    (found,) = taken("HumanEva's error", poses=(poses, f"N {len(POINTS)} 3"))
    return found.astype(np.float64, copy=False)


@dataclass(frozen=True)
class HumanEvaOptions(PoseOptions):
    """What is scored."""

    split: str | None = option(None, "score this split of the store, such as videopose3d/train (default: the recipe's)")


class HumanEvaMPJPE(PoseAverages):
    """HumanEva-I's 3D pose errors, in the camera frame.

    The poses of ``official`` are absolute, so under ``--missing count-as-error`` a missing joint is in the camera.
    """

    name = "humaneva/mpjpe"
    version = "1"
    summary = "3D pose errors on HumanEva-I's Validate: MPJPE, P-MPJPE, N-MPJPE, MPJVE; or official error, error_rel"
    metrics = (*METRICS, *OFFICIAL)
    recipes = by_name(*RECIPES)
    tables = (*TABLES, Groups("cell", shares_out=True))
    option_type = HumanEvaOptions
    train_split = "videopose3d/train"

    recipe: HumanEvaRecipe
    options: HumanEvaOptions

    @property
    def primary(self) -> Metric:
        """MPJPE, or the official error."""
        return METRICS[0] if self.recipe.measure == "mpjpe" else OFFICIAL[0]

    @property
    def skeletons(self) -> tuple[str, ...]:
        """The recipe's joints; predictions of the 20 points are also taken for the 15 joints made of them."""
        return (self.recipe.joints,) if self.recipe.measure == "error" else (self.recipe.joints, POINTS.name)

    @property
    def has_torch_path(self) -> bool:
        """For ``mpjpe``; the 29 distances per pose of ``error`` cost less than a transfer of the poses."""
        return self.recipe.measure == "mpjpe"

    @property
    def relative(self) -> bool:
        """Those of ``error`` are absolute."""
        return super().relative and self.recipe.measure == "mpjpe"

    def read_foreign(self, path: Path, store: Store) -> Foreign | None:
        """VideoPose3D-like ``.npz``: arrays by ``Validate/S1|Walking 1 chunk0|C1``, or nested ``positions_3d``."""
        del store
        return read_poses(path, known_of(self.dataset), "Validate/S1|Walking 1 chunk0|C1")

    def sums(self, predicted: Floats, truth: Floats) -> Floats:
        """The additive statistics of one sequence; for ``error``, those of its 15 + 14 terms and no velocity."""
        if self.recipe.measure == "mpjpe":
            return super().sums(predicted, truth)
        predicted, truth = (each.astype(np.float64, copy=False) for each in (predicted, truth))
        terms = (_absolute(predicted, truth), _relative(predicted, truth))
        return np.concatenate(([len(truth), 0], *(each.sum(axis=0) for each in terms), [0]))

    def numbers(self, mean: Floats) -> dict[str, float]:
        """The recipe's metrics from means per frame."""
        if self.recipe.measure == "mpjpe":
            return super().numbers(mean)
        return {"error": float(mean[: len(TERMS)].mean()), "error_rel": float(mean[len(TERMS) : -1].mean())}

    def details(self, mean: Floats) -> dict[str, list[Row]]:
        """The tables by joint and threshold; for ``error``, by term."""
        if self.recipe.measure == "mpjpe":
            return super().details(mean)
        absolute, relative = mean[: len(TERMS)].tolist(), [None, *mean[len(TERMS) : -1].tolist()]
        return {
            "joint": [
                {"joint": joint, "error": error, "error_rel": error_rel}
                for joint, error, error_rel in zip(JOINTS.joints, absolute, relative, strict=True)
            ]
        }

    def compute(self) -> Scores:
        """Metrics, counts and breakdowns; also by subject and action, with the mean of the cells that papers print."""
        scores = super().compute()
        keys = ("/".join(reversed(record.labels[:2])) for record in self.state.values())
        groups, totals = grouped(keys, self.state.derived(sums_of))
        averages = means(totals)
        cells: list[Row] = [
            {"subject": subject, "action": action, "frames": int(total[0]), **self.row(mean)}
            for (subject, action), total, mean in zip((key.split("/") for key in groups), totals, averages, strict=True)
        ]
        published = [key in CELLS for key in groups]
        rows = list(scores.tables["average"])
        if sum(published) == len(CELLS):
            rows.append({"average": "Walking, Jog, Box of S1, S2, S3", **self.row(mean_of(averages[published]))})
        return Scores(scores.metrics, scores.tables | {"average": rows, "cell": cells}, scores.counts)
