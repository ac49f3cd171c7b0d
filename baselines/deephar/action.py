"""The network of CVPR 2018 for actions: from poses over time, from what is seen where the joints are, and both merged.

Maps of a clip are (N, C, T, J): time is the first axis, the joints are the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import nn

from .layers import Network, Separable, Unit, doubled, global_max_min, halved, max_min_pooled, unfolded
from .reception import Activated, Reader, ReceptionOptions, Trunk

BLOCKS = 4
"""How many times each head predicts."""


@dataclass(frozen=True)
class ActionOptions:
    """What defines the heads.

    Attributes:
        actions: how many classes.
        version: of the pose head: v1 as for Penn Action, v2 (wider) as for NTU.
        dims: of a joint's place.
        channels: of the features that are seen.
    """

    actions: int
    version: Literal["v1", "v2"] = "v1"
    dims: int = 2
    channels: int = 576


class Refining(nn.Module):
    """One prediction: maps of the classes over time and joints, and features that know of them."""

    def __init__(self, width: int, actions: int, *, last: bool) -> None:
        super().__init__()
        self.narrow = Unit(width, width // 2, 1, before=True)
        self.widen = Unit(width // 2, width, 3, before=True)
        self.further = Unit(width, width, 3, before=True)
        self.head = Activated(width, actions, 3)
        self.again: nn.Module | None = None if last else Unit(actions, width, 3, before=True)

    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, C, T, J) -> features, and (N, actions, T / 2, J / 2) maps."""
        hidden = hidden + self.widen(self.narrow(hidden))
        further = self.further(hidden)
        maps = self.head(max_min_pooled(further))
        return (hidden if self.again is None else hidden + further + self.again(doubled(maps))), maps


class Predictions(nn.Module):
    """Four predictions, one after the other."""

    def __init__(self, width: int, actions: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(Refining(width, actions, last=step == BLOCKS - 1) for step in range(BLOCKS))

    def forward(self, hidden: torch.Tensor) -> list[torch.Tensor]:
        """(N, actions, T', J') maps of each."""
        found = []
        for step in self.steps:
            hidden, maps = step(hidden)
            found.append(maps)
        return found


class PoseHead(nn.Module):
    """Actions from how the joints move."""

    def __init__(self, options: ActionOptions) -> None:
        super().__init__()
        unit, middle, width = (8, 32, 112) if options.version == "v1" else (12, 64, 224)
        kernels = ((3, 1), (3, 3), (3, 5))
        self.begin = nn.ModuleList(
            Unit(options.dims, unit * (1 + at), kernel, after=True) for at, kernel in enumerate(kernels)
        )
        self.near = Unit(6 * unit, width // 2, 3)
        self.far = nn.Sequential(Unit(6 * unit, middle, 1), Unit(middle, width // 2, 3))
        self.predictions = Predictions(width, options.actions)

    def forward(self, places: torch.Tensor, sure: torch.Tensor) -> list[torch.Tensor]:
        """(N, T, J, D) places and (N, T, J, 1) how visible they are -> maps of each prediction."""
        moving = (places * sure).permute(0, 3, 1, 2)
        hidden = torch.cat([unit(moving) for unit in self.begin], dim=1)
        hidden = torch.cat([self.near(hidden), self.far(hidden)], dim=1)
        found: list[torch.Tensor] = self.predictions(max_min_pooled(hidden))
        return found


class VisualHead(nn.Module):
    """Actions from what is seen where the joints are."""

    def __init__(self, options: ActionOptions, width: int = 256) -> None:
        super().__init__()
        self.begin = Unit(options.channels, width, 1)
        self.predictions = Predictions(width, options.actions)

    def forward(self, shares: torch.Tensor, features: torch.Tensor) -> list[torch.Tensor]:
        """(N, T, J, H, W) probabilities and (N, T, C, H, W) features -> maps of each prediction."""
        found: list[torch.Tensor] = self.predictions(halved(self.begin(seen_at(shares, features))))
        return found


def seen_at(shares: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """(N, C, T, J) means of (N, T, C, H, W) features, weighted by each joint's (N, T, J, H, W) probabilities."""
    places = features.flatten(-2).transpose(-2, -1)
    return (shares.to(features.dtype).flatten(-2) @ places).permute(0, 3, 1, 2)


class ActionHeads(nn.Module):
    """Actions of clips of which the poses are known: the network for which another one's poses will do."""

    def __init__(self, options: ActionOptions) -> None:
        super().__init__()
        self.options = options
        self.pose = PoseHead(options)
        self.visual = VisualHead(options)
        self.weighted = nn.ModuleList(Separable(options.actions, options.actions, 1) for _ in range(2))

    def forward(
        self, places: torch.Tensor, sure: torch.Tensor, shares: torch.Tensor, features: torch.Tensor
    ) -> list[torch.Tensor]:
        """Logits of the pose head, of the visual head and of both: nine of (N, actions).

        Args:
            places: (N, T, J, D) in 0..1.
            sure: (N, T, J, 1) how visible each is.
            shares: (N, T, J, 32, 32) probabilities over the image.
            features: (N, T, C, 32, 32) of the first block.
        """
        moved = self.pose(places, sure)
        seen = self.visual(shares, features)
        both = self.weighted[0](moved[-1]) + self.weighted[1](seen[-1])
        return [global_max_min(maps) for maps in (*moved, *seen, both)]

    def groups(self) -> dict[str, list[nn.Module]]:
        """The parts by the name of their group in a Keras file."""
        return {
            "PoseAR": [self.pose],
            "GuidedVisAR": [self.visual],
            "HeatmapWeight_pose": [self.weighted[0]],
            "HeatmapWeight_visual": [self.weighted[1]],
        }


class Watched(NamedTuple):
    """Poses and actions of clips.

    Attributes:
        poses: (N, T, J, 3 or 4) after each block that predicts one: places in 0..1, then how visible.
        actions: (N, classes) logits after each head.
    """

    poses: list[torch.Tensor]
    actions: list[torch.Tensor]


class MergeModel(Network):
    """Poses and actions of clips; the poses have no loss of their own here, but may be trained with the actions."""

    def __init__(self, options: ReceptionOptions, actions: ActionOptions) -> None:
        super().__init__()
        self.options = options
        self.trunk = Trunk(options)
        self.reader = Reader(options, sharper=2.0 if options.depths else 4.0)
        self.heads = ActionHeads(actions)

    def forward(self, clips: torch.Tensor) -> Watched:
        """(N, T, 3, H, W) clips in -1..1 -> the poses of the last block, and the logits of nine heads."""
        features = self.trunk.features(clips.flatten(0, 1))
        reading = self.reader(self.trunk(features)[-1])
        whole = [unfolded(each, 0, clips.shape[:2]) for each in (*reading, features)]
        places, sure, shares, features = whole
        return Watched([torch.cat([places, sure], dim=-1)], self.heads(places, sure, shares, features))

    def poses(self, images: torch.Tensor) -> list[torch.Tensor]:
        """(N, 3, H, W) pictures in -1..1 -> (N, J, 3 or 4) of every block: places in 0..1, then how visible."""
        return [self.reader(maps).pose for maps in self.trunk(self.trunk.features(images))]

    def groups(self) -> dict[str, list[nn.Module]]:
        """The parts by the name of their group in a Keras file: stem, first scales, and the rest in one model."""
        found = self.trunk.groups()
        first = {name: found.pop(name) for name in ("Stem", "rBlock1")}
        rest = [part for parts in found.values() for part in parts]
        return first | {"Model1": rest} | self.reader.groups() | self.heads.groups()
