"""Two processes beside one: the same conversion in a new process each time, by the processor's time.

What counts is the longest path: what the first process does alone, and half of what its two workers do. A machine on
which others work makes that no longer, and cores that share their units (two threads of one core) do not flatter it.
Datasets are the real files over and over, and the tree of ``tools/make_h36m_tree.py``; in a plain test run, samples.
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
from tests.golden import REAL

FILES = 4000
"""Of NTU, 1.2 GB."""

CONVERT = """
import json, resource, sys
import har_bench
if __name__ == "__main__":
    name, raw, out, jobs = sys.argv[1:]
    store = har_bench.convert(name, raw, out, jobs=int(jobs), quiet=True)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps([store.fingerprint, *(each.ru_utime + each.ru_stime for each in used)]))
"""


def ntu(folder: Path) -> None:
    real = [path.read_bytes() for path in sorted((REAL / "ntu60/skeletons").glob("*")) if path.stat().st_size > 1000]
    folder.mkdir()
    for of, content in zip(published(1)[:FILES], itertools.cycle(real), strict=False):
        (folder / f"{of.name}.skeleton").write_bytes(content)


def h36m(folder: Path) -> None:
    tool = REAL.parent / "tools/make_h36m_tree.py"
    subprocess.run([sys.executable, str(tool), str(folder)], check=True, capture_output=True)


LARGE = {"ntu60": ntu, "h36m": h36m}


def spent(name: str, raw: Path, out: Path, jobs: int) -> tuple[str, float, float]:
    """The store's fingerprint, and what the converting process and its workers took [s]."""
    shutil.rmtree(out, ignore_errors=True)
    words = [sys.executable, "-c", CONVERT, name, str(raw), str(out), str(jobs)]
    fingerprint, own, workers = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return str(fingerprint), float(own), float(workers)


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
    expected, alone, _ = spent(name, raw, out, 1)
    found, own, workers = benchmark.pedantic(spent, (name, raw, out, 2), rounds=1)
    assert found == expected
    times = alone / (own + workers / 2)
    benchmark.extra_info |= {"one [s]": alone, "two: alone [s]": own, "two: workers [s]": workers, "times": times}
    assert times > 1 or not large
