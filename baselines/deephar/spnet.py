"""SPNet: poses and actions refined through pyramids of scales.

D. Luvizon, D. Picard and H. Tabia, Multi-task Deep Learning for Real-Time 3D Human Pose Estimation and Action
Recognition, TPAMI 2020. Written from a specification and checked against the outputs of the original (MIT) program.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from torch import nn
from torch.nn import functional

from har_bench.errors import HarBenchError

from .action import Watched, seen_at
from .keras_names import layers_of
from .layers import Convolution, Network, Norm, doubled, global_max_min, max_min_pooled, pooled, unfolded
from .soft_argmax import SoftArgmax, channel_softmax
from .spnet_parts import Carried, Down, Entry, Maps, Pose, SPNetOptions, Up, read

LONG = 16
"""From how many frames on a clip is halved in time on the way."""


class Walked(NamedTuple):
    """All that a network says of a clip, as (N, T, ...), or of a picture, as (N, ...).

    Attributes:
        poses: places in 0..1 of the crop and how sure, after every block.
        actions: (N, classes) logits after every block that recognises actions; of several sets, one after the other.
        shares: each joint's probabilities over the image, as the actions look at it, in the same blocks.
        moving: the poses that the actions take, in the same blocks; with a replica, they are not those of ``poses``.
    """

    poses: list[torch.Tensor]
    actions: list[torch.Tensor]
    shares: list[torch.Tensor]
    moving: list[torch.Tensor]


class Action(nn.Module):
    """One prediction of actions, and features that know of it."""

    def __init__(self, options: SPNetOptions, level: int, *, first: bool, last: bool) -> None:
        super().__init__()
        pose, visual = options.pose_features, options.visual_features
        width, side = max(pose, visual), options.side(level)
        self.alpha = options.alpha
        self.xy2 = SoftArgmax(options.joints, side, side)
        self.action_p_conv0a = Convolution(options.dims, pose // 16, (3, 1))
        self.action_p_conv0b = Convolution(options.dims, pose // 8, (3, 3))
        self.action_p_conv0c = Convolution(options.dims, pose // 4, (3, 5))
        self.action_r1 = Carried(pose // 16 + pose // 8 + pose // 4, pose, 3, narrow=2)
        self.action_v_conv0 = Convolution(options.width(level), visual, 1)
        self.action_r2 = Carried(pose + visual + (0 if first else width), width, 3, narrow=4)
        self.action_pred_bn1 = Norm(width, factor=True)
        self.action_pred_conv1 = Convolution(width, width, 3)
        self.action_pred_bn2 = Norm(width, factor=True)
        self.heads = tuple(f"action_pred_conv2h{number}" for number in range(len(options.actions)))
        for name, classes in zip(self.heads, options.actions, strict=True):
            self.add_module(name, Convolution(width, classes, 3))
        self.last = last
        if not last:
            self.action_pred_conv3 = Convolution(sum(options.actions), width, 3)

    def forward(
        self, heat: torch.Tensor, depth: torch.Tensor | None, seen: torch.Tensor, before: torch.Tensor | None
    ) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """Features for the next block, logits, the joints' probabilities, and the poses that were taken.

        Args:
            heat: (N, T, J, H, W) maps.
            depth: depth maps of that shape.
            seen: (N, T, C, H, W) features.
            before: (N, C', T', J') features of the block before.
        """
        clip = heat.shape[:2]
        shares = channel_softmax(heat.flatten(0, 1), self.alpha)
        pose = unfolded(read(shares, None if depth is None else depth.flatten(0, 1), self.xy2), 0, clip)
        shares = unfolded(shares, 0, clip)
        moving = (pose[..., :-1] * pose[..., -1:]).permute(0, 3, 1, 2)
        kernels = (self.action_p_conv0a, self.action_p_conv0b, self.action_p_conv0c)
        parts = [
            shrunk(self.action_r1(torch.cat([kernel(moving) for kernel in kernels], dim=1))),
            shrunk(self.action_v_conv0(seen_at(shares, seen))),
        ]
        hidden = self.action_r2(torch.cat(parts if before is None else [*parts, before], dim=1))
        further = self.action_pred_conv1(self.action_pred_bn1(hidden).relu())
        active = self.action_pred_bn2(max_min_pooled(further)).relu()
        maps = [getattr(self, name)(active) for name in self.heads]
        if not self.last:
            hidden = hidden + further + self.action_pred_conv3(doubled(torch.cat(maps, dim=1)).relu())
        return hidden, [global_max_min(each) for each in maps], shares, pose


def shrunk(hidden: torch.Tensor) -> torch.Tensor:
    """(N, C, T, J), with zeros up to whole windows -> every other joint, and of long clips every other frame."""
    stride = 2 if hidden.shape[-2] >= LONG else 1
    frames, joints = -hidden.shape[-2] % (2 * stride), -hidden.shape[-1] % 4
    ends = (joints // 2, joints - joints // 2, frames // 2, frames - frames // 2)
    return pooled(functional.pad(hidden, ends), 2, (stride, 2))


class Pyramid(nn.Module):
    """The steps of one way down or up; the parts stand by the names of their layers."""

    def __init__(self, options: SPNetOptions, number: int, *, first_action: bool, last: bool) -> None:
        super().__init__()
        down, acts = number % 2 == 1, options.acts(number)
        self.levels = tuple(options.steps(number))
        width = max(options.pose_features, options.visual_features)
        for level in self.levels:
            resized: nn.Module = (Down if down else Up)(options, level)
            if acts and not (first_action and level == self.levels[0]):
                resized.add_module("action_r0", Carried(width, width, 3))
            self.add_module(f"du{level}" if down else f"uu{level}", resized)
            self.add_module(f"pb{level}", Pose(options, level, acts=acts, last=last and level == self.levels[-1]))
        self.prefix = "du" if down else "uu"

    def resize(self, level: int, hidden: torch.Tensor) -> torch.Tensor:
        """Features of the level before -> of this one."""
        found: torch.Tensor = getattr(self, f"{self.prefix}{level}")(hidden)
        return found

    def refresh(self, level: int, hidden: torch.Tensor | None) -> torch.Tensor | None:
        """Features of the action block before, for the one at this level; the first has none."""
        return None if hidden is None else getattr(self, f"{self.prefix}{level}").action_r0(hidden)

    def predict(self, level: int, hidden: torch.Tensor) -> tuple[torch.Tensor, Maps]:
        """The poses of a level."""
        found: tuple[torch.Tensor, Maps] = getattr(self, f"pb{level}")(hidden)
        return found


class SPNet(Network):
    """Poses of pictures, and poses and actions of clips, after every block."""

    def __init__(self, options: SPNetOptions) -> None:
        super().__init__()
        _check(options)
        self.options = options
        numbers = range(1, options.pyramids + 1)
        acting = [number for number in numbers if options.acts(number)]
        self.entry = Entry(options)
        self.pyramids = nn.ModuleList(
            Pyramid(options, number, first_action=acting[:1] == [number], last=number == numbers[-1])
            for number in numbers
        )
        levels = [level for number in acting for level in options.steps(number)]
        self.actions = nn.ModuleList(
            Action(options, level, first=at == 0, last=at == len(levels) - 1) for at, level in enumerate(levels)
        )

    def forward(self, images: torch.Tensor) -> Watched:
        """(N, 3, H, W) pictures or (N, T, 3, H, W) clips in -1..1 -> poses, and of clips the logits of actions."""
        walked = self.walk(images)
        return Watched(walked.poses, walked.actions)

    def poses(self, images: torch.Tensor, blocks: int = 0) -> list[torch.Tensor]:
        """(N, 3, H, W) pictures in -1..1 -> (N, J, 3 or 4) of every block: places in 0..1, then how sure."""
        return self.walk(images, blocks).poses

    def walk(self, images: torch.Tensor, blocks: int = 0) -> Walked:
        """All that the network says, with what an action looked at; ``blocks`` end it after so many, if it has more."""
        clip = images.shape[:-3]
        hidden = self.entry(images.flatten(0, -4))
        carried: dict[int, torch.Tensor] = {0: hidden}
        first: dict[int, torch.Tensor] = {0: hidden}
        acted: dict[int, torch.Tensor] = {}
        walked, state, acts = Walked([], [], [], []), None, iter(self.actions)
        pyramids = enumerate(cast("Iterable[Pyramid]", self.pyramids), 1)
        steps = [(number, pyramid, level) for number, pyramid in pyramids for level in pyramid.levels]
        for number, pyramid, level in steps[: blocks or None]:
            hidden = pyramid.resize(level, hidden)
            first.setdefault(level, hidden)
            hidden, maps = pyramid.predict(level, hidden + carried[level] if level in carried else hidden)
            carried[level] = hidden
            walked.poses.append(unfolded(maps.pose, 0, clip))
            if self.options.acts(number) and len(clip) > 1:
                before = pyramid.refresh(level, state)
                before = before + acted[level] if level in acted and before is not None else before
                state, logits, shares, moving = next(acts)(
                    unfolded(maps.heat, 0, clip),
                    None if maps.depth is None else unfolded(maps.depth, 0, clip),
                    unfolded(first[level], 0, clip),
                    before,
                )
                acted[level] = state
                walked.actions.extend(logits)
                walked.shares.append(shares)
                walked.moving.append(moving)
        return walked

    def groups(self) -> dict[str, list[nn.Module]]:
        """Every layer by its name in a Keras file."""
        parts: list[tuple[str, nn.Module]] = [("", self.entry)]
        parts += [
            (f"{'dp' if number % 2 else 'up'}{number}_", pyramid) for number, pyramid in enumerate(self.pyramids, 1)
        ]
        parts += [(f"act{number}_", action) for number, action in enumerate(self.actions, 1)]
        return {f"{prefix}{name}": [layer] for prefix, part in parts for name, layer in layers_of(part)}


def _check(options: SPNetOptions) -> None:
    wrong = [number for number in options.action_pyramids if not 1 <= number <= options.pyramids]
    if options.actions and wrong:
        raise HarBenchError(f"the pyramids are 1 to {options.pyramids}, and actions are asked of {wrong[0]}")
    if options.division < 8 or options.division & options.division - 1:
        raise HarBenchError(f"pictures become 8, 16, 32 ... times smaller, and not {options.division} times")
    if options.size % (options.division << options.levels - 1):
        raise HarBenchError(
            f"pictures of {options.size} pixels cannot be halved into {options.levels} levels; "
            f"give a multiple of {options.division << options.levels - 1}"
        )
