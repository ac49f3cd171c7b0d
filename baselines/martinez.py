"""The simple baseline of 3D pose lifting: a residual network of linear layers on one frame."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import nn

from har_bench.lifting.lifter import Lifter, Sizes
from har_bench.options import option


class ResidualMLP(nn.Module):
    """Linear layers with batch norm, ReLU and dropout; each block of two is bridged (Martinez et al., Fig. 1).

    Args:
        sizes: joints and features in, joints out.
        channels: width of the hidden layers; 1024 in the paper.
        blocks: residual blocks; 2 in the paper.
        dropout: 0.5 in the paper.
    """

    def __init__(self, sizes: Sizes, channels: int, blocks: int, dropout: float) -> None:
        super().__init__()

        def layer(width: int) -> nn.Module:
            return nn.Sequential(nn.Linear(width, channels), nn.BatchNorm1d(channels), nn.ReLU(), nn.Dropout(dropout))

        self.first = layer(sizes.joints_in * sizes.features)
        self.blocks = nn.ModuleList(nn.Sequential(layer(channels), layer(channels)) for _ in range(blocks))
        self.last = nn.Linear(channels, sizes.joints_out * 3)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """(B, N, J, F) normalised keypoints -> (B, N, K, 3) poses [m], every frame by itself."""
        exact = torch.autocast(points.device.type, enabled=False)
        with exact:  # in bfloat16, keypoints would be up to a pixel off
            hidden = self.first(points.flatten(0, 1).flatten(1))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        with exact:
            poses: torch.Tensor = self.last(hidden)
        return poses.reshape(*points.shape[:2], -1, 3)


@dataclass
class Martinez(Lifter):
    """Lifts every frame by itself."""

    summary = "a residual MLP that lifts 2D keypoints to 3D poses, frame by frame"
    cite = "Martinez et al., A simple yet effective baseline for 3d human pose estimation, ICCV 2017"
    quick = MappingProxyType({"channels": 64, "epochs": 8, "batch": 128})
    architecture = ("channels", "blocks", "dropout")

    channels: int = option(1024, "width of the hidden layers")
    blocks: int = option(2, "residual blocks of two layers")
    dropout: float = option(0.5, "after every layer")

    def network(self, sizes: Sizes) -> nn.Module:
        """The residual MLP."""
        return ResidualMLP(sizes, self.channels, self.blocks, self.dropout)
