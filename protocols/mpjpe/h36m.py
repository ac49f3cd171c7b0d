"""The Human3.6M protocol: pose errors of whole sequences, averaged as papers average them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

import pyarrow as pa
import pyarrow.compute as pc

from har_bench.converter import known_of
from har_bench.errors import HarBenchError
from har_bench.protocol import Facts, Foreign, Scores, by_name, option
from har_bench.results import Row
from har_bench.skeletons import skeleton as layout
from har_bench.store import Store

from .averages import TABLES, PoseAverages, PoseOptions, PoseRecipe
from .files import read_poses


@dataclass(frozen=True)
class MPJPERecipe(PoseRecipe):
    """What papers on Human3.6M do differently, besides what :class:`PoseRecipe` says.

    Attributes:
        every: one frame in so many is scored, from frame 0.
        drop: defects whose sequences the recipe leaves out.
    """

    every: int = 1
    joints: str = "h36m17"
    drop: tuple[str, ...] = ("camera-missing",)
    split: str = "standard/test"


SIXTEEN = "h36m16"
"""h36m17 without its joint between thorax and head."""

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
        joints="h36m-pa17",
    ),
)


FEW = 100
"""Scored frames of an action below which its mean says little: a few poses decide it."""


@dataclass(frozen=True)
class MPJPEOptions(PoseOptions):
    """What of the test subjects is scored."""

    every: int | None = option(None, "score one frame in so many, from frame 0 (default: the recipe's)", least=1)
    joints: Literal["h36m17", "h36m16"] | None = option(
        None, "the joints that are scored (default: the recipe's, and h36m16 of predictions that have 16 joints)"
    )
    without_damaged: bool = option(False, "leave out the sequences whose truth is shifted (three of S9's)")


class MPJPE(PoseAverages):
    """Human3.6M's 3D pose errors, root-relative, in the camera frame."""

    name = "h36m/mpjpe"
    version = "1"
    summary = "3D pose errors on Human3.6M: MPJPE, P-MPJPE, N-MPJPE, MPJVE, 3DPCK, AUC"
    recipes = by_name(*RECIPES)
    tables = (*TABLES, Facts("left_out"))
    option_type = MPJPEOptions
    train_split = "standard/train"

    recipe: MPJPERecipe
    options: MPJPEOptions
    left_out: Mapping[str, str] = MappingProxyType({})
    """The sequences that the recipe leaves out, and why; known when :meth:`select` was called."""

    def read_foreign(self, path: Path, store: Store) -> Foreign | None:
        """VideoPose3D-like ``.npz``: arrays by ``S9|Walking 1|54138969``, or its nested ``positions_3d``; in metres."""
        del store
        return read_poses(path, known_of(self.dataset), "S9|Walking 1|54138969")

    def for_joints(self, joints: int, skeleton: str | None) -> Self:
        """Over 16 joints where the predictions have 16, as SemGCN and 3d-pose-baseline print their numbers."""
        sixteen = skeleton == SIXTEEN or (skeleton is None and joints == len(layout(SIXTEEN)))
        if self.recipe.joints != "h36m17" or "joints" in self.given or not sixteen:
            return self
        made = type(self)(self.recipe.name, {**self.given, "joints": SIXTEEN})
        made.device = self.device
        return made

    def select(self, sequences: pa.Table) -> pa.Table:
        """The test sequences of the wanted subjects and cameras, without those that the recipe leaves out.

        What is left out for a defect is remembered for :meth:`compute`.

        Raises:
            HarBenchError: a wanted subject or camera is not in the split, or nothing remains.
        """
        test = super().select(sequences)
        drop = [*self.recipe.drop, *(["shifted"] if self.options.without_damaged else [])]
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
        if self.recipe.every == 1:
            return None
        return pa.chunked_array([pa.array(rows["frame"].to_numpy() % self.recipe.every == 0)])

    def remarks(self) -> list[str]:
        """What MPJVE is over frames that are apart, that few frames of an action mean little, or joints are fewer."""
        every, joints = self.recipe.every, len(layout(self.recipe.joints))
        fewer = f"every mean is over the {joints} joints of {SIXTEEN}, and cannot be compared with one over 17"
        apart = f"MPJVE is of frames that are {every} apart, and cannot be compared with that of all frames"
        said = [fewer] if self.recipe.joints == SIXTEEN else []
        if every > 1:
            said += [apart] if "MPJVE" in self.metrics_of() else []
            said += self._sparse() if self.recipe.average == "action" else []
        return said

    def _sparse(self) -> list[str]:
        """That some actions, each of which counts as much as any other, have too few frames to mean much."""
        frames = {row["action"]: int(row["frames"] or 0) for row in self.by_action()}
        few = sorted((count, str(action)) for action, count in frames.items() if count < FEW)
        if not few:
            return []
        count, action = few[0]
        return [
            f"the mean over {len(frames)} actions weighs them alike, though {len(few)} have fewer than {FEW} scored "
            f"frames ({action} has {count}); it means little"
        ]

    def compute(self) -> Scores:
        """Metrics, counts, and breakdowns by action, subject, camera, joint, sequence and threshold."""
        scores = super().compute()
        left_out: list[Row] = [{"sequence": name, "defects": self.left_out[name]} for name in sorted(self.left_out)]
        return Scores(
            scores.metrics, scores.tables | {"left_out": left_out}, scores.counts | {"left_out": len(left_out)}
        )


def _any_of(lists: pa.ChunkedArray, wanted: Collection[str]) -> pa.Array:
    """For each list of texts, whether it holds any of the wanted ones; a null list holds none."""
    return pa.array([any(text in wanted for text in texts or ()) for texts in lists.to_pylist()], pa.bool_())
