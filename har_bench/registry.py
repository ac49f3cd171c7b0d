"""One registry for converters, protocols, baselines, views, exporters and leaderboards: entry points, loaded when used.

The built-in plug-ins are declared in pyproject.toml exactly as a stranger's package declares its own; a class that
is in no package at all is named ``package.module:Name``.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

from har_bench.errors import HarBenchError, unknown

Kind = Literal["converters", "protocols", "baselines", "views", "exporters", "leaderboards"]


@cache
def available(kind: Kind) -> dict[str, EntryPoint]:
    """Every installed plug-in of a kind, by name, in alphabetical order; nothing is imported."""
    found = sorted(entry_points(group=f"har_bench.{kind}"), key=lambda entry: entry.name)
    return {entry.name: entry for entry in found}


def load(kind: Kind, name: str) -> Any:
    """The class behind a registered name, or behind ``package.module:Name``.

    Raises:
        HarBenchError: no such name (the closest ones are offered), or its module cannot be imported.
    """
    if ":" in name:
        return _load_path(kind, name)
    entries = available(kind)
    if name not in entries:
        raise unknown(kind[:-1], name, entries)
    try:
        return entries[name].load()
    except ImportError as error:
        raise HarBenchError(
            f"the {kind[:-1]} {name!r} cannot be imported ({error}); pip install 'har-bench[all]'"
        ) from error


@cache
def installed(kind: Kind, name: str) -> Any:
    """The class behind a name that a file gives, or None: a file must not choose what is imported."""
    try:
        return load(kind, name) if name in available(kind) else None
    except HarBenchError:  # the library that it needs is not here
        return None


def _load_path(kind: Kind, path: str) -> Any:
    module, _, attribute = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # a script's own folder, as with python -m; last, so that nothing is shadowed
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise HarBenchError(
            f"the {kind[:-1]} {path!r} cannot be imported ({error}); write package.module:ClassName"
        ) from error
