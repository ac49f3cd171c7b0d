"""What a training is: a plan of epochs and steps, and which part of it a process has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from har_bench.devices import Precision
from har_bench.training.curves import Better

Losses = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Plateau:
    """What is done where the numbers of ``evaluated`` become no better: on from the best weights, more slowly.

    Attributes:
        epochs: without a better number, after which it is done, and again after as many more.
        factor: what the learning rate is multiplied by each time.
    """

    epochs: int
    factor: float = 0.1


@dataclass(frozen=True)
class Share:
    """Which part of the batches of an epoch a process takes.

    Attributes:
        epoch: from 0.
        rank: of this process.
        ranks: how many there are.
        device: where the batches should be.
    """

    epoch: int
    rank: int
    ranks: int
    device: torch.device


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        epochs: passes over the data.
        seed: with an epoch's number it fixes everything random in it.
        optimiser: makes the optimiser of the parameters.
        decay: factor on the learning rate after each epoch.
        schedule: factor on the learning rate when so many steps are done, in the place of ``decay``.
        device: such as ``cpu``, ``cuda``; the best one there is by default.
        devices: how many of them.
        precision: of the forward and backward passes.
        compiled: compile the model first.
        folder: where checkpoints go and are looked for, and the losses by epoch in ``curves.csv`` and ``curves.png``;
            nowhere by default.
        identity: what tells this training from others; a checkpoint of another one is refused.
        loose: the names in it that may become others while a training is not finished, such as the size of a batch that
            did not fit into the memory.
        steps: how many batches an epoch has, for the time that is left; 0 where that is not known.
        clip: the longest that a step's gradient, as one vector, may be; longer ones are shortened. 0 is any length.
        stepped: called with the model after every step, as for a moving average of its weights.
        better: which of the first numbers of ``evaluated`` is better.
        patience: after how many epochs without a better one the training ends; 0 is never.
        plateau: when the learning rate falls; it does not by default.
    """

    epochs: int
    seed: int
    optimiser: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    decay: float = 1.0
    schedule: Callable[[int], float] | None = None
    device: str = ""
    devices: int = 1
    precision: Precision = "float32"
    compiled: bool = False
    folder: Path | None = None
    identity: Mapping[str, Any] | None = None
    loose: tuple[str, ...] = ()
    steps: int = 0
    clip: float = 0.0
    stepped: Callable[[Any], None] | None = None
    better: Better = "lower"
    patience: int = 0
    plateau: Plateau | None = None

    @property
    def waits(self) -> bool:
        """Whether the training looks at what is evaluated; it then leaves the model as after its best epoch."""
        return self.patience > 0 or self.plateau is not None
