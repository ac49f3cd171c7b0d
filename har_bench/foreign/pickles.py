"""A pickle reader that cannot run code: containers, numbers, text and NumPy arrays, and nothing else.

A pickle is a program. Three things make this reader safe for files from strangers: a first pass over its
instructions refuses those that reach outside the file; names are looked up in :data:`ALLOWED` and nowhere else; and
what stands behind each name is ours. NumPy's own reconstruction functions trust their arguments (a forged shape or
dtype reads foreign memory), so arrays are rebuilt here from their checked bytes.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any, BinaryIO

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError, Malformed, naming

Names = Mapping[tuple[str, str], Any]
"""What stands behind each name, by module and name."""

Outside = Callable[[Any], Any]
"""What stands for an object of which a pickle holds a persistent id only."""

LIMIT = 8 << 30
"""How many bytes a file may unfold into, unless the caller says otherwise."""

_CODE = re.compile(r"[|<>=]?(b1|[iu][1248]|f[248]|c8|c16|[SU]\d{1,6}|O8?|\?)")
_FOREIGN = {"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"}
_PUT = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_GET = {"GET", "BINGET", "LONG_BINGET"}
_NESTING = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET", "REDUCE", "OBJ", "INST"}
_DEEPEST = 500
_PIECE = 1 << 20


class DType:
    """Stands for ``numpy.dtype``: a plain element type; structured, datetime and user types are refused."""

    __slots__ = ("code",)
    __hash__ = None  # type: ignore[assignment] # no stand-in may hide in a key, where it would stay

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise Malformed(f"holds an array of type {str(code)[:40]!r}, which is not a plain number or text")
        self.code = code

    def __setstate__(self, state: Any) -> None:
        """Take the byte order from NumPy's state; everything else in it belongs to types that are refused."""
        _, order, *structured = state[:5]
        if order not in ("<", ">", "=", "|") or any(part is not None for part in structured):
            raise Malformed("holds a structured array type, which is not a plain number or text")
        self.code = order + self.code.lstrip("|<>=")

    def numpy(self) -> np.dtype[Any]:
        """The element type itself."""
        return np.dtype(self.code)


class Array:
    """Stands for an array until the whole pickle is read: NumPy's state arrives after the object."""

    __slots__ = ("dtype", "items", "order", "shape")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, *_: Any) -> None:
        self.shape: tuple[int, ...] = (0,)
        self.items: Any = b""

    def __setstate__(self, state: Any) -> None:
        """``(version, shape, dtype, is_fortran, bytes or list)``, as ``numpy.ndarray.__reduce__`` writes it."""
        _, shape, dtype, fortran, items = state
        self.fill(items, dtype, shape, "F" if fortran else "C")

    def fill(self, items: Any, dtype: Any, shape: Any, order: Any) -> None:
        """Take the content once it is known that type, shape and content agree."""
        if isinstance(items, str):  # Python 2 wrote the bytes as text
            items = items.encode("latin1")
        if not isinstance(dtype, DType) or not isinstance(shape, tuple) or order not in ("C", "F"):
            raise Malformed("holds an array whose state is malformed")
        self.dtype = dtype.numpy()
        expected = list if self.dtype.hasobject else bytes | bytearray
        if not all(type(length) is int and length >= 0 for length in shape) or not isinstance(items, expected):
            raise Malformed("holds an array whose shape or content is malformed")
        if math.prod(shape) * (1 if self.dtype.hasobject else self.dtype.itemsize) != len(items):
            raise Malformed(f"holds an array of shape {str(shape)[:60]} whose content has another size")
        self.shape, self.items, self.order = shape, items, order

    def numpy(self) -> npt.NDArray[Any]:
        """The array, writable; an object array's elements are still those of the pickle."""
        if isinstance(self.items, list):
            flat = np.empty(len(self.items), object)
            for index, item in enumerate(self.items):
                flat[index] = item
        else:
            flat = np.frombuffer(self.items, self.dtype).copy() if self.items else np.empty(0, self.dtype)
        self.items = b""
        return flat.reshape(self.shape, order=self.order)


class _Wrapped(Array):
    """joblib's array: its wrapper's state first, then its bytes, which :mod:`har_bench.foreign.joblib` puts there."""

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.state = state
        else:
            self.fill(state, self.state["dtype"], self.state["shape"], self.state["order"])


def _frombuffer(items: Any, dtype: Any, shape: Any, order: Any) -> Array:
    array = Array()
    array.fill(items, dtype, shape, order)
    return array


def _scalar(dtype: Any, items: Any = b"") -> Any:
    return _frombuffer(items, dtype, (), "C").numpy()[()]


def _encode(text: str, encoding: str = "utf-8") -> bytes:
    if encoding not in ("latin1", "latin-1", "utf-8", "ascii"):
        raise Malformed(f"asks for the codec {str(encoding)[:40]!r}, which no pickle needs")
    return text.encode(encoding)


class _OrderedDict(OrderedDict[Any, Any]):
    """Without attributes: torch's are of no use, and a forged one would hide a method."""

    def __setstate__(self, state: Any) -> None:
        """Forget the attributes."""


class _RandomState(dict[str, Any]):
    """A generator's state as the dict that ``numpy.random.RandomState.set_state`` takes; no generator is made."""

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        """A dict; until NumPy 1.16 a tuple of five; of a bit generator, from NumPy 1.25 on, a dict and its seed."""
        match state:
            case (name, key, position, has_gauss, gauss):
                inner = {"key": key, "pos": position}
                self.update(bit_generator=name, state=inner, has_gauss=has_gauss, gauss=gauss)
            case dict(found) | (dict(found), None):
                self.update(found)
            case _:
                raise Malformed("holds a random state that is malformed")


def _empty() -> bytes:
    """The only call of ``bytes`` in honest pickles; with a number it would allocate that many zeros."""
    return b""


def _builtin(name: str, stand_in: Callable[..., Any]) -> dict[tuple[str, str], Callable[..., Any]]:
    """The same name in Python 2 and in Python 3."""
    return {(module, name): stand_in for module in ("__builtin__", "builtins")}


def _numpy(name: str, stand_in: Callable[..., Any], *modules: str) -> dict[tuple[str, str], Callable[..., Any]]:
    """The same function under the module names of NumPy 1 and NumPy 2."""
    return {(f"numpy.{core}.{module}", name): stand_in for core in ("core", "_core") for module in modules}


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    **_numpy("_reconstruct", Array, "multiarray"),
    **_numpy("scalar", _scalar, "multiarray"),
    **_numpy("_frombuffer", _frombuffer, "numeric"),
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): DType,
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _Wrapped,
    ("numpy.random", "__RandomState_ctor"): _RandomState,
    ("numpy.random._pickle", "__randomstate_ctor"): _RandomState,
    ("numpy.random._pickle", "__bit_generator_ctor"): _RandomState,
    ("numpy.random._mt19937", "MT19937"): _RandomState,
    ("collections", "OrderedDict"): _OrderedDict,
    ("_codecs", "encode"): _encode,
    **_builtin("bytes", _empty),
    **_builtin("complex", complex),
    **_builtin("frozenset", frozenset),
    **_builtin("set", set),
    **_builtin("slice", slice),
}
"""Every name that any pickle may use, and what stands behind it here; :func:`load` takes those of one kind of file."""


class _Budget:
    """What calls may still cost: a short instruction may name a long argument again and again."""

    def __init__(self, left: int) -> None:
        self.left = left

    def charge(self, *values: Any) -> None:
        for value in values:
            if hasattr(value, "__len__"):
                self.left -= len(value) * (1 if isinstance(value, bytes | bytearray | str) else 8)
        if self.left < 0:
            raise Malformed("unfolds into more than the limit allows")


class Call(msgspec.Struct, frozen=True):
    """An allowed name as the pickle sees it: callable, but neither a class nor open to assignment."""

    function: Any
    budget: _Budget

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, *arguments: Any) -> Any:
        """Pay for the arguments, then call."""
        self.budget.charge(*arguments)
        return self.function(*arguments)


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: BinaryIO, budget: _Budget, names: Names, outside: Outside | None) -> None:
        super().__init__(stream, encoding="latin1")
        self.budget = budget
        self.names = names
        self.outside = outside

    def find_class(self, module: str, name: str) -> Any:
        try:
            return Call(self.names[module, name], self.budget)
        except KeyError:
            raise Malformed(f"asks for {f'{module}.{name}'[:80]}, which is not data") from None

    def persistent_load(self, identity: Any) -> Any:
        if self.outside is None:
            raise Malformed("refers to something outside itself")
        return self.outside(identity)


def load(
    source: bytes | BinaryIO,
    *,
    limit: int = LIMIT,
    name: str = "the pickle",
    names: Names | None = None,
    outside: Outside | None = None,
) -> Any:
    """What a pickle holds: nested dicts, lists, tuples, sets, numbers, text, bytes and NumPy arrays.

    Args:
        source: the pickle's bytes, or a seekable stream at its beginning; the stream is read twice and left at its end.
        limit: how many bytes it may unfold into.
        name: what messages call it.
        names: what this kind of file may name besides :data:`ALLOWED`, and what stands behind it.
        outside: what stands for an object of which the pickle holds only a (binary) persistent id, an :class:`Array`
            for one; without it, such ids are refused.

    Raises:
        HarBenchError: the pickle is broken, too large, or asks for anything but data; the name it asks for is given.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    budget = _Budget(limit)
    with refusing(name):
        start = stream.tell()
        _inspect(stream, limit, _FOREIGN if outside is None else _FOREIGN - {"BINPERSID"})
        stream.seek(start)
        return _finished(_Unpickler(stream, budget, {**ALLOWED, **(names or {})}, outside).load(), budget, {})


REMEDY = "convert it to plain arrays with what wrote it"
"""What helps when a pickle holds more than data."""


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Whatever goes wrong with the pickle called ``name`` inside the block becomes one sentence."""
    with naming(name, REMEDY):
        try:
            yield
        except (Malformed, HarBenchError):
            raise
        except (RecursionError, MemoryError) as error:
            raise Malformed("is nested too deeply or too large to be read") from error
        except Exception as error:  # whatever a forged instruction makes pickle or NumPy raise
            raise Malformed(f"is not a readable pickle ({type(error).__name__}: {error})", "write it again") from error


def _inspect(stream: BinaryIO, limit: int, foreign: Set[str]) -> None:
    """Go through the instructions without following them; only the nesting of hashable values is kept account of.

    A memo index that no honest pickle has would make the unpickler allocate a table of that length, an extension code
    would bypass ``find_class``, and hashing a tuple that is nested too deeply overflows the interpreter's stack.
    """

    def depth(opcode: pickletools.OpcodeInfo, _: Any, taken: list[Any]) -> int:
        inner: int = max((depth for depth in taken if depth is not None), default=0)
        if inner + (opcode.name in _NESTING) > _DEEPEST:
            raise Malformed("is nested too deeply")
        return inner + (opcode.name in _NESTING)

    follow(stream, limit, depth, foreign)


class _Piecewise:
    """A stream that is read in pieces: a file allocates at once whatever length a forged number asks for."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.tell = stream.tell
        self.readline = stream.readline

    def read(self, length: int) -> bytes:
        if length <= _PIECE:
            return self.stream.read(length)
        pieces = bytearray()
        while piece := self.stream.read(min(length - len(pieces), _PIECE)):
            pieces += piece
        return bytes(pieces)


def follow(
    stream: BinaryIO,
    limit: int,
    value: Callable[[pickletools.OpcodeInfo, Any, list[Any]], Any],
    foreign: Set[str] = _FOREIGN,
) -> None:
    """Go through a pickle's instructions with a stack and a memo of our own values, and refuse forged ones.

    Args:
        stream: the pickle, at its beginning; ``value`` may move it on.
        limit: how many bytes the pickle may have.
        value: what stands for the result of an instruction, given its argument and what it takes off the stack, where
            a mark is None.
        foreign: the instructions that refer to something outside the pickle.

    Raises:
        Malformed: an instruction refers to something outside the pickle, or to what is not there.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, argument, position in pickletools.genops(_Piecewise(stream)):  # type: ignore[arg-type]
        if opcode.name in foreign:
            raise Malformed(f"refers to something outside itself ({opcode.name})")
        if position is not None and position > limit:
            raise Malformed(f"has more than the {limit} bytes that are allowed")
        if opcode.name in _PUT:
            index = len(memo) if argument is None else int(argument)
            if index > len(memo) + 1:  # Python 2 counts from 1
                raise Malformed(f"has a forged memo index {index}")
            memo[index] = stack[-1]
        elif opcode.name in _GET:
            stack.append(memo[int(argument or 0)])
        else:
            result = value(opcode, argument, _taken(stack, opcode))
            stack += [None if after is pickletools.markobject else result for after in opcode.stack_after]


def _taken(stack: list[Any], opcode: pickletools.OpcodeInfo) -> list[Any]:
    """Take an instruction's operands off the stack."""
    start = len(stack)
    if pickletools.markobject in opcode.stack_before:
        start -= 1
        while start >= 0 and stack[start] is not None:
            start -= 1
        start -= opcode.stack_before.index(pickletools.markobject)
    else:
        start -= len(opcode.stack_before)
    if start < 0:
        raise Malformed("takes more from its stack than is there")
    taken = stack[start:]
    del stack[start:]
    return taken


def _finished(value: Any, budget: _Budget, done: dict[int, tuple[Any, Any]]) -> Any:
    """``value`` with every stand-in replaced; ``done`` keeps the originals, whose identities are its keys."""
    if isinstance(value, DType):
        return value.numpy()
    if isinstance(value, Call):
        raise Malformed("holds a function, which is not data")
    if not isinstance(value, Array | dict | list | tuple):
        return value
    if id(value) in done:
        return done[id(value)][1]
    if isinstance(value, tuple):
        result: Any = tuple(_finished(item, budget, done) for item in value)
        done[id(value)] = value, result
        return result
    if isinstance(value, Array):
        budget.charge(value.items)
    result = value.numpy() if isinstance(value, Array) else value
    done[id(value)] = value, result
    if isinstance(result, dict):
        for key, item in result.items():
            result[key] = _finished(item, budget, done)
    elif isinstance(result, list):
        result[:] = [_finished(item, budget, done) for item in result]
    elif result.dtype.hasobject:
        for index, item in np.ndenumerate(result):
            result[index] = _finished(item, budget, done)
    return result
