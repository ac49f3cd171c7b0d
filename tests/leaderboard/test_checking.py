"""What is published was scored by a protocol that exists, and its numbers can be; each refusal says which and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from har_bench import cli
from har_bench.errors import HarBenchError
from har_bench.leaderboard import build
from har_bench.leaderboard.entries import Problem, scored
from har_bench.protocol.checking import known_version, require
from har_bench.results import Interval
from tests.leaderboard.conftest import PREDICTIONS, STORE, MakeResult

METRICS, UNITS = {"MPJPE": 46.8125}, {"MPJPE": "mm"}

IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "a share above 100 %": ({"metrics": METRICS | {"AUC": 140.0}, "units": UNITS | {"AUC": "%"}}, "AUC is 140 %"),
    "a negative length": ({"metrics": {"MPJPE": -3.0}, "intervals": {}}, "-3 mm"),
    "a number above its interval": ({"metrics": {"MPJPE": 50.8}}, "MPJPE is 50.8, outside its own interval"),
    "a number below its interval": ({"metrics": {"MPJPE": 42.8}}, "from 45.9 to 47.8"),
    "an interval that was moved": ({"intervals": {"MPJPE": Interval(low=49.0, high=51.0)}}, "outside its own interval"),
    "an interval of no width": ({"intervals": {"MPJPE": Interval(low=46.0, high=46.0)}}, "outside its own interval"),
    "an interval upside down": ({"intervals": {"MPJPE": Interval(low=47.8, high=45.9)}}, "47.8 to 45.9"),
    "a mean that is none of its joints": ({"tables": {"joint": [{"joint": "hip", "MPJPE": 1.0}]}}, "table 'joint'"),
    "a unit that hides the bounds": ({"units": {"MPJPE": "mm", "P-MPJPE": "px"}}, "P-MPJPE is in 'px'"),
    "a metric of nobody": ({"metrics": {"MPJPE": 46.8125, "luck": 1.0}}, "no metric 'luck'"),
    "no primary number": ({"metrics": {"P-MPJPE": 36.5}, "intervals": {}}, "no number for its primary metric 'MPJPE'"),
    "another primary metric": ({"primary": "P-MPJPE"}, "ranks by MPJPE"),
    "a recipe that is none": ({"recipe": "easy"}, "no recipe of h36m/mpjpe is called 'easy'; there are videopose3d"),
    "a version before the first": ({"version": "0"}, "version '0' of h36m/mpjpe never was, 1 is installed"),
    "a version of the future": ({"version": "2"}, "version '2' of h36m/mpjpe never was"),
    "a protocol that is not here": ({"protocol": "stranger/task"}, "'stranger/task', which is not installed"),
    "a protocol that would be imported": ({"protocol": "antigravity:x"}, "'antigravity:x', which is not installed"),
    "another dataset": ({"dataset": "mpii"}, "the dataset is 'mpii', and h36m/mpjpe is for h36m"),
    "predictions of zeros": ({"fingerprints": {"store": STORE, "predictions": "0" * 64}}, "'0000000000000000', which"),
    "predictions of no length": ({"fingerprints": {"store": STORE, "predictions": "9b"}}, "'9b', which is none"),
    "no predictions": ({"fingerprints": {"store": STORE}}, "does not say which predictions"),
    "no store": ({"fingerprints": {"predictions": PREDICTIONS}}, "does not say which store"),
}  # fmt: skip


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_the_impossible_is_refused_in_a_sentence_and_the_rest_is_published(
    save: Callable[..., Path], tmp_path: Path, what: str
) -> None:
    fields, words = IMPOSSIBLE[what]
    save("good.json", model="a good model")
    folder = save("changed.json", model="a changed model", **fields)
    told: list[Problem] = []
    written = build(folder, tmp_path / "site", datasets=["h36m"], on_problem=told.append)
    (problem,) = told
    assert problem.refused
    assert problem.sentence.startswith("changed.json ")
    assert words in problem.sentence
    assert "; " in problem.sentence
    for path in written:
        text = path.read_text("utf-8")
        assert "a good model" in text
        assert "a changed model" not in text
        assert path.name != "index.html" or "changed.json" in text


def test_what_is_left_out_ends_the_command_badly_if_asked(
    save: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save("good.json", model="a good model")
    command = ["leaderboard", "build", str(folder), str(tmp_path / "site"), "--dataset", "h36m"]
    cli.main([*command, "--strict"])
    save("changed.json", metrics={"MPJPE": -1.0})
    cli.main(command)
    with pytest.raises(SystemExit, match="1"):
        cli.main([*command, "--strict"])
    assert capsys.readouterr().err.count("changed.json") == 2
    assert "a good model" in (tmp_path / "site" / "leaderboard.csv").read_text()


CHANGES = {
    '"MPJPE": 46.8125': '"MPJPE": 46.7125',
    '"model": "lifter"': '"model": "better lifter"',
    '"every": 64': '"every": 65',
    '"poses": 543344': '"poses": 543345',
    '"schema": 1': '"schema": 1, "paper": "ours"',
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_changed_after_it_was_written_is_refused(save: Callable[..., Path], change: str) -> None:
    folder = save(options={"every": 64})
    path = folder / "lifter.json"
    text = path.read_text()
    assert change in text
    path.write_text(text.replace(change, CHANGES[change]))
    entries, problems = scored(folder)
    assert entries == []
    (problem,) = problems
    assert problem.sentence == "lifter.json was changed after it was written; score the predictions again"
    assert (problem.refused, problem.outcome) == (True, "edited after scoring")


def test_how_a_file_is_laid_out_does_not_matter(save: Callable[..., Path]) -> None:
    path = save() / "lifter.json"
    content = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(dict(reversed(content.items()))))
    entries, problems = scored(path.parent)
    assert [entry.file for entry in entries] == ["lifter.json"]
    assert problems == []


def test_files_of_before_seals_are_read(save: Callable[..., Path]) -> None:
    path = save() / "lifter.json"
    content = msgspec.json.decode(path.read_bytes())
    del content["seal"]
    path.write_bytes(msgspec.json.encode(content))
    assert scored(path.parent)[1] == []


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (b'{"name": "another program"}', False),
        (b"[1, 2]", False),
        (b'{"protocol": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", False),
        (b'{"protocol": "h36m/mpjpe"}', True),
        (b'{"protocol": "h36m/mpjpe", "metr', True),
        (b'{"protocol": "h36m/mpjpe", "schema": 99}', True),
        (b"", True),
    ],
)
def test_another_program_s_file_is_passed_over_and_a_broken_one_refused(
    save: Callable[..., Path], content: bytes, refused: bool
) -> None:
    folder = save("good.json")
    (folder / "other.json").write_bytes(content)
    entries, (problem,) = scored(folder)
    assert [entry.file for entry in entries] == ["good.json"]
    assert problem.sentence.startswith("other.json ")
    assert problem.refused is refused


def test_a_number_may_touch_the_ends_of_its_interval(make_result: MakeResult) -> None:
    for value in (45.9, 47.8):
        require(make_result(metrics={"MPJPE": value}), "edge.json")
    with pytest.raises(HarBenchError, match=r"^out\.json cannot be published: MPJPE is 48"):
        require(make_result(metrics={"MPJPE": 48.0}), "out.json")


@pytest.mark.parametrize(
    ("version", "installed", "known"),
    [
        *[("1", "1", True), ("1", "3", True), ("0", "3", False), ("4", "3", False), ("01", "3", False)],
        *[("", "1", False), ("1.1", "1.1", True), ("1.0", "1.1", False)],
    ],
)
def test_versions_count_from_one_to_the_installed_one(version: str, installed: str, known: bool) -> None:
    assert known_version(version, installed) is known
