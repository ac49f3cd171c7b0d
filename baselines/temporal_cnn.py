"""A small temporal convolution over all joints: trains on one core in minutes."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import nn

from har_bench.classifying.classifier import Classifier
from har_bench.classifying.model import Learnt
from har_bench.options import option


class TemporalCNN(nn.Module):
    """Convolutions over time with batch norm, ReLU and dropout, the later two with stride 2; then the mean.

    Every person goes through alone, and the class is told from the mean of them, absent ones included.

    Args:
        joints: V of the input.
        classes: of the output.
        channels: width of the layers.
        width: frames under a kernel.
        dropout: after every layer.
    """

    def __init__(self, joints: int, classes: int, channels: int, width: int, dropout: float) -> None:
        super().__init__()

        def layer(inside: int, stride: int) -> nn.Module:
            convolution = nn.Conv1d(inside, channels, width, stride, width // 2)
            return nn.Sequential(convolution, nn.BatchNorm1d(channels), nn.ReLU(), nn.Dropout(dropout))

        self.first = nn.BatchNorm1d(joints * 3)
        self.layers = nn.Sequential(layer(joints * 3, 1), layer(channels, 2), layer(channels, 2))
        self.last = nn.Linear(channels, classes)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """(N, M, T, V, 3) -> (N, classes) logits."""
        hidden = self.layers(self.first(clips.flatten(0, 1).flatten(2).transpose(1, 2)))
        logits: torch.Tensor = self.last(hidden.mean(dim=2).unflatten(0, clips.shape[:2]).mean(dim=1))
        return logits


@dataclass
class TemporalConvolutions(Classifier):
    """Sees how all joints move together."""

    summary = "a small temporal convolution that tells actions from skeletons, in minutes on one core"
    quick = MappingProxyType({"channels": 8, "frames": 8, "clips": 1, "epochs": 4, "batch": 4, "lr": 1.0})
    architecture = ("channels", "width", "dropout")

    channels: int = option(128, "width of the layers", least=1)
    width: int = option(5, "frames under a kernel", least=1)
    dropout: float = option(0.3, "after every layer", least=0)

    def network(self, learnt: Learnt) -> nn.Module:
        """The temporal convolution."""
        return TemporalCNN(len(learnt.layout), learnt.classes, self.channels, self.width, self.dropout)
