"""AVA frame-mAP from a csv of detections: a fifth of what AVA's validation videos need; plain Python beside it."""

from __future__ import annotations

import csv
import heapq
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import har_bench
from har_bench.protocols.frame_map.actions import ACTIONS
from har_bench.protocols.frame_map.protocol import FrameMAP
from har_bench.store import Store

KEYFRAMES, BOXES, VIDEOS = 50_029, 93_393, 64
"""Of AVA v2.1's validation; a detector that finds about as many boxes gives 5.7 million rows of 60 actions."""

IDS = np.array(list(ACTIONS))


def dataset(folder: Path, share: int) -> tuple[Store, Path]:
    """A store and a csv of detections with ``1 / share`` of the keyframes, boxes and videos."""
    rng = np.random.default_rng(0)
    videos, boxes = -(-VIDEOS // share), BOXES // share
    frames = np.sort(rng.choice(rng.choice(videos * 897, KEYFRAMES // share, replace=False), boxes))
    low = rng.uniform(0, 0.7, (boxes, 2))
    box = np.round(np.hstack([low, low + rng.uniform(0.05, 0.3, (boxes, 2))]), 3)
    frequency = 1 / np.arange(1, 61)
    labels = rng.choice(60, (boxes, 3), p=frequency / frequency.sum())
    true = np.zeros((boxes, 60), bool)
    true[np.arange(boxes)[:, None], labels] = True
    scores = np.round(1 / (1 + np.exp(2 - 2.5 * true - rng.normal(0, 1, true.shape))), 9)
    found = np.round(np.clip(box + rng.normal(0, 0.02, box.shape), 0, 1), 3)
    raw = folder / "raw"
    raw.mkdir()
    row, kind = np.nonzero(true)
    write(raw / "ava_val_v2.2.csv", frames[row], box[row], IDS[kind], row)
    write(folder / "found.csv", np.repeat(frames, 60), np.repeat(found, 60, 0), np.tile(IDS, boxes), scores.reshape(-1))
    return har_bench.convert("ava", raw, folder / "store", jobs=1, quiet=True), folder / "found.csv"


def write(path: Path, frames: np.ndarray, box: np.ndarray, action: np.ndarray, last: np.ndarray) -> None:
    names = pa.array([f"video{video:06d}" for video in range(VIDEOS)])
    columns = [names.take(pa.array(frames // 897)), pa.array(np.char.zfill((frames % 897 + 902).astype(str), 4))]
    rows = pa.table([*columns, *map(pa.array, box.T), action, last], names=list("vtabcdes"))
    pyarrow.csv.write_csv(rows, path, pyarrow.csv.WriteOptions(include_header=False, quoting_style="none"))


def by_har_bench(store: Store, path: Path, recipe: str = "official", resamples: int = 0) -> float:
    return har_bench.score(FrameMAP(recipe), store, path, resamples=resamples)["mAP@0.5"]


def by_loops(store: Store, path: Path) -> float:
    """The official rules as the field's scripts run them: the csv module, dictionaries, NumPy for each keyframe."""
    truth = read(store.path.parent / "raw" / "ava_val_v2.2.csv", 0)
    found = read(path, 50)
    outcomes, objects = defaultdict(list), defaultdict(int)
    for key, entries in truth.items():
        every = np.array(entries)
        for kind in np.unique(every[:, 1]):
            objects[kind] += int((every[:, 1] == kind).sum())
        ranked = np.array(sorted(found.get(key, []), key=lambda entry: -entry[0])).reshape(-1, 6)
        ranked = ranked[(ranked[:, 2] < ranked[:, 4]) & (ranked[:, 3] < ranked[:, 5])]
        for kind in np.unique(ranked[:, 1]):
            boxes, mine = every[every[:, 1] == kind, 2:], ranked[ranked[:, 1] == kind]
            free = np.ones(len(boxes), bool)
            for detection, overlaps in zip(mine, iou(mine[:, 2:], boxes), strict=True):
                best = overlaps.argmax() if len(overlaps) else -1
                hit = best >= 0 and overlaps[best] >= 0.5 and free[best]
                if hit:
                    free[best] = False
                outcomes[kind].append((detection[0], hit))
    areas = []
    for kind, count in objects.items():
        scores, hits = np.array(outcomes[kind]).reshape(-1, 2).T
        hits = hits[np.argsort(-scores, kind="stable")]
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        areas.append((np.maximum.accumulate(precision[::-1])[::-1] * hits).sum() / count)
    return 100 * float(np.mean(areas))


def read(path: Path, cap: int) -> dict[tuple[str, str], list[tuple[float, ...]]]:
    frames: dict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
    with path.open(encoding="utf-8") as stream:
        for row in csv.reader(stream):
            x1, y1, x2, y2 = map(float, row[2:6])
            entries, entry = frames[row[0], row[1]], (float(row[7]), int(row[6]), y1, x1, y2, x2)
            if not cap or len(entries) < cap:
                heapq.heappush(entries, entry)
            elif entry[0] > entries[0][0]:
                heapq.heapreplace(entries, entry)
    return frames


def iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    low, high = np.maximum(one[:, None, :2], other[:, :2]), np.minimum(one[:, None, 2:], other[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    area, areas = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (one, other))
    return shared / (area[:, None] + areas - shared)


@pytest.fixture(scope="module")
def twentieth(smaller: int, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    return dataset(tmp_path_factory.mktemp("twentieth"), 20 * smaller)


@pytest.fixture(scope="module")
def fifth(smaller: int, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    return dataset(tmp_path_factory.mktemp("fifth"), 5 * smaller)


@pytest.mark.benchmark(group="frame-map: csv of 280,140 detections to mAP")
@pytest.mark.parametrize("implementation", [by_har_bench, by_loops])
def test_beside_loops(benchmark: BenchmarkFixture, twentieth: tuple[Store, Path], implementation: object) -> None:
    expected = by_har_bench(*twentieth)  # compiled before the clock starts
    found = benchmark.pedantic(implementation, twentieth, rounds=3)
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.benchmark(group="frame-map: csv of 1,120,680 detections to mAP")
@pytest.mark.parametrize("recipe", FrameMAP.recipes)
def test_recipes(benchmark: BenchmarkFixture, fifth: tuple[Store, Path], recipe: str) -> None:
    by_har_bench(*fifth, recipe)
    assert 0 < benchmark.pedantic(by_har_bench, (*fifth, recipe), rounds=3) < 100


@pytest.mark.benchmark(group="frame-map: the same with 1,000 bootstrap resamples")
def test_bootstrap(benchmark: BenchmarkFixture, fifth: tuple[Store, Path]) -> None:
    by_har_bench(*fifth)
    assert 0 < benchmark.pedantic(by_har_bench, (*fifth, "official", 1000), rounds=3) < 100
