"""The machine that a pickle's instructions work: a stack, a memo, a budget, and a list of names.

A pickle is a program. Python's own machine imports what the program names and calls it; behind each name that this one
knows stands a function of ours. What the instructions do is in :mod:`har_bench.foreign.instructions`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from sys import getsizeof
from typing import Any

from har_bench.errors import Malformed
from har_bench.foreign.budget import Budget
from har_bench.foreign.keys import Keys
from har_bench.foreign.opening import Content

Names = Mapping[tuple[str, str], Any]
"""What stands behind each name, by module and name: most often a function, which is given the machine first."""

Outside = Callable[["Machine", Any], Any]
"""What gives an object of which a pickle holds a persistent id only."""

AGAIN = "write or download it again"
"""What helps when a program is damaged."""

CONTAINER = 120
"""What a container costs before anything is in it [bytes]."""

ABSENT = object()
"""Stands in the memo where nothing is."""


class Named:
    """A name as the program sees it; to be called by its instructions, and to be compared by functions of ours."""

    __slots__ = ("stands_for",)
    __hash__ = None  # type: ignore[assignment] # no name may hide in a key

    def __init__(self, stands_for: Any) -> None:
        self.stands_for = stands_for


class Unbuilt:
    """An object whose state is still to come; BUILD puts what ``build`` makes of the state in its place."""

    __slots__ = ("build", "place")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, build: Callable[[Any], Any]) -> None:
        self.build = build
        self.place = -1


class Machine:
    """One program on its way through its instructions.

    Attributes:
        content: the file.
        at: where in it the next instruction is.
        budget: what the file may still cost.
        keys: what lets keys into dicts and sets.
    """

    def __init__(self, content: Content, at: int, budget: Budget, names: Names, outside: Outside | None = None) -> None:
        self.content = content
        self.at = at
        self.budget = budget
        self.keys = Keys(budget)
        self._names = names
        self._outside = outside
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: list[Any] = []

    def take(self, length: int) -> bytes:
        """The next bytes of the file."""
        start = self.at
        if start + length > len(self.content):
            raise Malformed("is cut off", AGAIN)
        self.at = start + length
        return self.content[start : self.at]

    def number(self, form: struct.Struct) -> Any:
        """The next number of the file."""
        return form.unpack(self.take(form.size))[0]

    def line(self) -> bytes:
        """The rest of a line, which protocol 0 is made of."""
        end = self.content.find(b"\n", self.at)
        if end < 0:
            raise Malformed("is cut off", AGAIN)
        found = self.content[self.at : end]
        self.at = end + 1
        return found

    def since_mark(self) -> list[Any]:
        """What the stack holds since the last mark, taken off it."""
        start = self.marks.pop()
        if start > len(self.stack):
            raise IndexError
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def named(self, module: Any, name: Any) -> Named:
        """What stands behind a name."""
        if type(module) is not str or type(name) is not str:
            raise Malformed("asks for something by what is no name")
        found = self._names.get((module, name), ABSENT)
        if found is ABSENT:
            raise Malformed(f"asks for {f'{module}.{name}'[:80]}, which is not data")
        self.budget.charge(CONTAINER)
        return Named(found)

    def call(self, function: Any, arguments: Any) -> Any:
        """The value of a call by the program."""
        if type(function) is not Named or not callable(function.stands_for) or type(arguments) is not tuple:
            raise Malformed("calls what is no function, or with what are no arguments")
        self.budget.charge(CONTAINER)
        return function.stands_for(self, *arguments)

    def outside(self, identity: Any) -> Any:
        """The object of a persistent id."""
        if self._outside is None:
            raise Malformed("refers to something outside itself")
        return self._outside(self, identity)

    def frozen(self, items: list[Any]) -> frozenset[Any]:
        """A frozenset, whose elements are looked at before they are hashed."""
        self.budget.charge(2 * CONTAINER)
        self.keys.admit(items, items)
        found = frozenset(items)
        self.budget.charge(getsizeof(found))
        return found
