"""What a text names exists: dotted names, roles of docstrings, files, commands and their options."""

from __future__ import annotations

import builtins
import dataclasses
import importlib
import inspect
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from har_bench import registry
from har_bench.cli import app
from har_bench.protocol import make_protocol
from tests.contributing import IN_THE_HOUSE, LINES
from tests.golden import ROOT
from tests.house.sources import MODULES, TESTS, TEXTS, documented, imports, module_of, shown

IMAGINED = {*IN_THE_HOUSE.values(), *(line.split('"')[-2].partition(":")[0] for line in LINES.values())}
"""Files and modules of an example."""

GROUPS = set(re.findall(r'entry-points\."(.*?)"', (ROOT / "pyproject.toml").read_text("utf-8")))
OTHERS = [ROOT / "pyproject.toml", ROOT / "Makefile", *sorted((ROOT / "leaderboard" / "templates").iterdir())]

DOTTED = re.compile(r"\bhar_bench(?:\.[A-Za-z_]\w*)+")
ROLE = re.compile(r":(?:mod|func|class|meth|attr|data|exc|obj|doc):`[~!]?([^`]+)`")
PLACE = re.compile(r"(?<![\w/.])(?:har_bench|converters|protocols|baselines|leaderboard|tests|docs)/[\w./]*\w")
CASE = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
LINK = re.compile(r"\]\(([\w./-]+)(?:#[\w-]+)?\)")
BLOCK = re.compile(r"```\w*\n(.*?)```", re.DOTALL)


@cache
def resolved(name: str) -> Any:
    """What a dotted name stands for; LookupError when for nothing."""
    parts = name.split(".")
    for stop in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:stop]))
        except ModuleNotFoundError as error:
            if not name.startswith(error.name or "?"):
                pytest.skip(f"{name} needs {error.name}")
            continue
        for part in parts[stop:]:
            found = member(found, part)
        return found
    raise LookupError(name)


def member(of: Any, name: str) -> Any:
    """An attribute; or a field, which a class has only once it is made."""
    if hasattr(of, name):
        return getattr(of, name)
    if inspect.isclass(of) and any(name in inspect.get_annotations(each) for each in of.__mro__):
        return None
    if inspect.isclass(of) and re.search(rf"self\.{name}\b", inspect.getsource(of)):
        return None
    raise LookupError(name)


@pytest.mark.parametrize("path", [*MODULES, *TESTS, *TEXTS, *OTHERS], ids=shown)
def test_every_dotted_name_is_one(path: Path) -> None:
    """In code, comments, notes of stores, messages and documents."""
    for name in dict.fromkeys(DOTTED.findall(path.read_text("utf-8"))):
        if name in GROUPS | IMAGINED or ("tests" in path.parts and name == "har_bench.train"):
            continue
        try:
            resolved(name)
        except LookupError:
            pytest.fail(f"{shown(path)} names {name}, which does not exist")


def role_targets(path: Path) -> Iterator[tuple[str, str]]:
    """The targets of Sphinx roles in a module's docstrings, with the class or function they stand in."""
    for where, text in documented(path):
        for target in ROLE.findall(text):
            yield where, target.partition("<")[2].removesuffix(">") or target  # which may have a title before it


def names_for(path: Path, where: str, target: str) -> Iterator[str]:
    """Everything that a role's target could mean where it stands, in full."""
    module = module_of(path)
    if target.startswith("."):
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        yield package + target
        return
    yield target
    scope = f"{module}.{where}".strip(".")
    while scope.startswith(module):
        yield f"{scope}.{target}"
        scope = scope.rpartition(".")[0]
    head, _, rest = target.partition(".")
    yield from (
        f"{each.module}.{each.name}".strip(".") + f".{rest}".rstrip(".")
        for each in imports(path)
        if each.known_as == head
    )


@pytest.mark.parametrize("path", [path for path in MODULES if ROLE.search(path.read_text("utf-8"))], ids=shown)
def test_every_role_leads_somewhere(path: Path) -> None:
    for where, target in role_targets(path):
        for name in names_for(path, where, target):
            try:
                resolved(name)
                break
            except LookupError:
                continue
        else:
            assert hasattr(builtins, target), f"{shown(path)}: {where or 'the module'} refers to {target}"


@pytest.mark.parametrize("path", [*MODULES, *TEXTS], ids=shown)
def test_every_file_that_a_text_names_is_there(path: Path) -> None:
    text = path.read_text("utf-8")
    for place in {place for place in PLACE.findall(text) if "." in place.rpartition("/")[2]}:
        assert place in IMAGINED or (ROOT / place).exists(), f"{shown(path)} names {place}"
    for link in LINK.findall(text) if path.suffix == ".md" else ():
        assert (path.parent / link).exists(), f"{shown(path)} links to {link}"


@pytest.mark.parametrize("path", TEXTS, ids=shown)
def test_every_test_that_a_text_names_is_there(path: Path) -> None:
    for place, name in CASE.findall(path.read_text("utf-8")):
        assert f"def {name}(" in (ROOT / place).read_text("utf-8"), f"{shown(path)} names {place}::{name}"


def commands() -> Iterator[tuple[Path, str]]:
    """Every line of a document's code blocks that calls har-bench, with the lines that it goes on in."""
    for path in TEXTS:
        for block in BLOCK.findall(path.read_text("utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                if line.lstrip("$ ").startswith("har-bench "):
                    yield path, line.lstrip("$ ")


@pytest.mark.parametrize(("path", "line"), [pytest.param(*each, id=each[1]) for each in commands()])
def test_every_documented_command_is_understood(path: Path, line: str) -> None:
    """Its options and their values; it is not run."""
    words = shlex.split(line, comments=True)[1:]
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    if path.name == "CONTRIBUTING.md":  # its plug-ins are not installed here; another test follows it
        return
    named = bound.arguments
    for kind, argument in (("converters", "dataset"), ("baselines", "baseline")):
        assert argument not in named or registry.load(kind, named[argument])
    if "protocol" in named:
        options = dict(each.split("=", 1) for each in named.get("option") or [])
        assert make_protocol(named["protocol"], named.get("recipe"), options)
    if "baseline" in named:
        settings = dict(each.split("=", 1) for each in named.get("setting") or [])
        fields = {each.name for each in dataclasses.fields(registry.load("baselines", named["baseline"]))}
        assert settings.keys() <= fields


@pytest.mark.parametrize("path", TEXTS, ids=shown)
def test_every_documented_import_works(path: Path) -> None:
    for module, names in re.findall(r"^from (har_bench[\w.]*) import ([\w, ]+)", path.read_text("utf-8"), re.MULTILINE):
        for name in names.split(", "):
            assert resolved(f"{module}.{name.strip()}") is not None
