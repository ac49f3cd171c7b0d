"""A result can be believed when it is scored again and every number is the same; each tampering is named."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from har_bench import HarBenchError, cli, results
from har_bench.results import Interval, Result
from har_bench.studying.verifying import lines, verify
from tests.sampled import noise, two_stores

Tamper = Callable[[Result], Result]
NAME = "mpii/pckh:hrnet"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stores of a dataset, and an entry: predictions and their result side by side; tests copy what they change."""
    home = tmp_path_factory.mktemp("verifying")
    stores, entry = two_stores("mpii", home), home / "results" / "noise"
    results.write(noise(NAME, stores / "mpii", entry / "predictions.parquet"), entry / "result.json")
    return home


@pytest.fixture
def folder(home: Path, tmp_path: Path) -> Path:
    return shutil.copytree(home / "results", tmp_path / "results")


def changed(**fields: Any) -> Tamper:
    return lambda found: msgspec.structs.replace(found, **fields)


def more(number: float) -> Tamper:
    return lambda found: msgspec.structs.replace(
        found, metrics=found.metrics | {"PCKh@0.1": found["PCKh@0.1"] + number}
    )


def moved(found: Result) -> Result:
    ends = {"PCKh@0.5": Interval(low=found["PCKh@0.5"] + 2, high=found["PCKh@0.5"] + 3)}
    return msgspec.structs.replace(found, intervals=found.intervals | ends)


def swapped(found: Result) -> Result:
    return msgspec.structs.replace(found, fingerprints=found.fingerprints | {"predictions": "9b" * 32})


def edited_table(found: Result) -> Result:
    rows = [row | {"PCKh@0.5": 100.0} for row in found.tables["joint"]]
    return msgspec.structs.replace(found, tables=found.tables | {"joint": rows})


TAMPERED: dict[str, tuple[Tamper, str]] = {
    "140 %": (lambda found: msgspec.structs.replace(found, metrics=found.metrics | {"PCKh@0.5": 140.0}), "140 %"),
    "a moved interval": (moved, "outside its own interval"),
    "a swapped fingerprint": (swapped, "fingerprint of predictions.parquet differs"),
    "a version that never was": (changed(version="0"), "version '0' of mpii/pckh never was"),
    "an edited table": (edited_table, "contradicts itself"),
    "a wrong recipe": (changed(recipe="easy"), "no recipe of mpii/pckh is called 'easy'"),
    "another recipe": (changed(recipe="bearpaw"), "scored again, "),
    "a number that is a little better": (more(0.01), "scored again, metrics PCKh@0.1 is "),
}


def test_what_a_run_tells_of_its_trainings_is_no_difference(folder: Path, home: Path) -> None:
    path = folder / "noise" / "result.json"
    found = results.read(path)
    seeds: list[results.Row] = [{"seed": name, "PCKh@0.5": 50.0} for name in ("0", "1", "mean", "standard deviation")]
    readings = found.readings | {"seed": results.Reading(kind="facts")}
    results.write(msgspec.structs.replace(found, tables=found.tables | {"seed": seeds}, readings=readings), path)
    (only,) = verify(folder, stores=[home / "stores"])
    assert only.status == "equal"


def test_what_is_scored_again_equal_is_told(folder: Path, home: Path) -> None:
    (only,) = verify(folder, stores=[home / "stores"])
    assert (only.file, only.status) == (str(Path("noise") / "result.json"), "equal")


@pytest.mark.parametrize("what", TAMPERED)
def test_each_tampering_is_named(folder: Path, home: Path, what: str) -> None:
    tamper, words = TAMPERED[what]
    path = folder / "noise" / "result.json"
    results.write(tamper(results.read(path)), path)
    (only,) = verify(folder, stores=[home / "stores"])
    assert only.status == "wrong"
    assert words in only.reason


def test_an_edited_file_is_named(folder: Path, home: Path) -> None:
    path = folder / "noise" / "result.json"
    path.write_text(path.read_text().replace('"model": "', '"model": "better '))
    (only,) = verify(folder, stores=[home / "stores"])
    assert (only.status, "changed after it was written" in only.reason) == ("wrong", True)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-1000], lambda raw: raw + b"\0"])
def test_damaged_predictions_are_named(folder: Path, home: Path, damage: Callable[[bytes], bytes]) -> None:
    path = folder / "noise" / "predictions.parquet"
    path.write_bytes(damage(path.read_bytes()))
    (only,) = verify(folder, stores=[home / "stores"])
    assert (only.status, "predictions.parquet differs" in only.reason) == ("wrong", True)


def test_what_is_absent_is_no_wrong(folder: Path, home: Path) -> None:
    (without_store,) = verify(folder)
    assert (without_store.status, "no store" in without_store.reason) == ("unverified", True)
    shutil.move(folder / "noise" / "predictions.parquet", folder.parent / "elsewhere.parquet")
    (absent,) = verify(folder, stores=[home / "stores"])
    assert (absent.status, "absent" in absent.reason) == ("unverified", True)
    (found,) = verify(folder, stores=[home / "stores"], predictions=[folder.parent / "elsewhere.parquet"])
    assert found.status == "equal"


def test_another_store_is_named(folder: Path, home: Path) -> None:
    (only,) = verify(folder, stores=[home / "stores" / "other"])
    assert (only.status, "another store" in only.reason) == ("wrong", True)


def test_the_command_says_a_line_for_each_and_fails_if_any_is_wrong(
    folder: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["leaderboard", "verify", str(folder), "--stores", str(home / "stores"), "--quiet"]
    (folder / "package.json").write_text('{"name": "of another program"}')
    cli.main(command)
    assert capsys.readouterr().out.splitlines()[-1] == "1 equal"
    (folder / "broken.json").write_text('{"protocol"')
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command, "--json"])
    assert stopped.value.code == 1
    said = json.loads(capsys.readouterr().out)
    assert [(each["file"], each["status"]) for each in said] == [
        ("broken.json", "wrong"),
        (str(Path("noise") / "result.json"), "equal"),
    ]
    assert list(lines(verify(folder)))[-1] == "1 unverified, 1 wrong"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names are bytes there")
def test_odd_neighbours_of_predictions_are_passed_over(folder: Path, home: Path) -> None:
    odd = folder / "odd"
    odd.mkdir()
    (odd / os.fsdecode(b"caf\xe9.npy")).write_bytes(b"x")
    (odd / "nothing").symlink_to("nowhere")
    os.mkfifo(odd / "pipe")
    assert [each.status for each in verify(folder, stores=[home / "stores"])] == ["equal"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match="nowhere does not exist"):
        verify(tmp_path / "nowhere")
