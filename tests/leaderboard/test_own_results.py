"""The results of our own runs: readable, ranked as we say, and in the README to the digit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from har_bench import results
from har_bench.leaderboard import build
from tests.golden import ROOT

FILES = sorted((ROOT / "results").glob("*/*.json"))
ROW = re.compile(r"^\| `(\S+?)`[^|]*\| ([\d.]+) \| ([\d.]+) \| ([\d,]*) ?\|$", re.MULTILINE)


def test_there_are_results() -> None:
    assert {path.parent.name for path in FILES} >= {"humaneva"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_result_is_whole_and_the_command_that_made_it_is_told(path: Path) -> None:
    found = results.read(path)
    assert found.model == path.stem
    assert {"poses_per_second", "ms_per_sequence", "peak_memory_mb"} <= found.speed.keys()
    told = (ROOT / "results" / "README.md").read_text()
    commands = told.replace("\\\n", "").splitlines()
    (command,) = [line for line in commands if line.endswith(f"results/{path.parent.name}/{path.name}")]
    assert command.startswith(f"har-bench run {found.model} stores/{found.dataset} ")
    for option in ("channels", "batch", "epochs", "subset", "dropout", "decay"):
        if f" {option}=" in command:
            assert f"--set {option}={found.environment[option]} " in command


@pytest.mark.parametrize("folder", ["humaneva", "h36m"])
def test_the_window_beats_the_frame_and_the_frame_beats_the_mean(folder: str) -> None:
    names = ("videopose3d", "martinez", "mean-pose")
    errors = [results.read(ROOT / "results" / folder / f"{name}.json")["MPJPE"] for name in names]
    assert errors == sorted(errors)


def test_the_readme_s_numbers_are_the_results() -> None:
    rows = ROW.findall((ROOT / "README.md").read_text())
    assert {row[0] for row in rows} == {"videopose3d", "martinez", "mean-pose"}
    scored = [results.read(path) for path in FILES]
    for name, mpjpe, p_mpjpe, parameters in rows:
        mine = [each for each in scored if each.model == name and f"{each['MPJPE']:.2f}" == mpjpe]
        assert len(mine) == 1, f"no result of {name} has an MPJPE of {mpjpe}"
        assert f"{mine[0]['P-MPJPE']:.2f}" == p_mpjpe
        assert (f"{mine[0].speed['parameters']:,.0f}" if "parameters" in mine[0].speed else "") == parameters


def test_the_board_says_where_the_keypoints_came_from(tmp_path: Path) -> None:
    build(ROOT / "results", tmp_path)
    for page in ("leaderboard.md", "leaderboard.csv"):
        assert "2D keypoints: the truth, projected" in (tmp_path / page).read_text()
    assert '<td class="t">ground truth</td>' in (tmp_path / "index.html").read_text()
