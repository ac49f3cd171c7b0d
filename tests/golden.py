"""The research data that golden tests run on, and their cases, discovered from the files that are there.

The folder is ``$HAR_BENCH_REAL_DATA``, else ``../shared/real`` beside the repository; without it the tests marked
``real`` are skipped, visibly. A new file or key in the folder is a new test.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from har_bench.published import catalogue, folder

ROOT = Path(__file__).resolve().parent.parent
REAL = Path(os.environ.get("HAR_BENCH_REAL_DATA") or ROOT.parent / "shared" / "real")


def present() -> bool:
    """Whether the research data is on this machine."""
    return REAL.is_dir()


def fetched() -> bool:
    """Whether BlazePose's two files, which `har-bench weights fetch blazepose` gets, are on this machine."""
    return all((folder() / each.file).is_file() for each in catalogue().values() if "blazepose" in each.sets)


def load(path: str) -> Any:
    """A golden JSON file under the data folder; an empty mapping without the data, so that collection goes on."""
    file = REAL / path
    return json.loads(file.read_text()) if file.is_file() else {}


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    """Every number in a nested mapping, with the keys that lead to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, str(key)))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, float(value)
