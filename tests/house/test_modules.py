"""What a module may be: short, simple, named after what it holds, and public only where it says so."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TypeGuard

import pytest

import har_bench
from tests.golden import ROOT
from tests.house.sources import HUB, MODULES, SPOKES, TESTS, imports, shown, tree

DRAWERS = {"utils", "util", "common", "helpers", "base", "misc"}
LINES = 450
AT_THE_DOOR = 20
BRANCHES = 10
WIDEST = 8
"""The most parameters of a compiled loop."""


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=shown)
def test_no_room_is_a_drawer_and_none_is_too_long(path: Path) -> None:
    assert path.stem not in DRAWERS
    assert len(path.read_text("utf-8").splitlines()) <= LINES


def test_the_door_of_the_hub_is_narrow() -> None:
    assert len(list((ROOT / HUB).glob("*.py"))) <= AT_THE_DOOR


def test_ruff_refuses_a_function_of_too_many_branches(tmp_path: Path) -> None:
    """At most ten ways through it; a compiled kernel that must be longer says why beside its ``noqa``."""
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert ruff["mccabe"]["max-complexity"] <= BRANCHES
    path = tmp_path / "branches.py"
    command = [sys.executable, "-m", "ruff", "check", "--quiet", "--select=C90", f"--config={ROOT / 'pyproject.toml'}"]
    for branches in (BRANCHES - 1, BRANCHES):
        body = "".join(f"    if x == {number}:\n        x += 1\n" for number in range(branches))
        path.write_text(f"def f(x):\n{body}    return x\n")
        assert (subprocess.run([*command, path], capture_output=True).returncode == 1) == (branches >= BRANCHES)
    assert "C90" in ruff["select"]


@pytest.mark.parametrize("path", [path for path in MODULES if "C901" in path.read_text("utf-8")], ids=shown)
def test_only_a_compiled_kernel_may_be_wide(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if "noqa: C901" in line:
            assert "@kernel" in lines[number - 1], f"{shown(path)}:{number + 1} is no kernel; split it"


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_compiled_loops_are_narrow_and_typed_and_compiled_in_one_way(path: Path) -> None:
    """What belongs together is a NamedTuple, which numba takes; how loops are compiled is har_bench.arrays' matter."""
    if shown(path) != "har_bench/arrays/compiling.py":
        assert not {each.module for each in imports(path) if each.module.partition(".")[0] in {"numba", "llvmlite"}}
    for node in ast.walk(tree(path)):
        decorators = [ast.unparse(each) for each in getattr(node, "decorator_list", [])]
        if not isinstance(node, ast.FunctionDef) or not any("kernel" in name for name in decorators):
            continue
        assert decorators == ["kernel"], f"{shown(path)}: {node.name}"
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        assert len(given) <= WIDEST, f"{shown(path)}: the kernel {node.name} has {len(given)} parameters"
        assert node.args.vararg is node.args.kwarg is None, f"{shown(path)}: {node.name} takes any number of them"
        types = [node.returns, *(each.annotation for each in given)]
        assert None not in types, f"{shown(path)}: the kernel {node.name} is not typed"


WRITERS = {
    *("har_bench/files.py", "har_bench/devices.py"),
    *("har_bench/converting/engine.py", "har_bench/converting/folders.py"),
    "har_bench/foreign/writing.py",
}
"""Where files are made whole; members of an archive that is; the engine, whose journal grows a line at
a time and whose folder is renamed when it is finished; and what asks Linux to count anew."""


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "sample.py"], ids=shown)
def test_files_are_written_whole_in_one_place(path: Path) -> None:
    """Everybody else writes to what ``har_bench.files.whole`` calls ``temporary``, and moves nothing."""
    for node in ast.walk(tree(path)):
        if shown(path) in WRITERS or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        modes = [each.value for each in [*node.args, *(key.value for key in node.keywords)] if is_mode(each)]
        writes = node.func.attr in {"write_bytes", "write_text", "rename"} or (node.func.attr == "open" and modes)
        written = node.args[0] if ast.unparse(node.func.value) == "av" else node.func.value  # PyAV takes the path
        assert not writes or ast.unparse(written) in ("temporary", "str(temporary)"), f"{shown(path)}:{node.lineno}"


def is_mode(node: ast.expr) -> TypeGuard[ast.Constant]:
    """Whether an argument of ``open`` is a mode of writing."""
    return isinstance(node, ast.Constant) and str(node.value) in {f"{way}{kind}" for way in "wax" for kind in ("", "b")}


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_text_has_the_encoding_that_it_says_and_not_that_of_a_country(path: Path) -> None:
    """And lines end alike everywhere, where the bytes matter: in the samples of raw files."""
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        given = {key.arg for key in node.keywords}
        place = {"read_text": 0, "write_text": 1}.get(node.func.attr)
        assert place is None or len(node.args) > place or "encoding" in given, f"{shown(path)}:{node.lineno}"
        if node.func.attr == "write_text" and path.name == "sample.py":
            assert "newline" in given, f"{shown(path)}:{node.lineno}"


def test_the_public_face() -> None:
    verbs = ["compare", "convert", "explain", "open_store", "rescore", "run", "score"]
    assert har_bench.__all__ == ["HarBenchError", "Result", "Store", *verbs]
    for name in har_bench.__all__:
        assert getattr(har_bench, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        _ = har_bench.train


def test_the_tests_mirror_the_house() -> None:
    """A folder for the hub and one for each spoke; of test files, two have one name only where their folders differ."""
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in TESTS if path.parent != ROOT / "tests"}
    assert {"hub", *SPOKES} <= folders


def test_the_version_is_written_once() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'version = "{har_bench.__version__}"' in text
