"""What is told of a network after every epoch of its training: losses of other batches, and protocols' numbers."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from har_bench.baseline import Baseline
from har_bench.errors import HarBenchError, listed
from har_bench.protocol import Protocol, make_protocol
from har_bench.store import Store
from har_bench.training.curves import Better
from har_bench.training.measured import measured

from .data.feed import Feed
from .given import Given
from .layers import Network
from .learning import NAME, Lesson

NEXT = re.compile(r",(?=[^,=]*/)")
"""The comma before another protocol's name, and not before an option."""


class Measure(NamedTuple):
    """A protocol by which a network is measured while it learns.

    Attributes:
        name: as the user has it.
        protocol: with its recipe and options.
        given: the store that it scores, and the folder of its pictures.
    """

    name: str
    protocol: Protocol
    given: Given


def measures(names: Sequence[str], given: Sequence[Given]) -> list[Measure]:
    """The protocols of these names with their stores.

    Args:
        names: such as ``h36m/mpjpe:deephar,subjects=S9``, whole or cut at the commas before options.
        given: the stores.

    Raises:
        HarBenchError: an unknown protocol, or one of a dataset of which there is no store.
    """
    made = []
    for name in filter(None, NEXT.split(",".join(names))):
        protocol = make_protocol(name)
        found = next((each for each in given if each.store.dataset == protocol.dataset), None)
        if found is None:
            stores = listed(each.store.dataset for each in given)
            raise HarBenchError(
                f"{name} measures {protocol.dataset}, and the stores are of {stores}; give one of it too"
            )
        made.append(Measure(name, protocol, found))
    return made


@dataclass
class Judge:
    """Tells the numbers after an epoch; the first one says which epoch is the best.

    Attributes:
        lesson: what is learnt.
        held_out: batches of which the loss is told; None for none.
        measures: protocols, which come first.
        predicting: makes a baseline of a network, that looks at the pictures of what is given.
        device: where batches go.
    """

    lesson: Lesson
    held_out: Feed | None
    measures: Sequence[Measure]
    predicting: Callable[[Network, Given], Baseline]
    device: torch.device

    def __call__(self, models: nn.ModuleDict) -> dict[str, float]:
        """By name: a protocol's, ``held_out``, ``accuracy``."""
        found = {each.name: self._measured(models, each.protocol, each.given) for each in self.measures}
        told = {} if self.held_out is None else self.lesson.judged(models, feed=self.held_out, device=self.device)
        return found | told

    @property
    def tells(self) -> bool:
        """Whether there is anything that it tells."""
        return bool(self.measures) or self.held_out is not None

    @property
    def better(self) -> Better:
        """Which of two first numbers is the better one."""
        if self.measures:
            return "higher" if self.measures[0].protocol.primary.better == "higher" else "lower"
        return "lower" if self.lesson.recipe.pose is not None else "higher"

    def _measured(self, models: nn.ModuleDict, protocol: Protocol, given: Given) -> float:
        """Of a copy, as the network that learns keeps its layout in memory and its mode."""
        network = copy.deepcopy(models[NAME])
        assert isinstance(network, Network)  # noqa: S101 - the only one that a lesson has
        store: Store = given.store
        return measured(self.predicting(network, given), store, protocol)
