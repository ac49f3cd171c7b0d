"""A pickle reader that cannot run code: containers, numbers, text and NumPy arrays, and nothing else.

:mod:`har_bench.foreign.instructions` work a :mod:`har_bench.foreign.machine`, :mod:`har_bench.foreign.names` has what
they may name, and :mod:`har_bench.foreign.weighing` looks at what came of it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from har_bench.errors import HarBenchError, Malformed, completing
from har_bench.foreign import opening
from har_bench.foreign.budget import Budget
from har_bench.foreign.instructions import follow
from har_bench.foreign.machine import Machine, Names, Outside
from har_bench.foreign.names import ALLOWED
from har_bench.foreign.opening import Content
from har_bench.foreign.weighing import weigh

REMEDY = "convert it to plain arrays with what wrote it"
"""What helps when a pickle holds more than data."""


def load(path: Path) -> Any:
    """What a pickle holds: nested dicts, lists, tuples, sets, numbers, text, bytes and NumPy arrays.

    Raises:
        HarBenchError: the pickle is broken, asks for anything but data (the name it asks for is given), or unfolds
            into more than a file of its size may, see :mod:`har_bench.foreign.budget`.
    """
    with completing(path, "give the path of a pickle"), opening.mapped(path) as content:
        return value(content, Budget(len(content)))


def value(content: Content, budget: Budget, names: Names | None = None) -> Any:
    """What the pickle at the beginning of ``content`` holds.

    Args:
        content: its bytes; whatever is behind it is left alone.
        budget: of the file.
        names: what this kind of file may name besides :data:`ALLOWED`, and what stands behind it.

    Raises:
        Malformed: as :func:`load`.
    """
    return value_at(content, 0, budget, names)[0]


@contextmanager
def _without_collector() -> Iterator[None]:
    """Millions of containers are made and none is garbage, but Python looks through them again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def value_at(
    content: Content, start: int, budget: Budget, names: Names | None = None, outside: Outside | None = None
) -> tuple[Any, int]:
    """What the pickle that begins at ``start`` holds, and where it ends.

    Args:
        content: the bytes it is in.
        start: its place in them.
        budget: of the file.
        names: as of :func:`value`.
        outside: what gives the objects of (binary) persistent ids; without it, such ids are refused.

    Raises:
        Malformed: as :func:`load`.
    """
    machine = Machine(content, start, budget, {**ALLOWED, **(names or {})}, outside)
    try:
        with _without_collector():
            found = follow(machine)
            weigh(found, budget.again())
    except HarBenchError:
        raise
    except Malformed as wrong:
        wrong.remedy = wrong.remedy or REMEDY
        raise
    except (RecursionError, MemoryError) as error:
        raise Malformed("is nested too deeply or too large to be read") from error
    except Exception as error:  # whatever an argument of the wrong type makes of a function
        reason = f"{type(error).__name__}: {error}"
        raise Malformed(f"is not a readable pickle ({reason[:200]})", "write or download it again") from error
    return found, machine.at
