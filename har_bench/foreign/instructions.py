"""What each instruction of a pickle does to the machine; :mod:`pickletools` describes them.

Before an instruction makes anything, its cost is charged. What an honest program never does, such as to change an
object that is no container, is refused.
"""

from __future__ import annotations

import codecs
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from sys import getsizeof
from typing import Any

from har_bench.errors import Malformed
from har_bench.foreign.machine import ABSENT, AGAIN, CONTAINER, Machine, Unbuilt

_NUMBER = 32
_LONGEST = 255
"""Bytes of a whole number: what LONG1 can hold. Longer ones need LONG4, which no honest file has."""

_Handler = Callable[[Machine], object]


def _unknown(machine: Machine) -> None:
    raise Malformed(f"is no pickle, or a damaged one (there is no instruction at its byte {machine.at - 1})", AGAIN)


_HANDLERS: list[_Handler] = [_unknown] * 256
"""What each instruction does; STOP alone returns something true."""


def follow(machine: Machine) -> Any:
    """Follow the instructions up to STOP, behind which the machine is left, and give what they made.

    Raises:
        Malformed: the program is damaged, or does what no honest one does.
        Exception: whatever an argument of the wrong type leads to.
    """
    content, handlers = machine.content, _HANDLERS
    try:
        while True:
            code = content[machine.at]
            machine.at += 1
            if handlers[code](machine):
                return machine.stack.pop()
    except (IndexError, struct.error) as error:
        raise Malformed("is no pickle, or a damaged one: it ends early, or takes what is not there", AGAIN) from error


def _does(*codes: bytes) -> Callable[[_Handler], _Handler]:
    def register(handler: _Handler) -> _Handler:
        for code in codes:
            _HANDLERS[code[0]] = handler
        return handler

    return register


def _constant(code: bytes, value: Any) -> None:
    _does(code)(lambda machine: machine.stack.append(value))


for _code, _value in ((pickle.NONE, None), (pickle.NEWTRUE, True), (pickle.NEWFALSE, False), (pickle.EMPTY_TUPLE, ())):
    _constant(_code, _value)


def _packed(code: bytes, form: str) -> None:
    """An instruction whose argument is a number of a fixed size."""
    layout = struct.Struct(form)

    def push(machine: Machine) -> None:
        machine.stack.append(layout.unpack_from(machine.content, machine.at)[0])
        machine.at += layout.size
        machine.budget.charge(_NUMBER)

    _does(code)(push)


for _code, _form in ((pickle.BININT, "<i"), (pickle.BININT2, "<H"), (pickle.BINFLOAT, ">d")):
    _packed(_code, _form)

_U1, _U4, _U8 = struct.Struct("<B"), struct.Struct("<I"), struct.Struct("<Q")


def _counted(code: bytes, length: struct.Struct, value: Callable[[bytes], Any]) -> None:
    """An instruction whose argument is so many bytes, and what it makes of them."""

    def push(machine: Machine) -> None:
        count = length.unpack_from(machine.content, machine.at)[0]
        machine.at += length.size
        found = value(machine.take(count))
        machine.budget.charge(getsizeof(found))
        machine.stack.append(found)

    _does(code)(push)


def _text(raw: bytes) -> str:
    return str(raw, "utf-8", "surrogatepass")


def _old_text(raw: bytes) -> str:
    """Python 2's bytes, which are text or an array's content."""
    return str(raw, "latin1")


def _whole(raw: bytes) -> int:
    if len(raw) > _LONGEST:
        raise Malformed(f"holds a number of {len(raw)} bytes")
    return int.from_bytes(raw, "little", signed=True)


for _code, _length, _made in (
    (pickle.BINUNICODE, _U4, _text),
    (pickle.SHORT_BINUNICODE, _U1, _text),
    (pickle.BINUNICODE8, _U8, _text),
    (pickle.BINBYTES, _U4, bytes),
    (pickle.SHORT_BINBYTES, _U1, bytes),
    (pickle.BINBYTES8, _U8, bytes),
    (pickle.BYTEARRAY8, _U8, bytearray),
    (pickle.BINSTRING, _U4, _old_text),
    (pickle.SHORT_BINSTRING, _U1, _old_text),
    (pickle.LONG1, _U1, _whole),
    (pickle.LONG4, _U4, _whole),
):
    _counted(_code, _length, _made)


def _written(code: bytes, value: Callable[[bytes], Any]) -> None:
    """An instruction of protocol 0, whose argument is a line, and what it makes of it."""

    def push(machine: Machine) -> None:
        line = machine.line()
        machine.budget.charge(2 * len(line) + _NUMBER)
        found = value(line)
        machine.budget.charge(getsizeof(found))
        machine.stack.append(found)

    _does(code)(push)


def _digits(line: bytes) -> Any:
    """A whole number, or a truth as Python 2 writes it."""
    if line in (b"00", b"01"):
        return line == b"01"
    if len(line) > 2 * _LONGEST:
        raise Malformed(f"holds a number of {len(line)} digits")
    return int(line.removesuffix(b"L"))


def _quoted(line: bytes) -> str:
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise Malformed("has a text without quotes", AGAIN)
    return _old_text(codecs.escape_decode(line[1:-1])[0])


for _code, _read in (
    (pickle.INT, _digits),
    (pickle.LONG, _digits),
    (pickle.FLOAT, float),
    (pickle.STRING, _quoted),
    (pickle.UNICODE, lambda line: str(line, "raw-unicode-escape")),
):
    _written(_code, _read)


@_does(pickle.BININT1)
def _small(machine: Machine) -> None:
    machine.stack.append(machine.content[machine.at])
    machine.at += 1


@_does(pickle.PROTO)
def _proto(machine: Machine) -> None:
    version = machine.number(_U1)
    if version > pickle.HIGHEST_PROTOCOL:
        raise Malformed(f"is of protocol {version}, which is unknown here")


@_does(pickle.FRAME)
def _frame(machine: Machine) -> None:
    if machine.number(_U8) > len(machine.content) - machine.at:
        raise Malformed("is cut off", AGAIN)


@_does(pickle.STOP)
def _stop(_: Machine) -> bool:
    return True


# ---- the stack and the memo


@_does(pickle.MARK)
def _mark(machine: Machine) -> None:
    machine.marks.append(len(machine.stack))


@_does(pickle.POP)
def _pop(machine: Machine) -> None:
    if machine.marks and machine.marks[-1] >= len(machine.stack):
        machine.marks.pop()
    else:
        machine.stack.pop()


@_does(pickle.POP_MARK)
def _pop_mark(machine: Machine) -> None:
    machine.since_mark()


@_does(pickle.DUP)
def _dup(machine: Machine) -> None:
    machine.stack.append(machine.stack[-1])


def _keep(machine: Machine, index: int) -> None:
    memo, value = machine.memo, machine.stack[-1]
    if index == len(memo):
        memo.append(value)
    else:
        if not 0 <= index <= len(memo) + 1:  # Python 2 counts from 1
            raise Malformed(f"has a forged memo index {index}")
        memo[len(memo) :] = [ABSENT] * (index + 1 - len(memo))
        memo[index] = value
    if type(value) is Unbuilt:
        value.place = index


def _recall(machine: Machine, index: int) -> None:
    value = machine.memo[index]
    if value is ABSENT or index < 0:
        raise Malformed(f"has a forged memo index {index}")
    machine.stack.append(value)


@_does(pickle.MEMOIZE)
def _memoize(machine: Machine) -> None:
    _keep(machine, len(machine.memo))


@_does(pickle.BINPUT)
def _put(machine: Machine) -> None:
    machine.at += 1
    _keep(machine, machine.content[machine.at - 1])


@_does(pickle.BINGET)
def _get(machine: Machine) -> None:
    machine.at += 1
    _recall(machine, machine.content[machine.at - 1])


_does(pickle.LONG_BINPUT)(lambda machine: _keep(machine, machine.number(_U4)))
_does(pickle.LONG_BINGET)(lambda machine: _recall(machine, machine.number(_U4)))
_does(pickle.PUT)(lambda machine: _keep(machine, int(machine.line()[:20])))
_does(pickle.GET)(lambda machine: _recall(machine, int(machine.line()[:20])))


# ---- containers


def _tuple_of(count: int) -> _Handler:
    def make(machine: Machine) -> None:
        machine.budget.charge(CONTAINER)
        stack = machine.stack
        if len(stack) < count:
            raise IndexError
        stack[-count:] = [tuple(stack[-count:])]

    return make


for _code, _count in ((pickle.TUPLE1, 1), (pickle.TUPLE2, 2), (pickle.TUPLE3, 3)):
    _does(_code)(_tuple_of(_count))


@_does(pickle.TUPLE)
def _tuple(machine: Machine) -> None:
    items = machine.since_mark()
    machine.budget.charge(CONTAINER + 8 * len(items))
    machine.stack.append(tuple(items))


@_does(pickle.EMPTY_LIST)
def _empty_list(machine: Machine) -> None:
    machine.budget.charge(CONTAINER)
    machine.stack.append([])


@_does(pickle.LIST)
def _list(machine: Machine) -> None:
    items = machine.since_mark()
    machine.budget.charge(CONTAINER + 8 * len(items))
    machine.stack.append(items)


@_does(pickle.APPEND)
def _append(machine: Machine) -> None:
    _extend(machine, [machine.stack.pop()])


@_does(pickle.APPENDS)
def _appends(machine: Machine) -> None:
    _extend(machine, machine.since_mark())


def _extend(machine: Machine, items: list[Any]) -> None:
    target = machine.stack[-1]
    if type(target) is not list:
        raise Malformed(f"appends to a {type(target).__name__}")
    machine.budget.charge(9 * len(items))
    target += items


@_does(pickle.EMPTY_DICT)
def _empty_dict(machine: Machine) -> None:
    machine.budget.charge(CONTAINER)
    machine.stack.append({})


@_does(pickle.DICT)
def _dict(machine: Machine) -> None:
    items = machine.since_mark()
    machine.budget.charge(CONTAINER)
    machine.stack.append({})
    _update(machine, items)


@_does(pickle.SETITEM)
def _set_item(machine: Machine) -> None:
    value = machine.stack.pop()
    _update(machine, [machine.stack.pop(), value])


@_does(pickle.SETITEMS)
def _set_items(machine: Machine) -> None:
    _update(machine, machine.since_mark())


def _update(machine: Machine, flat: list[Any]) -> None:
    target = machine.stack[-1]
    if type(target) not in (dict, OrderedDict) or len(flat) % 2:
        raise Malformed(f"sets items of a {type(target).__name__}, or has a key without a value")
    keys = flat[::2]
    machine.keys.admit(target, keys)
    machine.budget.charge(64 * len(keys) + (0 if target else CONTAINER))
    target.update(zip(keys, flat[1::2], strict=True))


@_does(pickle.EMPTY_SET)
def _empty_set(machine: Machine) -> None:
    machine.budget.charge(2 * CONTAINER)
    machine.stack.append(set())


@_does(pickle.ADDITEMS)
def _add_items(machine: Machine) -> None:
    items, target = machine.since_mark(), machine.stack[-1]
    if type(target) is not set:
        raise Malformed(f"adds to a {type(target).__name__}")
    machine.keys.admit(target, items)
    machine.budget.charge(64 * len(items))
    target.update(items)


@_does(pickle.FROZENSET)
def _frozen_set(machine: Machine) -> None:
    machine.stack.append(machine.frozen(machine.since_mark()))


# ---- names, calls and states


@_does(pickle.GLOBAL)
def _global(machine: Machine) -> None:
    module, name = (str(machine.line(), "utf-8", "surrogateescape") for _ in range(2))
    machine.stack.append(machine.named(module, name))


@_does(pickle.STACK_GLOBAL)
def _stack_global(machine: Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.named(module, name))


@_does(pickle.INST)
def _inst(machine: Machine) -> None:
    _global(machine)
    raise Malformed("makes an object of a class that is not data")


@_does(pickle.REDUCE, pickle.NEWOBJ)
def _reduce(machine: Machine) -> None:
    arguments, function = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.call(function, arguments))


@_does(pickle.BUILD)
def _build(machine: Machine) -> None:
    state, target = machine.stack.pop(), machine.stack[-1]
    if type(target) is Unbuilt:
        machine.stack[-1] = built = target.build(state)
        if target.place >= 0:
            machine.memo[target.place] = built
    elif type(target) is not OrderedDict:  # torch's have attributes, which are of no use
        raise Malformed(f"gives a state to a {type(target).__name__}, which has none")


@_does(pickle.BINPERSID)
def _persistent(machine: Machine) -> None:
    machine.stack.append(machine.outside(machine.stack.pop()))


@_does(pickle.PERSID, pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER)
def _refused(machine: Machine) -> None:
    raise Malformed(f"refers to something outside itself, at its byte {machine.at - 1}")


@_does(pickle.OBJ, pickle.NEWOBJ_EX)
def _object(machine: Machine) -> None:
    raise Malformed(f"makes an object in a way that data never needs, at its byte {machine.at - 1}")
