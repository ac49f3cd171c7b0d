"""From heat maps to coordinates in 0..1 of the crop, how sure a joint is, and the votes of its context.

The originals compute the soft-argmax with frozen kernels that stand in the weight files; so do these modules, so that a
file says itself where its pixels are (x and y: the end points of the map are 0 and 1; z: as the file has it). All is
computed in single precision, whatever the network's: a coordinate in bfloat16 is a pixel off.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Variant = Literal["cvpr18", "master"]

OWN = 0.8
"""How much of a joint's place its own map says, and not its context's."""


def channel_softmax(maps: torch.Tensor, alpha: float = 1.0) -> torch.Tensor:
    """(N, J, H, W) maps of which each sums to 1."""
    return (alpha * maps.float()).flatten(-2).softmax(dim=-1).view(maps.shape)


def _mixed(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(N, I) values times an (O, I) matrix, in single precision under autocast too."""
    return (values[:, None] * weight.float()).sum(dim=-1)


class Frozen(nn.Module):
    """The two kernels of a separable convolution of the map's own size, which nothing trains."""

    depthwise: torch.Tensor
    pointwise: torch.Tensor

    def __init__(self, ramp: torch.Tensor, joints: int) -> None:
        super().__init__()
        self.register_buffer("depthwise", ramp.expand(joints, 1, *ramp.shape).clone())
        self.register_buffer("pointwise", torch.eye(joints)[:, :, None, None])

    def forward(self, shares: torch.Tensor) -> torch.Tensor:
        """(N, J, H, W) probabilities -> (N, J) means."""
        return _mixed((shares * self.depthwise[:, 0].float()).sum(dim=(-2, -1)), self.pointwise[:, :, 0, 0])


class SoftArgmax(nn.Module):
    """Where the probability lies on average; the map's first and last pixels are 0 and 1."""

    def __init__(self, joints: int, height: int, width: int) -> None:
        super().__init__()
        self.x = Frozen(torch.linspace(0, 1, width).expand(height, width), joints)
        self.y = Frozen(torch.linspace(0, 1, height)[:, None].expand(height, width), joints)

    def forward(self, shares: torch.Tensor) -> torch.Tensor:
        """(N, J, H, W) probabilities -> (N, J, 2)."""
        return torch.stack([self.x(shares), self.y(shares)], dim=-1)


class DepthArgmax(nn.Module):
    """Where the probability lies on average among the depths: from 0 to 1 (2018), or at the middles of bins (2020)."""

    def __init__(self, joints: int, depths: int, variant: Variant) -> None:
        super().__init__()
        half = 0.0 if variant == "cvpr18" else 0.5 / depths
        ramp = torch.linspace(half, 1 - half, depths)
        self.kernel = Kernel(torch.eye(joints)[:, :, None] * ramp)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, J, D) maps -> (N, J)."""
        shares = maps.float().softmax(dim=-1)
        return (shares[:, None] * self.kernel.weight.float()).sum(dim=(-2, -1))


class Kernel(nn.Module):
    """A kernel that nothing trains."""

    weight: torch.Tensor

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)


def window_sum(maps: torch.Tensor) -> torch.Tensor:
    """(N, J) greatest sums of 2 × 2 pixels that touch, of (N, J, H, W) maps."""
    return 4 * functional.avg_pool2d(maps.float(), 2, stride=1).amax(dim=(-2, -1))


def sureness(maps: torch.Tensor, variant: Variant) -> torch.Tensor:
    """(N, J) how visible joints are, of (N, J, H, W) maps before their softmax: in 0..1 in 2018, any number in 2020."""
    return maps.float().amax(dim=(-2, -1)).sigmoid() if variant == "cvpr18" else window_sum(maps)


class Votes(nn.Module):
    """What the maps of a joint's context say, each weighted by how sure it is."""

    def __init__(self, joints: int, each: int) -> None:
        super().__init__()
        self.kernel = Kernel(torch.eye(joints).repeat_interleave(each, dim=1))

    def forward(self, own: torch.Tensor, context: torch.Tensor, sure: torch.Tensor) -> torch.Tensor:
        """(N, J, 2) places of their own maps, (N, K J, 2) of their contexts' and (N, K J) weights -> (N, J, 2)."""
        weight = self.kernel.weight
        total = _mixed(sure, weight)
        voted = torch.stack([_mixed(context[..., axis] * sure, weight) / total for axis in (0, 1)], dim=-1)
        return OWN * own + (1 - OWN) * voted
