"""CONTRIBUTING.md followed to the letter by somebody who has no more than it and the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from har_bench import results
from tests import contributing
from tests.house.environments import Environment, copy_of_the_tree, wheel_of

OURS = {"make"}
"""Commands that are for the repository's own environment."""


def test_the_page_works_word_for_word(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    environment = Environment(tmp_path / "stranger")
    environment.install(wheel_of(copy_of_the_tree(tmp_path / "tree")))
    for name, content in contributing.files().items():
        path = environment.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    said = {" ".join(words): environment.run(*words) for words in contributing.commands() if words[0] not in OURS}
    assert "hip, neck and head of three dancers" in said["har-bench list"]
    assert "1 passed" in said["pytest dance"]
    found = results.read(environment.work / "results" / "still.json")
    assert (found.protocol, found.dataset, found.counts["sequences"]) == ("dance/error", "dance", 1)
    assert 0 < found["MPJPE"] < 200
    assert "dance/error" in (environment.work / "site" / "leaderboard.md").read_text("utf-8")


def test_every_block_of_the_page_is_a_file_or_a_command_that_is_there() -> None:
    programs = {words[0] for words in contributing.commands()}
    assert programs == {"make", "pip", "har-bench", "pytest"}
    assert len(contributing.files()) == 7
