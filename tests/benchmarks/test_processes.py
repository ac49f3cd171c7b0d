"""Two processes beside one: the same conversion in a new process each time, by the clock and by the processor's time.

The clock tells the truth on a machine that does nothing else. Where others work too, the longest path does, by the
processor's time: what the first process does alone, and half of what its workers and the process that they are copies
of do. In truth that one works while the first one does, so this flatters nobody. Each conversion takes one process ten
seconds at least, so that it measures scaling and not the start of processes: NTU's real files over and over under their
published names, the whole of Human3.6M, and four files as large as COCO's of 2014 and 2017. In a plain test run they
are samples.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from har_bench import registry
from har_bench.converters.ntu.metadata import published
from tests.benchmarks.coco_json import SIZES, write
from tests.golden import REAL

FILES = 16_000
"""Of NTU, 4.8 GB."""

CONVERT = """
import json, multiprocessing.forkserver, resource, sys, time
started = time.perf_counter()
import har_bench
if __name__ == "__main__":
    name, raw, out, jobs = sys.argv[1:]
    store = har_bench.convert(name, raw, out, jobs=int(jobs), quiet=True)
    seconds = time.perf_counter() - started
    multiprocessing.forkserver._forkserver._stop()  # the system tells of a child, and its children, once it has ended
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps([store.fingerprint, seconds, *(each.ru_utime + each.ru_stime for each in used)]))
"""


def ntu(folder: Path) -> None:
    """Links to a few files: what a thousand have in common, the system reads once."""
    real = [path for path in sorted((REAL / "ntu60/skeletons").glob("*")) if path.stat().st_size > 1000]
    names = (f"{of.name}.skeleton" for setup in range(1, 18) for of in published(setup))
    folder.mkdir()
    for number, path in enumerate(real):
        (folder / f"{number}.copy").write_bytes(path.read_bytes())
    for name, number in zip(itertools.islice(names, FILES), itertools.cycle(range(len(real)))):
        (folder / name).hardlink_to(folder / f"{number}.copy")


def h36m(folder: Path) -> None:
    tool = REAL.parent / "tools/make_h36m_tree.py"
    subprocess.run([sys.executable, str(tool), str(folder)], check=True, capture_output=True)


def coco(folder: Path) -> None:
    folder.mkdir()
    for name in SIZES:
        write(folder, name)


LARGE = {"ntu60": ntu, "h36m": h36m, "coco": coco}


def spent(name: str, raw: Path, out: Path, jobs: int) -> tuple[str, float, float, float]:
    """The store's fingerprint, the time by the clock, and what the converting process and its workers took [s]."""
    shutil.rmtree(out, ignore_errors=True)
    words = [sys.executable, "-c", CONVERT, name, str(raw), str(out), str(jobs)]
    fingerprint, *times = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    clock, own, workers = map(float, times)
    return str(fingerprint), clock, own, workers


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell what other processes took")
@pytest.mark.benchmark(group="two processes beside one")
@pytest.mark.parametrize("name", LARGE)
def test_two_processes(benchmark: BenchmarkFixture, name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    raw, out, large = tmp_path / "raw", tmp_path / "store", request.config.getoption("benchmark_enable")
    if large:
        pytest.importorskip("cdflib")
        LARGE[name](raw)
    else:
        registry.load("converters", name).sample(raw)
    expected, clock, alone, _ = spent(name, raw, out, 1)
    found, together, own, workers = benchmark.pedantic(spent, (name, raw, out, 2), rounds=1)
    assert found == expected
    benchmark.extra_info |= {
        "one [s]": clock,
        "times by the clock": clock / together,
        "one, processor [s]": alone,
        "two, processor: first, workers [s]": (own, workers),
        "times by the processor's longest path": alone / (own + workers / 2),
    }
