"""What stands behind the names that a pickle of data may use: containers, NumPy's arrays and numbers, random states.

NumPy's own functions trust their arguments, and a forged shape or type would read foreign memory. Arrays are made here
of bytes whose number has been compared with shape and type. Every function is given the machine first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from har_bench.errors import Malformed
from har_bench.foreign.elements import element, shape_of
from har_bench.foreign.machine import Machine, Unbuilt

_CODECS = ("latin1", "latin-1", "utf-8", "ascii")


def array(machine: Machine, items: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    """An array of its own memory, of bytes (or Python 2's text) or of a list of objects.

    Raises:
        Malformed: type, shape and content do not agree.
    """
    if isinstance(items, str):  # Python 2 wrote the bytes as text
        items = items.encode("latin1")
    if not isinstance(dtype, np.dtype) or order not in ("C", "F"):
        raise Malformed("holds an array whose state is malformed")
    if not isinstance(items, list | bytes | bytearray) or isinstance(items, list) != dtype.hasobject:
        raise Malformed("holds an array whose content is malformed")
    size = len(items) * (dtype.itemsize if dtype.hasobject else 1)
    lengths = shape_of(shape, dtype.itemsize, machine.budget, size)
    machine.budget.charge(size)
    if isinstance(items, list):
        flat = np.fromiter(items, object, len(items))
    else:
        flat = np.frombuffer(items, dtype).copy() if items else np.empty(0, dtype)
    return flat.reshape(lengths, order=order)


def _array(machine: Machine, *_: Any) -> Unbuilt:
    """NumPy's state is ``(version, shape, type, is Fortran's, bytes or list)``."""

    def build(state: Any) -> Any:
        match state:
            case (_, shape, dtype, fortran, items):
                return array(machine, items, dtype, shape, "F" if fortran else "C")
        raise Malformed("holds an array whose state is malformed")

    return Unbuilt(build)


def _dtype(_: Machine, code: Any = None, *__: Any) -> Unbuilt:
    """Of NumPy's state only the byte order is taken; everything else belongs to types that are refused."""
    plain = element(code)

    def build(state: Any) -> np.dtype[Any]:
        match state:
            case (_, "<" | ">" | "=" | "|" as order, None, None, None, *_):
                return plain.newbyteorder(order)
        raise Malformed("holds a structured array type, which is not a plain number or text")

    return Unbuilt(build)


def _scalar(machine: Machine, dtype: Any, items: Any = b"") -> Any:
    return array(machine, items, dtype, (), "C")[()]


def _encode(machine: Machine, text: str, encoding: str = "utf-8") -> bytes:
    if type(text) is not str or type(encoding) is not str:
        raise Malformed("encodes what is no text")
    if encoding not in _CODECS:
        raise Malformed(f"asks for the codec {encoding[:40]!r}, which no pickle needs")
    machine.budget.charge(4 * len(text))
    return text.encode(encoding)


def _set(machine: Machine, items: Any = ()) -> set[Any]:
    found: set[Any] = set(_frozenset(machine, items))
    return found


def _frozenset(machine: Machine, items: Any = ()) -> frozenset[Any]:
    if not isinstance(items, list | tuple):
        raise Malformed(f"makes a set of a {type(items).__name__}")
    return machine.frozen(list(items))


def ordered(machine: Machine, pairs: Any = ()) -> OrderedDict[Any, Any]:
    """An OrderedDict, of pairs in Python 2's pickles."""
    if not isinstance(pairs, list | tuple) or not all(type(each) in (list, tuple) and len(each) == 2 for each in pairs):
        raise Malformed("makes a dict of what are no pairs")
    found: OrderedDict[Any, Any] = OrderedDict()
    machine.keys.admit(found, [key for key, _ in pairs])
    machine.budget.charge(400 + 200 * len(pairs))
    found.update(pairs)
    return found


def _random_state(_: Machine, *__: Any) -> Unbuilt:
    """A generator's state as the dict that ``numpy.random.RandomState.set_state`` takes; no generator is made.

    It is a dict; until NumPy 1.16 a tuple of five; of a bit generator, from NumPy 1.25 on, a dict and its seed.
    """

    def build(state: Any) -> dict[str, Any]:
        match state:
            case (name, key, position, has_gauss, gauss):
                inner = {"key": key, "pos": position}
                return {"bit_generator": name, "state": inner, "has_gauss": has_gauss, "gauss": gauss}
            case dict(found) | (dict(found), None):
                return found
        raise Malformed("holds a random state that is malformed")

    return Unbuilt(build)


def _slice(_: Machine, *bounds: Any) -> slice:
    if not all(bound is None or type(bound) is int for bound in bounds):
        raise Malformed("holds a slice of what are no numbers")
    return slice(*bounds)


def _complex(_: Machine, real: float, imaginary: float) -> complex:
    return complex(real, imaginary)


def _empty(_: Machine) -> bytes:
    """The only call of ``bytes`` in honest pickles; with a number it would allocate that many zeros."""
    return b""


Function = Callable[..., Any]


def _builtin(name: str, stand_in: Function) -> dict[tuple[str, str], Function]:
    """The same name in Python 2 and in Python 3."""
    return {(module, name): stand_in for module in ("__builtin__", "builtins")}


def _numpy(name: str, stand_in: Function, module: str) -> dict[tuple[str, str], Function]:
    """The same function under the module names of NumPy 1 and NumPy 2."""
    return {(f"numpy.{core}.{module}", name): stand_in for core in ("core", "_core")}


ALLOWED: dict[tuple[str, str], Function] = {
    **_numpy("_reconstruct", _array, "multiarray"),
    **_numpy("scalar", _scalar, "multiarray"),
    **_numpy("_frombuffer", array, "numeric"),
    ("numpy", "ndarray"): _array,
    ("numpy", "dtype"): _dtype,
    ("numpy.random", "__RandomState_ctor"): _random_state,
    ("numpy.random._pickle", "__randomstate_ctor"): _random_state,
    ("numpy.random._pickle", "__bit_generator_ctor"): _random_state,
    ("numpy.random._mt19937", "MT19937"): _random_state,
    ("collections", "OrderedDict"): ordered,
    ("_codecs", "encode"): _encode,
    **_builtin("bytes", _empty),
    **_builtin("complex", _complex),
    **_builtin("frozenset", _frozenset),
    **_builtin("set", _set),
    **_builtin("slice", _slice),
}
"""Every name that any pickle may use, and what stands behind it here; some kinds of file have more of their own."""
