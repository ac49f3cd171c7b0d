"""Clips end to end on a device: frames of many are gathered at once, varied, and made into a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from har_bench.arrays import Bools, Floats, Ints, Singles
from har_bench.classifying.model import fitted
from har_bench.classifying.preparing import Preparation
from har_bench.classifying.streams import bone_parents, stream
from har_bench.skeletons import Skeleton


class Variation(NamedTuple):
    """How B clips are varied.

    Attributes:
        turns: (B, D, D) what their coordinates are multiplied by.
        mirrored: (B,) which of them are seen in a mirror, before that.
    """

    turns: Floats
    mirrored: Bools


class Reel:
    """Clips end to end.

    Attributes:
        frames: (F, M, V, C) of all clips.
        lengths: (S,) their numbers of frames.
        starts: (S,) where each begins.
    """

    def __init__(self, clips: Sequence[Singles], persons: int) -> None:
        self.lengths = np.array([clip.shape[1] for clip in clips])
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.frames = torch.from_numpy(np.concatenate([fitted(clip, persons).swapaxes(0, 1) for clip in clips]))


@dataclass(frozen=True)
class Cutter:
    """Makes a stream's network inputs of frames of a reel."""

    preparation: Preparation
    layout: Skeleton
    stream: str

    @property
    def axes(self) -> int:
        """How many coordinates a joint has."""
        return 2 if self.preparation.scored else 3

    def cut(self, reel: Reel, which: Ints, places: Ints, variation: Variation | None = None) -> torch.Tensor:
        """(B, M, L, V, C) frames of clips, on the reel's device.

        Args:
            reel: the clips.
            which: (B,) their numbers.
            places: (B, L) the frames of each.
            variation: in training.
        """
        device, dense = reel.frames.device, self.preparation.sampling == "uniform"
        at = reel.starts[which][:, None] + places
        now = self._varied(reel.frames[torch.from_numpy(at).to(device)], variation)
        if dense:  # streams are made of all frames, and what is sampled is taken from them
            ends = (reel.starts + reel.lengths)[which][:, None]
            last = at + 1 == ends
            following = self._varied(reel.frames[torch.from_numpy(np.where(last, at, at + 1)).to(device)], variation)
        else:
            last = np.broadcast_to(np.arange(places.shape[1]) == places.shape[1] - 1, places.shape).copy()
            following = now.roll(-1, dims=1)
        made = stream(
            self.stream,
            now,
            following,
            torch.from_numpy(last).to(device)[..., None],
            torch.from_numpy(bone_parents(self.layout)).to(device),
            scored=self.preparation.scored,
            masked=not dense,
        )
        return made.transpose(1, 2)

    def _varied(self, frames: torch.Tensor, variation: Variation | None) -> torch.Tensor:
        """(B, L, M, V, C) frames, mirrored, stretched and turned clip by clip."""
        if variation is None:
            return frames
        mirrored = torch.from_numpy(variation.mirrored).to(frames.device)
        flipped = frames[..., torch.from_numpy(self.layout.flip).to(frames.device), :]
        flipped = torch.cat([-flipped[..., :1], flipped[..., 1:]], dim=-1)
        frames = torch.where(mirrored[:, None, None, None, None], flipped, frames)
        turns = torch.from_numpy(variation.turns).to(frames)
        points = torch.einsum("blmvd,bed->blmve", frames[..., : self.axes], turns)
        return torch.cat([points, frames[..., self.axes :]], dim=-1)


def mirrored(number: int, axes: int) -> Variation:
    """So many clips in a mirror, and nothing else."""
    return Variation(np.broadcast_to(np.eye(axes), (number, axes, axes)).copy(), np.ones(number, bool))
