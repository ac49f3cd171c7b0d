"""Text files as people have them: any Unicode, a byte order mark, CRLF, quotation marks, semicolons.

Official files pass through spreadsheets, editors and Windows before they are converted, and none of that is content.
:func:`utf8` comes first, for text and json alike; :func:`lines` and :func:`fields` follow for tables. What is odd after
that is a fault of the record, and the reader's to report.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Collection

from har_bench.errors import HarBenchError

SEPARATORS = (";", "\t", "|", ",")
"""The comma comes last: behind the others it may be in a number."""

_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 64


def utf8(data: bytes, name: str) -> bytes:
    r"""The same text as UTF-8 without a byte order mark; what is neither UTF-16 nor UTF-32 is not looked at.

    Args:
        data: a file's content.
        name: what the error calls the file.

    >>> utf8(b"\xff\xfea\x00", "a.csv"), utf8(b"\xef\xbb\xbfa", "a.csv")
    (b'a', b'a')

    Raises:
        HarBenchError: it begins as UTF-16 or UTF-32 and is damaged.
    """
    mark, encoding = next(((mark, of) for mark, of in _MARKS if data.startswith(mark)), (b"", _unmarked(data)))
    if encoding is None:
        return data.removeprefix(codecs.BOM_UTF8)
    try:
        return data[len(mark) :].decode(encoding).lstrip("\ufeff").encode()  # some programs write two marks
    except UnicodeError as error:
        raise HarBenchError(
            f"{name} begins as {encoding.upper()} and is damaged ({error}); save it as UTF-8"
        ) from error


def _unmarked(data: bytes) -> str | None:
    """UTF-16 without a mark: of Latin letters and digits every second byte is zero."""
    first, second = data[:_SAMPLE:2], data[1:_SAMPLE:2]
    if first and second and not any(second) and all(first):
        return "utf-16-le"
    return "utf-16-be" if second and not any(first) and all(second) else None


def plain_json(data: bytes, name: str) -> bytes:
    """Json as UTF-8 without a mark, in which the words that only some writers know (NaN, Infinity) are null.

    >>> plain_json(b'{"NaN": [NaN, -Infinity, 1]}', "a.json")
    b'{"NaN": [null, null, 1]}'

    Raises:
        HarBenchError: as :func:`utf8`.
    """
    text = utf8(data, name)
    if b"NaN" not in text and b"Infinity" not in text:
        return text
    return _STRING_OR_WORD.sub(lambda found: b"null" if found[1] else found[0], text)


_STRING_OR_WORD = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|(-?(?:NaN|Infinity))', re.DOTALL)


def lines(data: bytes, name: str) -> list[str]:
    r"""The lines of a text, whichever way they end; an absent last line end makes no difference.

    Line ``n`` of the file is item ``n - 1``, blank lines included. Bytes that are no UTF-8 stay where they are as lone
    surrogates, so that only their line is lost: :func:`is_text` tells.

    >>> lines(b"\xef\xbb\xbfa,1\r\n\r\nb,2", "a.csv")
    ['a,1', '', 'b,2']
    """
    text = utf8(data, name).decode("utf-8", "surrogateescape")
    found = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return found if found[-1] else found[:-1]


def is_text(line: str) -> bool:
    """Whether a line of :func:`lines` was UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in line) if not line.isascii() else True


def fields(line: str, widths: Collection[int]) -> list[str]:
    """The cells of a row, without the quotation marks and blanks around them.

    Args:
        line: one row.
        widths: how many cells a row may have; the separator (``, ; tab |``) that gives one of these is used, else the
            comma. Behind any other separator a number may have a decimal comma.

    >>> fields('"a b" ; 0,5', {2})
    ['a b', '0,5']
    """
    if "," in line and not set(line) & _UNUSUAL:  # the usual case is also the fastest
        return [cell.strip() for cell in line.split(",")]
    split = [_cells(line, separator) for separator in SEPARATORS]
    return next((cells for cells in split if len(cells) in widths), split[-1])


_UNUSUAL = frozenset("\"';\t|")


def _cells(line: str, separator: str) -> list[str]:
    if '"' not in line or line.count('"') % 2:  # what is quoted half is not quoted
        return [_bare(cell) for cell in line.split(separator)]
    try:
        (row,) = csv.reader([line], delimiter=separator, skipinitialspace=True)
    except (csv.Error, ValueError):  # a zero byte, a field of megabytes
        row = line.split(separator)
    return [_bare(cell) for cell in row]


def _bare(cell: str) -> str:
    cell = cell.strip()
    for mark in "\"'":
        if len(cell) > 1 and cell[0] == cell[-1] == mark:
            cell = cell[1:-1].strip()
    return cell


def comma_separated(data: bytes, name: str) -> bytes:
    r"""A table as UTF-8 with commas, for readers that know nothing else: without mark, quotation marks or blanks.

    Cells that hold a comma of their own are quoted. Behind another separator, which the first row tells, a number may
    have a decimal comma.

    Args:
        data: a file's content.
        name: what the error calls the file.

    >>> comma_separated(b'"a" ; 0,5\r\nb;1', "a.csv")
    b'a,0.5\nb,1\n'

    Raises:
        HarBenchError: as :func:`utf8`.
    """
    text = utf8(data, name)
    first = text[: text.find(b"\n") if b"\n" in text else None]
    if b"," in first and not any(mark in first for mark in (b'"', b"'", b";", b"\t", b"|", b", ")):
        return text  # the usual case
    rows = [line for line in lines(text, name) if line.strip()]
    mark = max(SEPARATORS, key=rows[0].count) if rows else ","
    made = (_rejoined([_point(cell) if mark != "," else cell for cell in _cells(row, mark)]) for row in rows)
    return "".join(f"{row}\n" for row in made).encode("utf-8", "surrogateescape")


_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")


def has_decimal_comma(cell: str) -> bool:
    """Whether a cell is a number written as half of Europe does."""
    return _DECIMAL_COMMA.fullmatch(cell) is not None


def _point(cell: str) -> str:
    return cell.replace(",", ".") if has_decimal_comma(cell) else cell


def _rejoined(cells: list[str]) -> str:
    return ",".join(f'"{cell}"' if "," in cell else cell for cell in cells)


def is_header(cells: Collection[str]) -> bool:
    """Whether a table's first row is names of columns: cells with letters, none of which is a number.

    >>> is_header(["video_id", "x1"]), is_header(["a", "1"]), is_header(["a", ""])
    (True, False, False)
    """
    return all(cell and any(letter.isalpha() for letter in cell) and not _is_number(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True
