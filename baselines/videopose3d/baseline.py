"""The temporal-convolution lifter as a baseline: supervised, semi-supervised, with published weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import pyarrow as pa
import torch
from torch import nn

from har_bench.errors import HarBenchError
from har_bench.foreign.networks import in_words
from har_bench.lifting.clips import Source
from har_bench.lifting.feed import Batches
from har_bench.lifting.lifter import PATH, POSE, Lifter, Sizes, distance, rooted
from har_bench.lifting.windows import Pool, Span
from har_bench.options import option
from har_bench.published import recognised
from har_bench.skeletons import skeleton
from har_bench.training import Losses
from har_bench.training.weights import Checkpoint, State

from .joints import by_name, by_statistics, is_untrained
from .losses import bone_length_loss, reprojection_loss, trajectory_loss
from .model import Architecture, TemporalModel, architecture_of

MOMENTUM = 0.1, 0.001
"""Of the batch normalisations in the first epoch and, were there one more, after the last."""

LAYOUTS = {
    (17, 17): (("h36m17", "coco17"), "h36m17"),
    (17, 15): (("coco17",), "humaneva15"),
    (15, 15): (("humaneva15",), "humaneva15"),
}
"""What published checkpoints may take in, and what they give, by the numbers of joints."""


@dataclass
class VideoPose3D(Lifter):
    """Lifts a frame from the window around it, or before it."""

    summary = "temporal convolutions that lift 2D keypoints to 3D poses; semi-supervised too"
    cite = (
        "Pavllo et al., 3D human pose estimation in video with temporal convolutions and semi-supervised training, "
        "CVPR 2019"
    )
    quick = MappingProxyType({"channels": 32, "epochs": 4, "batch": 128})
    architecture = ("arc", "channels", "dropout", "causal", "dense", "trajectory")

    arc: str = option(
        "3,3,3",
        "filter widths of the blocks; their product is the receptive field: 3,3,3 sees 27 frames",
    )
    channels: int = option(1024, "width of the hidden layers")
    dropout: float = option(0.25, "after every activation")
    causal: bool = option(False, "see no future frames")
    dense: bool = option(False, "full kernels instead of dilated ones, an ablation")
    optimised: bool = option(True, "train in the strided form, which computes only what the predicted frame needs")
    trajectory: bool = option(False, "learn the path of the root too, with a network of its own")
    unlabelled_subjects: str = option("", "train on these subjects' keypoints alone, besides; comma-separated")
    warmup: int = option(1, "epochs without them")
    projection: bool = option(True, "their poses, projected, should fall on their keypoints")
    linear_projection: bool = option(False, "without the lens' distortion")
    bone_length: bool = option(True, "their bones should be as long, on average, as those of the labelled subjects")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.trajectory = self.trajectory or bool(self.unlabelled_subjects)
        if self.unlabelled_subjects and not self.subjects:
            raise HarBenchError("semi-supervised training needs to know whose poses it may see; give --set subjects=S1")

    def design(self, sizes: Sizes) -> Architecture:
        """The network's architecture for keypoints and poses of these sizes.

        Raises:
            HarBenchError: the widths are no odd numbers.
        """
        try:
            widths = tuple(int(width) for width in str(self.arc).split(","))
        except ValueError as error:
            raise HarBenchError(f"arc is odd filter widths such as 3,3,3, and not {self.arc!r}") from error
        return Architecture(widths, *sizes, self.channels, self.dropout, self.causal, self.dense)

    @property
    def span(self) -> Span:
        """The receptive field around a chunk, or before it."""
        design = self.design(Sizes(1, 2, 1))
        return Span(self.stride, design.receptive_field // 2, design.shift)

    def network(self, sizes: Sizes) -> nn.Module:
        """The temporal model."""
        return TemporalModel(self.design(sizes))

    def networks(self, sizes: Sizes) -> dict[str, nn.Module]:
        """The network for poses and, where it is wanted, the one for the path of the root."""
        path = {PATH: self.network(sizes._replace(joints_out=1))} if self.trajectory else {}
        return super().networks(sizes) | path

    def starting(self, models: nn.ModuleDict, epoch: int) -> None:
        """Let the batch normalisations' momentum decay from 0.1 to 0.001."""
        first, last = MOMENTUM
        for model in models.values():
            cast(TemporalModel, model).set_momentum(first * (last / first) ** (epoch / self.epochs))

    def losses(self, models: nn.ModuleDict, batch: Batches) -> Losses:
        """MPJPE; the root's path over its depth; for unlabelled windows, projection and bone lengths."""
        labelled, unlabelled = batch
        strided = self.optimised and self.stride == 1 and not self.dense
        points = torch.cat([labelled.points, unlabelled.points]) if unlabelled else labelled.points
        known = len(labelled.points)
        poses = models[POSE](points, strided)
        terms = {"position": distance(poses[:known], rooted(labelled.poses))}
        if PATH in models:
            paths = models[PATH](points, strided)
            terms["trajectory"] = trajectory_loss(paths[:known], labelled.poses[:, :, :1])
        if unlabelled and self.projection:
            seen = unlabelled.points[:, self.span.pad + self.span.shift :][:, : self.stride]
            terms["projection"] = reprojection_loss(
                poses[known:], paths[known:], unlabelled.cameras, seen, linear=self.linear_projection
            )
        if unlabelled and self.bone_length:
            terms["bones"] = bone_length_loss(poses[:known], poses[known:], skeleton(self.target).parents)
        return terms

    def unlabelled(self, source: Source, sequences: pa.Table) -> tuple[Pool, int] | None:
        """The windows of the unlabelled subjects, after the warm-up.

        Raises:
            HarBenchError: the projected joints are not those of the keypoints, or the lens is not Human3.6M's.
        """
        if not self.unlabelled_subjects:
            return None
        if source.layout.name != source.target.name:
            raise HarBenchError(
                f"projected {source.target.name} joints cannot be compared with {source.layout.name} keypoints; "
                f"give --set layout={source.target.name}"
            )
        lenses = set(source.store.table("cameras", ["model"])["model"].to_pylist())
        if self.projection and not self.linear_projection and lenses - {"h36m", "none"}:
            raise HarBenchError(
                f"the lenses of {source.store.path} bend in another way; give --set linear_projection=true"
            )
        return self.pool(source, self.narrowed(sequences, "subject", self.unlabelled_subjects)), self.warmup

    def published(self, found: Checkpoint) -> Mapping[str, Any]:
        """The architecture of a published checkpoint; whether it is causal, you must say, unless its name does.

        Raises:
            HarBenchError: the checkpoint is of another network.
        """
        state = found.models.get(POSE) or found.models.get("", {})
        known = recognised(found.path, named=True)
        try:
            design = architecture_of(state, causal=self.causal or bool(known and known.causal))
        except HarBenchError as error:
            held = next(iter(found.models.values()))
            raise HarBenchError(
                f"{found.path} holds weights that are not those of a VideoPose3D network: {in_words(held)}; "
                "give VideoPose3D's weights"
            ) from error
        numbers = design.joints_in, design.joints_out
        if numbers not in LAYOUTS:
            raise HarBenchError(f"{found.path} lifts {numbers[0]} joints to {numbers[1]}; no layouts have as many")
        candidates, target = LAYOUTS[numbers]
        return {
            "baseline": type(self).__name__,
            **self._joints(found, state, design, candidates),
            "target": target,
            "sizes": [design.joints_in, design.features, design.joints_out],
            "settings": {
                "arc": ",".join(map(str, design.widths)),
                "channels": design.channels,
                "dense": design.dense,
                "trajectory": PATH in found.models,
                **({"causal": True} if known and known.causal else {}),
            },
        }

    def _joints(
        self, found: Checkpoint, state: State, design: Architecture, candidates: Sequence[str]
    ) -> dict[str, str | list[str]]:
        """The joints that a published checkpoint takes, and how that is known.

        Where nothing tells, the user is asked. Only of a network that has seen no keypoints, and has none for the
        root's path either (the published one with a path takes COCO's joints), Human3.6M's are assumed, and that said.
        """
        if len(candidates) == 1:
            return {"joints": candidates[0]}
        known = recognised(found.path, named=True)
        if known is not None and known.joints:
            return {"joints": known.joints, "told_by": "its published name"}
        if (named := by_name(found.path)) is not None:
            return {"joints": named, "told_by": "its name"}
        if (learnt := by_statistics(state, design, candidates)) is not None:
            return {"joints": learnt, "told_by": "the mean of the keypoints it was trained on, which its weights hold"}
        return {
            "joints": candidates[0],
            "unknown": "say" if is_untrained(state) and PATH not in found.models else "ask",
            "others": [*candidates[1:]],
        }
