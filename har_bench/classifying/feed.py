"""An epoch's batches of clips: in a new order every time, sampled and varied anew, on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from har_bench.arrays import Ints
from har_bench.classifying.distorting import distortion
from har_bench.classifying.reel import Cutter, Reel, Variation
from har_bench.classifying.sampling import Random, segments, uniform
from har_bench.training import Share


class Examples(NamedTuple):
    """Clips and their (S,) classes."""

    reel: Reel
    labels: torch.Tensor


class Recipe(NamedTuple):
    """How clips become batches; the options of :class:`har_bench.classifying.classifier.Classifier`."""

    seed: int
    frames: int
    batch: int
    mirror: bool
    rotate: float
    scale: float


@dataclass
class Feed:
    """Whole batches only: what is left at the end of an epoch's order is left out."""

    examples: Examples
    cutter: Cutter
    recipe: Recipe

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return max(len(self.examples.labels) // self.recipe.batch, 1)

    def __call__(self, share: Share) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """A process's part of every batch of an epoch."""
        reel, labels, size = self.examples.reel, self.examples.labels, self.recipe.batch
        reel.frames = reel.frames.to(share.device)
        order = Random((self.recipe.seed, share.epoch)).permutation(len(labels))
        random = Random((self.recipe.seed, share.epoch, share.rank + 1))
        for step in range(self.steps):
            which = order[step * size : (step + 1) * size][share.rank :: share.ranks]
            clips = self.cutter.cut(
                reel, which, self._places(reel.lengths[which], random), self._variation(which, random)
            )
            yield clips, labels[torch.from_numpy(which)].to(share.device)

    def _places(self, lengths: Ints, random: Random) -> Ints:
        """(B, L) frames of clips of these lengths."""
        sample = uniform if self.cutter.preparation.sampling == "uniform" else segments
        return np.stack([sample(length, self.recipe.frames, random) for length in lengths.tolist()])

    def _variation(self, which: Ints, random: Random) -> Variation | None:
        recipe, axes = self.recipe, self.cutter.axes
        if not (recipe.mirror or recipe.rotate or recipe.scale):
            return None
        turns = [distortion(axes, recipe.scale, recipe.rotate, random) for _ in which]
        return Variation(np.stack(turns), (random.random_sample(len(which)) < 0.5) & recipe.mirror)
