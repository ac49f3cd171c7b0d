"""Batches of windows, and how the network's parameters are changed, as LART is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from har_bench import remote
from har_bench.errors import HarBenchError, unknown
from har_bench.training import Plan, Share, train
from har_bench.training.averaging import average, frozen
from har_bench.training.curves import History
from har_bench.training.schedules import Group, grouped, warmed_cosine

from .clips import Clips
from .losses import TERMS, UNKNOWN, Aim, Batch, idle, losses
from .network import NAME, Network
from .windows import Item, Windows, stacked

MEAN = "mean"
"""In a training, the moving average of the weights of the network that learns."""


class Ways(NamedTuple):
    """How the weights are changed.

    Attributes:
        warm: epochs in which the learning rate rises.
        weight_decay: of matrices.
        layer_decay: the learning rate of a layer beside the one above it.
        ema: of the moving average, which is what has been learnt; 0 is the last weights.
        quirks: LART's own code finds no layer to slow down.
    """

    warm: int
    weight_decay: float
    layer_decay: float
    ema: float
    quirks: bool = False


@dataclass(frozen=True)
class Feed:
    """An epoch's batches: every track once, in a new order, windows drawn anew.

    Attributes:
        clips: where they are read.
        windows: how they are cut.
        tracks: (row of the sequences, place among the people) of each example.
        columns: of the 80 actions, those that the network tells.
        batch: windows of a step, on all devices together.
        seed: with the epoch's number it fixes the order and the windows.
        kinetics: Kinetics' class of each film that has one.
    """

    clips: Clips
    windows: Windows
    tracks: Sequence[tuple[int, int]]
    columns: Sequence[int]
    batch: int
    seed: int
    kinetics: Mapping[str, int] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Batches of an epoch; what is left over is left out, unless there is no whole one."""
        return max(len(self.tracks) // self.batch, 1)

    def __call__(self, share: Share) -> Iterator[Batch]:
        """A process's part of every batch."""
        order = np.random.RandomState((self.seed, share.epoch)).permutation(len(self.tracks))
        for step in range(self.steps):
            which = order[step * self.batch : (step + 1) * self.batch][share.rank :: share.ranks]
            items = [self._item(int(each), share.epoch) for each in which]
            yield batched(items, self.columns, [self._class(int(each)) for each in which], share.device)

    def _class(self, which: int) -> int:
        video = self.clips.clip(self.tracks[which][0]).video
        return self.kinetics.get(video or "", UNKNOWN)

    def _item(self, which: int, epoch: int) -> Item:
        row, place = self.tracks[which]
        return self.windows.training(self.clips.clip(row), place, np.random.RandomState((self.seed, epoch, which)))


def batched(
    items: Sequence[Item], columns: Sequence[int], kinetics: Sequence[int], device: torch.device | None = None
) -> Batch:
    """A batch of windows and the classes of their films, as the losses take it."""
    labels = np.stack([item.labels[..., list(columns)] for item in items])
    has_gt, body = (np.stack([getattr(item, name) for item in items]) for name in ("has_gt", "body"))
    told = (torch.from_numpy(array).to(device) for array in (labels, has_gt, body, np.array(kinetics, np.int64)))
    return Batch(stacked(items, device), *told)


def groups(model: nn.ModuleDict, ways: Ways) -> list[Group]:
    """How each parameter of ``nn.ModuleDict({"lart": network, ...})`` is changed.

    Vectors do not decay. With ``layer_decay`` below 1 the heads learn at the full rate, each layer at that share of the
    one above it, and the encoders least; LART's own code finds no layer, and all learn at the full rate (``quirks``).
    """
    network = model[NAME]
    assert isinstance(network, Network)  # noqa: S101 - what was put there
    found = []
    for name, parameter in model.named_parameters():
        below = 0 if ways.quirks else _below(name.partition(".")[2], network.made.depth)
        found.append(Group(ways.layer_decay**below, ways.weight_decay if parameter.ndim > 1 else 0.0))
    return found


def _below(name: str, depth: int) -> int:
    """How many layers are above the parameter of that name: 0 for the heads."""
    if "_head" in name:
        return 0
    if name.startswith("transformer.layers."):
        return depth - int(name.split(".")[2])
    return depth + 1


def still(network: Network, names: tuple[str, ...]) -> list[nn.Parameter]:
    """The parameters whose names begin so, which from now on no gradient is asked for; those that were asked for."""
    stopped = [
        parameter
        for name, parameter in network.named_parameters()
        if name.startswith(names) and parameter.requires_grad
    ]
    for parameter in stopped:
        parameter.requires_grad_(False)
    return stopped


def adam(rate: float) -> Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]:
    """Makes LART's AdamW of some parameters, or of groups of them."""
    return partial(torch.optim.AdamW, lr=rate, betas=(0.9, 0.95))


def begun(network: Network, aim: Aim, *, smpl: str, kinetics: bool, fresh: bool) -> None:
    """Let the head of the body begin where SMPL's mean is, if a term of the loss needs it.

    Args:
        network: changed.
        aim: whose terms are asked for.
        smpl: smpl_mean_params.npz, or nothing.
        kinetics: whether some film has a class of Kinetics'.
        fresh: whether the weights are new ones.

    Raises:
        HarBenchError: an unknown term, or one that needs what is not there.
    """
    for term in aim.terms or ("",):
        if term not in TERMS:
            raise unknown("term of lart's loss", term, TERMS)
    if "kinetics" in aim.terms and not kinetics:
        raise HarBenchError(
            "the term kinetics needs the classes of the tracklets' films, and none is known; give Kinetics-400's csv "
            "(label, youtube_id) with --set kinetics="
        )
    if not any(term.startswith("pose") for term in aim.terms):
        return
    if smpl:
        network.body.begin_at(remote.fetch(smpl))
    elif fresh:
        raise HarBenchError(
            "the terms of the pose begin at SMPL's mean body, which its licence keeps with the body model; give "
            "smpl_mean_params.npz with --set smpl=, or leave them out: actions need no SMPL"
        )


def learn(network: Network, feed: Feed, aim: Aim, plan: Plan, ways: Ways, *, quiet: bool) -> tuple[Network, History]:
    """Train a network; what has been learnt, and the losses by epoch.

    Parameters that the loss does not reach get no gradient and stay as they are, so that several devices wait for none.
    """
    models = nn.ModuleDict({NAME: network})
    learnt = network
    if ways.ema:
        learnt = Network(network.made)
        learnt.load_state_dict(network.state_dict())
        models[MEAN] = frozen(learnt)
    stopped = still(network, idle(aim.terms))
    shares = groups(models, ways)
    warm = min(ways.warm, plan.epochs - 1)
    full = replace(
        plan,
        optimiser=partial(grouped, groups=shares, made=plan.optimiser),
        schedule=partial(warmed_cosine, steps=feed.steps, epochs=plan.epochs, warm=warm),
        steps=feed.steps,
        stepped=partial(average, of=NAME, into=MEAN, decay=ways.ema) if ways.ema else None,
    )
    history = train(models, feed, partial(losses, aim=aim), full, quiet=quiet)
    for parameter in (*stopped, *learnt.parameters()):
        parameter.requires_grad_(True)
    return learnt, history
