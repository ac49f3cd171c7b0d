"""The repository's own source files, and what can be read in them without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.golden import ROOT

HUB = "har_bench"
SPOKES = ("converters", "protocols", "baselines", "leaderboard")
MODULES = sorted(path for folder in (HUB, *SPOKES) for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TEXTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "results").glob("*.md")])


def shown(path: Path) -> str:
    """A path as the tests' ids have it: under the root, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    """The dotted name by which a file of :data:`MODULES` is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    inside = parts if parts[0] == HUB else (HUB, *parts)
    return ".".join(inside[:-1] if inside[-1] == "__init__" else inside)


@cache
def tree(path: Path) -> ast.Module:
    """A file, parsed."""
    return ast.parse(path.read_text("utf-8"))


class Import(NamedTuple):
    """One name that a file imports.

    Attributes:
        module: absolute; of ``import a.b`` and of ``from a.b import c`` it is ``a.b``.
        name: ``c`` of ``from a.b import c``, else empty.
        known_as: what the file calls it.
        relative: whether it was written with dots.
        when: ``loaded`` as soon as the file is, ``typing`` for annotations alone, ``used`` inside a function.
    """

    module: str
    name: str
    known_as: str
    relative: bool
    when: str


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Everything that a file of :data:`MODULES` or :data:`TESTS` imports, in order."""
    package = (module_of(path) if path in MODULES else shown(path.with_suffix("")).replace("/", ".")).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    return tuple(_imports(tree(path).body, package, "loaded"))


def _imports(body: list[ast.stmt], package: list[str], when: str) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (Import(each.name, "", each.asname or each.name, False, when) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*home, *([node.module] if node.module else [])])
            for each in node.names:
                yield Import(module, each.name, each.asname or each.name, node.level > 0, when)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.body, package, "typing")
            yield from _imports(node.orelse, package, when)
        else:
            inner = "used" if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else when
            for block in ("body", "orelse", "finalbody", "handlers"):
                children = [each for each in getattr(node, block, []) if isinstance(each, ast.stmt | ast.ExceptHandler)]
                yield from _imports(children, package, inner)  # type: ignore[arg-type]


def documented(path: Path) -> Iterator[tuple[str, str]]:
    """Every docstring of a file, with the dotted name inside the module of the class or function it describes."""
    yield from _documented(tree(path), "")


def _documented(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    body = getattr(node, "body", [])
    for position, child in enumerate(body if isinstance(body, list) else []):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant) and isinstance(child.value.value, str):
            before = body[position - 1] if position else None
            if before is None or isinstance(before, ast.Assign | ast.AnnAssign):  # a variable's stands under it
                yield name, child.value.value
        elif isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _documented(child, f"{name}.{child.name}".strip("."))
