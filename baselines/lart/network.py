"""LART's network (Rajasegaran et al., CVPR 2023) under the names of its released weights.

A token is one person in one frame: a SMPL body, and, if the configuration has them, its joints in space and a feature
of a film network. Tokens of up to five people and 125 frames attend to each other, and each gives its own actions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from har_bench.errors import HarBenchError

from .heads import BodyHead

NAME = "lart"
"""The network in a training, and in our own files."""

POSE, JOINTS = 229, 135
HIERA, MVIT = 2048, 1152
"""Numbers of an appearance feature: of the released tracklets, and of the published demo."""

ROOM = (250, 10)
"""Frames and people that the table of positions has rows for."""

ACTIONS, KINETICS = 60, 400
_BASE = 10000.0
_WAVES = 4
"""A position is a sine and a cosine of a frame and of a person."""

_CONVOLUTION = 7


class Layers(NamedTuple):
    """Widths of an encoder: what goes in, between, and what comes out."""

    inside: int
    between: int
    outside: int


_POSE, _JOINTS, _APPEARANCE = Layers(POSE, POSE, 128), Layers(JOINTS, 256, 128), Layers(HIERA, 512, 256)


@dataclass(frozen=True)
class Architecture:
    """What defines the network.

    Attributes:
        pose, joints, appearance: the encoders of a token's parts, one after the other in it; None is left out.
        depth, heads, head, hidden: of the transformer: its layers, their heads, a head's width, and the MLPs' width.
        dropout: in attention's output and the MLPs.
        drop_path: how often a sample passes a branch of a layer by, in training.
        actions: how many are told.
        body: whether the head is there that tells a SMPL body again from a token.
    """

    pose: Layers = _POSE
    joints: Layers | None = _JOINTS
    appearance: Layers | None = _APPEARANCE
    depth: int = 16
    heads: int = 16
    head: int = 64
    hidden: int = 512
    dropout: float = 0.1
    drop_path: float = 0.4
    actions: int = ACTIONS
    body: bool = True

    def __post_init__(self) -> None:
        """Refuse widths that no network has.

        Raises:
            HarBenchError: a layer of nothing, or tokens that the table of positions does not fill.
        """
        parts = [part for part in (self.pose, self.joints, self.appearance) if part is not None]
        if min(map(min, parts)) < 1 or self.width % _WAVES:
            raise HarBenchError(
                f"lart's encoders give {'+'.join(str(part.outside) for part in parts)}, {self.width} numbers a token; "
                f"give widths and between of 1 or more, whose tokens are a multiple of {_WAVES}"
            )

    @property
    def width(self) -> int:
        """Of a token."""
        return sum(part.outside for part in (self.pose, self.joints, self.appearance) if part is not None)


RELEASED = {
    "hiera": Architecture(),
    "mvit": Architecture(appearance=Layers(MVIT, 512, 256)),
    "pose": Architecture(joints=None, appearance=None),
}
"""The published configurations: with features of Hiera and of MViT, and with poses only."""


class Inputs(NamedTuple):
    """A batch of windows.

    Attributes:
        pose: (B, T, P, 229) SMPL bodies, of which the mean was taken away and which were divided by the deviation.
        detected: (B, T, P) where there is somebody.
        joints: (B, T, P, 135) joints in the camera's frame [m].
        appearance: (B, T, P, D) features.
    """

    pose: torch.Tensor
    detected: torch.Tensor
    joints: torch.Tensor | None = None
    appearance: torch.Tensor | None = None

    def to(self, device: torch.device) -> Inputs:
        """The same on a device."""
        parts = (None if part is None else part.to(device) for part in (self.joints, self.appearance))
        return Inputs(self.pose.to(device), self.detected.to(device), *parts)


class Masks(NamedTuple):
    """Which tokens the network does not see.

    Attributes:
        hidden: (B, T, P) tokens that become the mask token, and that none attends to.
        seen: (B, T, P) tokens that may attend to each other at all, or None where all may.
    """

    hidden: torch.Tensor
    seen: torch.Tensor | None


class Attention(nn.Module):
    """Every token from all others that it may see."""

    def __init__(self, width: int, made: Architecture) -> None:
        super().__init__()
        inner = made.heads * made.head
        self.heads = made.heads
        self.to_qkv = nn.Linear(width, 3 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, width), nn.Dropout(made.dropout))

    def forward(self, tokens: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """(B, N, D) tokens, of which ``allowed`` (B, 1, N or 1, N) says what each may take from.

        LART sets the scores of all others to -1000: a token that may take from none takes from all alike.
        """
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.to_qkv(tokens).chunk(3, -1)
        )
        none = ~allowed.any(dim=-1, keepdim=True)
        query = query.masked_fill(none, 0)
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed | none)
        mixed: torch.Tensor = self.to_out(found.transpose(1, 2).flatten(2))
        return mixed


class FeedForward(nn.Module):
    """Two layers with a GELU between them."""

    def __init__(self, width: int, made: Architecture) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(width, made.hidden),
            nn.GELU(),
            nn.Dropout(made.dropout),
            nn.Linear(made.hidden, width),
            nn.Dropout(made.dropout),
        )

    def forward(self, tokens: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        """(B, N, D) tokens, each by itself."""
        found: torch.Tensor = self.net(tokens)
        return found


class Branch(nn.Module):
    """What is added to the tokens: a norm, and a function of it; in training some samples pass it by."""

    def __init__(self, width: int, function: nn.Module, drop: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = function
        self.drop = drop

    def forward(self, tokens: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """(B, N, D) tokens after the layer."""
        found: torch.Tensor = self.fn(self.norm(tokens), allowed)
        if self.training and self.drop:
            keep = 1 - self.drop
            found = found * found.new_empty(len(found), 1, 1).bernoulli_(keep) / keep
        return tokens + found


class Transformer(nn.Module):
    """Layers of attention and MLP; no norm at the end."""

    def __init__(self, width: int, made: Architecture) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(Branch(width, function(width, made), made.drop_path) for function in (Attention, FeedForward))
            for _ in range(made.depth)
        )

    def forward(self, tokens: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """(B, N, D) -> (B, N, D)."""
        for layer in self.layers:
            for branch in layer:  # type: ignore[attr-defined]  # of a ModuleList of ModuleLists
                tokens = branch(tokens, allowed)
        return tokens


class Network(nn.Module):
    """Tokens in, and out of them tokens that know of each other; heads that tell actions, places and bodies."""

    pe: torch.Tensor

    def __init__(self, made: Architecture) -> None:
        super().__init__()
        width = made.width
        self.made = made
        self.mask_token = nn.Parameter(torch.randn(width))
        self.class_token = nn.Parameter(torch.randn(1, 1, width))
        self.pos_embedding = nn.Parameter(position_table(width))
        self.register_buffer("pe", position_table(width))
        self.transformer = Transformer(width, made)
        self.conv_en = nn.Conv1d(width, width, _CONVOLUTION)  # nothing uses these two, and the released files have them
        self.conv_de = nn.Conv1d(width, width, _CONVOLUTION)
        self.pose_shape_encoder = nn.Sequential(
            nn.Linear(made.pose.inside, made.pose.between), nn.ReLU(), nn.Linear(made.pose.between, made.pose.outside)
        )
        if made.body:
            self.smpl_head = nn.ModuleList([BodyHead(width)])
        self.loca_head = nn.ModuleList([perceptron(width, width, width, 3)])
        self.action_head_ava = nn.ModuleList([nn.Sequential(nn.Linear(width, made.actions))])
        self.action_head_kinetics = perceptron(width, width, width, KINETICS)
        if made.joints is not None:
            self.joint_encoder = _encoder(made.joints)
        if made.appearance is not None:
            self.apperance_encoder = _encoder(made.appearance)

    def tokens(self, inputs: Inputs, hidden: torch.Tensor) -> torch.Tensor:
        """(B, T * P, D) what the transformer gets: encoded, hidden ones replaced, and with their positions."""
        parts = [self.pose_shape_encoder(inputs.pose)]
        for part, name in ((inputs.joints, "joint_encoder"), (inputs.appearance, "apperance_encoder")):
            if hasattr(self, name):
                parts.append(getattr(self, name)(part))
        joined = torch.where(hidden[..., None], self.mask_token, torch.cat(parts, dim=-1))
        frames, people = joined.shape[1:3]
        return (joined + self.pos_embedding[:, :frames, :people].permute(1, 2, 0)).flatten(1, 2)

    def forward(self, inputs: Inputs, masks: Masks) -> torch.Tensor:
        """(B, P + T * P, D): the class token of every person, which is a constant, and then the tokens."""
        allowed = ~masks.hidden.flatten(1)[:, None, None, :]
        if masks.seen is not None:
            seen = masks.seen.flatten(1)
            allowed = allowed & seen[:, None, None, :] & seen[:, None, :, None]
        found = self.transformer(self.tokens(inputs, masks.hidden), allowed)
        people = inputs.pose.shape[2]
        return torch.cat([self.class_token.expand(len(found), people, -1), found], dim=1)

    def actions(self, output: torch.Tensor, people: int) -> torch.Tensor:
        """(B, T, P, C) logits of the actions, of what :meth:`forward` gave."""
        found: torch.Tensor = self.action_head_ava[0](output[:, people:])
        return found.reshape(len(found), -1, people, found.shape[-1])

    def places(self, output: torch.Tensor, people: int) -> torch.Tensor:
        """(B, T, P, 3) the camera of every token's body."""
        found: torch.Tensor = self.loca_head[0](output[:, people:])
        return found.reshape(len(found), -1, people, found.shape[-1])

    @property
    def body(self) -> BodyHead:
        """The head that tells a body."""
        head = self.smpl_head[0]
        assert isinstance(head, BodyHead)  # noqa: S101 - it was put there
        return head

    def kinetics(self, output: torch.Tensor, people: int) -> torch.Tensor:
        """(B, P, 400) logits of Kinetics' classes: of the class token, and so the same for whatever was seen."""
        found: torch.Tensor = self.action_head_kinetics(output[:, :people])
        return found


def _encoder(layers: Layers) -> nn.Sequential:
    return perceptron(layers.inside, layers.between, layers.between, layers.outside)


def perceptron(inside: int, first: int, second: int, outside: int) -> nn.Sequential:
    """Three layers with a ReLU between each two."""
    return nn.Sequential(
        nn.Linear(inside, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, outside)
    )


def position_table(width: int) -> torch.Tensor:
    """(D, 250, 10) where the table of positions begins: half of the channels tell the person, half the frame.

    >>> position_table(8)[:, 2, 1].tolist() == position_table(8)[:, 2, 1].tolist()
    True
    """
    half = width // 2
    rates = torch.exp(torch.arange(0, half, 2) * (-math.log(_BASE) / half))
    frames, people = (torch.arange(length)[:, None] * rates for length in ROOM)
    waves = [torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).T for angles in (people, frames)]
    table = torch.empty(2 * half, *ROOM)
    table[:half] = waves[0][:, None, :]
    table[half:] = waves[1][:, :, None]
    return table


def zero_masks(detected: torch.Tensor, given: torch.Tensor | None = None) -> Masks:
    """The masks of testing: hidden is who was not detected, and what is ``given`` besides (B, T, P)."""
    return Masks(~detected if given is None else ~detected | given, None)


def random_masks(detected: torch.Tensor, ratio: float = 0.4) -> Masks:
    """The masks of training: of each sample's detected tokens so many, drawn by torch's random state, are hidden."""
    hidden = torch.zeros_like(detected)
    for sample, there in zip(hidden.view(len(hidden), -1), detected.reshape(len(detected), -1), strict=True):
        places = there.nonzero()[:, 0]
        drawn = torch.randperm(len(places))[: int(ratio * len(places))]
        sample[places[drawn.to(places.device)]] = True
    return Masks(hidden, detected)
