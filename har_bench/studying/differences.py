"""What differs between a result and the same one scored again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from har_bench.results import OF_RUNS, Result

SAME = 1e-9
"""Relative difference of two numbers that other versions of libraries may make."""

NAMED = 3
"""How many differences are told of a result."""

COMPARED = ("metrics", "intervals", "tables", "counts")


def differences(old: Result, new: Result) -> str:
    """The first numbers of a result that came out otherwise, in words; empty where all are the same.

    What a later version adds does not count, nor what a run tells besides the score of its predictions.
    """
    found = list(islice(_differing(old, new), NAMED + 1))
    return "; ".join(found[:NAMED]) + (" and more" if len(found) > NAMED else "")


def _differing(old: Result, new: Result) -> Iterator[str]:
    before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
    before["tables"] = {title: rows for title, rows in before["tables"].items() if title not in OF_RUNS}
    for part in COMPARED:
        theirs = dict(_leaves(after[part], part))
        for path, value in _leaves(before[part], part):
            other = theirs.get(path)
            if not _same(value, other):
                yield f"{path} is {other} and not {value}"


def _leaves(content: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _leaves(value, f"{path} {key}")
    else:
        yield path, content


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, int | float) and isinstance(second, int | float):
        return math.isclose(first, second, rel_tol=SAME, abs_tol=SAME)
    return bool(first == second)
