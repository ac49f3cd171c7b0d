"""Who may import whom."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.house.sources import HUB, MODULES, SPOKES, TESTS, imports, module_of, shown, tree

ENGINES = ("converting", "scoring", "storing", "studying", "running", "cli")
MODULE_NAMES = {module_of(path) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=shown)
def test_the_hub_knows_no_spoke_and_spokes_do_not_know_each_other(path: Path) -> None:
    home = shown(path).split("/")[0]
    for each in imports(path):
        spoke = next((spoke for spoke in SPOKES if each.module.startswith(f"{HUB}.{spoke}")), None)
        assert spoke is None or (spoke == home and each.relative), f"{shown(path)} imports {each.module}"
        assert home != HUB or not each.relative, f"{shown(path)} imports {each.module} relatively"


@pytest.mark.parametrize("path", [path for path in MODULES if shown(path).split("/")[0] in SPOKES], ids=shown)
def test_a_spoke_imports_contracts_and_no_engine(path: Path) -> None:
    for each in imports(path):
        named = f"{each.module}.{each.name}".split(".")
        assert named[0] != HUB or named[1] not in ENGINES, f"{shown(path)} imports {each.module}"


OLD_ADDRESSES = {"protocols/pckh.py"}
"""What users of 0.1 import from; a line each, which says where it is now."""


@pytest.mark.parametrize("path", [path for path in MODULES if shown(path).startswith("protocols/")], ids=shown)
def test_no_family_of_protocols_knows_another(path: Path) -> None:
    """Nor does a dataset's converter know another's, as it may not leave its folder."""
    family = ".".join(module_of(path).split(".")[:3])
    for each in imports(path) if shown(path) not in OLD_ADDRESSES else ():
        assert not each.relative or f"{each.module}.{each.name}.".startswith(f"{family}."), f"{shown(path)}: {each}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Not even inside its functions; annotations alone may be of whoever imports a module."""
    needs = {module_of(path): set(targets(path)) for path in MODULES}
    assert circle(needs) == []


def targets(path: Path) -> Iterator[str]:
    """Our modules that a file imports, those for annotations alone left out."""
    for each in imports(path):
        for name in (f"{each.module}.{each.name}", each.module):
            if name in MODULE_NAMES and each.when != "typing":
                yield name
                break


def circle(needs: Mapping[str, Set[str]]) -> list[str]:
    """Modules that need each other, the first one repeated at the end; empty when there are none."""
    try:
        list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_is_seen() -> None:
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}
    assert circle({"a": {"a"}}) == ["a", "a"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []


@pytest.mark.parametrize("path", TESTS, ids=shown)
def test_tests_go_through_the_public_door(path: Path) -> None:
    """No test imports a private name, asks anything but itself for one, or replaces one."""
    assert list(private_names(path)) == []


def private_names(path: Path) -> Iterator[str]:
    """Every name that begins with an underscore and is not the test's own."""
    for each in imports(path):
        yield from (name for name in (*each.module.split("."), each.name) if private(name))
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in {"self", "cls"} and private(node.attr):
            yield f"{ast.unparse(node)} in line {node.lineno}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"^har_bench(?:\.\w+)*\._[a-z]\w*", node.value)


def private(name: str) -> bool:
    """Whether a name says that it is its module's own; a few of other people's only look so."""
    theirs = {"_replace", "_fields", "_asdict", "_compiled_call_impl", "_Pickler", "_repr_html_", "_python_dispatch"}
    return name.startswith("_") and not name.startswith("__") and name not in theirs


def test_a_helper_s_name_says_which_one_it_is() -> None:
    helpers = Counter(path.name for path in TESTS if not path.name.startswith(("test_", "conftest")))
    assert [name for name, count in helpers.items() if count > 1] == []


@pytest.mark.parametrize("module", ["har_bench", "har_bench.cli", "har_bench.scoring", "har_bench.converting"])
def test_nothing_heavy_is_imported_before_it_is_used(module: str) -> None:
    code = f"import {module}, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "lightning", "distributed", "matplotlib", "cdflib", "av"}
    if module in {"har_bench", "har_bench.cli"}:
        heavy |= {"numpy", "pyarrow", "numba", "pandas", "h5py"}
    assert not heavy & set(loaded)
