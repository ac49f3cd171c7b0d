"""Human3.6M end to end, files included: converting, doing nothing again, scoring; and the command's start.

``make bench`` takes all seven subjects when ``HAR_BENCH_FULL`` is set (497,888 frames, four cameras), else S11.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import har_bench
from har_bench import Store
from har_bench.baseline import targets
from har_bench.protocol import make_protocol
from har_bench.running import run
from har_bench.schema import to_numpy
from har_bench.scoring import predictions
from tests.golden import REAL

pytestmark = pytest.mark.real

SUBJECTS = () if os.environ.get("HAR_BENCH_FULL") else ("S11",)
MEASURED = """
import multiprocessing.forkserver, resource, sys
import har_bench
from har_bench.devices import peak_memory_mb
if __name__ == "__main__":
    {work}
    multiprocessing.forkserver._forkserver._stop()  # then the system tells of its children
    print(peak_memory_mb(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6)
"""


def peak_mb(work: str) -> float:
    """The larger of a fresh process's peak memory and its largest worker's [MB]."""
    words = [sys.executable, "-c", MEASURED.format(work=work)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return max(map(float, done.stdout.split()))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tool = REAL.parent / "tools" / "make_h36m_tree.py"
    if not tool.exists():
        pytest.skip(f"no {tool} to write the raw tree with")
    home = tmp_path_factory.mktemp("h36m")
    subprocess.run([sys.executable, str(tool), str(home / "raw"), *SUBJECTS], check=True, capture_output=True)
    return home


@pytest.fixture(scope="module")
def store(home: Path) -> Store:
    return har_bench.convert("h36m", home / "raw", home / "store", jobs=2, quiet=True)


@pytest.fixture(scope="module")
def predicted(store: Store, home: Path) -> Path:
    run("oracle-noise", store, protocol="h36m/mpjpe", out=home / "predicted.parquet", settings={"sigma": 40.0})
    return home / "predicted.parquet"


@pytest.mark.benchmark(group="h36m: convert")
def test_convert(benchmark: BenchmarkFixture, home: Path) -> None:
    def once() -> None:
        shutil.rmtree(home / "again", ignore_errors=True)
        har_bench.convert("h36m", home / "raw", home / "again", jobs=2, quiet=True)

    if benchmark.enabled:  # else the fresh process below shows as much
        benchmark.pedantic(once, rounds=1)
        shutil.rmtree(home / "again")
    work = f"har_bench.convert('h36m', {str(home / 'raw')!r}, {str(home / 'again')!r}, jobs=2, quiet=True)"
    benchmark.extra_info["peak_mb"] = peak_mb(work)
    benchmark.extra_info["poses"] = har_bench.open_store(home / "again").manifest.rows["poses"]
    assert benchmark.extra_info["peak_mb"] < 2000


@pytest.mark.benchmark(group="h36m: convert")
def test_convert_what_is_converted(benchmark: BenchmarkFixture, home: Path, store: Store) -> None:
    benchmark.pedantic(har_bench.convert, ("h36m", home / "raw", store.path), {"quiet": True}, rounds=3)


@pytest.mark.benchmark(group="h36m: score, files to result")
def test_score(benchmark: BenchmarkFixture, store: Store, predicted: Path) -> None:
    result = benchmark.pedantic(har_bench.score, ("h36m/mpjpe", store.path, predicted), rounds=3)
    work = f"har_bench.score('h36m/mpjpe', {str(store.path)!r}, {str(predicted)!r})"
    benchmark.extra_info |= {"poses": result.counts["frames"], "peak_mb": peak_mb(work)}
    assert benchmark.extra_info["peak_mb"] < 1500


@pytest.mark.benchmark(group="h36m: score, files to result")
def test_score_as_a_paper_s_script_does(benchmark: BenchmarkFixture, store: Store, predicted: Path) -> None:
    """The named alternative: the same files, and the errors with NumPy and a batched SVD, sequence by sequence."""

    def script() -> float:
        protocol = make_protocol("h36m/mpjpe")
        given = predictions.open_predictions(predicted, protocol, store)
        totals: dict[str, list[Any]] = {}
        for table in targets(store, protocol):
            points = to_numpy(table["keypoints_3d"], table.schema.field("keypoints_3d"))
            points = points.astype(np.float64)
            names = np.asarray(table["sequence"].to_pylist())
            for name in np.unique(names):
                rows = given.of(name)
                assert rows is not None
                truth = points[names == name] - points[names == name][:, :1]
                pose = rows["keypoints_3d"].astype(np.float64)
                totals.setdefault(name.split("/")[1].split(" ")[0], []).append(paper_errors(pose, truth))
        return float(np.mean([np.concatenate([each[0] for each in parts]).mean() for parts in totals.values()]))

    ours = har_bench.score("h36m/mpjpe", store, predicted, resamples=0)
    assert benchmark.pedantic(script, rounds=1) == pytest.approx(ours["MPJPE"], abs=1e-3)


def paper_errors(pose: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
    """(T,) MPJPE, P-MPJPE and N-MPJPE and (T - 1,) MPJVE, as short scripts compute them."""
    a, b = pose - pose.mean(1, keepdims=True), truth - truth.mean(1, keepdims=True)
    u, s, vt = np.linalg.svd(np.swapaxes(a, 1, 2) @ b)
    sign = np.sign(np.linalg.det(u @ vt))
    s[:, -1] *= sign
    u[:, :, -1] *= sign[:, None]
    scale = s.sum(1) / (a * a).sum((1, 2))
    aligned = scale[:, None, None] * a @ (u @ vt) + truth.mean(1, keepdims=True)
    ratio = (pose * truth).sum((1, 2), keepdims=True) / (pose * pose).sum((1, 2), keepdims=True)
    means = [np.linalg.norm(each - truth, axis=-1).mean(1) for each in (pose, aligned, ratio * pose)]
    return (*means, np.linalg.norm(np.diff(pose, axis=0) - np.diff(truth, axis=0), axis=-1).mean(1))


@pytest.mark.benchmark(group="start of the command")
@pytest.mark.parametrize("what", ["har-bench --help", "importing NumPy, Arrow, numba and pandas first"])
def test_start(benchmark: BenchmarkFixture, what: str) -> None:
    eager, ours = "import numpy, pyarrow, numba, pandas", "from har_bench.cli import main; main(['--help'])"
    words = [sys.executable, "-c", eager if "first" in what else ours]
    benchmark.pedantic(subprocess.run, (words,), {"capture_output": True, "check": True}, rounds=5)
