"""Every feature of the originals has a row in the note, and a test beside it that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.golden import ROOT

ROW = re.compile(r"^\| (D\d+(?:, D\d+)*) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`((?:tests/)?[\w/]+\.py)(?:::(\w+))?`")
HERE = Path(__file__).parent


def test_every_row_has_a_test_that_is_there() -> None:
    rows = [
        (numbers.split(", "), tests) for numbers, _, tests in ROW.findall((ROOT / "docs/deephar.md").read_text("utf-8"))
    ]
    assert sorted((number for numbers, _ in rows for number in numbers), key=lambda number: int(number[1:])) == [
        f"D{number}" for number in range(1, 38)
    ]
    named = [found for _, tests in rows for found in TEST.findall(tests)]
    for numbers, tests in rows:
        assert TEST.search(tests) or tests.startswith("the same ("), numbers
    for file, name in set(named):
        path = ROOT / file if file.startswith("tests/") else HERE / file
        defined = {each.name for each in ast.parse(path.read_text("utf-8")).body if isinstance(each, ast.FunctionDef)}
        assert not name or name in defined, f"{file}::{name}"
