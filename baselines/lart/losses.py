"""What LART is trained for: the actions of those who have labels, and if wanted bodies and places told again."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import torch
from torch.nn import functional

from har_bench.training import Losses

from .clips import TRUE
from .network import Inputs, Masks, Network, random_masks, zero_masks

Labels = Literal["all", "true", "pseudo"]
Masking = Literal["random", "zero"]
Term = Literal["actions", "kinetics", "pose-l1", "pose-l2", "place-l1", "place-l2"]
TERMS: tuple[str, ...] = get_args(Term)
WEIGHT = 10.0
"""Of the actions' loss beside the others."""

BODY = 226
"""Numbers of a body without its camera."""

UNKNOWN = -1
"""The class of a film that Kinetics does not have."""


class Batch(NamedTuple):
    """Windows and what should be said of them.

    Attributes:
        inputs: what the network sees.
        labels: (B, T, P, C) how sure each action is.
        has_gt: (B, T, P) 2 annotated, 1 a pseudo label, 0 neither.
        body: (B, T, P, 229) as the tracklets have it.
        kinetics: (B,) Kinetics' class of the film, or -1.
    """

    inputs: Inputs
    labels: torch.Tensor
    has_gt: torch.Tensor
    body: torch.Tensor
    kinetics: torch.Tensor


class Aim(NamedTuple):
    """What of it counts.

    Attributes:
        terms: of the loss.
        labels: whose actions count: all that have any, or those of one kind.
        ratio: how many of the detected tokens are hidden in training.
        others: whether people beside the one that a window is about count.
        masks: ``random`` hides detected tokens and lets nobody see who was not detected; ``zero`` hides these alone.
    """

    terms: tuple[str, ...] = ("actions",)
    labels: Labels = "all"
    ratio: float = 0.4
    others: bool = True
    masks: Masking = "random"


def labelled(batch: Batch, labels: Labels) -> torch.Tensor:
    """(B, T, P) the tokens whose actions count."""
    kinds = {"all": batch.has_gt >= 1, "true": batch.has_gt == TRUE, "pseudo": batch.has_gt == 1}
    return kinds[labels] & batch.inputs.detected


def losses(model: Any, batch: Batch, *, aim: Aim) -> Losses:
    """The terms of a batch; ``model["lart"]`` is the network."""
    network: Network = model["lart"]
    detected = batch.inputs.detected
    return terms(
        network, batch, zero_masks(detected) if aim.masks == "zero" else random_masks(detected, aim.ratio), aim
    )


def terms(network: Network, batch: Batch, masks: Masks, aim: Aim) -> Losses:
    """The terms of a batch whose masks are known.

    The actions' is the mean over the tokens that count and their classes of the binary cross entropy, times 10. That of
    Kinetics is the mean cross entropy over the windows whose film has a class, said of the person a window is about.
    The bodies' and the places' are sums over a token's numbers, of detected tokens, divided by how many these are and
    one.
    """
    people = batch.inputs.detected.shape[2]
    output = network(batch.inputs, masks)
    counted, detected = labelled(batch, aim.labels), batch.inputs.detected
    if not aim.others:
        alone = torch.zeros_like(counted)
        alone[:, :, 0] = True
        counted, detected = counted & alone, detected & alone
    found: dict[str, torch.Tensor] = {}
    if "actions" in aim.terms:
        each = functional.binary_cross_entropy_with_logits(
            network.actions(output, people), batch.labels, reduction="none"
        )
        found["actions"] = WEIGHT * (each * counted[..., None]).sum() / (counted.sum() * each.shape[-1]).clamp(min=1)
    if "kinetics" in aim.terms:
        said = network.kinetics(output, people)[:, 0]
        known = (batch.kinetics != UNKNOWN).sum().clamp(min=1)
        found["kinetics"] = (
            functional.cross_entropy(said, batch.kinetics, ignore_index=UNKNOWN, reduction="sum") / known
        )
    if any(term.startswith("pose") for term in aim.terms):
        bodies = network.body(output[:, people:].flatten(0, 1)).flat().unflatten(0, detected.shape)
        found |= _distances("pose", bodies - batch.body[..., :BODY], detected, aim)
    if any(term.startswith("place") for term in aim.terms):
        found |= _distances("place", network.places(output, people) - batch.body[..., BODY:], detected, aim)
    return found


def _distances(name: str, difference: torch.Tensor, detected: torch.Tensor, aim: Aim) -> dict[str, torch.Tensor]:
    per_token = {"l1": difference.abs().sum(-1), "l2": difference.square().sum(-1)}
    return {
        f"{name}-{kind}": (each * detected).sum() / (detected.sum() + 1)
        for kind, each in per_token.items()
        if f"{name}-{kind}" in aim.terms
    }


def idle(terms: tuple[str, ...]) -> tuple[str, ...]:
    """The beginnings of the names of parameters that these terms do not reach: they get no gradient."""
    unused = ["conv_en", "conv_de"]
    unused += ["class_token", "action_head_kinetics"] * ("kinetics" not in terms)
    unused += ["action_head_ava"] * ("actions" not in terms)
    unused += ["smpl_head"] * (not any(term.startswith("pose") for term in terms))
    unused += ["loca_head"] * (not any(term.startswith("place") for term in terms))
    return tuple(unused)
