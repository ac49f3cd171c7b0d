"""A recipe at work: what learns when, at which rate, from which losses; networks that go on from others."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from har_bench.errors import HarBenchError
from har_bench.training import Losses, Share

from .data.feed import Batch, Feed
from .data.samples import NO_ACTION
from .layers import Network
from .losses import pose_losses
from .recipes import Recipe
from .spnet_parts import replicate

NAME = "network"
ACTING = ("action", "heads.", "replica")
"""What the names of parameters have in them that recognise actions, and nothing else."""
SHOWN = 3
HELD_OUT, ACCURACY = "held_out", "accuracy"
"""What is told of other batches after an epoch."""


def recognises(name: str) -> bool:
    """Whether a parameter, or a tensor, recognises actions and gives no poses.

    >>> recognises("heads.pose.near.conv.weight"), recognises("trunk.stem.conv1.conv.weight")
    (True, False)
    """
    return any(part in name for part in ACTING)


class Lesson:
    """What a training needs to know of a recipe; it may be sent to other processes.

    Args:
        recipe: the recipe.
        feed: its batches.
        model: the network that learns; what of it learns at all is what does now.
    """

    def __init__(self, recipe: Recipe, feed: Feed, model: Network) -> None:
        self.recipe, self.feed = recipe, feed
        self.learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.posing = recipe.pose is not None

    def starting(self, models: nn.ModuleDict, epoch: int) -> None:
        """Freeze the poses in the recipe's first epochs: neither their weights nor their statistics change."""
        frozen, model = epoch < self.recipe.frozen, models[NAME]
        self.posing = self.recipe.pose is not None and not frozen
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in self.learns and (recognises(name) or not frozen))
        for name, module in model.named_modules():
            module.training = recognises(f"{name}.") or not frozen

    def losses(self, models: nn.ModuleDict, batch: Batch) -> Losses:
        """The sum over the blocks of poses' losses, and of actions' over the heads, as far as they are learnt."""
        return self._terms(*outputs(models[NAME], batch.pixels), batch)

    def _terms(self, poses: list[torch.Tensor], actions: list[torch.Tensor], batch: Batch) -> Losses:
        terms: dict[str, torch.Tensor] = {}
        if self.recipe.pose is not None:
            found = [pose_losses(pose.float(), batch.poses, self.recipe.pose).mean() for pose in poses]
            total = torch.stack(found).sum()
            terms["pose"] = total if self.posing else total.detach()
        if self.recipe.acts:
            heads = [
                action_loss(logits, batch.actions[:, number % batch.actions.shape[1]])
                for number, logits in enumerate(actions)
            ]
            # pictures have no actions, but the term is in every batch, so that processes and curves agree
            terms["action"] = self.recipe.action * torch.stack(heads).sum() if heads else batch.pixels.new_zeros(())
        return terms

    def judged(self, models: nn.ModuleDict, *, feed: Feed, device: torch.device) -> dict[str, float]:
        """The mean loss of other batches, from which nothing is learnt, and the last heads' hits [%].

        Where only actions are learnt the hits come first: they say what the best epoch is.
        """
        model, found = models[NAME].eval(), []
        hits = torch.zeros(2, device=device)
        with torch.inference_mode():
            for batch in feed(Share(self.recipe.frozen, 0, 1, device)):
                poses, actions = outputs(model, batch.pixels)
                found.append(float(torch.stack(list(self._terms(poses, actions, batch).values())).sum()))
                for logits, classes in zip(actions[-batch.actions.shape[1] :], batch.actions.T, strict=False):
                    known = classes >= 0
                    hits += torch.stack([((logits.argmax(dim=-1) == classes) & known).sum(), known.sum()])
        model.train()
        loss = {HELD_OUT: sum(found) / len(found)}
        right, shown = hits.tolist()
        accuracy = {ACCURACY: 100 * right / shown} if shown else {}
        return accuracy | loss if self.recipe.pose is None else loss | accuracy

    def factor(self, step: int) -> float:
        """What the learning rate is multiplied by when so many steps are done."""
        return self.recipe.factor(self.epoch_of(step))

    def epoch_of(self, step: int) -> int:
        """The epoch, from 0, in which a step is done; epochs of frozen poses are shorter."""
        first, later, frozen = self.feed.steps(0), self.feed.steps(self.recipe.frozen), self.recipe.frozen
        return step // first if step < frozen * first else frozen + (step - frozen * first) // later


def action_loss(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """The mean cross entropy of (N, C) logits, without those whose class (N,) is -1; 0 if all are.

    >>> float(action_loss(torch.zeros(2, 4), torch.tensor([1, -1]))) == float(torch.tensor(4.0).log())
    True
    """
    total = nn.functional.cross_entropy(logits.float(), classes, ignore_index=NO_ACTION, reduction="sum")
    return total / (classes != NO_ACTION).sum().clamp(min=1)


def outputs(model: nn.Module, pixels: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Poses after every block, and the logits of every head; of pictures, no logits."""
    single = pixels.ndim == 4
    if single and isinstance(model, Network):
        return model.poses(pixels), []
    watched: Any = model(pixels)
    return watched.poses, watched.actions


def carry_on(model: Network, other: Network, source: str) -> list[str]:
    """Let a network begin with what another one has learnt.

    Args:
        model: is changed in place.
        other: of the same kind, perhaps of other classes, or without actions.
        source: what the error calls it.

    Returns:
        The names of tensors that begin anew: those of heads.

    Raises:
        HarBenchError: it gives poses in another way.
    """
    has, gets = other.state_dict(), model.state_dict()
    kept = {name: has[name] for name, tensor in gets.items() if name in has and has[name].shape == tensor.shape}
    anew = [name for name in gets if name not in kept]
    if wrong := [name for name in anew if not recognises(name)]:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise HarBenchError(
            f"{source} is of another network, which has no {', '.join(wrong[:SHOWN])}{more} of this shape; give the "
            "architecture that it was made with"
        )
    model.load_state_dict(kept, strict=False)
    replicate(model, kept)
    return anew
