"""ST-GCN (Yan et al., AAAI 2018) and ST-GCN++ (Duan et al., ACM MM 2022), with pyskl's names of their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import nn

from har_bench.arrays import Floats

Kind = Literal["st-gcn++", "st-gcn"]

BRANCHES = 6
DILATIONS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Architecture:
    """What defines a network, besides its graph and classes.

    Attributes:
        kind: which of the two.
        channels: of the first stage.
        stages: how many there are.
        inflate: stages, from 1, at which the channels double.
        down: stages at which one frame of two is left out.
        dropout: after every temporal unit but the first (ST-GCN as it was published has 0.5, pyskl's none).
    """

    kind: Kind = "st-gcn++"
    channels: int = 64
    stages: int = 10
    inflate: tuple[int, ...] = (5, 8)
    down: tuple[int, ...] = (5, 8)
    dropout: float = 0.0

    def widths(self) -> list[int]:
        """The channels after every stage."""
        return [self.channels * 2 ** sum(at <= stage for at in self.inflate) for stage in range(1, self.stages + 1)]


class Point(nn.Conv2d):
    """A convolution of single frames and joints as a product of matrices, which is faster where channels are few."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(inside, outside, 1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, C, T, V) -> (N, C', T, V)."""
        return at_once([self], hidden)


def at_once(points: Sequence[nn.Conv2d], hidden: torch.Tensor) -> torch.Tensor:
    """(N, C, T, V) -> (N, sum of all C', T, V) what convolutions of width 1 make of the same, in one product."""
    weights = torch.cat([point.weight.flatten(1) for point in points])
    biases = torch.cat([point.bias for point in points if point.bias is not None])
    found = torch.baddbmm(biases[:, None], weights.expand(len(hidden), -1, -1), hidden.flatten(2))
    return found.reshape(len(hidden), -1, *hidden.shape[2:])


class Unit(nn.Module):
    """A convolution over time with a batch norm of its output, or with none."""

    def __init__(self, inside: int, outside: int, width: int = 1, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = (width + (width - 1) * (dilation - 1) - 1) // 2
        self.conv = nn.Conv2d(inside, outside, (width, 1), (stride, 1), (padding, 0), (dilation, 1))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, C, T, V) -> (N, C', T', V)."""
        found: torch.Tensor = self.conv(hidden)
        return found


class NormedUnit(Unit):
    """With a batch norm, and dropout."""

    def __init__(self, inside: int, outside: int, width: int = 1, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__(inside, outside, width, stride)
        self.bn = nn.BatchNorm2d(outside)
        self.drop = nn.Dropout(dropout)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, C, T, V) -> (N, C', T', V)."""
        found: torch.Tensor = self.drop(self.bn(super().forward(hidden)))
        return found


class GraphUnit(nn.Module):
    """Every joint takes from its neighbours, in three subsets with weights of their own."""

    A: torch.Tensor

    def __init__(self, inside: int, outside: int, graph: Floats, kind: Kind) -> None:
        super().__init__()
        subsets = torch.tensor(graph, dtype=torch.float32)
        self.free = kind == "st-gcn++"
        if self.free:
            self.A = nn.Parameter(subsets.clone())
            self.down = (
                nn.Identity() if inside == outside else nn.Sequential(Point(inside, outside), nn.BatchNorm2d(outside))
            )
        else:
            self.register_buffer("A", subsets)
            self.PA = nn.Parameter(torch.ones_like(subsets))
        self.conv = Point(inside, len(subsets) * outside)
        self.bn = nn.BatchNorm2d(outside)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, C, T, V) -> (N, C', T, V)."""
        weights = self.A if self.free else self.A * self.PA
        parted = self.conv(hidden).unflatten(1, (len(weights), -1)).flatten(2, 3)  # (N, K, C' T, V)
        gathered = (parted @ weights).sum(dim=1).unflatten(1, (-1, hidden.shape[2]))
        found: torch.Tensor = self.bn(gathered)
        return (found + self.down(hidden) if self.free else found).relu()


class Branches(nn.Module):
    """ST-GCN++'s temporal unit: four dilations, a maximum and a point, side by side."""

    def __init__(self, channels: int, stride: int, dropout: float) -> None:
        super().__init__()
        middle = channels // BRANCHES
        rest = channels - middle * (BRANCHES - 1)

        def begun(width: int) -> list[nn.Module]:
            return [Point(channels, width), nn.BatchNorm2d(width), nn.ReLU()]

        dilated = [
            nn.Sequential(*begun(width), Unit(width, width, 3, stride, dilation))
            for dilation, width in zip(DILATIONS, (rest, middle, middle, middle), strict=True)
        ]
        maximum = nn.Sequential(*begun(middle), nn.MaxPool2d((3, 1), (stride, 1), (1, 0)))
        self.branches = nn.ModuleList([*dilated, maximum, Point(channels, middle)])
        self.stride = stride
        self.transform = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), Point(channels, channels))
        self.bn = nn.BatchNorm2d(channels)
        self.drop = nn.Dropout(dropout)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, C, T, V) -> (N, C, T', V)."""
        longer = cast(Sequence[nn.Sequential], self.branches[:-1])
        points = cast(Sequence[nn.Conv2d], [*(branch[0] for branch in longer), self.branches[-1]])
        *begun, passed = torch.split(at_once(points, hidden), [point.out_channels for point in points], dim=1)
        found = [branch[1:](part) for branch, part in zip(longer, begun, strict=True)]
        joined = torch.cat([*found, passed[:, :, :: self.stride]], dim=1)
        returned: torch.Tensor = self.drop(self.bn(self.transform(joined)))
        return returned


class Block(nn.Module):
    """Joints, then time, bridged."""

    def __init__(
        self, inside: int, outside: int, graph: Floats, kind: Kind, *, stride: int, first: bool, dropout: float
    ) -> None:
        super().__init__()
        self.gcn = GraphUnit(inside, outside, graph, kind)
        self.tcn: nn.Module = (
            Branches(outside, stride, dropout)
            if kind == "st-gcn++"
            else NormedUnit(outside, outside, 9, stride, dropout)
        )
        self.first = first
        if not first:
            same = inside == outside and stride == 1
            self.residual: nn.Module = nn.Identity() if same else NormedUnit(inside, outside, 1, stride)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, C, T, V) -> (N, C', T', V)."""
        found: torch.Tensor = self.tcn(self.gcn(hidden))
        return (found if self.first else found + self.residual(hidden)).relu()


class Backbone(nn.Module):
    """(N, M, T, V, C) clips -> (N, M, C', T', V) features."""

    def __init__(self, architecture: Architecture, graph: Floats, features: int = 3) -> None:
        super().__init__()
        self.data_bn = nn.BatchNorm1d(graph.shape[-1] * features)
        widths = [features, *architecture.widths()]
        self.gcn = nn.ModuleList(
            Block(
                widths[stage - 1],
                widths[stage],
                graph,
                architecture.kind,
                stride=2 if stage in architecture.down else 1,
                first=stage == 1,
                dropout=0.0 if stage == 1 else architecture.dropout,
            )
            for stage in range(1, architecture.stages + 1)
        )

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Absent persons, who are zero, take part in the statistics of all batch norms."""
        count, persons, frames, joints, features = clips.shape
        flat = clips.reshape(count * persons, frames, joints * features).transpose(1, 2)
        hidden = self.data_bn(flat).unflatten(1, (joints, features)).permute(0, 2, 3, 1).contiguous()
        for block in self.gcn:
            hidden = block(hidden)
        found: torch.Tensor = hidden.unflatten(0, (count, persons))
        return found


class Head(nn.Module):
    """The mean over frames and joints, then over the persons, absent ones included; then the classes."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.fc_cls = nn.Linear(channels, classes)
        nn.init.normal_(self.fc_cls.weight, std=0.01)
        nn.init.zeros_(self.fc_cls.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, M, C, T, V) -> (N, classes) logits."""
        logits: torch.Tensor = self.fc_cls(features.mean(dim=(3, 4)).mean(dim=1))
        return logits


class SkeletonNetwork(nn.Module):
    """A backbone and its head."""

    def __init__(self, architecture: Architecture, graph: Floats, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone(architecture, graph)
        self.cls_head = Head(architecture.widths()[-1], classes)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """(N, M, T, V, 3) clips -> (N, classes) logits."""
        logits: torch.Tensor = self.cls_head(self.backbone(clips))
        return logits


def stages_of(names: Sequence[str]) -> int:
    """How many stages the names of a state dict have."""
    numbers = [name.split(".")[2] for name in names if name.startswith("backbone.gcn.")]
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=-1)
