"""How the networks were trained, as configurations of the one trainer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Literal

import torch
from torch import nn

from har_bench.errors import HarBenchError, unknown

from .action import ActionOptions
from .architecture import Architecture
from .losses import Kind
from .published import ARCHITECTURES
from .reception import ReceptionOptions

Optimiser = Literal["rmsprop", "sgd"]

ANY = "any"
"""A part that learns from whatever store is given first."""

TINY_SIDE, TINY_FRAMES, TINY_EPOCHS, TINY_COUNT = 64, 8, 2, 4
"""What a tiny training has: a picture's side [px], frames of a clip, epochs, pictures of a step."""

SPLITS: Mapping[str, str] = MappingProxyType(
    {
        "mpii": "tompson/train",
        "h36m": "standard/train",
        "penn_action": "standard/train",
        "ntu60": "xsub/train",
        "ntu120": "xsub/train",
        "merl": "clips/train",
    }
)
"""What is learnt from, where no protocol says."""
USUAL_SPLIT = "train"


@dataclass(frozen=True)
class Part:
    """A dataset's share of a batch.

    Attributes:
        dataset: whose; without a number at its end, any of this name (ntu60, ntu120); :data:`ANY` is the first store.
        count: pictures, or clips, of a batch.
        augmentation: a name in :data:`har_bench.baselines.deephar.data.augmentation.AUGMENTATIONS`.
        clips: whether it is seen as clips, whose actions are learnt.
        every: frames of a sequence that are taken, one in so many; the original halved NTU's in time.
    """

    dataset: str
    count: int
    augmentation: str
    clips: bool = False
    every: int = 1


@dataclass(frozen=True)
class Recipe:
    """One training.

    Attributes:
        about: one line for `har-bench info`.
        network: a name in :data:`har_bench.baselines.deephar.published.ARCHITECTURES`.
        groups: parts that share a batch; groups take turns.
        optimiser: RMSprop as Keras has it, or SGD with Nesterov's momentum.
        rate: learning rate.
        epochs: passes over the first part of each group.
        drops: the epochs, from 0, from which on the rate is multiplied by a factor.
        momentum: of SGD.
        frozen: epochs at the beginning in which only what recognises actions learns, from clips alone.
        joint_rate: the learning rate after them, where it is another one.
        pose: the loss of coordinates; none where poses are not learnt.
        action: the weight of the actions' loss.
        frames: of a clip.
        patience: epochs without a better number, where something is measured after each, after which it ends; 0 is
            never.
    """

    about: str
    network: str
    groups: tuple[tuple[Part, ...], ...]
    optimiser: Optimiser = "rmsprop"
    rate: float = 1e-3
    epochs: int = 60
    drops: Mapping[int, float] = field(default_factory=dict)
    momentum: float = 0.9
    frozen: int = 0
    joint_rate: float | None = None
    pose: Kind | None = "l1l2bincross"
    action: float = 0.0
    frames: int = 8
    patience: int = 0

    @property
    def acts(self) -> bool:
        """Whether actions are learnt."""
        return any(part.clips for part in self.parts)

    @property
    def parts(self) -> list[Part]:
        """All of them, group by group."""
        return [part for group in self.groups for part in group]

    def factor(self, epoch: int) -> float:
        """What the learning rate is multiplied by in an epoch, from 0."""
        found = 1.0
        if self.joint_rate is not None and epoch >= self.frozen:
            found = self.joint_rate / self.rate
        for since, drop in self.drops.items():
            found *= drop if epoch >= since else 1.0
        return found

    def made(self) -> Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]:
        """Makes the optimiser of the parameters."""
        if self.optimiser == "sgd":
            return partial(torch.optim.SGD, lr=self.rate, momentum=self.momentum, nesterov=True)
        return partial(torch.optim.RMSprop, lr=self.rate, alpha=0.9, eps=1e-7)

    def lasting(self, epochs: int) -> Recipe:
        """The same with so many epochs; what happens in between happens in proportion, but not before the second."""

        def moved(epoch: int) -> int:
            return max(round(epoch * epochs / self.epochs), 1)

        drops = {moved(since): drop for since, drop in self.drops.items()}
        return replace(self, epochs=epochs, drops=drops, frozen=moved(self.frozen) if self.frozen else 0)

    def tiny(self, epochs: int = TINY_EPOCHS) -> Recipe:
        """The same turns, stages and losses with batches and epochs for a try."""
        groups = tuple(
            tuple(replace(part, count=min(TINY_COUNT // 2, part.count)) for part in group) for group in self.groups
        )
        return replace(self.lasting(epochs), groups=groups, frames=TINY_FRAMES)

    def architecture(self, *, tiny: bool = False, name: str = "", classes: Sequence[int] = ()) -> Architecture:
        """The network that it trains.

        Args:
            tiny: with as little as it can have.
            name: another published one.
            classes: how many actions there are in every set that it recognises.

        Raises:
            HarBenchError: there is no network of that name.
        """
        chosen = name or self.network
        if chosen not in ARCHITECTURES:
            raise unknown("network of deephar", chosen, ARCHITECTURES)
        found = ARCHITECTURES[chosen]
        return with_classes(smaller(found) if tiny else found, classes)


def smaller(of: Architecture) -> Architecture:
    """The smallest network of the same kind that pictures of 64 pixels go through."""
    if of.spnet is not None:
        acting = of.spnet.action_pyramids and (1, 2)
        shape = replace(of.spnet, size=TINY_SIDE, pyramids=2, levels=2, kernel=3, action_pyramids=acting)
        return replace(of, spnet=replace(shape, growth=16, pose_features=32, visual_features=32))
    options = of.reception or ReceptionOptions()
    return replace(of, reception=replace(options, blocks=1, kernel=3, size=TINY_SIDE, depths=min(options.depths, 4)))


def with_classes(of: Architecture, classes: Sequence[int]) -> Architecture:
    """The same network with heads for so many actions in every set; unchanged without any.

    Raises:
        HarBenchError: it has heads for one set alone.
    """
    if not classes:
        return of
    if of.spnet is not None:
        last = of.spnet.pyramids
        acting = of.spnet.action_pyramids or tuple(range(max(last - 1, 1), last + 1))
        return replace(of, spnet=replace(of.spnet, actions=tuple(classes), action_pyramids=acting))
    if len(classes) > 1:
        raise HarBenchError(
            f"the network of 2018 tells one set of actions, and there are {len(classes)}; "
            "give --set architecture=spnet_penn_train, or weights of SPNet with --init"
        )
    options = of.reception or ReceptionOptions()
    heads = of.heads or ActionOptions(classes[0], dims=options.dims, channels=options.channels)
    return replace(of, heads=replace(heads, actions=classes[0]))


def without_actions(of: Architecture) -> Architecture:
    """The same network for poses alone."""
    spnet = None if of.spnet is None else replace(of.spnet, actions=(), action_pyramids=(), replica=False)
    return replace(of, heads=None, spnet=spnet)


MPII_24 = ((Part("mpii", 24, "mpii"),),)

CLIP = 16
"""Frames of the merge model's clips."""


def _in_boxes(whose: str, dataset: str) -> Recipe:
    return Recipe(
        f"2D poses of {whose}'s people in their boxes; the rate to nine tenths at 10 and 100",
        "mpii_2d",
        ((Part(dataset, 24, "none"),),),
        epochs=120,
        drops={10: 0.9, 100: 0.9},
    )


def _heads(whose: str, part: Part, frames: int = Recipe.frames, patience: int = 0) -> Recipe:
    return Recipe(
        f"actions of {whose} from all heads of the network of 2018; --init gives the rest of it",
        "penn_merge",
        ((part,),),
        optimiser="sgd",
        epochs=80,
        momentum=0.95,
        pose=None,
        action=1.0,
        frames=frames,
        patience=patience,
    )


NTU_CLIPS = Part("ntu", 4, "ntu-clips", clips=True, every=2)

PENN = Recipe(
    "2D poses of MPII and actions of Penn Action in turns; the poses frozen for two epochs",
    "spnet_penn_train",
    ((Part("mpii", 32, "mpii"),), (Part("penn_action", 4, "penn-clips", clips=True),)),
    epochs=30,
    drops={15: 0.1, 25: 0.1},
    frozen=2,
    action=0.01,
)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "mpii": Recipe(
            "2D poses of MPII: 120 epochs, the rate to a fifth at 80 and 100",
            "mpii_2d",
            MPII_24,
            epochs=120,
            drops={80: 0.2, 100: 0.2},
        ),
        "mixed": Recipe(
            "3D poses of MPII, Human3.6M, Penn Action and NTU, mixed 14 : 14 : 2 : 2 in every batch",
            "spnet_pose3d",
            ((Part("mpii", 14, "mpii"), Part("h36m", 14, "h36m", every=5), Part("penn_action", 2, "penn"),
              Part("ntu", 2, "ntu", every=2)),),
        ),
        "penn": PENN,
        "penn-ntu": replace(
            PENN,
            about="2D poses of MPII, and actions of Penn Action and of NTU with heads of their own, in turns",
            groups=(*PENN.groups, (NTU_CLIPS,)),
        ),
        "ntu": Recipe(
            "3D poses and actions of NTU in turns; the poses frozen for twenty epochs",
            "spnet_ntu",
            ((Part("ntu", 32, "ntu", every=2),), (NTU_CLIPS,)),
            optimiser="sgd",
            rate=0.01,
            epochs=90,
            drops={58: 0.1, 70: 0.1},
            frozen=20,
            joint_rate=1e-3,
            action=0.1,
        ),
        "penn-merge": _heads("Penn Action", Part("penn_action", 4, "penn-merge", clips=True), CLIP),
        "coco": _in_boxes("COCO", "coco"),
        "merl": _in_boxes("MERL", "merl"),
        "merl-actions": _heads("MERL's clips", Part("merl", 4, "none", clips=True), patience=10),
        "actions": _heads("any store", Part(ANY, 4, "penn-merge", clips=True), CLIP),
    }
)  # fmt: skip
"""By name."""

USUAL: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("mpii", "pose"): "mpii",
        ("h36m", "pose"): "mixed",
        ("coco", ""): "coco",
        ("merl", ""): "merl",
        ("penn_action", "clip-classification"): "penn-merge",
        ("ntu60", "clip-classification"): "ntu",
        ("ntu120", "clip-classification"): "ntu",
    }
)
"""The recipe for a dataset and a protocol's task, or without a protocol, where none is named."""
