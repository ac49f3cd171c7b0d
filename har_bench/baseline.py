"""What a baseline is: a class that learns from a store and predicts on it.

Cropping, batching, devices, timing and files belong to the runner (:mod:`har_bench.running`), not to the model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from har_bench.errors import HarBenchError
from har_bench.protocol.targets import targets as targets

if TYPE_CHECKING:
    from har_bench.protocol import Protocol
    from har_bench.store import Store


@dataclass(frozen=True)
class Finding:
    """What :meth:`Baseline.check` says of one step by which an input was made.

    Attributes:
        step: its name.
        found: what was found there, or how it differs.
        ok: whether it is as in what the model's published numbers are of; None where it was not compared.
    """

    step: str
    found: str
    ok: bool | None


class Baseline(ABC):
    """A model. Subclasses are dataclasses whose fields are the model's options, ``seed`` among them where it matters.

    Attributes:
        summary: one line for ``har-bench list``.
        cite: paper or repository.
        trains: whether :meth:`fit` must run before :meth:`predict` when no weights are loaded.
        needs: what it must be given besides a store, in words; demonstrations leave such a model out.
        quick: options with which it learns something in seconds, for demonstrations and tests.
        quiet: show no progress; the runner sets it.
        history: the losses of every epoch, for models that learn in epochs.
        outputs: what a model's other outputs predicted beside those that :meth:`predict` gave, by name, once it has;
            the runner scores each, and shows them in a table ``output``.
    """

    summary: ClassVar[str]
    cite: ClassVar[str] = ""
    trains: ClassVar[bool] = True
    needs: ClassVar[str] = ""
    quick: ClassVar[Mapping[str, Any]] = {}

    quiet: bool = True
    history: Sequence[Mapping[str, float]] = ()
    outputs: Mapping[str, Sequence[pa.Table]] = MappingProxyType({})

    def serves(self, store: Store, protocol: Protocol) -> bool:
        """Whether this model can predict what the protocol scores; poses, unless a subclass says otherwise."""
        del store
        return protocol.task == "pose"

    @abstractmethod
    def fit(self, store: Store, protocol: Protocol) -> None:
        """Learn from the store's training split of the protocol's dataset."""

    def train(self, stores: Sequence[Store], protocol: Protocol | None) -> None:
        """Learn from several stores, or without a protocol; those that can say so, others learn from one for one.

        Raises:
            HarBenchError: this model cannot.
        """
        if len(stores) != 1 or protocol is None:
            raise HarBenchError(f"{type(self).__name__} learns from one store for a protocol; give one, and --protocol")
        self.fit(stores[0], protocol)

    @abstractmethod
    def predict(self, store: Store, protocol: Protocol) -> Iterator[pa.Table]:
        """Predictions for everything that ``protocol`` selects, as tables of whole sequences in our columns."""

    def load(self, weights: Path) -> None:
        """Read weights written by :meth:`save`, or published ones."""
        raise HarBenchError(f"{type(self).__name__} has no weights to load ({weights}); leave --weights out")

    def save(self, path: Path) -> None:
        """Write weights that :meth:`load` reads."""
        raise HarBenchError(f"{type(self).__name__} has no weights to save ({path})")

    def check(self, path: Path) -> Sequence[Finding]:
        """Whether an input of one's own is made as those of the published numbers are, step by step.

        Raises:
            HarBenchError: it is no such file, or the model has no such check.
        """
        raise HarBenchError(f"{type(self).__name__} checks no files ({path}); lart checks tracklets")

    def describe(self) -> dict[str, Any]:
        """What identifies this model in a result: options, parameter count and so on."""
        return {}
