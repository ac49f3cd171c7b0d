"""The network of CVPR 2018 for poses: a stem, then blocks that each predict and look again.

D. Luvizon, D. Picard and H. Tabia, 2D/3D Pose Estimation and Action Recognition using Multitask Deep Learning,
CVPR 2018.
Written from a specification and checked against the outputs of the original (MIT) program.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, cast

import torch
from torch import nn

from .layers import Convolution, Network, Size, Unit, doubled, halved, pooled, unfolded
from .soft_argmax import DepthArgmax, SoftArgmax, Variant, Votes, channel_softmax, sureness


@dataclass(frozen=True)
class ReceptionOptions:
    """What defines a network.

    Attributes:
        joints: how many.
        depths: depth maps for every joint; none for poses in the image.
        blocks: how many times it predicts.
        context: maps beside each joint's own that vote for it, in the image only.
        kernel: the side of the blocks' kernels.
        variant: which branch of the original program; the published weights are of cvpr18.
        old_stem: the narrower stem that no published file has.
        size: the side of its pictures [px].
    """

    joints: int = 16
    depths: int = 0
    blocks: int = 8
    context: int = 2
    kernel: int = 5
    variant: Variant = "cvpr18"
    old_stem: bool = False
    size: int = 256

    @property
    def dims(self) -> int:
        """Of a place: 2, or 3 with depth maps."""
        return 3 if self.depths else 2

    @property
    def maps(self) -> int:
        """Of each block: the joints' own and their contexts', or one for every depth."""
        return self.joints * (self.depths or 1 + self.context)

    @property
    def channels(self) -> int:
        """Between the blocks."""
        return 512 if self.old_stem else 576


class Residual(Unit):
    """A separable unit around which the features are carried."""

    LISTED: ClassVar = ("shortcut", "conv", "norm")

    def __init__(self, inside: int, outside: int, kernel: Size) -> None:
        super().__init__(inside, outside, kernel, before=True, separable=True)
        self.shortcut: nn.Module = nn.Identity() if inside == outside else Unit(inside, outside, 1, before=True)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C', H, W)."""
        found: torch.Tensor = self.shortcut(hidden) + super().forward(hidden)
        return found

    def layers(self, name: str) -> dict[str, list[nn.Module]]:
        """The layers by the name of each in a Keras file where they stand alone, in no group."""
        carried = self.shortcut
        layers = {"_conv": self.conv, "": self.norm}
        if isinstance(carried, Unit):
            layers = {"_shortcut_conv": carried.conv, "_conv": self.conv, "_shortcut": carried.norm, "": self.norm}
        return {f"{name}{rest}": [layer] for rest, layer in layers.items()}


class Stem(nn.Module):
    """(N, 3, H, W) pictures -> (N, 384 or 576, H / 8, W / 8) features; the old one lacks a convolution and its end."""

    LISTED: ClassVar = (
        *("conv1", "conv2", "conv3", "conv4", "cross.0", "cross.1", "square.0", "cross.2", "square.1", "cross.3"),
        *("conv11", "sepconv1"),
    )

    def __init__(self, *, old: bool) -> None:
        super().__init__()
        self.conv1 = Unit(3, 32, 3, stride=2, after=True)
        self.conv2 = nn.Identity() if old else Unit(32, 32, 3, after=True)
        self.conv3 = Unit(32, 64, 3, after=True)
        self.conv4 = Unit(64, 32 if old else 96, 3, stride=2, after=True)
        width = 64 + self.conv4.norm.num_features
        self.square = nn.Sequential(Unit(width, 64, 1, after=True), Unit(64, 96, 3))
        self.cross = nn.Sequential(
            Unit(width, 64, 1, after=True),
            Unit(64, 64, (5, 1), after=True),
            Unit(64, 64, (1, 5), after=True),
            Unit(64, 96, 3),
        )
        self.conv11 = Unit(192, 192, 3, stride=2, before=True)
        self.sepconv1 = nn.Identity() if old else Residual(384, 576, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """What the blocks look at."""
        hidden = self.conv3(self.conv2(self.conv1(images)))
        hidden = torch.cat([self.conv4(hidden), pooled(hidden, 3)], dim=1)
        hidden = torch.cat([self.square(hidden), self.cross(hidden)], dim=1)
        found: torch.Tensor = self.sepconv1(torch.cat([self.conv11(hidden), halved(hidden)], dim=1))
        return found


class Scales(nn.Module):
    """Features at three scales, each added to the one above."""

    LISTED: ClassVar = (
        *("narrow", "sepconv_l2_1", "sepconv_l3_1", "sepconv_l3_2", "sepconv_l3_3", "sepconv_l2_2", "sepconv_l2_3"),
        "sepconv_l1",
    )

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        half = channels // 2
        self.sepconv_l1 = Residual(channels, channels, kernel)
        self.narrow = Unit(channels, half, 1, before=True)
        self.sepconv_l2_1 = Residual(half, half, kernel)
        self.sepconv_l2_2 = Residual(half, half, kernel)
        self.sepconv_l3_1 = Residual(half, half, kernel)
        self.sepconv_l3_2 = Residual(half, half, kernel)
        self.sepconv_l3_3 = Residual(half, half, kernel)
        self.sepconv_l2_3 = Residual(half, channels, kernel)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        low = self.sepconv_l2_1(self.narrow(halved(hidden)))
        lowest = self.sepconv_l3_3(self.sepconv_l3_2(self.sepconv_l3_1(halved(low))))
        low = self.sepconv_l2_3(self.sepconv_l2_2(low) + doubled(lowest))
        found: torch.Tensor = self.sepconv_l1(hidden) + doubled(low)
        return found


class Activated(nn.Sequential):
    """A convolution of what is positive."""

    def __init__(self, inside: int, outside: int, kernel: Size) -> None:
        super().__init__(nn.ReLU(), Convolution(inside, outside, kernel))


class Block(nn.Module):
    """Maps of features, and features that know of the maps; the last block of a network predicts only."""

    def __init__(self, options: ReceptionOptions, *, last: bool) -> None:
        super().__init__()
        channels = options.channels
        self.separable = Unit(channels, channels, options.kernel, before=True, separable=True)
        self.maps = Activated(channels, options.maps, 1)
        self.again: nn.Module | None = None if last else Unit(options.maps, channels, 1, before=True)

    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, C, H, W) features -> those of the next block, and (N, M, H, W) maps."""
        seen = self.separable(hidden)
        maps = self.maps(seen)
        return (hidden if self.again is None else hidden + seen + self.again(maps)), maps

    def parts(self) -> dict[str, nn.Module]:
        """The parts by what Keras files call them, without the block's number."""
        found: dict[str, nn.Module] = {"SepConv": self.separable, "RegMap": self.maps}
        return found if self.again is None else found | {"fReMap": self.again}


class Reading(NamedTuple):
    """What is read off the maps of one block.

    Attributes:
        places: (N, J, 2 or 3) in 0..1 of the crop.
        sure: (N, J, 1) how visible each is.
        shares: (N, J, H, W) probabilities over the image.
    """

    places: torch.Tensor
    sure: torch.Tensor
    shares: torch.Tensor

    @property
    def pose(self) -> torch.Tensor:
        """(N, J, 3 or 4) places and how visible they are."""
        return torch.cat([self.places, self.sure], dim=-1)


class Reader(nn.Module):
    """Reads poses off maps: with votes of their context in the image, along the depth maps in space.

    Args:
        options: the network's.
        sharper: by what the joints' own maps are multiplied before it is said how visible a joint is, and in space the
            sums of their maxima.
    """

    def __init__(self, options: ReceptionOptions, sharper: float = 1.0) -> None:
        super().__init__()
        self.options, self.sharper = options, sharper
        side = options.size // 8
        self.places = SoftArgmax(options.joints, side, side)
        if options.depths:
            self.depth = DepthArgmax(options.joints, options.depths, options.variant)
        elif options.context:
            self.context = SoftArgmax(options.joints * options.context, side, side)
            self.votes = Votes(options.joints, options.context)

    def forward(self, maps: torch.Tensor) -> Reading:
        """(N, M, H, W) maps -> a pose."""
        return self._in_space(maps) if self.options.depths else self._in_image(maps)

    def _in_image(self, maps: torch.Tensor) -> Reading:
        own, around = maps[:, : self.options.joints], maps[:, self.options.joints :]
        shares = channel_softmax(own)
        places = self.places(shares)
        variant = self.options.variant
        if self.options.context:
            context = self.context(channel_softmax(around))
            places = self.votes(places, context, sureness(around, variant))
        return Reading(places, sureness(self.sharper * own, variant)[..., None], shares)

    def _in_space(self, maps: torch.Tensor) -> Reading:
        deep = unfolded(maps, 1, (self.options.depths, self.options.joints)).float()  # (N, D, J, H, W)
        flat, along = deep.mean(dim=1), deep.mean(dim=(-2, -1)).transpose(1, 2)
        shares = channel_softmax(flat)
        places = torch.cat([self.places(shares), self.depth(along)[..., None]], dim=-1)
        sure = (self.sharper * (flat.amax(dim=(-2, -1)) + along.amax(dim=-1))).sigmoid()
        return Reading(places, sure[..., None], shares)

    def groups(self) -> dict[str, list[nn.Module]]:
        """The frozen kernels by the name of their group in a Keras file."""
        found: dict[str, list[nn.Module]] = {"sSAM": [self.places]}
        if self.options.depths:
            return found | {"zSAM": [self.depth]}
        return found | {"cSAM": [self.context], "Agg": [self.votes]} if self.options.context else found


class Trunk(nn.Module):
    """From pictures to the maps of every block."""

    def __init__(self, options: ReceptionOptions) -> None:
        super().__init__()
        self.options = options
        self.stem = Stem(old=options.old_stem)
        self.sepconv1 = Residual(384, options.channels, 3) if options.old_stem else nn.Identity()
        self.scales = nn.ModuleList(Scales(options.channels, options.kernel) for _ in range(options.blocks))
        self.blocks = nn.ModuleList(Block(options, last=block == options.blocks - 1) for block in range(options.blocks))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) pictures -> (N, C, H / 8, W / 8) of the first block, which actions are recognised by."""
        found: torch.Tensor = self.scales[0](self.sepconv1(self.stem(images)))
        return found

    def forward(self, features: torch.Tensor, blocks: int = 0) -> list[torch.Tensor]:
        """(N, M, H / 8, W / 8) maps of every block, of :meth:`features`; ``blocks`` are the first so many."""
        found = []
        parts = list(zip(self.scales, self.blocks, strict=True))
        for number, (scales, block) in enumerate(parts[: blocks or None]):
            features, maps = block(scales(features) if number else features)
            found.append(maps)
        return found

    def groups(self) -> dict[str, list[nn.Module]]:
        """The parts by the name of their group in a Keras file, in the order of the file."""
        found: dict[str, list[nn.Module]] = {"Stem": [self.stem]}
        if isinstance(self.sepconv1, Residual):
            found |= self.sepconv1.layers("sepconv1")
        blocks = cast("Iterable[Block]", self.blocks)
        for number, (scales, block) in enumerate(zip(self.scales, blocks, strict=True), 1):
            found[f"rBlock{number}"] = [scales]
            found |= {f"{name}{number}": [part] for name, part in block.parts().items()}
        return found


class Reception(Network):
    """Poses of pictures, one after every block."""

    def __init__(self, options: ReceptionOptions) -> None:
        super().__init__()
        self.options = options
        self.trunk = Trunk(options)
        self.reader = Reader(options)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The poses of pictures."""
        return self.poses(images)

    def poses(self, images: torch.Tensor, blocks: int = 0) -> list[torch.Tensor]:
        """(N, 3, H, W) pictures in -1..1 -> (N, J, 3 or 4) of every block: places in 0..1, then how visible."""
        return [self.reader(maps).pose for maps in self.trunk(self.trunk.features(images), blocks)]

    def groups(self) -> dict[str, list[nn.Module]]:
        """The parts by the name of their group in a Keras file, in the order of the file."""
        return self.trunk.groups() | self.reader.groups()
