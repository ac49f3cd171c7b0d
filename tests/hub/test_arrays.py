"""Compiled loops on machines of every kind: without a home, with read-only code, with damaged files."""

from __future__ import annotations

import os
import pickle
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from har_bench.arrays import Floats, kernel

LOOPS = """
from typing import NamedTuple
import numpy as np
from har_bench.arrays import kernel

class Pair(NamedTuple):
    one: np.ndarray
    other: np.ndarray

@kernel
def product(pair, at):
    return pair.one[at] * pair.other[at]

@kernel
def total(pair):
    found = 0.0
    for at in range(len(pair.one)):
        found += product(pair, at)
    return found

def show():
    print(total(Pair(np.arange(4.0), np.ones(4))), total(Pair(np.arange(4, dtype=np.float32), np.ones(4))))
"""


@kernel
def twice(values: Floats) -> Floats:
    """What is doubled."""
    return values * 2


@pytest.fixture
def loops(tmp_path: Path) -> Path:
    """A module of two loops in a folder of its own."""
    path = tmp_path / "code" / "loops.py"
    path.parent.mkdir()
    path.write_text(LOOPS)
    return path


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a module, and its machine code in the folder ``told``; both are for copying, with their times."""
    path = tmp_path_factory.mktemp("compiled") / "loops.py"
    path.write_text(LOOPS)
    assert outcome(path, NUMBA_CACHE_DIR=str(path.parent / "told")) == "6.0 6.0\n"
    return path


def outcome(loops: Path, **environment: str) -> str:
    """What a process of its own prints, and that nothing of it is a complaint."""
    names = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", "import loops; loops.show()"],
        capture_output=True,
        text=True,
        cwd=loops.parent,
        env=clean | environment,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def homeless(loops: Path) -> dict[str, str]:
    """An environment in which neither beside the code nor in a home can be written, not even by root."""
    (loops.parent / "__pycache__").touch()
    return {
        "HOME": "/dev/null/home",
        "XDG_CACHE_HOME": "/dev/null/home",
        "TMPDIR": str(loops.parent.parent / "temporary"),
    }


def files(folder: Path) -> dict[Path, int]:
    """The files of machine code under a folder, and when each was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.nb[ci]")}


def test_a_loop_keeps_its_name_and_its_words_and_is_called_as_it_was() -> None:
    assert (twice.__name__, twice.__doc__) == ("twice", "What is doubled.")
    assert twice(values=np.array([1.0, 2.0])).tolist() == twice(np.array([1.0, 2.0])).tolist() == [2, 4]


@pytest.mark.parametrize("module", ["har_bench.arrays", "har_bench.geometry", "har_bench.protocols.oks"])
def test_loops_that_nobody_calls_cost_no_numba(module: str) -> None:
    code = f"import sys, {module}; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_machine_code_is_kept_beside_the_code(loops: Path) -> None:
    assert outcome(loops) == "6.0 6.0\n"
    kept = files(loops.parent)
    assert len(kept) == 6  # of two loops, an index and what two types of argument make of them
    assert outcome(loops) == "6.0 6.0\n"
    assert files(loops.parent) == kept


def test_machine_code_is_kept_in_the_folder_that_numba_is_told(loops: Path, tmp_path: Path) -> None:
    assert outcome(loops, NUMBA_CACHE_DIR=str(tmp_path / "told")) == "6.0 6.0\n"
    assert len(files(tmp_path / "told")) == 6
    assert not files(loops.parent)


@pytest.mark.skipif(sys.platform == "win32", reason="such places are made of Unix's folders")
def test_without_a_home_machine_code_is_kept_among_the_temporary_files(loops: Path, tmp_path: Path) -> None:
    environment = homeless(loops)
    (tmp_path / "temporary").mkdir()
    assert outcome(loops, **environment) == "6.0 6.0\n"
    (own,) = (tmp_path / "temporary").iterdir()
    assert stat.S_IMODE(own.stat().st_mode) == 0o700
    kept = files(own)
    assert len(kept) == 6
    assert outcome(loops, **environment) == "6.0 6.0\n"
    assert files(own) == kept


@pytest.mark.skipif(sys.platform == "win32", reason="such places are made of Unix's folders")
def test_machine_code_is_not_read_from_where_others_may_write(loops: Path, tmp_path: Path) -> None:
    """Whoever can put a file there could have it run."""
    environment = homeless(loops)
    (tmp_path / "temporary").mkdir()
    own = tmp_path / "temporary" / f"har-bench-{os.getuid()}"
    own.mkdir()
    own.chmod(0o777)
    assert outcome(loops, **environment) == "6.0 6.0\n"
    assert not files(tmp_path)
    own.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    own.symlink_to(tmp_path / "elsewhere")
    assert outcome(loops, **environment) == "6.0 6.0\n"
    assert not files(tmp_path)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def emptied(data: bytes) -> bytes:
    return data[:0]


def foreign(data: bytes) -> bytes:
    return pickle.dumps(("0.0", "not what numba wrote")) + data[:20]


def flipped(data: bytes) -> bytes:
    """One bit in the middle: of a data file, in the machine code."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("kind", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", [cut, emptied, foreign, flipped])
def test_damaged_machine_code_is_compiled_again(
    compiled: Path, tmp_path: Path, kind: str, damage: Callable[[bytes], bytes]
) -> None:
    shutil.copytree(compiled.parent / "told", tmp_path / "told")
    damaged = [path for path in files(tmp_path / "told") if path.suffix == kind]
    assert damaged
    for path in damaged:
        path.write_bytes(damage(path.read_bytes()))
    harmed = files(tmp_path / "told")
    assert outcome(compiled, NUMBA_CACHE_DIR=str(tmp_path / "told")) == "6.0 6.0\n"
    mended = files(tmp_path / "told")
    assert all(mended[path] != harmed[path] for path in damaged)
    assert outcome(compiled, NUMBA_CACHE_DIR=str(tmp_path / "told")) == "6.0 6.0\n"
    assert files(tmp_path / "told") == mended


def test_code_for_other_types_under_a_name_is_not_run(compiled: Path, tmp_path: Path) -> None:
    """As two processes leave it that save at the same time; float32 read as float64 would give some number."""
    shutil.copytree(compiled.parent / "told", tmp_path / "told")
    one, other = sorted(
        path for path in files(tmp_path / "told") if "loops.total" in path.name and path.suffix == ".nbc"
    )
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert outcome(compiled, NUMBA_CACHE_DIR=str(tmp_path / "told")) == "6.0 6.0\n"
