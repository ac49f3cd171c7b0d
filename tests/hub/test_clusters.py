"""A conversion on many machines: the same bytes, whoever dies, and one sentence when nobody is left."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import har_bench
from har_bench import HarBenchError
from har_bench.converter import Shard, Tables
from har_bench.errors import HarBenchWarning
from har_bench.protocol import Batch
from har_bench.storing.fingerprint import of_file
from tests.clusters import Machines, machines
from tests.toy import Toy, ToyError, write_raw

pytest.importorskip("distributed")

SLOW = "tests.hub.test_clusters:Slow"
SHARDS = int(os.environ.get("HAR_BENCH_CLUSTER_SHARDS", "24"))
KILLS = int(os.environ.get("HAR_BENCH_CLUSTER_KILLS", "2"))
WORKERS = 2
"""At a time: whoever dies is replaced, and the other one goes on meanwhile."""


@dataclass
class Slow(Toy):
    """Takes its time over each shard."""

    def read(self, shard: Shard) -> Tables:
        time.sleep(0.2)
        return super().read(shard)


class SlowError(ToyError):
    """Takes its time over each part."""

    def update(self, truth: Batch, predictions: Batch) -> None:
        time.sleep(0.2)
        super().update(truth, predictions)


def tree(folder: Path) -> dict[str, str]:
    """Every file under a folder with the hash of its bytes."""
    return {path.relative_to(folder).as_posix(): of_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raw(tmp_path_factory.mktemp("raw"), range(1, SHARDS + 1))


@pytest.fixture(scope="module")
def reference(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / "reference"
    har_bench.convert(SLOW, raw, out, jobs=1, quiet=True)
    return out


@contextmanager
def unreliable(found: Machines) -> Iterator[list[int]]:
    """Workers die at random while the block runs; how many did so far is the length of the list."""
    stop, killed = threading.Event(), []
    killer = threading.Thread(target=kill_workers, args=(found, stop, killed))
    killer.start()
    try:
        yield killed
    finally:
        stop.set()
        killer.join()


def kill_workers(found: Machines, stop: threading.Event, killed: list[int]) -> None:
    """Kill a random worker now and then, and start another one."""
    chance = random.Random(0)
    while len(killed) < KILLS and not stop.wait(chance.uniform(1.5, 2.5)):
        number = chance.randrange(len(found.workers))
        found.kill_worker(number)
        killed.append(number)
        found.start_worker()


def test_workers_that_die_and_a_scheduler_that_is_started_again_do_not_change_a_byte(
    raw: Path, reference: Path, tmp_path: Path
) -> None:
    out = tmp_path / "store"
    with machines(tmp_path / "machines", WORKERS) as found:

        def pull_every_plug() -> None:
            journal = out.with_name("store.partial") / "journal.jsonl"
            while not journal.exists() or journal.read_bytes().count(b"\n") < SHARDS // 4:
                time.sleep(0.01)
            found.kill()

        plug = threading.Thread(target=pull_every_plug)
        plug.start()
        with pytest.raises(HarBenchError, match=f"the Dask scheduler at {found.address} was lost; .* resumes"):
            har_bench.convert(SLOW, raw, out, scheduler=found.address, quiet=True)
        plug.join()
        assert not out.exists()

        found.start(WORKERS)
        with unreliable(found) as killed:
            har_bench.convert(SLOW, raw, out, scheduler=found.address, quiet=True)
    print(f"{len(killed)} workers killed")
    assert killed
    assert tree(out) == tree(reference)
    assert not out.with_name("store.partial").exists()


def test_scores_are_the_same_whoever_dies_and_wherever_workers_work(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store and predictions are named from the folder that the command was given in, which no worker works in."""
    monkeypatch.chdir(tmp_path)
    options = {"protocol": "tests.hub.test_clusters:SlowError", "store": os.path.relpath(reference)}
    har_bench.run("tests.toy:Zero", reference, protocol=options["protocol"], out="zero.parquet")
    expected = har_bench.score(predictions="zero.parquet", **options)
    with machines(tmp_path / "machines", WORKERS) as found, unreliable(found) as killed:
        assert har_bench.score(predictions="zero.parquet", scheduler=found.address, **options) == expected
        print(f"{len(killed)} workers killed")


def test_a_scheduler_without_workers_is_told_and_then_given_up(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("LOOK_EVERY_S", 0.1), ("SPEAK_AFTER_S", 0.3), ("GIVE_UP_AFTER_S", 1.0)):
        monkeypatch.setattr(f"har_bench.workers.{name}", seconds)
    with machines(tmp_path / "machines", 0) as found:
        words = rf"worker .*; start one with 'dask worker {found.address}'"
        with (
            pytest.warns(HarBenchWarning, match=f"waiting .* for a {words}"),
            pytest.raises(HarBenchError, match=words),
        ):
            har_bench.convert(SLOW, raw, tmp_path / "store", scheduler=found.address, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["machines"]


def test_workers_that_all_leave_are_missed(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("har_bench.workers.LOOK_EVERY_S", 0.1)
    with machines(tmp_path / "machines", 1) as found:
        journal = tmp_path / "store.partial" / "journal.jsonl"

        def leave() -> None:
            while not journal.exists() or journal.read_bytes().count(b"\n") < 3:
                time.sleep(0.01)
            monkeypatch.setattr("har_bench.workers.GIVE_UP_AFTER_S", 1.0)
            found.kill_worker(0)

        leaving = threading.Thread(target=leave)
        leaving.start()
        with pytest.raises(HarBenchError, match="no worker has joined"):
            har_bench.convert(SLOW, raw, tmp_path / "store", scheduler=found.address, quiet=True)
        leaving.join()
    assert journal.exists()


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="a path that every process sees otherwise is needed")
@pytest.mark.parametrize("apart", ["raw", "store"])
def test_a_folder_that_the_machines_do_not_share_is_noticed(
    apart: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``/proc/self/cwd`` is another folder for each worker, as a folder is that is not mounted there."""
    write_raw(tmp_path / "raw", [5, 11])
    monkeypatch.chdir(tmp_path)
    places = {name: (Path("/proc/self/cwd") if name == apart else tmp_path) / name for name in ("raw", "store")}
    with machines(tmp_path / "machines", 1) as found, pytest.raises(HarBenchError, match=r"; share .* every machine"):
        har_bench.convert(SLOW, places["raw"], places["store"], scheduler=found.address, quiet=True)
    assert not places["store"].exists()
