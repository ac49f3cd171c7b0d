"""The values of a json file, as detectors write them: NaN, a byte order mark, or an object a line are no obstacle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from har_bench.errors import HarBenchError
from har_bench.foreign import json_file


def values_of(path: Path) -> Any:
    """What a file holds; an object on each of several lines becomes a list.

    Raises:
        HarBenchError: it cannot be read, is empty, or is no json.
    """
    content = json_file.text(path)
    if not content.strip():
        raise HarBenchError(f"{path} is empty; was it written completely?")
    try:
        return msgspec.json.decode(content)
    except json_file.BROKEN as error:
        found = _loosely(content)
        if found is None:
            raise HarBenchError(f"{path} is no json ({error}); was it written completely?") from error
        return found


def decoded(text: str) -> Any:
    """The value of a text within a file, which some programs write instead of the value itself; None if it is none."""
    try:
        return msgspec.json.decode(text)
    except json_file.BROKEN:
        return _loosely(text.encode(errors="replace"))


def _loosely(content: bytes) -> Any:
    """The value of a text with NaN and Infinity in it, or with a value a line; None if it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        lines = content.splitlines()
    try:
        return [json.loads(line) for line in lines if line.strip()] if len(lines) > 1 else None
    except (ValueError, RecursionError):
        return None
