"""Options as typed fields: declared once, read from text, refused with one sentence, explained by ``har-bench info``.

Converters, baselines and the options of protocols are dataclasses; a field made by :func:`option` says what it is for:

>>> @dataclass(frozen=True)
... class Example:
...     every: int | None = option(None, "score one frame in so many", least=1)
...     cameras: tuple[str, ...] = option((), "score only these, such as 60457274")
>>> read(Example, {"every": "64", "cameras": "60457274,54138969"}, "h36m/mpjpe")
{'every': 64, 'cameras': ('54138969', '60457274')}
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, get_args, get_origin

from har_bench.errors import HarBenchError, unknown

FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def option(default: Any, about: str, *, least: float | None = None, above: float | None = None) -> Any:
    """A dataclass field that a user may set.

    Args:
        default: its value when nobody sets it.
        about: one line of help.
        least: the smallest number that it, or each of its numbers, may be.
        above: what it, or each of its numbers, must be larger than.
    """
    return dataclasses.field(default=default, metadata={"about": about, "least": least, "above": above})


@dataclass(frozen=True)
class Option:
    """What is known of one option.

    Attributes:
        name: as on the command line.
        kind: its type, such as ``int | None`` or ``tuple[str, ...]``.
        default: its value when nobody sets it.
        about: one line of help; empty where the field was declared without.
        least: the smallest number that it, or each of its numbers, may be.
        above: what it, or each of its numbers, must be larger than.
    """

    name: str
    kind: Any
    default: Any
    about: str = ""
    least: float | None = None
    above: float | None = None

    def read(self, value: Any, whose: str) -> Any:
        """A value of the option's type, from a text or from Python.

        Raises:
            HarBenchError: it cannot be one; the sentence says what can.
        """
        last: ValueError | None = None
        for kind in _kinds(self.kind):
            try:
                found = _read(kind, value)
            except ValueError as error:
                last = error
                continue
            for number in found if isinstance(found, tuple) else (found,):
                self._within(number, whose)
            return found
        raise HarBenchError(f"{whose} cannot take {self.name}={shown(value)!r}; give {last}")

    def _within(self, number: Any, whose: str) -> None:
        if self.least is not None and number is not None and number < self.least:
            raise HarBenchError(f"{whose} cannot take {self.name}={number}; give {self.least:g} or more")
        if self.above is not None and number is not None and not number > self.above:
            raise HarBenchError(f"{whose} cannot take {self.name}={number}; give more than {self.above:g}")


def declared(made: type) -> dict[str, Option]:
    """The options of a dataclass, by name, in the order of their declaration."""
    if not dataclasses.is_dataclass(made):
        return {}
    kinds = _hints(made)
    return {
        field.name: Option(
            field.name,
            kinds.get(field.name, Any),
            field.default,
            field.metadata.get("about", ""),
            field.metadata.get("least"),
            field.metadata.get("above"),
        )
        for field in dataclasses.fields(made)
        if field.init
    }


def read(made: type, given: Mapping[str, Any], whose: str) -> dict[str, Any]:
    """What was given, as values of the options' types.

    Args:
        made: a dataclass.
        given: values or texts by name; ``-`` in a name is read as ``_``.
        whose: named in messages, such as ``h36m/mpjpe``.

    Raises:
        HarBenchError: there is no such option, or it cannot have this value.
    """
    known, found = declared(made), {}
    for name, value in given.items():
        plain = str(name).replace("-", "_")
        if plain not in known:
            raise unknown(f"option of {whose}", name, known)
        found[plain] = known[plain].read(value, whose)
    return found


def given(instance: Any) -> dict[str, Any]:
    """The options of a dataclass instance that differ from their defaults, in alphabetical order, as :func:`shown`."""
    known = declared(type(instance))
    values = {name: getattr(instance, name) for name in sorted(known)}
    return {name: shown(value) for name, value in values.items() if value != known[name].default}


def shown(value: Any) -> Any:
    """An option's value as names, results and manifests hold it: a text that :func:`read` takes, or a plain number."""
    if isinstance(value, tuple):
        return ("," if all(isinstance(each, str) for each in value) else "+").join(map(str, value))
    return value


def _hints(made: type) -> dict[str, Any]:
    """The types of a dataclass's fields; texts of a class inside a function are left as they are."""
    try:
        return typing.get_type_hints(made)
    except NameError:
        return {}


def _kinds(kind: Any) -> Sequence[Any]:
    """The alternatives of a union; None comes first, as its text is the plainest."""
    if isinstance(kind, types.UnionType) or get_origin(kind) is typing.Union:
        return sorted(get_args(kind), key=lambda each: each is not type(None))
    return [kind]


def _read(kind: Any, value: Any) -> Any:
    """A value as one type.

    Raises:
        ValueError: it is none; its message says what would be.
    """
    if get_origin(kind) is Literal:
        return _word(get_args(kind), value)
    if get_origin(kind) is tuple:
        return _several(get_args(kind)[0], value)
    reader = _READERS.get(kind)
    return reader(value) if reader else value


def _nothing(value: Any) -> None:
    if value is not None and str(value).strip().lower() not in ("", "none"):
        raise ValueError("nothing")


def _flag(value: Any) -> bool:
    found = FLAGS.get(str(value).strip().lower())
    if found is None:
        raise ValueError("true or false")
    return found


def _whole(value: Any) -> int:
    try:
        if not isinstance(value, bool) and float(value) == int(float(value)):
            return int(value) if isinstance(value, int) else int(float(value))
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError("a whole number such as 64")


def _number(value: Any) -> float:
    try:
        if not isinstance(value, bool) and isfinite(found := float(value)):
            return found
    except (TypeError, ValueError):
        pass
    raise ValueError("a number such as 0.5")


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    if isinstance(value, dict | set) or value is None:
        raise ValueError("a text")
    return str(value).strip()


def _word(words: Sequence[str], value: Any) -> str:
    found = str(value).strip()
    if found not in words:
        raise ValueError(" or ".join(words))
    return found


def _several(kind: type, value: Any) -> tuple[Any, ...]:
    """Names are sorted and told once, numbers keep their order; in a text, ``,`` or ``+`` stand between."""
    if kind is str:
        parts = value if isinstance(value, list | tuple | set | frozenset) else str(value).split(",")
        return tuple(sorted({str(part).strip() for part in parts} - {""}))
    given = value.replace("+", ",").split(",") if isinstance(value, str) else value
    try:
        parts = list(given)
    except TypeError:
        parts = [given]
    try:
        return tuple(_number(part) for part in parts if part != "")
    except ValueError:
        raise ValueError("numbers with + between, such as 0.026+0.025") from None


_READERS: Mapping[Any, Callable[[Any], Any]] = {
    type(None): _nothing,
    bool: _flag,
    int: _whole,
    float: _number,
    str: _text,
}
