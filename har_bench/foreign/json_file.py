"""JSON from strangers: one way to read it, and one sentence for whatever is wrong with it.

Text that is nested a hundred thousand deep makes every decoder fail in a way of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from har_bench.errors import Malformed, completing
from har_bench.foreign import compressed

T = TypeVar("T")

BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MemoryError)
"""What decoders of :mod:`msgspec` raise on damaged text, for those who keep one for many records."""

_REMEDY = "write or download it again"


def read(path: Path, kind: type[T] | Any = Any, *, what: str = "json", remedy: str = _REMEDY) -> T:
    """What a JSON file holds, plain or compressed.

    Args:
        path: the file.
        kind: the type it must have, as :mod:`msgspec` understands types.
        what: what messages call such a file: "a list of results".
        remedy: what to do if it is something else.

    Raises:
        HarBenchError: it is no file, no JSON, nested too deeply, or of another type; the place in it is named.
    """
    content = compressed.read(path)
    with completing(path, remedy):
        found: T = decode(content, kind, what=what)
        return found


def decode(content: bytes | str, kind: type[T] | Any = Any, *, what: str = "json") -> T:
    """What a JSON text holds; NaN and Infinity are read as Python writes them.

    Raises:
        Malformed: as :func:`read`.
    """
    raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    try:
        try:
            found: T = msgspec.json.decode(raw, type=kind)
        except msgspec.DecodeError:
            if b"NaN" not in raw and b"Infinity" not in raw:
                raise
            found = msgspec.convert(json.loads(raw), kind)
    except RecursionError as error:
        raise Malformed(f"is not {what}: it is nested too deeply") from error
    except (*BROKEN, ValueError) as error:
        raise Malformed(f"is not {what} ({str(error)[:200]})") from error
    return found
