"""Small TOML files that people read and edit: texts, numbers and truths, and one level of tables."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from har_bench.entries.outcomes import ResultError
from har_bench.foreign import opening

T = TypeVar("T")


def dumps(content: Mapping[str, Any]) -> str:
    """The text of a file; what is None or empty is left out."""
    said = {name: value for name, value in content.items() if value not in (None, "", {})}
    plain = [f"{name} = {_value(value)}" for name, value in said.items() if not isinstance(value, Mapping)]
    tables = [f"\n[{name}]\n{dumps(value)}" for name, value in said.items() if isinstance(value, Mapping)]
    return "".join([*(f"{line}\n" for line in plain), *tables])


def _value(value: Any) -> str:
    # a JSON string is a basic string of TOML, but for the letter that TOML wants escaped and JSON does not
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read(path: Path, kind: type[T]) -> T:
    """A file as a struct of msgspec or a dataclass; a field that the kind does not have is an error.

    Raises:
        ResultError: it is no TOML, or not of the kind.
    """
    try:
        content = tomllib.loads(opening.read(path, "add the result again").decode("utf-8-sig"))
        found = msgspec.convert(content, kind)
        for name in content.keys() - msgspec.to_builtins(found).keys():
            raise msgspec.ValidationError(f"it has no field {name!r}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, msgspec.ValidationError) as error:
        why = str(error) or type(error).__name__
        raise ResultError("unreadable", f"{path} cannot be read ({why}); add the result again") from error
    return found
