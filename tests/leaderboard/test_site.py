from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest

from har_bench.errors import HarBenchError
from har_bench.leaderboard import build, frame
from har_bench.leaderboard.entries import Problem


def test_the_site_is_a_first_page_four_tables_and_a_page_for_each_entry(save: Callable[..., Path], tmp_path: Path):
    site = tmp_path / "deep" / "site"
    written = build(save(), site)
    assert [path.relative_to(site).as_posix() for path in written] == [
        *("index.html", "leaderboard.md", "leaderboard.csv", "leaderboard.tex", "data.json", "entries/lifter.html"),
    ]
    assert sorted(path for path in site.rglob("*") if path.is_file()) == sorted(written)
    assert all("lifter" in path.read_text("utf-8") for path in written)


def test_pages_of_entries_that_are_gone_are_removed_and_other_files_stay(save: Callable[..., Path], tmp_path: Path):
    site, results = tmp_path / "site", save("b.json", model="b")
    save("a.json", model="a")
    build(results, site)
    assert {path.name for path in (site / "compare").iterdir()} == {"a--b.html"}
    (site / "entries" / "mine.html").write_text("my own")
    (results / "b.json").unlink()
    build(results, site)
    assert {path.name for path in (site / "entries").iterdir()} == {"a.html", "mine.html"}
    assert list((site / "compare").iterdir()) == []


def test_the_data_is_a_dataframe(save: Callable[..., Path], tmp_path: Path):
    build(save(), tmp_path / "site")
    table = frame(tmp_path / "site")
    with (tmp_path / "site" / "leaderboard.csv").open(newline="") as file:
        assert len(table) == sum(1 for _ in csv.DictReader(file))
    mine = table[table.method == "lifter"].set_index("metric")
    assert mine.value.to_dict() == {"MPJPE": 46.8125, "P-MPJPE": 36.5}
    assert mine.ci_low["MPJPE"] == 45.9
    loaded = pandas.DataFrame(json.loads((tmp_path / "site" / "data.json").read_text())["columns"])
    assert list(loaded) == list(table)


def test_the_same_results_give_the_same_bytes(save: Callable[..., Path], tmp_path: Path):
    save("b.json", model="b")
    results = save("a.json", model="a")
    first, second = (build(results, tmp_path / name) for name in ("one", "two"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_no_path_of_this_machine_is_published(save: Callable[..., Path], tmp_path: Path):
    results = save()
    (results / "broken.json").write_text("{")
    written = build(results, tmp_path / "site", on_problem=lambda _: None)
    assert not any(str(tmp_path) in path.read_text("utf-8") for path in written)


def test_an_unreadable_file_is_told_and_does_not_stop_the_others(save: Callable[..., Path], tmp_path: Path):
    results = save()
    (results / "broken.json").write_text("{")
    told: list[Problem] = []
    index, *_ = build(results, tmp_path / "site", on_problem=told.append)
    assert len(told) == 1
    assert told[0].sentence.startswith("broken.json is not a har_bench result")
    assert "lifter" in index.read_text("utf-8")
    assert "broken.json" in index.read_text("utf-8")


def test_an_unreadable_file_is_never_silent(save: Callable[..., Path], tmp_path: Path):
    results = save()
    (results / "broken.json").write_text("{")
    with pytest.warns(UserWarning, match="broken.json"):
        build(results, tmp_path / "site")


def test_a_failed_build_leaves_the_old_site(save: Callable[..., Path], tmp_path: Path):
    site = tmp_path / "site"
    written = build(save(), site)
    before = [path.read_bytes() for path in written]
    with pytest.raises(HarBenchError, match="imagenet"):
        build(save(model="other"), site, datasets=["imagenet"])
    assert [path.read_bytes() for path in written] == before


def test_what_is_shown_may_be_chosen(save: Callable[..., Path], tmp_path: Path):
    results = save()

    def shown(**how: object) -> set[tuple[str, str]]:
        build(results, tmp_path / "site", **how)
        with (tmp_path / "site" / "leaderboard.csv").open(newline="") as file:
            return {(row["status"], row["dataset"]) for row in csv.DictReader(file)}

    assert shown(only="scored") == {("scored here", "Human3.6M")}
    assert {status for status, _ in shown(only="reported")} == {"reported"}
    assert shown(datasets=["h36m"]) == {("scored here", "Human3.6M"), ("reported", "Human3.6M")}
    assert shown(protocols=["h36m/mpjpe"], only="scored") == shown(protocols=["h36m/mpjpe:videopose3d"], only="scored")
    assert len(shown(protocols=["h36m/mpjpe"])) == 2  # with the published rows that were scored in the same way
    with pytest.raises(HarBenchError, match=r"no board is called 'h36m/mpjpes'; did you mean"):
        shown(protocols=["h36m/mpjpes"])


def test_without_results_the_reported_rows_are_published(tmp_path: Path):
    (tmp_path / "results").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        index, *_ = build(tmp_path / "results", tmp_path / "site", datasets=["mpii"])
    text = index.read_text("utf-8")
    assert "pose_hrnet_w32" in text
    assert "VideoPose3D" not in text
