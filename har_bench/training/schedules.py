"""How the learning rate goes over a training, and which parameters have which share of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import nn


def warmed_cosine(step: int, *, steps: int, epochs: int, warm: int) -> float:
    """The factor on the learning rate at a step, counted from 0: it changes from epoch to epoch.

    It rises by equal amounts in ``warm`` epochs, and falls from then on to 0 as a cosine does.

    >>> [round(warmed_cosine(step, steps=2, epochs=6, warm=2), 3) for step in range(0, 12, 2)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    epoch = step // steps
    if epoch < warm:
        return (epoch + 1) / warm
    return (1 + math.cos(math.pi * (epoch - warm) / max(epochs - warm, 1))) / 2


class Group(NamedTuple):
    """How one parameter is changed: a factor on the learning rate, and how much of it decays."""

    factor: float
    weight_decay: float


def grouped(
    parameters: Iterable[nn.Parameter],
    *,
    groups: Sequence[Group],
    made: Callable[..., torch.optim.Optimizer],
) -> torch.optim.Optimizer:
    """An optimiser in which each parameter is changed in its own way.

    Args:
        parameters: of a model, in its order.
        groups: of each.
        made: makes an optimiser of groups of parameters, with the learning rate before the factors.
    """
    together: dict[Group, list[nn.Parameter]] = {}
    for parameter, group in zip(parameters, groups, strict=True):
        together.setdefault(group, []).append(parameter)
    found = made([{"params": params, "weight_decay": group.weight_decay} for group, params in together.items()])
    for group, entry in zip(together, found.param_groups, strict=True):
        entry["lr"] *= group.factor
    return found
