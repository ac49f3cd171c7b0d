"""Worker processes: what they have when they begin, and when they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import har_bench
from har_bench import HarBenchError, registry, workers
from har_bench.converting.engine import make_converter, needed_by_workers

LOADED = """
import sys
from har_bench import HarBenchError, workers
def loaded(name):
    return name in sys.modules
if __name__ == "__main__":
    workers.prepare("har_bench.arrays.numba_loaded", "no.such.module", "har_bench.schema")
    with workers.executor(2) as (pool, width):
        print([pool.submit(loaded, name).result() for name in ("har_bench.schema", "pandas", "numba")])
"""

ASLEEP = """
import os, time
from har_bench import HarBenchError, workers
if __name__ == "__main__":
    with workers.executor(2) as (pool, width):
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600).result()
"""


def test_workers_have_the_environment_and_the_folder_of_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in "12":
        folder = tmp_path / number
        folder.mkdir()
        monkeypatch.setenv("HAR_BENCH_TRIED", number)
        monkeypatch.chdir(folder)
        with workers.executor(2) as (pool, width):
            assert width == 2
            assert pool.submit(os.getenv, "HAR_BENCH_TRIED").result() == number
            assert pool.submit(os.getcwd).result() == str(folder.resolve())


@pytest.mark.skipif(not workers.FORKS, reason="workers are no copies here")
def test_workers_begin_with_what_was_prepared(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(LOADED)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[True, True, True]"


def test_nothing_that_lies_in_the_folder_is_taken_for_a_module(tmp_path: Path) -> None:
    """A clone of us lies in the folder, and files that are called like modules of Python and of others."""
    (tmp_path / "har_bench").mkdir()
    for name in ("pandas", "selectors", "random"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not me')\n")
    registry.load("converters", "h36m").sample(tmp_path / "raw")
    words = [str(Path(sys.executable).with_name("har-bench")), "convert", "h36m", "raw", "store", "--jobs", "2"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert har_bench.open_store(tmp_path / "store").manifest.rows["sequences"] == 48


def test_what_is_loaded_for_workers_is_what_the_converter_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    always, loops = "har_bench.converting.shards", "har_bench.arrays.numba_loaded"
    assert needed_by_workers(make_converter("h36m")) == [always, "har_bench.converters.h36m.converter"]
    assert needed_by_workers(make_converter("ntu60")) == [always, "har_bench.converters.ntu.converter", loops]
    (tmp_path / "unforked_stranger.py").write_text("from tests.toy import Toy\nclass Own(Toy):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert needed_by_workers(make_converter("unforked_stranger:Own")) == [always]


def fail_or_write(path: Path) -> None:
    """Fail at the name of nothing; else write, but not at once."""
    if not path.name:
        raise HarBenchError("failed")
    time.sleep(1)
    path.write_text("late")


def test_what_has_begun_is_over_when_another_task_has_failed(tmp_path: Path) -> None:
    late = tmp_path / "late"
    with pytest.raises(HarBenchError, match="failed"), workers.executor(2) as (pool, width):
        list(workers.unordered(pool, width, fail_or_write, [late, Path(), *[tmp_path / str(n) for n in range(9)]]))
    before = sorted(tmp_path.iterdir())
    assert late in before
    time.sleep(1.5)
    assert sorted(tmp_path.iterdir()) == before


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(ASLEEP)
    with subprocess.Popen(
        [sys.executable, "script.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        assert run.stdout is not None
        worker = int(run.stdout.readline())
        os.kill(worker, 0)
        run.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while is_there(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_there(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        os.kill(process, 0)
        return ") Z" not in Path(f"/proc/{process}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
