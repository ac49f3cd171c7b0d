"""Every command that writes, on a disk that is full: one sentence with what is needed, and nothing half-written."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import msgspec
import pytest

import har_bench
from har_bench import results
from har_bench.cli import main
from tests.disks import leave, mounted
from tests.sampled import sampled

MODEL = ("run", "oracle-noise", "HOME/store", "--protocol", "mpii/pckh")
WRITING = {
    "predictions": (*MODEL, "--predictions", "DISK/p.parquet"),
    "the result of a run": (*MODEL, "--out", "DISK/r.json"),
    "weights": ("run", "mean-pose", "HOME/store", "--protocol", "mpii/pckh", "--save", "DISK/w.npy"),
    "a result": ("score", "mpii/pckh", "HOME/store", "HOME/p.parquet", "--out", "DISK/r.json"),
    "rescored": ("rescore", "DISK", "--stores", "HOME/store", "--predictions", "HOME/p.parquet"),
    "pages": ("leaderboard", "build", "HOME/results", "DISK/site"),
    "a store": ("convert", "mpii", "HOME/raw", "DISK/store", "--jobs", "1"),
    "a repacked store": ("convert", "mpii", "HOME/store", "DISK/store", "--format", "hdf5"),
}
GROWING = {
    "a sample": ("sample", "h36m", "DISK/raw"),
    "a demo": ("demo", "DISK/demo"),
}
"""What fails in the middle, with some room on the disk; there is no one sync to fail."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    store = sampled("mpii", home)
    result = har_bench.run("oracle-noise", store, protocol="mpii/pckh", out=home / "p.parquet")
    results.write(result, home / "results" / "a.json")
    return home


def old_result(home: Path, disk: Path) -> None:
    """A result of an older version of its protocol, to be scored again."""
    old = msgspec.structs.replace(results.read(home / "results" / "a.json"), version="0", tables={})
    results.write(old, disk / "old.json")


def told(words: tuple[str, ...], home: Path, disk: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says that fails."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([word.replace("HOME", str(home)).replace("DISK", str(disk)) for word in words])
    said = capsys.readouterr().err
    assert (stop.value.code, said.count("\n")) == (1, 1), said
    return said


FULL = r"the disk of .* is full: about [\d.,]+ MB more are needed and [\d.,]+ MB are free; make room, then resume with"


@pytest.mark.parametrize(("left", "what"), [*((0, what) for what in WRITING), *((40, what) for what in GROWING)])
def test_a_full_disk_is_one_sentence_and_nothing_is_left(
    left: int, what: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mounted(tmp_path / "disk", "size=2m") as disk:
        old_result(home, disk)
        leave(disk, left)
        said = told((WRITING | GROWING)[what], home, disk, capsys)
        assert re.search(FULL, said), said
        there = {path.relative_to(disk).as_posix() for path in disk.rglob("*") if path.is_file()}
        assert there - {"demo/.har-bench-demo"} == {"filler", "old.json"}


@pytest.mark.parametrize("what", WRITING)
def test_a_disk_that_is_full_when_a_file_is_synced_is_told_the_same(
    what: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no disk can be mounted."""

    def fsync(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    old_result(home, tmp_path)
    monkeypatch.setattr(os, "fsync", fsync)
    said = told(WRITING[what], home, tmp_path, capsys)
    assert "is full: about" in said
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["old.json"]


@pytest.mark.parametrize("setting", ["--save DISK/w.safetensors", "--set checkpoints=DISK/kept"])
def test_a_training_on_a_full_disk_is_one_sentence(
    setting: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lightning")
    sampled("h36m", tmp_path)
    words = ("run", "martinez", "HOME/store", "--protocol", "h36m/mpjpe", "--device", "cpu", "--set", "epochs=1")
    with mounted(tmp_path / "disk", "size=1m") as disk:
        leave(disk, 20)
        said = told((*words, "--set", "channels=64", "--quiet", *setting.split()), tmp_path, disk, capsys)
        assert "is full: about" in said
        assert {path.name for path in disk.rglob("*") if path.is_file()} <= {"filler", "curves.csv", "curves.png"}
