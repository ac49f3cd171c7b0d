"""What deephar's networks are built of, as Keras computes it: TensorFlow's padding, batch norms, separable kernels.

Feature maps are (N, C, H, W); of a clip's joints, (N, C, T, J). No convolution has a bias. A unit's parts are called so
that their names, joined by ``_`` and without ``norm``, are those of the Keras layers: see ``keras.py`` beside this.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-3
MOMENTUM = 0.01  # Keras counts what is kept (0.99), torch what is new

Size = int | tuple[int, int]


def pair(size: Size) -> tuple[int, int]:
    """One number for both axes, or one each."""
    return (size, size) if isinstance(size, int) else size


def same(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """How much TensorFlow's ``same`` pads before and after an axis.

    >>> same(256, 3, 2), same(256, 7, 2), same(256, 1, 2), same(32, 5, 1)
    ((0, 1), (2, 3), (0, 0), (2, 2))
    """
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


def padded(hidden: torch.Tensor, kernel: tuple[int, int], stride: tuple[int, int], value: float = 0.0) -> torch.Tensor:
    """Feature maps padded as ``same`` pads them for this kernel."""
    rows = same(hidden.shape[-2], kernel[0], stride[0])
    columns = same(hidden.shape[-1], kernel[1], stride[1])
    return functional.pad(hidden, (*columns, *rows), value=value) if any(rows + columns) else hidden


def pooled(hidden: torch.Tensor, kernel: int = 2, stride: Size = 2) -> torch.Tensor:
    """The maximum of each window, padded as ``same`` with what is no maximum."""
    steps = pair(stride)
    return functional.max_pool2d(padded(hidden, (kernel, kernel), steps, -math.inf), kernel, steps)


def halved(hidden: torch.Tensor) -> torch.Tensor:
    """The maximum of each whole window of 2 × 2."""
    return functional.max_pool2d(hidden, 2)


def doubled(hidden: torch.Tensor) -> torch.Tensor:
    """Each pixel four times."""
    return functional.interpolate(hidden, scale_factor=2.0, mode="nearest")


def unfolded(hidden: torch.Tensor, axis: int, sizes: Sequence[int]) -> torch.Tensor:
    """One axis as several."""
    return hidden.reshape(*hidden.shape[:axis], *sizes, *hidden.shape[axis + 1 :])


def max_min_pooled(hidden: torch.Tensor) -> torch.Tensor:
    """The maximum plus the minimum of each window of 2 × 2."""
    return pooled(hidden) - pooled(-hidden)


def global_max_min(hidden: torch.Tensor) -> torch.Tensor:
    """(N, C) sums of the maximum and the minimum of each map of (N, C, H, W)."""
    return hidden.amax(dim=(-2, -1)) + hidden.amin(dim=(-2, -1))


class Network(nn.Module, ABC):
    """A network that gives poses of pictures, and knows which of its parts is which group of a Keras file."""

    @abstractmethod
    def poses(self, images: torch.Tensor) -> list[torch.Tensor]:
        """(N, 3, H, W) pictures in -1..1 -> (N, J, 3 or 4) of every block: places in 0..1, then how visible."""

    @abstractmethod
    def groups(self) -> dict[str, list[nn.Module]]:
        """The parts by the name of their group, in the order of the file; a group may have several, one by one."""


class Convolution(nn.Conv2d):
    """A convolution without bias, padded as ``same``."""

    def __init__(self, inside: int, outside: int, kernel: Size, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inside, outside, kernel, stride, groups=groups, bias=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        kernel, stride = (self.kernel_size[0], self.kernel_size[1]), (self.stride[0], self.stride[1])
        return super().forward(padded(input, kernel, stride))


class Separable(nn.Module):
    """A kernel for every channel, then one of 1 × 1 over the channels."""

    def __init__(self, inside: int, outside: int, kernel: Size, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = Convolution(inside, inside, kernel, stride, groups=inside)
        self.pointwise = nn.Conv2d(inside, outside, 1, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        found: torch.Tensor = self.pointwise(self.depthwise(hidden))
        return found


class Norm(nn.BatchNorm2d):
    """A batch norm as Keras has it, with or without a factor for every channel."""

    def __init__(self, channels: int, *, factor: bool = False) -> None:
        super().__init__(channels, EPSILON, MOMENTUM)
        if not factor:
            ones = self.weight.detach()
            del self.weight
            self.register_buffer("weight", ones, persistent=False)


class Unit(nn.Module):
    """A convolution and its norm, activated before or after or not at all."""

    def __init__(
        self,
        inside: int,
        outside: int,
        kernel: Size,
        *,
        stride: int = 1,
        before: bool = False,
        after: bool = False,
        separable: bool = False,
    ) -> None:
        super().__init__()
        self.before, self.after = before, after
        self.conv = (Separable if separable else Convolution)(inside, outside, kernel, stride)
        self.norm = Norm(outside)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        hidden = hidden.relu() if self.before else hidden
        found: torch.Tensor = self.norm(self.conv(hidden))
        return found.relu() if self.after else found


def initialise(model: nn.Module) -> None:
    """Draw the weights as Keras does: ``glorot_uniform`` with its own count of what goes in and out of a kernel."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            field = math.prod(module.kernel_size)
            inside, outside = module.in_channels, module.out_channels
            if module.groups > 1:
                outside = 1
            bound = math.sqrt(6 / ((inside + outside) * field))
            nn.init.uniform_(module.weight, -bound, bound)
