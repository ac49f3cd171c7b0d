"""Batches of people in pictures: several datasets mixed in each, or taking turns.

What an index of an epoch stands for, and how it is varied, is fixed by the seed, the epoch and the index alone: not by
who reads it, nor in which order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from har_bench.arrays import Bytes, Ints
from har_bench.errors import HarBenchError
from har_bench.media.images import read_image
from har_bench.media.of_store import Pictures, Shot
from har_bench.media.reading import mapped, threads_of
from har_bench.training import Share

from . import clips
from .augmentation import Augmentation
from .samples import NO_ACTION, Item, Sample, Target, item


class Batch(NamedTuple):
    """What a step learns from; a picture each, or a clip.

    Attributes:
        pixels: (N, 3, h, w) or (N, T, 3, h, w) from -1 to 1.
        poses: (N, J, D + 1) or (N, T, J, D + 1), see :class:`har_bench.baselines.deephar.data.samples.Item`.
        actions: (N, S) classes in every set of actions, -1 without.
    """

    pixels: torch.Tensor
    poses: torch.Tensor
    actions: torch.Tensor


@dataclass(frozen=True, eq=False)
class Source:
    """A dataset's people, as pictures or as clips.

    Attributes:
        samples: its people.
        pictures: of its store; None where the samples name files.
        target: the network's joints and pictures.
        augmentation: what varies.
        count: how many of a batch come from it.
        frames: of a clip; 0 for single pictures.
        own: which set of actions its classes are of.
    """

    samples: Sequence[Sample]
    pictures: Pictures | None
    target: Target
    augmentation: Augmentation
    count: int
    frames: int = 0
    own: int = 0

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def places(self) -> Ints:
        """(n, 2) the sample and the frame of every picture that shows somebody; of clips, the samples.

        Raises:
            HarBenchError: there is none.
        """
        if self.frames:
            found = [(number, 0) for number in range(len(self.samples))]
        else:
            seen = (sample.points if sample.boxes is None else sample.boxes[:, None] for sample in self.samples)
            found = [
                (number, frame)
                for number, points in enumerate(seen)
                for frame in np.flatnonzero(np.isfinite(points[..., :2]).any(axis=(1, 2))).tolist()
            ]
        if not found:
            raise HarBenchError("a dataset of the recipe has nobody to learn from; convert all of it")
        return np.array(found, np.int64)

    def item(self, place: int, random: np.random.Generator) -> Item:
        """A picture or a clip, varied as ``random`` draws."""
        number, frame = self.places[place].tolist()
        sample, frames = self.samples[number], np.array([frame])
        if self.frames:
            frames = clips.drawn(len(sample), self.frames, self.augmentation.drawn_step(random), random)
        pictures = self._read([sample.pictures[each] for each in frames.tolist()])
        return item(sample, pictures, frames, self.target, self.augmentation.draw(random))

    def _read(self, pictures: Sequence[Path | Shot]) -> list[Bytes]:
        """Each picture once, although a stretched clip has it twice."""
        wanted = list(dict.fromkeys(pictures))
        shots = [each for each in wanted if isinstance(each, Shot)]
        read = list(self.pictures.read(shots)) if self.pictures is not None and shots else []
        found: dict[Path | Shot, Bytes] = dict(zip(shots, read, strict=True))
        found |= {each: read_image(each) for each in wanted if isinstance(each, Path)}
        return [found[each] for each in pictures]


@dataclass
class Feed:
    """The batches of an epoch.

    Attributes:
        groups: sources that share a batch; the groups take turns.
        seed: see above.
        first: epochs in which only clips are seen, as nothing else learns then.
        workers: threads that read and cut; 0 is one per processor.
        limit: batches of an epoch at most; 0 is no limit.
        sets: how many sets of actions there are.
    """

    groups: Sequence[Sequence[Source]]
    seed: int
    first: int = 0
    workers: int = 0
    limit: int = 0
    sets: int = 1

    def steps(self, epoch: int) -> int:
        """Batches of an epoch: until the first source of each group was seen once."""
        groups = self._seen(epoch)
        whole = sum(max(len(group[0]) // group[0].count, 1) for group in groups)
        return min(whole, self.limit) if self.limit else whole

    def __call__(self, share: Share) -> Iterator[Batch]:
        """A process's part of every batch of an epoch."""
        groups, workers = self._seen(share.epoch), threads_of(self.workers)
        for step in range(self.steps(share.epoch)):
            group, turn = groups[step % len(groups)], step // len(groups)
            wanted = [
                (number, turn * source.count + place)
                for number, source in enumerate(group)
                for place in range(source.count)
            ][share.rank :: share.ranks]
            make = partial(self._item, share.epoch, self.groups.index(group))
            made = mapped(make, wanted, workers=workers, ahead=2 * workers)
            owns = [group[number].own for number, _ in wanted]
            yield _batch(list(made), owns, self.sets, share.device)

    def _seen(self, epoch: int) -> Sequence[Sequence[Source]]:
        acting = [group for group in self.groups if group[0].frames]
        return acting if acting and epoch < self.first else self.groups

    def _item(self, epoch: int, group: int, wanted: tuple[int, int]) -> Item:
        """The item of an index of a source, whose people come in a new order each time all were seen."""
        number, index = wanted
        source = self.groups[group][number]
        about, place = divmod(index, len(source))
        where = self.seed, epoch, group, number, about
        order = np.random.default_rng(where).permutation(len(source))
        return source.item(int(order[place]), np.random.default_rng((*where, place)))


def _batch(items: Sequence[Item], owns: Sequence[int], sets: int, device: torch.device) -> Batch:
    pixels = torch.from_numpy(np.stack([each.pixels for each in items])).permute(0, 1, 4, 2, 3)
    poses = torch.from_numpy(np.stack([each.pose for each in items])).float()
    if pixels.shape[1] == 1:
        pixels, poses = pixels[:, 0], poses[:, 0]
    actions = torch.full((len(items), sets), NO_ACTION)
    actions[torch.arange(len(items)), torch.tensor(owns)] = torch.tensor([each.action for each in items])
    return Batch(pixels.contiguous().to(device), poses.to(device), actions.to(device))
