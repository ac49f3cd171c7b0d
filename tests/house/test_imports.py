"""The rules of the house: who may import whom, what is public, and that every plug-in describes itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import har_bench
from har_bench import registry
from har_bench.converter import Converter
from har_bench.protocol import Protocol
from tests.golden import ROOT

SPOKES = ("converters", "protocols", "baselines", "leaderboard")
MODULES = sorted(path for folder in ("har_bench", *SPOKES) for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Absolute module names that a file imports; relative ones as ``.name``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
            if node.module == "har_bench":
                found |= {f"har_bench.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_hub_knows_no_spoke_and_spokes_do_not_know_each_other(path: Path) -> None:
    home = path.relative_to(ROOT).parts[0]
    for name in imports(path):
        spoke = next((spoke for spoke in SPOKES if name.startswith(f"har_bench.{spoke}")), None)
        assert spoke is None, f"{path} imports {name}; a spoke imports its own folder relatively"
        if home == "har_bench":
            assert not name.startswith("."), f"{path} imports {name} relatively"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_room_is_a_drawer_and_none_is_too_long(path: Path) -> None:
    assert path.stem not in {"utils", "util", "common", "helpers", "base", "misc"}
    assert len(path.read_text().splitlines()) <= 500


def test_the_public_face() -> None:
    verbs = ["compare", "convert", "explain", "open_store", "rescore", "run", "score"]
    assert har_bench.__all__ == ["HarBenchError", "Result", "Store", *verbs]
    for name in har_bench.__all__:
        assert getattr(har_bench, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        _ = har_bench.train


@pytest.mark.parametrize("name", registry.available("converters"))
def test_every_converter_describes_itself(name: str) -> None:
    converter = registry.load("converters", name)
    assert issubclass(converter, Converter)
    for attribute in ("dataset", "version", "summary", "raw", "citation", "licence"):
        assert getattr(converter, attribute).strip()
    assert converter.sample.__func__ is not Converter.sample.__func__


@pytest.mark.parametrize("name", registry.available("protocols"))
def test_every_protocol_and_recipe_describes_itself(name: str) -> None:
    protocol = registry.load("protocols", name)
    assert issubclass(protocol, Protocol)
    assert protocol.name == name
    assert protocol.dataset in {registry.load("converters", each).dataset for each in registry.available("converters")}
    assert protocol.summary
    assert protocol.version
    for key, recipe in protocol.recipes.items():
        assert (recipe.name, bool(recipe.about), bool(recipe.oracle), bool(recipe.cite)) == (key, True, True, True)
        assert protocol(key).canonical.startswith(f"{name}:{key}")
    for metric in protocol.metrics:
        assert metric.unit in {"%", "mm", "px"}
        assert metric.about


@pytest.mark.parametrize("name", registry.available("baselines"))
def test_every_baseline_describes_itself(name: str) -> None:
    baseline = registry.load("baselines", name)
    assert baseline.summary
    assert baseline()


@pytest.mark.parametrize("module", ["har_bench", "har_bench.cli", "har_bench.scoring", "har_bench.converting"])
def test_nothing_heavy_is_imported_before_it_is_used(module: str) -> None:
    code = f"import {module}, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "lightning", "distributed", "matplotlib", "cdflib", "av"}
    if module in {"har_bench", "har_bench.cli"}:
        heavy |= {"numpy", "pyarrow", "numba", "pandas", "h5py"}
    assert not heavy & set(loaded)


def test_the_version_is_written_once() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{har_bench.__version__}"' in text
