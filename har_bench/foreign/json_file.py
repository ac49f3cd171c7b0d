"""JSON from strangers: one way to read it, and one sentence for whatever is wrong with it.

Text that is nested a hundred thousand deep makes every decoder fail in a way of its own, and a compressed file of
nothing but commas becomes a list that fills the machine: values are counted before they are made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from har_bench.errors import Malformed, completing
from har_bench.foreign import compressed, opening, texts
from har_bench.foreign.budget import Budget

T = TypeVar("T")


class TooDeep(Malformed):
    """It is nested more deeply than anything that is written to be read."""


NotFinite = Callable[[dict[str, Any]], dict[str, Any]]
"""Says what an object of a text with NaN or Infinity is."""

FACTOR = 72
"""Bytes that each byte of a JSON file may become: published ones are compressed to a tenth, and a digit is a number."""

BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MemoryError)
"""What decoders of :mod:`msgspec` raise on damaged text, for those who keep one for many records."""

_NO_NUMBER = re.compile(rb"[:,\[]\s*-?(NaN|Infinity)\b")
_REMEDY = "write or download it again"
_LONG, _PIECE = 1 << 22, 1 << 18
"""Bytes of a text that is counted by NumPy, so many of them at once."""

_VALUE, _CONTAINER, _RECORD = 32, 80, 72
"""Bytes that a value becomes, a list or an object besides its values, and a record that is not decoded yet."""


def text(path: Path, *, counted: bool = True) -> bytes:
    """The text of a JSON file, plain or compressed, as UTF-8 without a byte order mark.

    Args:
        path: the file.
        counted: whether to count its values; who makes few of them at a time needs not.

    Raises:
        HarBenchError: it is no file, damaged, or unfolds into more than its size explains, see
            :mod:`har_bench.foreign.budget`.
    """
    with completing(path, _REMEDY):
        return (_weighed if counted else _text)(path)[0]


def _text(path: Path) -> tuple[bytes, Budget]:
    packed = opening.content(path)
    budget = Budget(len(packed), FACTOR)
    return texts.utf8(compressed.unfold(packed, budget), str(path)), budget


def _weighed(path: Path) -> tuple[bytes, Budget]:
    """A text with no more values than a file of its size may hold, and what is left to spend."""
    found, budget = _text(path)
    charge_values(found, budget)
    return found, budget


def charge_values(content: bytes, budget: Budget) -> None:
    """Pay for the values of a text before they are made.

    Raises:
        Malformed: there are more than a file of its size may hold.
    """
    budget.charge(_VALUE * _count(content, b",") + _CONTAINER * (_count(content, b"[") + _count(content, b"{")))


def _count(content: bytes, letter: bytes) -> int:
    """How often a letter occurs: NumPy counts four times as fast, where a text is long enough to load it for."""
    if len(content) < _LONG:
        return content.count(letter)
    import numpy as np

    letters = np.frombuffer(content, np.uint8)
    pieces = (letters[start : start + _PIECE] for start in range(0, len(letters), _PIECE))
    return int(sum(np.count_nonzero(piece == ord(letter)) for piece in pieces))


def read(
    path: Path,
    kind: type[T] | Any = Any,
    *,
    what: str = "json",
    remedy: str = _REMEDY,
    not_finite: NotFinite | None = None,
) -> T:
    """What a JSON file holds, plain or compressed.

    Args:
        path: the file.
        kind: the type it must have, as :mod:`msgspec` understands types.
        what: what messages call such a file: "a list of results".
        remedy: what to do if it is something else.
        not_finite: given, NaN and Infinity are read as Python writes them, which JSON has not; each object of such a
            text goes through this function before it is converted.

    Raises:
        HarBenchError: it is no file, no JSON, nested too deeply, or of another type; the place in it is named.
    """
    with completing(path, _REMEDY):
        content, _ = _weighed(path)
    with completing(path, remedy):
        found: T = decode(content, kind, what=what, not_finite=not_finite)
        return found


class _Object(msgspec.Struct):
    """Any object."""


def records(path: Path, *, what: str = "a json list of objects", remedy: str = _REMEDY) -> list[msgspec.Raw]:
    """The members of a JSON list, plain or compressed, each still a text: one that is broken spoils no other.

    NaN and Infinity, which JSON has not, are null in them.

    Raises:
        HarBenchError: as :func:`read`; of a file with very many values, also that a member is no object.
    """
    with completing(path, remedy):
        content, budget = _weighed(path)
        crowded = _RECORD * _count(content, b",") > budget.left
        try:
            return _members(content, what, crowded=crowded)
        except Malformed:  # which NaN and Infinity are, too
            return _members(texts.plain_json(content, str(path)), what, crowded=crowded)


def _members(content: bytes, what: str, *, crowded: bool) -> list[msgspec.Raw]:
    if crowded:
        decode(content, list[_Object], what=what)  # they are fewer, as most commas stand in them
    found: list[msgspec.Raw] = decode(content, list[msgspec.Raw], what=what)
    return found


def decode(content: bytes, kind: type[T] | Any = Any, *, what: str = "json", not_finite: NotFinite | None = None) -> T:
    """What a JSON text holds; the arguments are those of :func:`read`.

    Raises:
        Malformed: it is no JSON, holds NaN or Infinity, is nested too deeply, or of another type.
    """
    try:
        if not_finite and (b"NaN" in content or b"Infinity" in content):
            found: T = msgspec.convert(json.loads(content, object_hook=not_finite), kind)
        else:
            found = msgspec.json.decode(content, type=kind)
    except RecursionError as error:
        raise TooDeep(f"is not {what}: it is nested too deeply") from error
    except (*BROKEN, ValueError) as error:
        number = _NO_NUMBER.search(content)
        if number:
            line = content.count(b"\n", 0, number.start()) + 1
            raise Malformed(f"holds {number[1].decode()} in line {line}, which JSON has not") from error
        raise Malformed(f"is not {what} ({told(error)})") from error
    return found


_OTHER = re.compile(r"Expected (`[^`]*`.*?)(?:, got `([^`]*)`)?(?: - at `\$\.?([^`]*)`)?")
_LACKS = re.compile(r"Object missing required field `([^`]*)`(?: - at `\$\.?([^`]*)`)?")
_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def told(error: Exception) -> str:
    """What a decoder complains about, in words: where something stands that is no such thing as is expected.

    >>> told(ValueError("Expected `int | null`, got `str` - at `$[0].id`"))
    'at [0].id stands a text, and not a whole number or null'
    """
    text = str(error)
    lacks, other = _LACKS.fullmatch(text), _OTHER.fullmatch(text)
    if lacks:
        return f"{lacks[2] or 'it'} has no {lacks[1]!r}"
    if other is None:
        return text[:200]
    wanted = re.sub(r"`([^`]*)`", lambda kinds: " or ".join(_kind(one) for one in kinds[1].split(" | ")), other[1])
    return f"at {other[3] or 'its beginning'} stands {_kind(other[2] or 'something else')}, and not {wanted}"


def _kind(name: str) -> str:
    return _KINDS.get(name, name)
