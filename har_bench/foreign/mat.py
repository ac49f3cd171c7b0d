"""MATLAB ``.mat`` files of versions 4 and 5 to 7, opened so that nothing in them can run, crash or exhaust memory.

A MAT file is a tree of tagged elements. Before SciPy builds Python objects from it, the tree is walked here: every
element must lie inside the file, nesting and size are bounded, and only arrays, text, cells and structs are let
through (no objects, function handles or sparse matrices). The format is MathWorks' "MAT-File Format", 2013 and later.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import scipy.io

from har_bench.arrays import kernel
from har_bench.errors import HarBenchError

MAX_BYTES = 1 << 31
"""The largest content, after decompression, that is opened; the largest .mat of this field holds a tenth of it."""

_DEPTH = 64
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_HDF5 = b"\x89HDF\r\n\x1a\n"
_OK, _CUT, _MALFORMED, _FOREIGN, _DEEP = range(5)
_NUMERIC_TYPES = np.isin(np.arange(20), [1, 2, 3, 4, 5, 6, 7, 9, 12, 13])
_TEXT_TYPES = np.isin(np.arange(20), [1, 2, 3, 4, 5, 6, 16, 17, 18])


def load_mat(path: Path) -> dict[str, Any]:
    """Every variable of a ``.mat`` file, by name.

    Returns:
        What ``scipy.io.loadmat`` gives: arrays of at least two dimensions in their stored type, text as arrays of
        ``str``, structs as record arrays and cells as object arrays.

    Raises:
        HarBenchError: the file is empty, cut, damaged, too large, not a .mat file, of version 7.3 (HDF5), or holds
            objects, function handles or sparse matrices.
    """
    data = _content(path)
    plain = io.BytesIO()
    if data[:4].count(0):
        for variable in _version_4(data, path):
            if variable.kind == 2:
                _refuse_foreign(path, variable.name)
        plain.write(data)
    else:
        order = _byte_order(data, path)
        plain.write(data[:_HEADER])
        for body in _version_5(data, order, path):
            _inspect(body, order, path)
            plain.write(body)
    plain.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            # SciPy meets damage inside an element (sizes that contradict, bytes that are no text) with any exception
            found = scipy.io.loadmat(plain, struct_as_record=True)  # type: ignore[arg-type] # the stubs know no files
        except Exception as error:
            raise HarBenchError(f"{path} is a damaged .mat file ({error}); download it again") from error
    return {name: value for name, value in found.items() if not name.startswith("__")}


def variable_names(path: Path) -> list[str]:
    """The names of a ``.mat`` file's variables, read from the elements' first bytes.

    Raises:
        HarBenchError: as :func:`load_mat`, for what shows without reading the values.
    """
    data = _content(path)
    if data[:4].count(0):
        return [variable.name for variable in _version_4(data, path)]
    order = _byte_order(data, path)
    return [_name(body, order, path) for body in _version_5(data, order, path, limit=1024)]


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise HarBenchError(f"{path} has {size} bytes, more than the {MAX_BYTES} that a .mat file may have here")
        data = path.read_bytes()
    except OSError as error:
        raise HarBenchError(f"{path} cannot be read: {error.strerror}") from error
    if not data:
        raise HarBenchError(f"{path} is empty; a .mat file was expected, download it again")
    if data.startswith((_HDF5, b"MATLAB 7.3")):
        raise HarBenchError(f"{path} is a .mat file of version 7.3 (HDF5); save it in MATLAB with the option '-v7'")
    return data


def _byte_order(data: bytes, path: Path) -> str:
    order = {b"IM": "<", b"MI": ">"}.get(data[126:_HEADER])
    version = struct.unpack(f"{order}H", data[124:126])[0] if order else 0
    if order is None or version != 0x0100:
        raise HarBenchError(f"{path} is not a .mat file (its 128-byte header is missing); download it again")
    return order


class _Variable4(NamedTuple):
    name: str
    kind: int


def _version_4(data: bytes, path: Path) -> Iterator[_Variable4]:
    """The variables of a version 4 file; ``kind`` is 0 numbers, 1 text, 2 sparse."""
    order = "<" if data[2:4] == bytes(2) else ">"
    position = 0
    while position < len(data):
        if position + 20 > len(data):
            _refuse_cut(path, position)
        code, rows, columns, imaginary, length = struct.unpack_from(f"{order}5i", data, position)
        digits = [code // 10**power % 10 for power in (3, 2, 1, 0)]
        if not 0 <= code < 5000 or digits[0] > 1 or digits[1] or digits[2] > 5 or digits[3] > 2:
            raise HarBenchError(f"{path} is not a .mat file (no version 4 or 5 header); download it again")
        if min(rows, columns) < 0 or imaginary not in (0, 1) or length < 1:
            _refuse_damage(path, position)
        size = rows * columns * (1 + imaginary) * (8, 4, 4, 2, 2, 1)[digits[2]]
        if position + 20 + length + size > len(data):
            _refuse_cut(path, position)
        name = data[position + 20 : position + 19 + length].decode("latin-1")
        yield _Variable4(name, digits[3])
        position += 20 + length + size


def _version_5(data: bytes, order: str, path: Path, limit: int | None = None) -> Iterator[bytes]:
    """The variables of a version 5 file, each a matrix element, tag included, not compressed.

    Args:
        data: the file.
        order: ``<`` or ``>``.
        path: the file's name for messages.
        limit: how many bytes of each element are wanted; all of them by default.
    """
    position, total = _HEADER, 0
    while position < len(data):
        if position + 8 > len(data):
            _refuse_cut(path, position)
        kind, size = struct.unpack_from(f"{order}2I", data, position)
        stop = position + 8 + size
        if kind not in (_MATRIX, _COMPRESSED):
            _refuse_damage(path, position)
        if stop > len(data):
            _refuse_cut(path, position)
        if kind == _MATRIX:
            body = data[position : stop if limit is None else min(stop, position + limit)]
        else:
            body = _inflate(data[position + 8 : stop], limit, total, path, position)
            if len(body) < 8 or body[:4] != struct.pack(f"{order}I", _MATRIX):
                _refuse_damage(path, position)
            # MATLAB leaves the end of a stream out when its content fills 16 KiB blocks, so its own size must decide
            if limit is None and len(body) < 8 + struct.unpack_from(f"{order}I", body, 4)[0]:
                _refuse_cut(path, position)
        total += len(body)
        yield body
        position = stop


def _inflate(packed: bytes, limit: int | None, total: int, path: Path, position: int) -> bytes:
    try:
        body = zlib.decompressobj().decompress(packed, MAX_BYTES - total + 1 if limit is None else limit)
    except zlib.error as error:
        raise HarBenchError(f"{path} is damaged at byte {position} ({error}); download it again") from error
    if limit is None and total + len(body) > MAX_BYTES:
        raise HarBenchError(f"{path} unpacks to more than the {MAX_BYTES} bytes that a .mat file may hold here")
    return body


def _name(body: bytes, order: str, path: Path) -> str:
    """The variable's name: after the tag, 16 bytes of flags and the dimensions."""
    words = _words(body, order)
    _, start, after = _element(words, 6)
    length, start, after = _element(words, after)
    if after < 0 or 4 * start + length > len(body):
        raise HarBenchError(f"{path} holds a variable without a readable header; download it again")
    return body[4 * start : 4 * start + length].decode("latin-1")


def _inspect(body: bytes, order: str, path: Path) -> None:
    """Walk a variable's tree, and let only plain values of bounded size and depth through."""
    verdict, word = _walk(_words(body, order), _NUMERIC_TYPES, _TEXT_TYPES, _DEPTH)
    if verdict == _OK:
        return
    name = _name(body, order, path)
    if verdict == _FOREIGN:
        _refuse_foreign(path, name)
    what = {_CUT: "ends too early", _MALFORMED: "is damaged", _DEEP: f"is nested more than {_DEPTH} deep"}[verdict]
    raise HarBenchError(f"{path}: variable {name!r} {what} (at its byte {4 * word}); download the file again")


def _words(body: bytes, order: str) -> npt.NDArray[np.uint32]:
    """The element as 32-bit words; every tag of the format begins on one."""
    return np.frombuffer(body, f"{order}u4", len(body) // 4).astype(np.uint32, copy=False)


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
def _walk(
    words: npt.NDArray[np.uint32],
    numeric: npt.NDArray[np.bool_],
    text: npt.NDArray[np.bool_],
    depth: int,
) -> tuple[int, int]:
    """Walk a matrix element as SciPy will: a verdict, and the word at which it was reached.

    Long, since it is one walk with a stack of its own: by recursion a file would choose how much stack it takes.
    """
    waiting = np.zeros(depth, np.int64)
    waiting[0] = 1
    level = position = 0
    while level >= 0:
        if waiting[level] == 0:
            level -= 1
            continue
        waiting[level] -= 1
        if position + 2 > len(words):
            return _CUT, position
        if words[position] != _MATRIX:
            return _MALFORMED, position
        if words[position + 1] == 0:
            position += 2
            continue
        if position + 6 > len(words):
            return _CUT, position
        flags = words[position + 4]
        kind = flags & 0xFF
        if kind == 0 or kind > 15 or kind == 3 or kind == 5:
            return (_FOREIGN if kind in (3, 5, 16, 17) else _MALFORMED), position
        size, start, position = _element(words, position + 6)
        if position < 0 or size % 4 or not 8 <= size <= 128:  # fewer than two dimensions crash SciPy's reader
            return _MALFORMED, start
        count = 1.0
        for dimension in words[start : start + size // 4]:
            if dimension > 0x7FFFFFFF:
                return _MALFORMED, start
            count *= dimension
        size, start, position = _element(words, position)
        if position < 0:
            return _CUT, start
        if kind >= 4:  # text, or numbers with perhaps an imaginary part
            for _ in range(2 if kind > 4 and flags & 0x0800 else 1):
                stored = words[position] & 0xFFFF if position < len(words) else 0
                if stored >= len(numeric) or not (text[stored] if kind == 4 else numeric[stored]):
                    return _MALFORMED, position
                size, start, position = _element(words, position)
                if position < 0:
                    return _CUT, start
            continue
        fields = 1
        if kind == 2:
            size, start, position = _element(words, position)
            if position < 0 or size != 4 or words[start] == 0 or words[start] > 4096:
                return _MALFORMED, start
            width = np.int64(words[start])
            size, start, position = _element(words, position)
            if position < 0:
                return _CUT, start
            fields = size // width
        # every child takes two words at least, so what SciPy allocates is bounded by what is there
        if (count * max(fields, 1) * 2 > len(words) - position and count > 1) or count * fields * 2 > len(
            words
        ) - position:
            return _CUT, position
        if level + 1 == depth:
            return _DEEP, position
        level += 1
        waiting[level] = np.int64(count) * fields
    return _OK, position


def _refuse_cut(path: Path, position: int) -> NoReturn:
    raise HarBenchError(f"{path} ends in the middle of the variable at byte {position}; download it again")


def _refuse_damage(path: Path, position: int) -> NoReturn:
    raise HarBenchError(f"{path} is damaged at byte {position} (no variable begins there); download it again")


def _refuse_foreign(path: Path, name: str) -> NoReturn:
    raise HarBenchError(
        f"{path}: variable {name!r} holds a MATLAB object, function handle or sparse matrix; "
        "save it as plain arrays, cells and structs"
    )
