"""Results of an older protocol version are scored again from the files they name by content, and never overwritten."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

import har_bench
from har_bench import HarBenchError, Store, results
from har_bench.studying.rescoring import Rescored, lines, rescore, tables

NAME = "mpii/pckh"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, predictions and the result of an older version; tests copy what they change."""
    home = tmp_path_factory.mktemp("rescoring")
    har_bench.registry.load("converters", "mpii").sample(home / "raw")
    store = har_bench.convert("mpii", home / "raw", home / "stores" / "mpii", jobs=1, quiet=True)
    har_bench.run("oracle-noise", store, protocol=NAME, out=home / "predictions" / "deep" / "noise.parquet")
    return home


@pytest.fixture
def old(home: Path, store: Store, folder: Path) -> results.Result:
    """``mine.json`` in the folder, as version 0 of the protocol would have left it."""
    predictions = home / "predictions" / "deep" / "noise.parquet"
    now = har_bench.score(
        NAME, store, predictions, recipe="hrnet", resamples=50, model="mine", missing="count-as-error"
    )
    aged = msgspec.structs.replace(now, version="0", metrics=now.metrics | {"PCKh@0.5": 1.0}, speed={"poses/s": 9.0})
    results.write(aged, folder / "deep" / "mine.json")
    return now


@pytest.fixture
def store(home: Path) -> Store:
    return har_bench.open_store(home / "stores" / "mpii")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"


def again(folder: Path, home: Path, **changed: Any) -> list[Rescored]:
    return rescore(folder, **({"stores": [home / "stores"], "predictions": [home / "predictions"]} | changed))


def test_an_older_result_is_scored_as_it_was(folder: Path, home: Path, old: results.Result) -> None:
    path = folder / "deep" / "mine.json"
    before = path.read_bytes()
    (only,) = again(folder, home)
    assert (only.status, only.path, only.before) == ("rescored", path, 1.0)
    assert only.after == old["PCKh@0.5"]
    assert only.written == folder / "deep" / "mine.v1.json"
    assert results.read(only.written) == msgspec.structs.replace(old, speed={"poses/s": 9.0})
    assert path.read_bytes() == before


def test_without_folders_it_says_what_is_old_and_what_is_missing(folder: Path, old: results.Result) -> None:
    results.write(old, folder / "now.json")
    told = {Path(each.path).name: (each.status, each.reason) for each in rescore(folder)}
    assert told["now.json"] == ("current", f"{NAME} is at version {old.version}")
    assert told["mine.json"][0] == "impossible"
    assert "its store" in told["mine.json"][1]
    assert "as no folder was given" in told["mine.json"][1]


def test_a_second_time_does_nothing(folder: Path, home: Path, old: results.Result) -> None:
    (first,) = again(folder, home)
    assert first.written is not None
    stamp = first.written.stat().st_mtime_ns
    second = again(folder, home)
    assert [(each.path.name, each.status) for each in second] == [("mine.json", "already"), ("mine.v1.json", "current")]
    assert first.written.stat().st_mtime_ns == stamp


def test_a_rescored_result_that_is_old_again_gets_the_one_new_name(
    folder: Path, home: Path, old: results.Result
) -> None:
    path = folder / "deep" / "mine.json"
    aged = results.read(path)
    results.write(aged, path.with_name("other.v0.json"))
    assert [each.written for each in again(folder, home)] == [
        path.with_name("mine.v1.json"),
        path.with_name("other.v1.json"),
    ]


def test_moved_and_renamed_files_are_found(folder: Path, home: Path, old: results.Result, tmp_path: Path) -> None:
    shutil.copy(home / "predictions" / "deep" / "noise.parquet", tmp_path / "renamed.parquet")
    shutil.copytree(home / "stores" / "mpii", tmp_path / "moved")
    (tmp_path / "manifest.json").write_text("{}")  # another program's
    found = again(folder, home, stores=[tmp_path], predictions=[tmp_path / "renamed.parquet"])
    assert {each.path.name: each.status for each in found} == {"mine.json": "rescored"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "2"}, "it is of version 2, and 1 is installed"),
        ({"version": "1.5"}, "update har_bench"),
        ({"recipe": "gone"}, "called 'gone'"),
        ({"protocol": "mpii/gone"}, "no protocol is called 'mpii/gone'"),
        ({"fingerprints": {"store": "0" * 64}}, r"its store \(blake3 0000000000000000…\) cannot be found, in"),
        ({"fingerprints": {}}, "its store"),
    ],
)
def test_what_cannot_be_rescored_says_why(
    changes: dict[str, Any], message: str, folder: Path, home: Path, old: results.Result
) -> None:
    path = folder / "deep" / "mine.json"
    results.write(msgspec.structs.replace(results.read(path), **changes), path)
    (only,) = again(folder, home)
    assert (only.status, only.written, only.after) == ("impossible", None, None)
    with pytest.raises(HarBenchError, match=message):
        raise HarBenchError(only.reason)
    assert [each.name for each in path.parent.iterdir()] == ["mine.json"]


def test_predictions_that_are_gone_are_named(folder: Path, home: Path, old: results.Result, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (only,) = again(folder, home, predictions=[tmp_path / "empty"])
    assert only.status == "impossible"
    assert only.reason.startswith("its predictions (blake3 ")
    (only,) = again(folder, home, predictions=[])
    assert only.reason.endswith("cannot be found, as no folder was given")


def test_other_files_and_current_results_stay(folder: Path, home: Path, old: results.Result) -> None:
    (folder / "notes.json").write_text("[]")
    (folder / "deep" / "mine.json").unlink()
    results.write(old, folder / "now.json")
    found = again(folder, home)
    assert {each.path.name: each.status for each in found} == {"notes.json": "impossible", "now.json": "current"}
    assert lines(found) == ["1 current, 1 impossible"]
    ((_, columns, rows),) = tables(found)
    assert all(len(row) == len(columns) for row in rows)
    assert lines([]) == ["no result files"]


def test_a_folder_that_is_not_there_is_an_error(folder: Path, home: Path) -> None:
    with pytest.raises(HarBenchError, match="does not exist"):
        again(folder, home)
