"""A pipe in the place of a file that har_bench wrote itself is refused in one sentence, and never waited for."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

import har_bench
from har_bench.converting import engine
from har_bench.errors import HarBenchWarning
from tests.hub.readings import read_elsewhere
from tests.toy import write_raw

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes of another kind")

SECONDS = 60.0
"""By the clock: nobody ever writes into the pipes."""

TOY = "tests.toy:Toy"

PLACES = {
    "part": ("validated", "store", "store/poses/part-00000.parquet"),
    "small table": ("validated", "store", "store/sequences.parquet"),
    "arrays": ("validated", "dense", "dense/arrays.h5"),
    "journal": ("resumed", "begun", "begun.partial/journal.jsonl"),
    "lock": ("resumed", "begun", "begun.partial.lock"),
    "curves": ("curves", "curves.csv", "curves.csv"),
    "checkpoint": ("checkpoints", "training", "training/latest.ckpt"),
    "run": ("pose parts", "poses", "poses/run.json"),
    "predictions": ("fingerprinted", "predictions", "predictions"),
}
"""A reader, what it is given, and where the pipe is."""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("stores")
    write_raw(home / "raw", [3, 4])
    har_bench.convert(TOY, home / "raw", home / "store", jobs=1, quiet=True)
    har_bench.convert(TOY, home / "raw", home / "dense", format="hdf5", jobs=1, quiet=True)
    return home


def test_own_files_that_became_pipes(stores: Path, tmp_path: Path) -> None:
    files = []
    for what, (reader, given, place) in PLACES.items():
        home = tmp_path / what
        shutil.copytree(stores, home)
        pipe = home / place
        pipe.parent.mkdir(exist_ok=True)
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        files.append((reader, home / given))
    readings = list(read_elsewhere(files, folder=tmp_path, seconds=SECONDS))
    assert [each.outcome for each in readings] == ["refused"] * len(PLACES), readings
    for what, reading in zip(PLACES, readings, strict=True):
        assert f"{tmp_path / what}" in reading.text
        assert "is a pipe or a device and no file; " in reading.text


def test_files_of_shards_that_became_pipes_are_made_again(
    stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(engine, "assemble", stopped)
        with pytest.raises(KeyboardInterrupt):
            har_bench.convert(TOY, stores / "raw", tmp_path / "store", jobs=1, quiet=True)
    for name in ("shards/00000-sequences.arrow", "poses/part-00001.parquet"):
        (path := tmp_path / "store.partial" / name).unlink()
        os.mkfifo(path)
    with pytest.warns(HarBenchWarning, match="2 finished shards of .* are converted again"):
        store = har_bench.convert(TOY, stores / "raw", tmp_path / "store", jobs=1, quiet=True)
    store.validate()
    assert store.fingerprint == har_bench.open_store(stores / "store").fingerprint
