"""What every check of a GPU is given, and how it says what it found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

import har_bench
from har_bench import Store, registry

Finding = tuple[str, Mapping[str, Any]]
"""A name and its numbers; ``equal`` among them says whether two ways agree."""

Family = Callable[["Setting"], Iterator[Finding]]


@dataclass
class Setting:
    """Where a check runs.

    Attributes:
        device: as torch names it.
        tiny: sizes that a CPU computes in seconds, to see that the script runs.
        folder: for stores and checkpoints.
        data: the packed Human3.6M, if it is there.
        ends: when all must be done, on the clock of :func:`time.monotonic`.
    """

    device: str
    tiny: bool
    folder: Path
    data: Path | None
    ends: float
    stores: dict[str, Store] = field(default_factory=dict)

    @cached_property
    def on_gpu(self) -> bool:
        """Whether there is a CUDA device to wait for."""
        return torch.device(self.device).type == "cuda"

    def size(self, full: int, small: int) -> int:
        """The one or the other."""
        return small if self.tiny else full

    def left(self) -> float:
        """Seconds until all must be done."""
        return self.ends - time.monotonic()

    def sample(self, dataset: str) -> Store:
        """The store of a dataset's sample."""
        if dataset not in self.stores:
            home = self.folder / dataset
            registry.load("converters", dataset).sample(home / "raw", seed=1)
            self.stores[dataset] = har_bench.convert(dataset, home / "raw", home / "store", jobs=1, quiet=True)
        return self.stores[dataset]

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Callable[[], Any], least: int = 3, at_most_s: float = 1.0) -> float:
        """The shortest time of a piece of work, after a first one that is not counted."""
        work()
        self.wait()
        found, began = [], time.monotonic()
        while len(found) < (1 if self.tiny else least) or (not self.tiny and time.monotonic() - began < at_most_s):
            start = time.perf_counter()
            work()
            self.wait()
            found.append(time.perf_counter() - start)
        return min(found)


def compared(found: Any, expected: Any, *, relative: float, absolute: float = 0.0) -> dict[str, Any]:
    """Whether two arrays agree, and by how much they differ at most."""
    first, second = (torch.as_tensor(each).detach().cpu().double() for each in (found, expected))
    return {
        "equal": bool(torch.allclose(first, second, rtol=relative, atol=absolute, equal_nan=True)),
        "largest_difference": float((first - second).abs().nan_to_num().max()) if first.numel() else 0.0,
        "relative": relative,
    }
