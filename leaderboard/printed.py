"""What several sources print of one method and setting, joined into one line; where they differ, all is shown."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .board import Better, Column, Line
from .entries import Reported, Value
from .fields import fields_of

_AMOUNT = re.compile(r"[\d:]")
"""What is in a piece that says how much or which, as ``4 blocks`` or ``boxes: CPN``; others say what was done."""

_UNSAID = (": --", ": -")
"""How a source ends that says nothing of what it names."""


def joined(lines: Iterable[Line], better: Mapping[str, Better]) -> list[Line]:
    """One line for each method, input, frames and training data.

    A source that says less of these than one other line, and nothing else, means that line; where it could mean
    several, it stands alone. Of different numbers the least favourable ranks, and the note says all:
    ``printed: 37.2, 37.8``.

    Args:
        lines: of reported entries.
        better: which direction is better, by column.
    """
    found: dict[_Setting, Line] = {}
    for line in lines:
        key = _setting(line)
        known = found.get(key)
        found[key] = line if known is None else _both(known, line, better)
    alike: dict[_Setting, list[_Setting]] = defaultdict(list)
    for key in found:
        alike[key._replace(said=frozenset())].append(key)
    for keys in alike.values():
        for key in sorted(keys, key=lambda one: len(one.said)):
            fuller = [other for other in keys if key.said < other.said]
            if len(fuller) == 1:
                found[fuller[0]] = _both(found[fuller[0]], found.pop(key), better)
    return list(found.values())


class _Setting(NamedTuple):
    """What makes two lines one.

    Attributes:
        method: its name.
        given: what it was given, the class in which it competes.
        done: what was done besides, in words, such as ``pre-trained``; where it is not said, it was not done.
        said: what it is a matter of how much or which of: frames, boxes, training data.
    """

    method: str
    given: str
    done: frozenset[str]
    said: frozenset[str]


def _setting(line: Line) -> _Setting:
    fields = fields_of(line.entry)
    pieces = {piece.strip() for piece in fields.rest.split(";")}
    done = {piece for piece in pieces if piece and not _AMOUNT.search(piece)}
    said = {piece for piece in pieces - done if piece and not piece.endswith(_UNSAID)}
    said |= {piece.strip() for piece in fields.extra.split(";") if piece.strip()}
    said |= set() if fields.frames is None else {f"{fields.frames} frames"}
    return _Setting(line.entry.method.casefold(), fields.given, frozenset(done), frozenset(said))


def _both(first: Line, second: Line, better: Mapping[str, Better]) -> Line:
    values = dict(first.values)
    for name, value in second.values.items():
        values[name] = _worse(values[name], value, better.get(name, "")) if name in values else value
    extra = (second.entry,) if isinstance(second.entry, Reported) else ()
    return Line(first.entry, values, (*first.also, *extra, *second.also))


def _worse(first: Value, second: Value, better: Better) -> Value:
    """The less favourable of two numbers, with every text that was printed."""
    upwards = Column("", "", better).upwards
    chosen = min((first, second), key=lambda value: upwards(value.number))
    texts = dict.fromkeys([*(first.printed or (first.text,)), *(second.printed or (second.text,))])
    notes = "; ".join(dict.fromkeys(filter(None, (first.note, second.note))))
    return chosen._replace(printed=tuple(texts), note=notes)
