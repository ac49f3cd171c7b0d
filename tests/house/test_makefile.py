"""What ``make`` does after something went wrong, with a Python and a pip that only pretend."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.golden import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make")

PYTHON = """#!/bin/sh
# python: -c CODE says no as an older one would; -m venv makes an environment whose pip does what the file "pip" says
echo "$(basename "$0") $*" >> log
if [ "$1" = -c ]; then exec {python} -c 'import sys; sys.version_info = ({version}); exec(sys.argv[1])' "$2"; fi
case "$*" in *--clear*) rm -rf "$4" ;; esac
mkdir -p "$4/bin"
cp pretended "$4/bin/python"
printf '#!/bin/sh\\necho walked "$@"\\n' > "$4/bin/har-bench"
chmod +x "$4"/bin/*
"""
PRETENDED = """#!/bin/sh
case "$*" in *--version*) exit 0 ;; esac
echo "pip $*" >> log
exec sh pip
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    house = tmp_path / "a house"
    house.mkdir()
    for name in ("Makefile", "pyproject.toml", "setup.py", "constraints.txt"):
        shutil.copy2(ROOT / name, house / name)
    for name, version in (("new", "3, 11, 4"), ("old", "3, 9, 1")):
        (house / name).write_text(PYTHON.format(python=sys.executable, version=version), "utf-8")
        (house / name).chmod(0o755)
    (house / "pretended").write_text(PRETENDED, "utf-8")
    (house / "pip").write_text("exit 0\n", "utf-8")
    return house


def change(path: Path) -> None:
    """A moment from now, as make compares times."""
    os.utime(path, (time.time() + 10, time.time() + 10))


def make(house: Path, python: str) -> tuple[int, str, list[str]]:
    """The exit status of ``make demo``, what it said, and which environments and installations it began."""
    (house / "log").write_text("", "utf-8")
    done = subprocess.run(["make", "demo", f"PYTHON=./{python}"], cwd=house, capture_output=True, text=True)
    began = [line.split()[0] for line in (house / "log").read_text("utf-8").splitlines() if " -c " not in line]
    return done.returncode, done.stdout + done.stderr, began


def test_a_finished_environment_is_made_once_and_refreshed_when_what_it_holds_changes(house: Path) -> None:
    code, said, began = make(house, "new")
    assert (code, began) == (0, ["new", "pip"])
    assert "walked demo demo" in said
    assert make(house, "new")[2] == []
    change(house / "pyproject.toml")
    assert make(house, "new")[2] == ["pip"]


def test_a_python_that_is_too_old_is_said_and_the_right_one_works_afterwards(house: Path) -> None:
    code, said, began = make(house, "old")
    assert code != 0
    assert "har_bench needs Python 3.11 or newer, and ./old is 3.9; say which one: make demo PYTHON=python3.12" in said
    assert began == []
    assert make(house, "new")[::2] == (0, ["new", "pip"])


@pytest.mark.parametrize("wrong", ["exit 1", "kill -9 $PPID"])
def test_an_installation_that_was_cut_short_is_begun_anew(wrong: str, house: Path) -> None:
    (house / "pip").write_text(f"{wrong}\n", "utf-8")
    code, said, _ = make(house, "new")
    assert code != 0
    assert "walked" not in said
    (house / ".venv-demo" / "half").touch()
    (house / "pip").write_text("exit 0\n", "utf-8")
    assert make(house, "new")[::2] == (0, ["new", "pip"])
    assert not (house / ".venv-demo" / "half").exists()


def test_an_environment_whose_python_is_gone_is_begun_anew(house: Path) -> None:
    make(house, "new")
    (house / ".venv-demo" / "bin" / "python").unlink()
    change(house / "pyproject.toml")
    assert make(house, "new")[::2] == (0, ["new", "pip"])


def test_what_mypy_sees_is_laid_out_in_a_folder_of_any_name(house: Path) -> None:
    for folder in ("har_bench/cli", "converters", "protocols", "baselines", "leaderboard"):
        (house / folder).mkdir(parents=True)
        (house / folder / "there.py").touch()
    (house / "har_bench" / "store.py").touch()
    subprocess.run(["make", "-s", "typed"], cwd=house, check=True, capture_output=True)
    found = {path.name for path in (house / ".typed" / "har_bench").iterdir() if path.exists()}
    assert found == {"cli", "store.py", "converters", "protocols", "baselines", "leaderboard"}
    assert (house / ".typed" / "har_bench" / "converters" / "there.py").is_file()
