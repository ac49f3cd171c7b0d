"""MATLAB ``.mat`` files of versions 4 and 5 to 7, opened so that nothing in them can run, crash or exhaust memory.

A MAT file is a tree of tagged elements. Before SciPy builds Python objects from it, the tree is walked here: every
element must lie inside the file, nesting is bounded, what SciPy will make of the elements is charged, and only arrays,
text, cells and structs are let through (no objects, function handles or sparse matrices). The format is MathWorks'
"MAT-File Format", 2013 and later.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.io

from har_bench.arrays import kernel
from har_bench.errors import Malformed, completing
from har_bench.foreign import opening
from har_bench.foreign.budget import Budget

FACTOR = 72
"""Bytes that each byte of a .mat file may become: SciPy makes 1 GB of the 12 MB of MPII's release, in small arrays."""

_VARIABLE = 4096
"""What a variable costs besides its content."""

_BEGINNING = 1024
"""Bytes of a variable in which its name is found."""

_FIRST = 1 << 16
"""Bytes of a variable that are unpacked before it is known how many it has."""

_DEPTH = 64
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_TAGS = {order: struct.Struct(f"{order}2I") for order in "<>"}
_WORDS = {order: np.dtype(f"{order}u4") for order in "<>"}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_PIECE = 1 << 20
_OK, _CUT, _MALFORMED, _FOREIGN, _DEEP, _COSTLY = range(6)
_NUMERIC_TYPES = np.isin(np.arange(20), [1, 2, 3, 4, 5, 6, 7, 9, 12, 13])
_TEXT_TYPES = np.isin(np.arange(20), [1, 2, 3, 4, 5, 6, 16, 17, 18])

_ARRAY, _FIELD, _PAIR, _COMPLEX, _LETTER = 300, 260, 4, 48, 8
"""Bytes that SciPy makes of an array besides its content, a field of a struct (and each two of many, as it compares
their names), a complex number, a byte of text."""

_FEW = 64

_Body = bytes | bytearray


def load_mat(path: Path) -> dict[str, Any]:
    """Every variable of a ``.mat`` file, by name.

    Returns:
        What ``scipy.io.loadmat`` gives: arrays of at least two dimensions in their stored type, text as arrays of
        ``str``, structs as record arrays and cells as object arrays.

    Raises:
        HarBenchError: the file is empty, cut, damaged, not a .mat file, of version 7.3 (HDF5), holds objects, function
            handles or sparse matrices, or unfolds into more than a file of its size may, see
            :mod:`har_bench.foreign.budget`.
    """
    with completing(path, "download it again"):
        data = _content(path)
        budget = Budget(len(data), FACTOR)
        if data[:4].count(0):
            for variable in _version_4(data, budget):
                if variable.kind == 2:
                    raise _foreign(variable.name)
        else:
            data = _inspected(data, _byte_order(data), budget)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                # SciPy meets damage inside an element (contradicting sizes, bytes that are no text) with any exception
                found = scipy.io.loadmat(
                    io.BytesIO(data),  # type: ignore[arg-type] # the stubs know no files
                    struct_as_record=True,
                    verify_compressed_data_integrity=False,  # MATLAB leaves ends of streams out
                )
            except Exception as error:
                raise Malformed(f"is a damaged .mat file ({error})") from error
        return {name: value for name, value in found.items() if not name.startswith("__")}


def variable_names(path: Path) -> list[str]:
    """The names of a ``.mat`` file's variables, read from the elements' first bytes.

    Raises:
        HarBenchError: as :func:`load_mat`, for what shows without reading the values.
    """
    with completing(path, "download it again"):
        data = _content(path)
        budget = Budget(len(data), FACTOR)
        if data[:4].count(0):
            return [variable.name for variable in _version_4(data, budget)]
        order = _byte_order(data)
        return [_name(body, order) for body in _version_5(data, order, budget, beginning=True)]


def _content(path: Path) -> bytes:
    data = opening.content(path)
    if data.startswith((_HDF5, b"MATLAB 7.3")):
        raise Malformed("is a .mat file of version 7.3 (HDF5)", "save it in MATLAB with the option '-v7'")
    return data


def _byte_order(data: bytes) -> str:
    order = {b"IM": "<", b"MI": ">"}.get(data[126:_HEADER])
    version = struct.unpack(f"{order}H", data[124:126])[0] if order else 0
    if order is None or version != 0x0100:
        raise Malformed("is not a .mat file (its 128-byte header is missing)")
    return order


class _Variable4(NamedTuple):
    name: str
    kind: int


def _version_4(data: bytes, budget: Budget) -> Iterator[_Variable4]:
    """The variables of a version 4 file; ``kind`` is 0 numbers, 1 text, 2 sparse."""
    order = "<" if data[2:4] == bytes(2) else ">"
    position = 0
    while position < len(data):
        if position + 20 > len(data):
            raise _cut(position)
        code, rows, columns, imaginary, length = struct.unpack_from(f"{order}5i", data, position)
        digits = [code // 10**power % 10 for power in (3, 2, 1, 0)]
        if not 0 <= code < 5000 or digits[0] > 1 or digits[1] or digits[2] > 5 or digits[3] > 2:
            raise Malformed("is not a .mat file (no version 4 or 5 header)")
        if min(rows, columns) < 0 or imaginary not in (0, 1) or length < 1:
            raise _damaged(position)
        size = rows * columns * (1 + imaginary) * (8, 4, 4, 2, 2, 1)[digits[2]]
        if position + 20 + length + size > len(data):
            raise _cut(position)
        budget.charge(_VARIABLE + max(rows, 1) * max(columns, 1) * (_COMPLEX if imaginary else _LETTER))
        name = data[position + 20 : position + 19 + length].decode("latin-1")
        yield _Variable4(name, digits[3])
        position += 20 + length + size


def _version_5(data: bytes, order: str, budget: Budget, *, beginning: bool = False) -> Iterator[_Body]:
    """The variables of a version 5 file, each a matrix element, tag included, not compressed.

    Args:
        data: the file.
        order: ``<`` or ``>``.
        budget: of the file.
        beginning: whether the first bytes of each will do.
    """
    position = _HEADER
    while position < len(data):
        if position + 8 > len(data):
            raise _cut(position)
        kind, size = _TAGS[order].unpack_from(data, position)
        stop = position + 8 + size
        if kind not in (_MATRIX, _COMPRESSED):
            raise _damaged(position)
        if stop > len(data):
            raise _cut(position)
        budget.charge(_VARIABLE)
        if kind == _MATRIX:
            yield data[position : min(stop, position + _BEGINNING) if beginning else stop]
        else:
            yield _unpacked(data[position + 8 : stop], order, budget, position, beginning=beginning)
        position = stop


def _inspected(data: bytes, order: str, budget: Budget) -> bytes:
    """A version 5 file whose variables were walked, as SciPy is to have it: a small one is not unpacked twice.

    A large one is, so that its content and what it is made into do not add up.
    """
    pieces: list[_Body] = [data[:_HEADER]]
    size, exact = 0, True
    for body in _version_5(data, order, budget):
        _inspect(body, order, budget)
        size += len(body)
        exact = exact and size <= _PIECE and len(body) == 8 + _TAGS[order].unpack_from(body)[1]
        if exact:
            pieces.append(body)
        else:
            pieces.clear()
        del body
    return b"".join(pieces) if exact else data


def _unpacked(packed: bytes, order: str, budget: Budget, position: int, *, beginning: bool) -> _Body:
    """A compressed variable: as many bytes as it says that it has, once they are known not to be too many."""
    stream = zlib.decompressobj()
    try:
        body = stream.decompress(packed, _BEGINNING if beginning else _FIRST)
        kind, size = _TAGS[order].unpack_from(body) if len(body) >= 8 else (0, 0)
        if kind != _MATRIX:
            raise _damaged(position)
        if beginning:
            return body
        size += 8
        budget.require(size)
        if len(body) >= size:
            return body[: max(size, _BEGINNING)]
        whole = bytearray(body)
        # MATLAB leaves the end of a stream out when its content fills 16 KiB blocks, so its own size must decide
        while len(whole) < size and (
            piece := stream.decompress(stream.unconsumed_tail, min(_PIECE, size - len(whole)))
        ):
            whole += piece
    except zlib.error as error:
        raise Malformed(f"is damaged at byte {position} ({error})") from error
    if len(whole) < size:
        raise _cut(position)
    return whole


def _name(body: _Body, order: str) -> str:
    """The variable's name: after the tag, 16 bytes of flags and the dimensions."""
    words = _words(body, order)
    _, start, after = _element(words, 6)
    length, start, after = _element(words, after)
    if after < 0 or 4 * start + length > len(body):
        raise Malformed("holds a variable without a readable header")
    return body[4 * start : 4 * start + length].decode("latin-1")


def _inspect(body: _Body, order: str, budget: Budget) -> None:
    """Walk a variable's tree, and let only plain values of bounded cost and depth through."""
    verdict, word, cost = _walk(_words(body, order), budget.left)
    if verdict in (_OK, _COSTLY):
        budget.charge(int(cost))
        return
    name = _name(body, order)
    if verdict == _FOREIGN:
        raise _foreign(name)
    what = {_CUT: "ends too early", _MALFORMED: "is damaged", _DEEP: f"is nested more than {_DEPTH} deep"}[verdict]
    raise Malformed(f"has a variable {name!r} that {what} (at its byte {4 * word})")


def _words(body: _Body, order: str) -> npt.NDArray[np.uint32]:
    """The element as 32-bit words; every tag of the format begins on one."""
    return np.frombuffer(body, _WORDS[order], len(body) // 4).astype(np.uint32, copy=False)


@kernel
def _element(words: npt.NDArray[np.uint32], position: int) -> tuple[Any, Any, Any]:
    """Bytes of data, first word of data, and next element of the data element at ``position``.

    The next element is -1 where the element is malformed or reaches beyond the end.
    """
    if position < 0 or position + 2 > len(words):
        return 0, 0, -1
    packed = np.int64(words[position]) >> 16
    if packed:  # the small format: size and type share a word, the data is the next
        return packed, position + 1, position + 2 if packed <= 4 else -1
    size = np.int64(words[position + 1])
    after = position + 2 + 2 * ((size + 7) // 8)
    return size, position + 2, after if after <= len(words) else -1


@kernel
def _walk(words: npt.NDArray[np.uint32], limit: int) -> tuple[int, int, float]:  # noqa: C901
    """Walk a matrix element as SciPy will: a verdict, the word at which it was reached, and what SciPy makes [bytes].

    One function, for it takes the steps of SciPy's reader in their order, and each check stands before the step that
    would read beyond the end, crash or allocate too much.

    Args:
        words: the element.
        limit: what SciPy may make of the element [bytes].
    """
    waiting = np.zeros(_DEPTH, np.int64)
    waiting[0] = 1
    level = position = 0
    cost = 0.0
    while level >= 0:
        if cost > limit:
            return _COSTLY, position, cost
        if waiting[level] == 0:
            level -= 1
            continue
        waiting[level] -= 1
        cost += _ARRAY
        if position + 2 > len(words):
            return _CUT, position, cost
        if words[position] != _MATRIX:
            return _MALFORMED, position, cost
        if words[position + 1] == 0:
            position += 2
            continue
        if position + 6 > len(words):
            return _CUT, position, cost
        flags = words[position + 4]
        kind = flags & 0xFF
        if kind == 0 or kind > 15 or kind == 3 or kind == 5:
            return (_FOREIGN if kind in (3, 5, 16, 17) else _MALFORMED), position, cost
        size, start, position = _element(words, position + 6)
        if position < 0 or size % 4 or not 8 <= size <= 128:  # fewer than two dimensions crash SciPy's reader
            return _MALFORMED, start, cost
        count = span = 1.0
        for dimension in words[start : start + size // 4]:
            if dimension > 0x7FFFFFFF:
                return _MALFORMED, start, cost
            count *= dimension
            span *= max(dimension, 1)
        if span > limit:  # an empty array, too, may not be longer than the file explains
            return _COSTLY, position, span
        size, start, position = _element(words, position)
        if position < 0:
            return _CUT, start, cost
        if kind >= 4:  # text, or numbers with perhaps an imaginary part
            for _ in range(2 if kind > 4 and flags & 0x0800 else 1):
                stored = words[position] & 0xFFFF if position < len(words) else 0
                if stored >= len(_NUMERIC_TYPES) or not (_TEXT_TYPES if kind == 4 else _NUMERIC_TYPES)[stored]:
                    return _MALFORMED, position, cost
                size, start, position = _element(words, position)
                if position < 0:
                    return _CUT, start, cost
                cost += size * (_LETTER if kind == 4 else _COMPLEX if flags & 0x0800 else 1)
            continue
        fields = 1
        if kind == 2:
            size, start, position = _element(words, position)
            if position < 0 or size != 4 or words[start] == 0 or words[start] > 4096:
                return _MALFORMED, start, cost
            width = np.int64(words[start])
            size, start, position = _element(words, position)
            if position < 0:
                return _CUT, start, cost
            fields = size // width
            cost += _FIELD * fields + _PAIR * float(fields) * max(0, fields - _FEW)
        # every child takes two words at least, so what SciPy allocates is bounded by what is there
        if (count * max(fields, 1) * 2 > len(words) - position and count > 1) or count * fields * 2 > len(
            words
        ) - position:
            return _CUT, position, cost
        if level + 1 == _DEPTH:
            return _DEEP, position, cost
        level += 1
        waiting[level] = np.int64(count) * fields
        cost += 8 * count * fields
    return _OK, position, cost


def _cut(position: int) -> Malformed:
    return Malformed(f"ends in the middle of the variable at byte {position}")


def _damaged(position: int) -> Malformed:
    return Malformed(f"is damaged at byte {position} (no variable begins there)")


def _foreign(name: str) -> Malformed:
    return Malformed(
        f"has a variable {name!r} that holds a MATLAB object, function handle or sparse matrix",
        "save it as plain arrays, cells and structs",
    )
