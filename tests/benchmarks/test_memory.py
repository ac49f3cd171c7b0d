"""Memory of every protocol as its store grows: the peaks of a fresh process over what it had opened before.

The number is anonymous memory, sampled every few milliseconds: pages of mapped files are the system's cache, which it
takes back at will. Nothing is resampled; a bootstrap adds a vector of weights. Besides a part at a time, memory holds
the store's table of sequences and a protocol's sums per sequence; protocols that rank hold a number per detection.
The larger store is ten times as large, and six times in a plain test run, without ``--benchmark-enable``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench import Store, registry
from har_bench.protocol import make_protocol
from tests import enlarged
from tests.enlarged import predicted

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of memory")

PARTS = 4
COPIES = {"ava": 60, "coco": 80, "h36m": 1, "humaneva": 1, "mpii": 36, "ntu60": 6, "ntu120": 4, "penn_action": 16}
"""Copies of each dataset's sample in a part, so that a part has about 2 MB; MERL has 28 test videos, and here 40."""

SPARE = 20.0
"""MB that readers of many times as many part files, and a heap of small objects, may take."""

PER_SEQUENCE = 0.0015
"""MB of a sequence: its row in the store's table, its name and its sums; images are sequences too."""

FLAT = 0.25
RANKING = {"ava/frame-map": 0.5, "coco/oks": 0.75, "mpii/map": 0.5, "merl/frame-map": 2.5}
"""The most that peaks may grow, as a share of what the data grows. What is ranked is held until the end, and sorted:
a score and a mark for each detection, 30 marks for COCO's; 14 joints of each person; 6 scores of each image."""

MEASURED = """
import sys, threading
import har_bench
from har_bench.protocol import make_protocol

def now():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000

def watch():
    while not done.wait(0.003):
        seen.append(now())

name, *files = sys.argv[1:]
for path, predictions in zip(files[::2], files[1::2]):
    protocol, store = make_protocol(name), har_bench.open_store(path)
    seen, done = [now()], threading.Event()
    began = began if path != files[0] else seen[0]
    thread = threading.Thread(target=watch)
    thread.start()
    har_bench.score(protocol, store, predictions, resamples=0)
    done.set()
    thread.join()
    print(max(seen) - began)
"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A dataset's sample in so many parts."""
    made = enlarged.stores(tmp_path_factory.mktemp("stores"))
    return lambda dataset, parts: made(dataset, parts=parts, copies=COPIES.get(dataset, 1))


def megabytes(store: Store) -> float:
    """The size of a store's tables in memory."""
    tables = ("sequences", "poses", "segments")
    return sum(store.read(table, part).nbytes for table in tables for part in store.parts(table)) / 1e6


def peaks_of(name: str, *files: Path) -> list[float]:
    """MB that a fresh process holds at its peak, over what it held once store and protocol were open.

    Stores and predictions, in turn, are scored one after the other: what is kept of a small store is in both peaks.
    """
    words = [sys.executable, "-c", MEASURED, name, *map(str, files)]
    return [float(line) for line in subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()]


@pytest.mark.benchmark(group="memory: a store ten times as large")
@pytest.mark.parametrize("name", registry.available("protocols"))
def test_memory(
    benchmark: BenchmarkFixture, name: str, stores: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    dataset = registry.load("protocols", name).dataset
    times = 10 if request.config.getoption("benchmark_enable") else 6
    data, sequences, files = [], [], []
    for parts in (PARTS, times * PARTS):
        store = stores(dataset, parts)
        rows = predicted(make_protocol(name), store)
        files += [store.path, tmp_path / f"{parts}.parquet"]
        pq.write_table(rows, files[-1], row_group_size=max(len(rows) // parts, 1))
        sequences.append(store.sequences.num_rows)
        data.append(megabytes(store) + rows.nbytes / 1e6)
    peaks = benchmark.pedantic(peaks_of, (name, *files), rounds=1)
    benchmark.extra_info |= {
        "data_mb": [round(size, 1) for size in data],
        "peak_mb": [round(size, 1) for size in peaks],
    }
    bound = SPARE + PER_SEQUENCE * (sequences[1] - sequences[0]) + RANKING.get(name, FLAT) * (data[1] - data[0])
    assert peaks[1] - peaks[0] < bound
