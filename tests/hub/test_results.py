"""The result file: complete, readable by people and by later versions, written whole."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from har_bench import HarBenchError, results
from har_bench.results import Interval, Result

HISTORIC = sorted((Path(__file__).parent / "historic_results").glob("*.json"))


@pytest.fixture
def result() -> Result:
    return Result(
        protocol="h36m/mpjpe",
        version="1",
        recipe="videopose3d",
        options={"every": 64, "cameras": "60457274"},
        dataset="h36m",
        primary="MPJPE",
        metrics={"MPJPE": 46.8},
        units={"MPJPE": "mm"},
        intervals={"MPJPE": Interval(low=46.0, high=47.5, resamples=1000)},
        tables={"action": [{"action": "Walking", "MPJPE": 33.0, "MPJVE": None}]},
        counts={"frames": 8240},
        fingerprints={"store": "a" * 64, "predictions": "b" * 64},
        versions={"har_bench": "0.1.0"},
        environment={"platform": "Linux"},
        model="mine",
    )


def test_a_result_comes_back_as_it_was_written(result: Result, tmp_path: Path) -> None:
    path = results.write(result, tmp_path / "deep" / "r.json")
    assert results.read(path) == result
    assert [each.name for each in path.parent.iterdir()] == ["r.json"]


def test_the_top_level_has_the_documented_keys(result: Result) -> None:
    keys = list(json.loads(result.to_json()))
    assert keys[:13] == [
        *("protocol", "version", "recipe", "options", "dataset", "primary", "metrics", "units", "intervals"),
        *("tables", "counts", "fingerprints", "versions"),
    ]
    assert keys[13:] == ["environment", "model", "speed", "readings", "notes", "schema", "seal"]
    text = (Path(__file__).parents[2] / "docs" / "result-file.md").read_text()
    assert not [key for key in keys if f"`{key}`" not in text]


def test_metrics_are_items_and_the_canonical_name_is_the_protocols(result: Result) -> None:
    assert result["MPJPE"] == 46.8
    assert result.canonical == "h36m/mpjpe:videopose3d,cameras=60457274,every=64"
    with pytest.raises(HarBenchError, match="called 'PCK'; there are MPJPE"):
        _ = result["PCK"]


@pytest.mark.parametrize("path", HISTORIC, ids=lambda path: path.stem)
def test_historic_results_keep_loading(path: Path) -> None:
    found = results.read(path)
    assert found[found.primary] == msgspec.json.decode(path.read_bytes())["metrics"][found.primary]


def test_there_are_historic_results() -> None:
    assert HISTORIC


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'{"protocol": 3}', b'{"protocol": "a/b"'])
def test_a_broken_result_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(
        HarBenchError, match=r"r\.json is (not a har_bench result .*; score the predictions again|empty)"
    ):
        results.read(path)


@pytest.mark.parametrize("content", ["{}", "[1]", "[" * 100_000])
def test_json_of_another_program_is_told_apart(content: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(results.NoResultError, match=r"r\.json is not a har_bench result: .*; move it elsewhere"):
        results.read(path)


@pytest.mark.parametrize("number", ["1e400", "1" + "0" * 400])
def test_a_number_that_no_float_holds_is_refused(result: Result, number: str, tmp_path: Path) -> None:
    path = results.write(result, tmp_path / "r.json")
    content = json.loads(path.read_text())
    del content["seal"]
    path.write_text(json.dumps(content).replace("33.0", number))
    with pytest.raises(HarBenchError, match=r"r\.json .*; score the predictions again"):
        results.read(path)


def test_a_result_of_a_newer_version_is_refused(result: Result, tmp_path: Path) -> None:
    result.schema = results.RESULT_SCHEMA + 1
    path = results.write(result, tmp_path / "r.json")
    with pytest.raises(HarBenchError, match="update har_bench"):
        results.read(path)
    with pytest.raises(HarBenchError, match="cannot be read"):
        results.read(tmp_path / "nowhere.json")
