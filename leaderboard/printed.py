"""What several sources print of one method and setting, joined into one line; where they differ, all is shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .board import Better, Column, Line
from .entries import Reported, Value
from .fields import fields_of


def joined(lines: Iterable[Line], better: Mapping[str, Better]) -> list[Line]:
    """One line for each method, input, frames and training data.

    A source that says nothing of the training data means that of the only other line that is alike, if there is one
    only. Of different numbers the least favourable ranks, and the note says all: ``printed: 37.2, 37.8``.

    Args:
        lines: of reported entries.
        better: which direction is better, by column.
    """
    found: dict[_Setting, Line] = {}
    for line in lines:
        fields = fields_of(line.entry)
        key = _Setting(line.entry.method.casefold(), fields.given, fields.frames, fields.rest, fields.extra)
        known = found.get(key)
        found[key] = line if known is None else _both(known, line, better)
    alike: dict[_Setting, list[_Setting]] = defaultdict(list)
    for key in found:
        alike[key._replace(extra="")].append(key)
    for unsaid, keys in alike.items():
        if len(keys) == 2 and unsaid in found:
            (said,) = (key for key in keys if key.extra)
            found[said] = _both(found[said], found.pop(unsaid), better)
    return list(found.values())


class _Setting(NamedTuple):
    """What makes two lines one."""

    method: str
    given: str
    frames: int | None
    rest: str
    extra: str


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
