"""What ``joblib.dump`` wrote, read without joblib and without running anything in it.

A joblib file is a pickle, compressed or not, in which each array is a ``NumpyArrayWrapper`` followed by the array's
bytes, raw, in the middle of the instructions. The bytes are put into the pickle as ordinary instructions here, and
:func:`har_bench.foreign.pickles.load` reads the result: what that reader refuses is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
from pickletools import OpcodeInfo
from typing import Any, NamedTuple

from har_bench.errors import Malformed
from har_bench.foreign import pickles
from har_bench.foreign.compressed import unfold


def load(source: bytes, *, limit: int = pickles.LIMIT, name: str = "the joblib file") -> Any:
    """What a joblib file holds: nested dicts, lists, tuples, sets, numbers, text, bytes and NumPy arrays.

    Args:
        source: the whole file; uncompressed, or compressed with zlib, gzip, bzip2, xz or lzma.
        limit: how many bytes it may unfold into.
        name: what messages call it.

    Raises:
        HarBenchError: the file is broken, too large, asks for anything but data, or has an array of Python objects.
    """
    content = unfold(source, limit=limit, name=name)
    if _WRAPPER.name.encode() in content:
        with pickles.refusing(name):
            content = _as_pickle(content, limit)
    return pickles.load(content, limit=limit, name=name)


class _Name(NamedTuple):
    """A global that the pickle asks for."""

    module: str
    name: str


class _Wrapped:
    """An array's place: its wrapper, whose state is awaited."""


_WRAPPER = _Name("joblib.numpy_pickle", "NumpyArrayWrapper")
_DTYPE = _Name("numpy", "dtype")
_ELSE = object()  # any value that says nothing about an array
_TUPLES = {"EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}


def _as_pickle(content: bytes, limit: int) -> bytes:
    """The same pickle with each array's bytes as an argument of its wrapper's second BUILD.

    The instructions are followed only as far as they tell where arrays lie. Whatever a forged file makes of that, the
    outcome is a pickle and nothing more.
    """
    stream = io.BytesIO(content)
    plain = bytearray()
    copied = 0

    def value(opcode: OpcodeInfo, argument: Any, taken: list[Any]) -> Any:
        nonlocal copied
        match opcode.name, taken:
            case "GLOBAL", _:
                return _Name(*argument.split(" ", 1))
            case "STACK_GLOBAL", [str(module), str(name)]:
                return _Name(module, name)
            case "NEWOBJ", [_Name() as asked, _] if asked == _WRAPPER:
                # the stand-in is a function, and a function is called by REDUCE
                plain.extend(content[copied : stream.tell() - 1] + pickle.REDUCE)
                copied = stream.tell()
                return _Wrapped()
            case "REDUCE", [_Name() as asked, [str(code), *_]] if asked == _DTYPE:
                return pickles.ALLOWED[_DTYPE](code)
            case "BUILD", [_Wrapped(), dict(state)]:
                start, stop = _extent(content, stream.tell(), state)
                plain.extend(content[copied : stream.tell()])
                plain.extend(pickle.BINBYTES8 + struct.pack("<Q", stop - start) + content[start:stop] + pickle.BUILD)
                copied = stop
                stream.seek(stop)
                return _ELSE
            case "EMPTY_DICT", _:
                return {}
            case (("SETITEM" | "SETITEMS"), [dict(items), *pairs]):
                flat = pairs[opcode.name == "SETITEMS" :]
                # only text is hashed: a forged key could be nested so deeply that hashing it overflows the stack
                items.update((key, item) for key, item in zip(*[iter(flat)] * 2, strict=True) if type(key) is str)
                return items
            case name, _ if name in _TUPLES:
                return tuple(item for item in taken if item is not None)
            case (("BUILD" | "DUP"), [first, *_]):
                return first
        return _ELSE if argument is None else argument

    pickles.follow(stream, limit, value)
    return bytes(plain + content[copied:])


def _extent(content: bytes, position: int, state: dict[str, Any]) -> tuple[int, int]:
    """Where the bytes of the array whose wrapper's state ends at ``position`` begin and end."""
    shape, dtype = state.get("shape"), state.get("dtype")
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise Malformed("holds an array whose shape is malformed")
    if not isinstance(dtype, pickles.DType):
        raise Malformed("holds an array without a plain element type")
    element = dtype.numpy()
    if element.hasobject:
        raise Malformed("holds an array of Python objects")
    if type(state.get("numpy_array_alignment_bytes")) is int:
        position += 1 + int.from_bytes(content[position : position + 1])  # the length of the padding, the padding
    stop = position + math.prod(shape) * element.itemsize
    if stop > len(content):
        raise Malformed(f"holds an array of shape {str(shape)[:60]} that goes beyond its end")
    return position, stop
