"""Records that are decoded whole where they are usual: nobody who reads them can tell."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
import pytest

from har_bench.foreign.json_records import MalformedError, Record

Size = Annotated[float, msgspec.Meta(gt=0)]


class Person(msgspec.Struct):
    name: str
    size: Size
    place: tuple[float, float]


def told(record: Record) -> list[Any]:
    """Everything that a reader can learn."""
    found: list[Any] = []
    for name, kind in (("name", str), ("size", Size)):
        try:
            found.append(record.needed(name, kind))
        except MalformedError as error:
            found.append(str(error))
    found += [record.optional("size", Size), record.expected("place", tuple[float, float])]
    return [*found, record.optional("other", int), record.kept("other"), sorted(record.fields), record.flaws]


@pytest.mark.parametrize(
    "change",
    [{}, {"other": 3}, {"size": -1}, {"size": "1"}, {"size": None}, {"place": None}, {"place": [1]}, {"name": 7}],
    ids=str,
)
def test_a_usual_record_is_what_its_fields_are(change: dict[str, Any]) -> None:
    given = json.dumps({"name": "Ada", "size": 1.5, "place": [1, 2]} | change).encode()
    assert told(Record(given, Person)) == told(Record(given))


@pytest.mark.parametrize("given", [b"[1]", b"3", b"null"])
def test_what_is_no_object_is_none_at_once(given: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        Record(given, Person)
