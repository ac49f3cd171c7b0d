"""Json as programs write it: in any Unicode encoding, and with words where a number is not finite.

Json knows no NaN and no Infinity, yet many writers print them. Here such a word becomes the text ``"NaN"``, which no
field takes for a number by mistake: the field that held it can be told, and the record stays readable.
"""

from __future__ import annotations

import codecs
import json
import mmap
import re
from pathlib import Path
from typing import Any

import msgspec

from har_bench.errors import HarBenchError
from har_bench.foreign.json_file import BROKEN

NOT_FINITE = "NaN"
"""Stands for every word that is no finite number."""

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""Stands for bytes of a text that are no UTF-8."""

_WORDS = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[-+]?\b(?:nan|inf(?:inity)?)\b(?:\(\w+\))?', re.IGNORECASE | re.DOTALL
)


def utf8(path: Path, content: bytes | mmap.mmap) -> bytes | mmap.mmap:
    """The bytes of a json in UTF-8; unchanged, byte order mark included, if they are so already.

    Raises:
        HarBenchError: they are of another encoding, and damaged.
    """
    encoding = json.detect_encoding(content[:4])
    if encoding in ("utf-8", "utf-8-sig"):
        return content
    try:
        return content[:].decode(encoding).encode()
    except UnicodeDecodeError as error:
        what = f"no json, or damaged text of the encoding {encoding} ({error})"
        raise HarBenchError(f"{path} is {what}; download it again, or save it as UTF-8") from error


def unmarked(text: bytes) -> bytes:
    """A text without the byte order mark before it."""
    return text.removeprefix(codecs.BOM_UTF8)


def readable(text: bytes) -> bytes:
    """A json whose words for numbers that are not finite are the text ``"NaN"``, and whose texts are Unicode.

    >>> readable(b'{"area": -Infinity, "name": "nan"}')
    b'{"area": "NaN", "name": "nan"}'
    """
    return _WORDS.sub(_readable, text)


def _readable(found: re.Match[bytes]) -> bytes:
    word = found[0]
    if not word.startswith(b'"'):
        return f'"{NOT_FINITE}"'.encode()
    try:
        msgspec.json.decode(word)
    except BROKEN:
        try:
            text = json.loads(word.decode(errors="replace"), strict=False)
        except ValueError:  # no text at all, which whoever decodes the whole will tell
            return word
        return json.dumps(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")).encode()
    return word


def value(text: bytes) -> Any:
    """What a json holds, as Python objects.

    Raises:
        ValueError: it is no json, not even with words that are not finite.
    """
    try:
        return msgspec.json.decode(text)
    except BROKEN:
        try:
            return json.loads(readable(text))
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
