"""What SPNet is built of: carried units, and the blocks that predict poses; named as the layers of its Keras files.

Its batch norms have a factor, and come before what they norm.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import nn

from .layers import Convolution, Norm, Separable, doubled, halved, pooled
from .soft_argmax import SoftArgmax, channel_softmax, window_sum

Resampling = Literal["maxpooling", "conv"]

REPLICA = "heatmaps_conv1_replica"
"""The heat maps by which actions look at the picture, where they have some of their own."""


@dataclass(frozen=True)
class SPNetOptions:
    """What defines a network.

    Attributes:
        joints: how many.
        dims: 2 for poses in the image, 3 for poses in space.
        pyramids: how often it goes down or up through its levels, in turn.
        levels: of size, each half of the one above.
        kernel: the side of its separable kernels.
        growth: how many channels each level has more than the one above.
        division: by how much the first level is smaller than the picture: 8, 16, and so on.
        resampling: by pooling and repeating, or by convolutions with a stride.
        alpha: what maps are multiplied by before their softmax.
        size: the side of its pictures [px].
        actions: how many classes; one number for every set of actions.
        action_pyramids: the pyramids, from 1, that recognise actions.
        pose_features: of the actions' channels, those from poses.
        visual_features: of the actions' channels, those from what is seen.
        replica: whether actions have heat maps of their own.
    """

    joints: int = 16
    dims: int = 2
    pyramids: int = 8
    levels: int = 4
    kernel: int = 5
    growth: int = 96
    division: int = 8
    resampling: Resampling = "maxpooling"
    alpha: float = 1.0
    size: int = 256
    actions: tuple[int, ...] = ()
    action_pyramids: tuple[int, ...] = (1, 2)
    pose_features: int = 128
    visual_features: int = 128
    replica: bool = False

    def width(self, level: int) -> int:
        """The channels of a level."""
        return (3 + level) * self.growth

    def side(self, level: int) -> int:
        """The height and width of a level."""
        return self.size // self.division >> level

    def acts(self, pyramid: int) -> bool:
        """Whether a pyramid, counted from 1, recognises actions."""
        return bool(self.actions) and pyramid in self.action_pyramids

    def steps(self, pyramid: int) -> range:
        """The levels to which a pyramid, counted from 1, goes."""
        return range(1, self.levels) if pyramid % 2 else range(self.levels - 2, -1, -1)


class Carried(nn.Module):
    """Features carried around one separable kernel, or around a narrow and a wide one."""

    def __init__(self, inside: int, outside: int, kernel: int, *, stride: int = 1, narrow: int = 0) -> None:
        super().__init__()
        self.bn1 = Norm(inside, factor=True)
        if narrow:
            self.conv1: nn.Module = Convolution(inside, outside // narrow, 1)
            self.bn2 = Norm(outside // narrow, factor=True)
            self.conv2 = Convolution(outside // narrow, outside, kernel, stride)
        else:
            self.conv1 = Separable(inside, outside, kernel, stride)
        self.narrow, self.projects = bool(narrow), inside != outside or stride > 1
        if self.projects:
            self.shortcut_conv = Convolution(inside, outside, 1, stride)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        active = self.bn1(hidden).relu()
        carried = self.shortcut_conv(active) if self.projects else hidden
        inner = self.conv1(active)
        found: torch.Tensor = carried + (self.conv2(self.bn2(inner).relu()) if self.narrow else inner)
        return found


class Entry(nn.Module):
    """(N, 3, H, W) pictures -> (N, 3 growth, H / division, W / division)."""

    def __init__(self, options: SPNetOptions) -> None:
        super().__init__()
        strided, growth = options.resampling == "conv", options.growth
        self.conv1 = Convolution(3, 64, 7, 2)
        self.res0 = Carried(64, growth, 3, narrow=2)
        self.res1 = Carried(growth, 2 * growth, 3, narrow=2)
        self.res2 = Carried(2 * growth, 2 * growth, 3, narrow=2)
        self.pools = not strided
        inside, rest = 2 * growth, []
        for number in range(3, 3 + 2 * (options.division.bit_length() - 3), 2):
            unit = Carried(inside, 3 * growth, 3, narrow=2, stride=2 if strided else 1)
            inside = 3 * growth
            rest += [f"res{number}", f"res{number + 1}"]
            self.add_module(rest[-2], unit)
            self.add_module(rest[-1], Carried(inside, inside, 3, narrow=2))
        self.rest = tuple(rest)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """What the first pyramid begins with."""
        hidden = self.res2(self.res1(pooled(self.res0(self.conv1(images)), 3)))
        for place, name in enumerate(self.rest):
            hidden = getattr(self, name)(halved(hidden) if self.pools and place % 2 == 0 else hidden)
        found: torch.Tensor = hidden
        return found


class Down(nn.Module):
    """To the level below."""

    def __init__(self, options: SPNetOptions, level: int) -> None:
        super().__init__()
        self.pools = options.resampling == "maxpooling"
        stride = 1 if self.pools else 2
        self.r0 = Carried(options.width(level - 1), options.width(level), options.kernel, stride=stride)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C + growth, H / 2, W / 2)."""
        found: torch.Tensor = self.r0(halved(hidden) if self.pools else hidden)
        return found


class Up(nn.Module):
    """To the level above."""

    def __init__(self, options: SPNetOptions, level: int) -> None:
        super().__init__()
        inside, outside = options.width(level + 1), options.width(level)
        self.repeats = options.resampling == "maxpooling"
        if self.repeats:
            self.r0 = Carried(inside, outside, options.kernel)
        else:
            self.bn1 = Norm(inside, factor=True)
            self.convtrans1 = nn.ConvTranspose2d(inside, outside, 2, 2, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C - growth, 2 H, 2 W)."""
        found: torch.Tensor = self.r0(doubled(hidden)) if self.repeats else self.convtrans1(self.bn1(hidden).relu())
        return found


class Maps(NamedTuple):
    """What a block says of the joints, in frames (N, J, H, W).

    Attributes:
        pose: (N, J, dims + 1) places in 0..1 of the crop, then how sure.
        heat: the maps that an action looks at, before their softmax.
        depth: the depth maps; none for poses in the image.
    """

    pose: torch.Tensor
    heat: torch.Tensor
    depth: torch.Tensor | None


class Pose(nn.Module):
    """One prediction, and features that know of it; what only a next block would take, the last one lacks."""

    def __init__(self, options: SPNetOptions, level: int, *, acts: bool, last: bool) -> None:
        super().__init__()
        channels, joints, side = options.width(level), options.joints, options.side(level)
        self.alpha, self.last, self.deep = options.alpha, last, options.dims > 2
        self.replicated = acts and options.replica
        self.r1 = Carried(channels, channels, options.kernel)
        self.bn1 = Norm(channels, factor=True)
        self.conv1 = Separable(channels, channels, options.kernel)
        self.bn2 = Norm(channels, factor=True)
        self.heatmaps_conv1 = Convolution(channels, joints, 1)
        if self.replicated:
            self.heatmaps_conv1_replica = Convolution(channels, joints, 1)
        if self.deep:
            self.depthmaps_conv1 = Convolution(channels, joints, 1)
        self.xy = SoftArgmax(joints, side, side)
        if not last:
            self.heatmaps_fw_maps = Convolution(channels, joints, 1)
            self.heatmaps_conv2 = Convolution(2 * joints, channels, 1)
            if self.deep:
                self.depthmaps_conv2 = Convolution(joints, channels, 1)

    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, Maps]:
        """(N, C, H, W) features -> those of the next block, and what is said of the joints."""
        first = self.r1(hidden)
        second = self.conv1(self.bn1(first).relu())
        active = self.bn2(second).relu()
        heat = self.heatmaps_conv1(active)
        depth = self.depthmaps_conv1(active) if self.deep else None
        maps = Maps(
            read(channel_softmax(heat, self.alpha), depth, self.xy),
            self.heatmaps_conv1_replica(active) if self.replicated else heat,
            depth,
        )
        if self.last:
            return hidden, maps
        told = self.heatmaps_conv2(torch.cat([self.heatmaps_fw_maps(active), heat], dim=1).relu())
        told = told if depth is None else told + self.depthmaps_conv2(depth)
        return first + second + told, maps


def read(shares: torch.Tensor, depth: torch.Tensor | None, xy: SoftArgmax) -> torch.Tensor:
    """(N, J, dims + 1) of (N, J, H, W) probabilities and depth maps: places in 0..1, then the most in 2 × 2 pixels."""
    parts = [xy(shares), window_sum(shares)[..., None]]
    if depth is not None:
        parts.insert(1, (depth.float().sigmoid() * shares).sum(dim=(-2, -1))[..., None])
    return torch.cat(parts, dim=-1)


def replicate(model: nn.Module, kept: Container[str] = ()) -> None:
    """Let the actions' own heat maps begin as the poses' are, but for tensors that are ``kept``."""
    for name, module in model.named_modules():
        if isinstance(module, Pose) and module.replicated and f"{name}.{REPLICA}.weight" not in kept:
            getattr(module, REPLICA).load_state_dict(module.heatmaps_conv1.state_dict())
