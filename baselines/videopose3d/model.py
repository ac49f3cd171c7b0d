"""The network: temporal convolutions from a window of 2D poses to the 3D pose of one frame of it.

A block is a convolution in time, batch normalisation, ReLU and dropout, then the same pointwise, then a residual. Run
over a sequence, the convolutions are dilated; run on one window, they are strided and compute only what the one output
frame needs. Pavllo et al., CVPR 2019; parameters are named and ordered as in the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from operator import mul
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from har_bench.errors import HarBenchError


@dataclass(frozen=True)
class Architecture:
    """What a network computes.

    Attributes:
        widths: frames that each block's convolution joins, odd numbers.
        joints_in: joints of the 2D poses.
        features: numbers per input joint: x and y, and a score if there are three.
        joints_out: joints of the 3D poses; 1 for the trajectory of the root.
        channels: width of the hidden layers.
        dropout: rate after each activation, in training.
        causal: the output is the window's last frame, not its middle one.
        dense: full kernels of the same reach instead of dilated ones (the paper's ablation).
    """

    widths: tuple[int, ...] = (3, 3, 3)
    joints_in: int = 17
    features: int = 2
    joints_out: int = 17
    channels: int = 1024
    dropout: float = 0.25
    causal: bool = False
    dense: bool = False

    def __post_init__(self) -> None:
        if not self.widths or any(width < 1 or width % 2 == 0 for width in self.widths):
            given = ",".join(map(str, self.widths))
            raise HarBenchError(f"the filter widths {given!r} must be odd, as in 3,3,3, for a window to have a middle")

    @property
    def dilations(self) -> tuple[int, ...]:
        """Per block, the frames between two that its convolution joins, were they not a full kernel."""
        return tuple(accumulate((1, *self.widths[:-1]), mul))

    @property
    def pads(self) -> tuple[int, ...]:
        """Per block, the frames that its convolution takes from each end of its input."""
        return tuple(width // 2 * dilation for width, dilation in zip(self.widths, self.dilations, strict=True))

    @property
    def receptive_field(self) -> int:
        """Frames that one output frame sees."""
        return prod(self.widths)

    @property
    def shift(self) -> int:
        """Frames by which the window around an output frame moves into the past: none, or half of it if causal."""
        return self.receptive_field // 2 if self.causal else 0


class Normalisation(nn.BatchNorm1d):
    """Batch normalisation whose momentum is a tensor: compiled code holds for every epoch's, and no GPU is waited for.

    Where several devices train, each normalises by its own share of a batch, as without ``SyncBatchNorm``.
    """

    rate: Tensor

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.register_buffer("rate", torch.tensor(self.momentum), persistent=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - as torch calls it
        """(rows, features) normalised; in training by the batch, which enters the running statistics."""
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(input)
        mean, variance = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)
        found = functional.batch_norm(input, mean, variance, self.weight, self.bias, True, 1.0, self.eps)
        with torch.no_grad():
            self.running_mean.mul_(1 - self.rate).add_(mean * self.rate)
            self.running_var.mul_(1 - self.rate).add_(variance * self.rate)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        return found


class TemporalModel(nn.Module):
    """The network of an architecture, with PyTorch's default initial weights."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = at = architecture
        full, pads = at.channels, at.pads[1:]
        kernels = [2 * pad + 1 if at.dense else width for width, pad in zip(at.widths[1:], pads, strict=True)]
        # in the order of the published state dicts
        self.expand_bn = Normalisation(full)
        self.shrink = nn.Conv1d(full, at.joints_out * 3, 1)
        self.expand_conv = nn.Conv1d(at.joints_in * at.features, full, at.widths[0], bias=False)
        self.layers_conv = nn.ModuleList(
            nn.Conv1d(full, full, size, bias=False) for kernel in kernels for size in (kernel, 1)
        )
        self.layers_bn = nn.ModuleList(Normalisation(full) for _ in self.layers_conv)

    def forward(self, keypoints: Tensor, strided: bool = False) -> Tensor:
        """3D poses of the frames whose whole window is in ``keypoints``.

        Args:
            keypoints: (B, N, joints_in, features) normalised 2D poses.
            strided: compute only what one window's output needs (N is the receptive field; not for dense networks): the
                same poses at a fraction of the cost. In training, the batch normalisations then see that much less.

        Returns:
            (B, N - receptive_field + 1, joints_out, 3) positions [m] in the camera frame, relative to the root.

        Raises:
            HarBenchError: the poses or their number do not fit the architecture.
        """
        at = self.architecture
        self._check(keypoints, strided)
        full = torch.autocast(keypoints.device.type, enabled=False)
        with full:  # in bfloat16, keypoints would be up to a pixel off, and poses some millimetres
            x = _convolved(keypoints.flatten(2), self.expand_conv, strided)
        x = self._activated(x, self.expand_bn)
        blocks = zip(at.widths[1:], at.dilations[1:], at.pads[1:], strict=True)
        for index, (width, dilation, pad) in enumerate(blocks):
            wide, pointwise = self.layers_conv[2 * index], self.layers_conv[2 * index + 1]
            y = _convolved(x, wide, strided, dilation=1 if at.dense else dilation)
            middle, stride = (width // 2, width) if strided else (pad, 1)
            residual = x[:, 2 * middle if at.causal else middle :: stride][:, : y.shape[1]]
            y = self._activated(y, self.layers_bn[2 * index])
            x = residual + self._activated(_convolved(y, pointwise, strided), self.layers_bn[2 * index + 1])
        with full:
            poses = functional.linear(x, self.shrink.weight[..., 0], self.shrink.bias)
        return poses.reshape(*poses.shape[:2], at.joints_out, 3)

    def set_momentum(self, momentum: float) -> None:
        """Set how much of each batch enters the running statistics of the batch normalisations."""
        for layer in self.modules():
            if isinstance(layer, Normalisation):
                layer.rate.fill_(momentum)

    def _activated(self, x: Tensor, normalise: nn.Module) -> Tensor:
        rows = functional.relu(normalise(x.flatten(0, 1)))
        return functional.dropout(rows, self.architecture.dropout, self.training).reshape(x.shape)

    def _check(self, keypoints: Tensor, strided: bool) -> None:
        at, given = self.architecture, tuple(keypoints.shape)
        if strided and at.dense:
            raise HarBenchError("a dense network has no strided form; train it on sequences")
        frames = given[1] if len(given) == 4 else 0
        fits = frames == at.receptive_field if strided else frames >= at.receptive_field
        if not fits or given[2:] != (at.joints_in, at.features):
            needed = f"{at.receptive_field}{'' if strided else ' or more'}, {at.joints_in}, {at.features}"
            raise HarBenchError(f"the network got keypoints of shape {given} where it needs (batch, {needed})")


def _convolved(x: Tensor, layer: nn.Module, strided: bool, dilation: int = 1) -> Tensor:
    """(B, N, C) frames convolved in time; ``strided``, by as many as the kernel has."""
    weight: Any = layer.weight
    kernel = weight.shape[2]
    if strided or kernel == 1:  # without overlap a convolution is one matrix product
        return functional.linear(x.reshape(len(x), -1, kernel * x.shape[2]), weight.transpose(1, 2).flatten(1))
    return functional.conv1d(x.transpose(1, 2), weight, dilation=dilation).transpose(1, 2)


def architecture_of(state: Mapping[str, npt.NDArray[Any]], *, causal: bool = False) -> Architecture:
    """The architecture that a state dict's shapes tell.

    Whether it is causal, they do not: say so. An even number of inputs is read as two features per joint, an odd one
    as three. Kernels that grow as those of a dense network do (3, 7, 19) are taken for one.

    Raises:
        HarBenchError: the state dict is not of such a network.
    """
    layers = (name for index in range(len(state)) if (name := f"layers_conv.{2 * index}.weight") in state)
    try:
        convolutions = [state[name].shape for name in ("expand_conv.weight", *layers)]
        (channels, inputs, _), (outputs, _, _) = convolutions[0], state["shrink.weight"].shape
        kernels = tuple(kernel for _, _, kernel in convolutions)
    except (KeyError, ValueError) as error:
        raise HarBenchError(f"the weights are not those of a VideoPose3D network ({error})") from error
    widths = kernels[:1]  # those of a dense network, if the kernels are one's
    for kernel in kernels[1:]:
        pad, rest = divmod(kernel // 2, prod(widths))
        widths += (kernel if rest else 2 * pad + 1,)
    dense = tuple(2 * pad + 1 for pad in Architecture(widths).pads[1:]) == kernels[1:] != widths[1:]
    features = 3 if inputs % 2 else 2
    return Architecture(
        widths if dense else kernels,
        inputs // features,
        features,
        outputs // 3,
        channels,
        causal=causal,
        dense=dense,
    )
