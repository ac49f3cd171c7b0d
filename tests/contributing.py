"""What CONTRIBUTING.md tells a stranger to write and to type."""

from __future__ import annotations

import re
import shlex

from tests.golden import ROOT

IN_THE_HOUSE = {
    "dance/dance/converter.py": "converters/dance/converter.py",
    "dance/dance/protocol.py": "protocols/dance.py",
    "dance/dance/still.py": "baselines/still.py",
    "dance/test_dance.py": "tests/converters/test_dance.py",
}
"""Where the files of the page's package would stand in this repository, which the page says too."""

LINES = {
    "converters": 'dance = "har_bench.converters.dance:Dance"',
    "protocols": '"dance/error" = "har_bench.protocols.dance:DanceError"',
    "baselines": 'still = "har_bench.baselines.still:Still"',
}
"""What would be added to each table of entry points in pyproject.toml."""

_TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
_BLOCK = re.compile(r"(?:^`(?P<file>[\w./]+)`:\n\n)?^```\w*\n(?P<content>.*?)^```$", re.DOTALL | re.MULTILINE)


def files() -> dict[str, str]:
    """Every file of the page, by the path that stands above its block."""
    return {found["file"]: found["content"] for found in _BLOCK.finditer(_TEXT) if found["file"]}


def commands() -> list[list[str]]:
    """Every line of the page's other blocks, in words and without comments."""
    typed = (found["content"] for found in _BLOCK.finditer(_TEXT) if not found["file"])
    return [shlex.split(line, comments=True) for block in typed for line in block.splitlines()]
