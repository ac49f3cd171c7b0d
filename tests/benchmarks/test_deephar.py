"""deephar learns real crops by heart on a processor: MPII's recipe, a network of one block on pictures of 128 pixels.

Of MPII's people five have pictures here, so the 32 crops are of these, turned, mirrored and scaled as the recipe draws.
Takes about six minutes of one core, and so only runs where ``HAR_BENCH_FULL`` is set.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import har_bench
from har_bench.baselines.deephar.architecture import Architecture
from har_bench.baselines.deephar.data.augmentation import AUGMENTATIONS
from har_bench.baselines.deephar.data.feed import Batch, Feed, Source
from har_bench.baselines.deephar.data.layouts import layout_of
from har_bench.baselines.deephar.data.samples import Item, Sample, Target
from har_bench.baselines.deephar.data.stores import Wanted, samples
from har_bench.baselines.deephar.learning import NAME, Lesson
from har_bench.baselines.deephar.reception import ReceptionOptions
from har_bench.baselines.deephar.recipes import RECIPES
from har_bench.media.of_store import Pictures
from har_bench.protocols.mpii import pckh
from har_bench.schema import to_numpy
from har_bench.training import Plan, Share, train
from tests.golden import REAL

CROPS, STEP, SIZE, EPOCHS = 32, 8, 128, 120

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not os.environ.get("HAR_BENCH_FULL"), reason="minutes of training; set HAR_BENCH_FULL"),
]


def test_32_real_crops_are_learnt_by_heart(tmp_path: Path) -> None:
    store = har_bench.convert("mpii", REAL / "mpii/release_like", tmp_path / "store", jobs=1, quiet=True)
    pictures, layout = Pictures(store, REAL / "mpii", workers=1), layout_of(16)
    everybody = samples(store, "tompson/valid", Wanted(layout, 2), root=REAL / "mpii")
    people = [sample for sample in everybody if pictures.has(sample.pictures[0].sequence)]  # type: ignore[union-attr]
    target = Target(layout.flip, 2, (SIZE, SIZE))
    source = Source(people, pictures, target, AUGMENTATIONS["mpii"], STEP)
    crops = [
        (each % len(people), source.item(each % len(people), np.random.default_rng(each))) for each in range(CROPS)
    ]

    def batches(share: Share) -> Iterator[Batch]:
        order = np.random.default_rng((0, share.epoch)).permutation(CROPS)
        for start in range(0, CROPS, STEP):
            chosen = [crops[each][1] for each in order[start : start + STEP]]
            pixels = torch.from_numpy(np.stack([each.pixels[0] for each in chosen])).permute(0, 3, 1, 2)
            poses = torch.from_numpy(np.stack([each.pose[0] for each in chosen])).float()
            yield Batch(pixels.contiguous(), poses, torch.full((len(chosen), 1), -1))

    recipe = replace(RECIPES["mpii"].lasting(EPOCHS), drops={EPOCHS * 2 // 3: 0.2, EPOCHS * 5 // 6: 0.2})
    torch.manual_seed(0)
    model = Architecture(ReceptionOptions(blocks=1, size=SIZE)).build()
    lesson = Lesson(recipe, Feed([[source]], 0), model)
    steps = CROPS // STEP
    plan = Plan(recipe.epochs, 0, recipe.made(), schedule=lambda step: recipe.factor(step // steps), device="cpu")
    began = time.process_time(), time.monotonic()
    history = train(torch.nn.ModuleDict({NAME: model}), batches, lesson.losses, plan, starting=lesson.starting)
    spent = time.process_time() - began[0], time.monotonic() - began[1]
    found = hits(model.eval(), crops, people, heads(store, people))
    print(
        f"\n{CROPS} crops of {len(people)} people, {EPOCHS} epochs: loss {history[0]['pose']:.3f} to "
        f"{history[-1]['pose']:.3f}, PCKh@0.5 {found:.1f} %, {spent[0]:.0f} s of processor, {spent[1]:.0f} s"
    )
    assert found > 90


def heads(store: har_bench.Store, people: list[Sample]) -> list[float]:
    """The head size of each person [px]."""
    rows = store.poses("tompson/valid", ["sequence", "head_size", "single_person", "objpos"])
    sizes = to_numpy(rows["head_size"], rows.schema.field("head_size"))
    names, alone = rows["sequence"].to_pylist(), rows["single_person"].to_pylist()
    of = {name: float(size) for name, size, single in zip(names, sizes, alone, strict=True) if single}
    return [of[sample.pictures[0].sequence] for sample in people]  # type: ignore[union-attr]


def hits(model: torch.nn.Module, crops: list[tuple[int, Item]], people: list[Sample], sizes: list[float]) -> float:
    """PCKh@0.5 [%] over deephar's 14 joints, in the pictures' pixels."""
    predicted, truth, head = [], [], []
    with torch.inference_mode():
        for number, each in crops:
            pixels = torch.from_numpy(each.pixels).permute(0, 3, 1, 2)
            places = model(pixels)[-1][0, :, :2].numpy() * SIZE
            points = each.crop.to_image(places)
            predicted.append(points[layout_of(16).flip] if each.crop.flipped else points)
            seen = each.pose[0, layout_of(16).flip, -1] if each.crop.flipped else each.pose[0, :, -1]
            truth.append(np.where(seen[:, None] > 0, people[number].points[0], np.nan))
            head.append(sizes[number])
    found = pckh(np.stack(predicted)[:, 2:], np.stack(truth)[:, 2:], np.array(head))
    return float(100 * (found.hit & found.counted).sum() / found.counted.sum())
