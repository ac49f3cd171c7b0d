"""Adding a dataset, a protocol or a model touches its folder, one line of pyproject.toml and its test."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.contributing import IN_THE_HOUSE, LINES, files
from tests.golden import ROOT
from tests.house.environments import Environment, copy_of_the_tree

PROMISES = (
    "tests/converters/test_dance.py",
    "tests/converters/test_every_converter.py",
    "tests/protocols/test_every_protocol.py",
    "tests/baselines/test_baselines.py",
    "tests/house/test_plugins.py",
    "tests/house/test_imports.py",
    "tests/house/test_package.py::test_the_wheel_holds_every_file_and_no_other",
)
"""The tests that every converter, protocol and baseline must pass; that clusters score as one process does is the
engine's promise, kept with ours."""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the repository with the dataset, protocol and baseline of CONTRIBUTING.md among ours."""
    house = copy_of_the_tree(tmp_path / "house")
    for name in ("tests", "docs", "results"):
        shutil.copytree(ROOT / name, house / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("CONTRIBUTING.md", "Makefile"):
        shutil.copy2(ROOT / name, house / name)
    for name, place in IN_THE_HOUSE.items():
        (house / place).parent.mkdir(exist_ok=True)
        (house / place).write_text(files()[name], "utf-8")
    (house / "converters" / "dance" / "__init__.py").write_text("from .converter import Dance as Dance\n", "utf-8")
    (house / "converters" / "dance" / "steps.json").write_text("{}\n", "utf-8")
    project = (house / "pyproject.toml").read_text("utf-8")
    for kind, line in LINES.items():
        head = f'[project.entry-points."har_bench.{kind}"]\n'
        assert head in project
        project = project.replace(head, f"{head}{line}\n")
    (house / "pyproject.toml").write_text(project, "utf-8")
    return house


def test_one_of_each_is_found_and_keeps_every_promise(house: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "elsewhere")
    environment.run("pip", "install", "--no-deps", "--editable", house)
    listed = environment.run("har-bench", "list")
    assert all(re.search(rf"^{name} ", listed, re.MULTILINE) for name in ("dance", "dance/error", "still"))
    environment.work = house
    chosen = (
        "-k",
        "(dance and not cluster) or wheel or (still and (describes or device))",
        "-m",
        "not real",
        "-p",
        "no:cacheprovider",
        "-rN",
        "-q",
    )
    said = environment.run("pytest", *chosen, *PROMISES)
    passed = int(re.search(r"(\d+) passed", said)[1])  # type: ignore[index]
    assert passed >= 15, said
