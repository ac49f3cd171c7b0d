"""Batches of several datasets: what is in them, whose turn it is, and that nothing depends on who reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from har_bench import HarBenchError
from har_bench.baselines.deephar.data.augmentation import AUGMENTATIONS, Augmentation
from har_bench.baselines.deephar.data.boxes import of_picture
from har_bench.baselines.deephar.data.feed import Batch, Feed, Source
from har_bench.baselines.deephar.data.layouts import layout_of
from har_bench.baselines.deephar.data.samples import Sample, Target
from har_bench.baselines.deephar.data.stores import Wanted, samples
from har_bench.media.of_store import Pictures
from har_bench.training import Share

from .conftest import Drawn

TARGET = Target(np.array([1, 0]), 2, (8, 8))
CPU = torch.device("cpu")


def people(folder: Path, count: int, frames: int = 1, first: int = 0) -> list[Sample]:
    """Pictures of one grey level each, which stands for the person; the class is the person's number."""
    made = []
    for number in range(first, first + count):
        path = folder / f"{number}.png"
        Image.fromarray(np.full((20, 20, 3), 10 * number, np.uint8)).save(path)
        points = np.full((frames, 2, 2), 5.0)
        made.append(Sample((path,) * frames, points, partial(of_picture, (20, 20)), number))
    return made


def source(of: Sequence[Sample], count: int, **options: object) -> Source:
    return Source(of, None, TARGET, Augmentation(flips=(False,), powers=(1.0,)), count, **options)  # type: ignore[arg-type]


def batches(feed: Feed, epoch: int = 0, rank: int = 0, ranks: int = 1) -> list[Batch]:
    return list(feed(Share(epoch, rank, ranks, CPU)))


def test_every_batch_has_its_share_of_every_dataset(tmp_path: Path) -> None:
    """Six and two people, two and one a batch: each of the six is seen once, each of the two once or twice."""
    feed = Feed([[source(people(tmp_path, 6), 2), source(people(tmp_path, 2, first=10), 1)]], seed=0)
    found = batches(feed)
    assert [batch.actions.shape for batch in found] == [(3, 1)] * 3 == [(3, 1)] * feed.steps(0)
    assert sorted(int(each) for batch in found for each in batch.actions[:2, 0]) == list(range(6))
    assert {int(batch.actions[2, 0]) for batch in found} == {10, 11}
    assert (found[0].pixels.shape, found[0].poses.shape) == ((3, 3, 8, 8), (3, 2, 3))
    grey = (found[0].pixels[:, 0, 0, 0] / 2 + 0.5) * 255
    np.testing.assert_allclose(grey, 10 * found[0].actions[:, 0].float(), atol=1e-3)


def test_groups_take_turns_and_at_first_only_clips_are_seen(tmp_path: Path) -> None:
    groups = [[source(people(tmp_path, 4), 2)], [source(people(tmp_path, 2, frames=5), 1, frames=3)]]
    feed = Feed(groups, seed=0, first=1)
    assert [batch.pixels.ndim for batch in batches(feed)] == [5, 5]
    turns = batches(feed, epoch=1)
    assert [batch.pixels.ndim for batch in turns] == [4, 5, 4, 5]
    assert (turns[1].pixels.shape, turns[1].poses.shape) == ((1, 3, 3, 8, 8), (1, 3, 2, 3))
    assert len(batches(Feed(groups, seed=0, limit=3), epoch=1)) == 3


def test_an_index_is_the_same_whoever_reads_it(drawn: Callable[[str], Drawn]) -> None:
    """One thread or three, one process or two, this run or the next; another epoch or seed is another order."""
    store, root = drawn("mpii")
    pictures = Pictures(store, root, workers=1)
    found = list(samples(store, "tompson/train", Wanted(layout_of(16), 2), root=root))
    target = Target(layout_of(16).flip, 2, (32, 32))

    def of(workers: int, seed: int = 3) -> Feed:
        return Feed([[Source(found, pictures, target, AUGMENTATIONS["mpii"], 4)]], seed, workers=workers, limit=2)

    once = batches(of(1), epoch=2)
    for again in (batches(of(3), epoch=2), batches(of(1), epoch=2)):
        for one, other in zip(once, again, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    halves = [batches(of(1), epoch=2, rank=rank, ranks=2) for rank in (0, 1)]
    for step, batch in enumerate(once):
        parts = [half[step].pixels for half in halves]
        assert torch.equal(torch.stack(parts, dim=1).flatten(0, 1), batch.pixels)
    assert not torch.equal(batches(of(1), epoch=3)[0].pixels, once[0].pixels)
    assert not torch.equal(batches(of(1, seed=4), epoch=2)[0].pixels, once[0].pixels)


def test_frames_without_anybody_are_no_pictures_to_learn_from(tmp_path: Path) -> None:
    (sample,) = people(tmp_path, 1, frames=3)
    sample.points[1] = np.nan
    assert source([sample], 1).places.tolist() == [[0, 0], [0, 2]]
    sample.points[:] = np.nan
    with pytest.raises(HarBenchError, match="nobody to learn from; convert all of it"):
        len(source([sample], 1))
