"""A moving average of a model's weights, which is what is used of it when the training has ended."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def average(model: Any, *, of: str, into: str, decay: float) -> None:
    """Move the weights of ``model[into]`` towards those of ``model[of]``, and copy what is counted in whole numbers.

    As ``stepped`` of a :class:`har_bench.training.Plan` with both networks in one ``nn.ModuleDict``, it is in the
    checkpoints, so a resumed training goes on with it.

    >>> layers = nn.ModuleDict({name: nn.Linear(1, 1, bias=False) for name in ("a", "b")})
    >>> for layer, value in zip(layers.values(), (1.0, 2.0)): _ = nn.init.constant_(layer.weight, value)
    >>> average(layers, of="a", into="b", decay=0.75)
    >>> layers["b"].weight.item()
    1.75
    """
    source, target = model[of].state_dict(), model[into].state_dict()
    with torch.no_grad():
        for name, tensor in target.items():
            if tensor.is_floating_point():
                tensor.lerp_(source[name], 1 - decay)
            else:
                tensor.copy_(source[name])


def frozen(network: nn.Module) -> nn.Module:
    """The same network, whose weights no optimiser changes."""
    return network.requires_grad_(False).eval()
