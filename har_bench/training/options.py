"""The options that every model has that is trained here: on what it runs, and where its training is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from har_bench.devices import Precision
from har_bench.options import option
from har_bench.training.plans import Plan


@dataclass
class Trained:
    """A model with these options; to be named before :class:`har_bench.baseline.Baseline` among a class's bases."""

    device: str = option("", "such as cpu or cuda:1; a GPU if there is one")
    devices: int = option(1, "how many of them train", least=1)
    precision: Precision = option("float32", "float32, tf32 or bf16")
    compile: bool = option(False, "compile the networks for training")
    checkpoints: str = option("", "folder of checkpoints; a training that finds its own there goes on from it")

    def here(self, plan: Plan, part: str = "") -> Plan:
        """A plan on these devices, kept in the folder of checkpoints, or in one of this name in it."""
        return replace(
            plan,
            **{name: getattr(self, name) for name in ("device", "devices", "precision")},
            compiled=self.compile,
            folder=Path(self.checkpoints) / part if self.checkpoints else None,
        )
