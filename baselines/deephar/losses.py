"""The original's losses of poses and actions.

Coordinates of the truth that are not positive are unknown, and count nothing; so are those of joints outside the crop.
"""

from __future__ import annotations

from typing import Literal

import torch

Kind = Literal["l1", "l2", "l1l2", "l1l2bincross"]

WEIGHT = 0.01
"""Of the cross entropies beside the distances."""
LEAST = 1e-7
"""How near to 0 and 1 a probability is taken: Keras' epsilon."""


def pose_losses(predicted: torch.Tensor, truth: torch.Tensor, kind: Kind = "l1l2bincross") -> torch.Tensor:
    """The losses of poses with visibilities.

    Args:
        predicted: (..., J, D + 1) from 0 to 1; the last number is how visible a joint is.
        truth: the same, see :class:`har_bench.baselines.deephar.data.samples.Item`.
        kind: of the coordinates: mean distances, mean squares, both, or both and a hundredth of the cross entropy
            of coordinates as if they were probabilities. A hundredth of the visibilities' cross entropy is added.

    Returns:
        (...,) one number a pose; a clip's is the mean over its frames.
    """
    known = (truth[..., :-1] > 0).to(predicted.dtype)
    places = torch.where(known > 0, truth[..., :-1], predicted[..., :-1].detach())
    apart = (predicted[..., :-1] - places).abs()
    terms = torch.zeros_like(apart)
    if "l1" in kind:
        terms = terms + apart
    if "l2" in kind:
        terms = terms + apart**2
    if "bincross" in kind:
        terms = terms + WEIGHT * cross_entropy(predicted[..., :-1], places) * known
    distance = (terms * known).sum(dim=(-2, -1)) / known.sum(dim=(-2, -1)).clamp(min=1)
    return distance + WEIGHT * cross_entropy(predicted[..., -1], truth[..., -1]).mean(dim=-1)


def elastic_net(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(...,) the sum of distances and squares of known coordinates (..., J, D): the loss of the 2018 merge model."""
    apart = torch.where(truth > 0, (predicted - truth).abs(), torch.zeros_like(predicted))
    return (apart + apart**2).sum(dim=(-2, -1))


def cross_entropy(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Of probabilities, element by element."""
    sure = predicted.clamp(LEAST, 1 - LEAST)
    return -(truth * sure.log() + (1 - truth) * (1 - sure).log())
