"""Predictions, results, weights and pages at URLs: every command reads and writes them as it does files."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

import har_bench
from har_bench import HarBenchError, remote, results
from har_bench.cli import main
from tests.toy import write_raw

pytestmark = pytest.mark.usefixtures("cache")


def call(*words: object) -> None:
    """Run a command; an error ends the test."""
    main([str(word) for word in words])


def contents(url: str) -> dict[str, bytes]:
    """Every file under a URL by its name."""
    files, path = fsspec.core.url_to_fs(url)
    return {name.removeprefix(path).strip("/"): files.cat_file(name) for name in files.find(path)}


def test_every_command_works_at_urls_as_it_does_on_files(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")  # a table of long names is not cut into pieces
    told = {}
    for home in (".", place):
        call("sample", "mpii", raw := Path("raw") if home == "." else tmp_path / "other raw")
        store, a, b = f"{home}/stores/mpii", f"{home}/predictions/a.parquet", f"{home}/predictions/b.parquet"
        call("convert", "mpii", raw, store, "--jobs", 1, "--quiet")
        for name, sigma, seed in ((a, 1.5, 1), (b, 3, 2)):
            words = ("run", "oracle-noise", store, "--protocol", "mpii/pckh", "--set", f"sigma={sigma}")
            call(*words, "--set", f"seed={seed}", "--predictions", name)
        call("run", "mean-pose", store, "--protocol", "mpii/pckh", "--save", f"{home}/w.npz")
        capsys.readouterr()
        call("score", "mpii/pckh", store, a, "--out", f"{home}/results/deep/a.json", "--quiet")
        call("compare", "mpii/pckh", store, a, b, "--resamples", 20, "--quiet")
        call("explain", "mpii/pckh", store, a, "--quiet")
        call("info", f"{home}/results/deep/a.json")
        call("rescore", f"{home}/results", "--stores", f"{home}/stores", "--predictions", f"{home}/predictions")
        call("leaderboard", "build", f"{home}/results", f"{home}/site")
        told[home] = capsys.readouterr().out.replace(f"{home}/", "").replace(f"{remote.local(home)}/", "").split()
        call("run", "mean-pose", store, "--protocol", "mpii/pckh", "--weights", f"{home}/w.npz", "--quiet")
    near, far = contents(str(tmp_path)), contents(place)
    assert set(far) == {name for name in near if name.startswith(("stores", "predictions", "results", "site", "w.npz"))}
    assert all(far[name] == near[name] for name in far)
    assert told[place] == told["."]


def test_an_older_result_at_a_url_is_scored_again_beside_it(place: str, tmp_path: Path) -> None:
    store = har_bench.convert("tests.toy:Toy", write_raw(tmp_path / "raw", [5, 8]), f"{place}/store", quiet=True)
    har_bench.run("tests.toy:Zero", store, protocol="tests.toy:ToyError", out=f"{place}/zero.parquet")
    result = har_bench.score("tests.toy:ToyError", store, f"{place}/zero.parquet")
    result.protocol, result.version = "tests.toy:ToyError", "0"
    results.write(result, f"{place}/results/zero.json")
    (found,) = har_bench.rescore(f"{place}/results", stores=[place], predictions=[f"{place}/zero.parquet"])
    assert (found.status, found.reason[-2:]) == ("rescored", " 1")
    assert contents(f"{place}/results").keys() == {"zero.json", "zero.v1.json"}
    assert results.read(f"{place}/results/zero.v1.json").metrics == result.metrics


@pytest.mark.parametrize("far", ["s3://no-such-bucket/a/b", "http://127.0.0.1:9/b", "nonsense://x/b", "s3://poses"])
def test_a_destination_that_is_not_there_is_told_before_the_work(
    far: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("har_bench.scoring.score", "har_bench.running.selection", "har_bench.lifting.video.make_baseline"):
        monkeypatch.setattr(name, lambda *_, **__: pytest.fail("the work was begun"))
    monkeypatch.setattr("tests.toy.Toy.discover", lambda self, raw: pytest.fail("the work was begun"))
    raw, run = write_raw(tmp_path / "raw", [5]), ("run", "x", "y", "--protocol", "mpii/pckh")
    wrong = f"{far}.json" if far != "s3://poses" else far
    for words in (
        ("score", "mpii/pckh", "x", "y", "--out", wrong),
        (*run, "--out", wrong),
        ("lift", "videopose3d", "k.json", wrong, "--weights", "w"),
        *([("convert", "tests.toy:Toy", raw, far)] if far != "s3://poses" else []),
    ):
        with pytest.raises(SystemExit) as stop:
            call(*words)
        said = capsys.readouterr().err
        assert (stop.value.code, said.count("\n")) == (1, 1), said
        assert far in said
        assert "; " in said
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").rglob("*.json"))


def test_a_file_at_a_url_replaces_the_one_there_and_leaves_no_other(place: str, tmp_path: Path) -> None:
    for number in range(2):
        (path := remote.destination(f"{place}/results/a.json")).write_text(str(number))
        remote.publish(path, f"{place}/results/a.json")
        assert remote.fetch(f"{place}/results/a.json").read_text() == str(number)
    if not place.startswith("file:"):
        assert contents(f"{place}/results") == {"a.json": b"1"}
    with pytest.raises(HarBenchError, match="results is a folder; name the file to write"):
        remote.destination(f"{place}/results")
