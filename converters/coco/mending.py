"""Records that are not written as COCO writes them: fields are read one by one, and only ids and names drop a record.

Exporters write ids as texts, flags as true and false, areas as ``"3000"``, boxes as ``[]``. Whatever says the same is
read as if it were well written; whatever says nothing becomes null. Both are reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.foreign.json_file import BROKEN

from .readable import NOT_FINITE, UNKNOWN, readable, value
from .rejects import RejectLog

T = TypeVar("T")
LIMIT = 1 << 62
"""Ids are numbers up to this size, of either sign; the others are taken for names."""

_WHOLE = re.compile(r"\s*([+-]?\d{1,19})(?:\.0*)?\s*")
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")
_FLAGS = {"0": 0, "1": 1, "false": 0, "true": 1}
_ALL = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Odd(ValueError):  # noqa: N818 - it is for the reader of a record, and never met by a user
    """A value does not say what its field is for."""


class Instead(Exception):  # noqa: N818 - no error: the value is good, and something is to be said of it
    """A value that stands for the one in the file.

    Attributes:
        value: of the field.
        what: is reported, with ``{}`` for the value in the file; nothing if it is empty.
    """

    def __init__(self, value: Any, what: str = "") -> None:
        self.value, self.what = value, what


class Reader(NamedTuple):
    """How a field is read that is not written as it should be.

    Attributes:
        wanted: what it should be, in words.
        read: the value of a json as the field's; raises :class:`Odd`, or :class:`Instead`.
    """

    wanted: str
    read: Callable[[Any], Any]


def whole(given: Any) -> int:
    """A whole number, also as a text or with zeros behind the point."""
    if isinstance(given, str) and (found := _WHOLE.fullmatch(given)):
        return int(found[1])
    if isinstance(given, bool) or not isinstance(given, int | float) or given % 1 != 0:
        raise Odd
    return int(given)


def number(given: Any) -> float:
    """A finite number, also as a text."""
    if isinstance(given, str) and _NUMBER.fullmatch(given):
        given = float(given)
    if isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) < np.finfo(float).max:
        raise Odd
    return float(given)


def count(given: Any) -> int:
    """A whole number from 0 that a column holds."""
    found = whole(given)
    if not 0 <= found < 1 << 31:
        raise Odd
    return found


def flag(given: Any) -> int:
    """0 or 1, also as false and true or as a text."""
    text = str(given).strip().lower().removesuffix(".0")
    if text not in _FLAGS:
        raise Odd
    return _FLAGS[text]


def box(given: Any) -> tuple[float, ...]:
    """Four finite numbers, also as texts."""
    if not isinstance(given, list) or len(given) != 4:
        raise Odd
    return tuple(map(number, given))


def name(given: Any) -> str:
    """A text that is not empty, also as a whole number."""
    text = str(whole(given)) if not isinstance(given, str) else given
    if not text.strip() or "\0" in text or UNKNOWN in text:
        raise Odd
    return text


def identity(given: Any) -> int | str:
    """An id: a number, or any other text as it is."""
    try:
        found = whole(given)
    except Odd:
        if not isinstance(given, str) or not given.strip() or given == NOT_FINITE or UNKNOWN in given:
            raise
        return given
    return found if abs(found) <= LIMIT else str(found)


def nothing(given: Any) -> Any:
    """Not even by another way of writing."""
    del given
    raise Odd


_COUNT, _FLAG, _BOX = Reader("a whole number from 0", count), Reader("0 or 1", flag), Reader("four finite numbers", box)
_VALID, _TEXT = Reader("true or false", lambda given: bool(flag(given))), Reader("a text", nothing)

READERS = {
    "file_name": Reader("the name of a file", name),
    "license": Reader("the number of a licence", whole),
    "crowdIndex": Reader("a finite number", number),
    "area": Reader("a finite number", number),
    "segmentation": Reader("json of finite numbers", nothing),
    **dict.fromkeys(("width", "height", "num_keypoints"), _COUNT),
    **dict.fromkeys(("iscrowd", "ignore"), _FLAG),
    **dict.fromkeys(("bbox", "face_box", "lefthand_box", "righthand_box"), _BOX),
    **dict.fromkeys(("foot_valid", "face_valid", "lefthand_valid", "righthand_valid"), _VALID),
    **dict.fromkeys(("coco_url", "flickr_url", "date_captured"), _TEXT),
}
"""How the fields of images and annotations are read that are not ids."""


@dataclass
class Names:
    """Ids of images that are no numbers: each gets a number of its own, below all those that are."""

    numbers: dict[str, int] = field(default_factory=dict)

    def given(self, value: Any) -> int:
        """The id of an image.

        Raises:
            Odd: it is neither a number nor a name.
            Instead: it is a name.
        """
        found = identity(value)
        if isinstance(found, int):
            return found
        number = self.numbers.setdefault(found, -LIMIT - 1 - len(self.numbers))
        raise Instead(number, "it is no number ({}); image_id of the store counts down below the numbers")

    def known(self, value: Any) -> int:
        """The id of an image, in an annotation; that of no image if it is a name that no image has.

        Raises:
            Odd: it is neither a number nor a name.
            Instead: it is a name, which was reported when the image was read.
        """
        found = identity(value)
        if isinstance(found, int):
            return found
        raise Instead(self.numbers.get(found, -LIMIT - 1 - len(self.numbers)))

    def shown(self, number: int) -> str:
        """An id as the file has it."""
        return next((name for name, its in self.numbers.items() if its == number), str(number))

    @staticmethod
    def settled(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(N,) ids as the store has them: names count down from the lowest number, or from -1."""
        named = ids < -LIMIT
        lowest = min(ids[~named].min(initial=0), 0)
        return np.where(named, lowest + (ids + LIMIT), ids)


class Mender(Generic[T]):
    """Makes records of one kind whose fields are not all written as COCO writes them.

    Attributes:
        lost: of the records that were dropped though their id is known, that id and their place.
    """

    def __init__(
        self, kind: type[T], where: str, log: RejectLog, readers: Mapping[str, Reader], required: frozenset[str]
    ) -> None:
        """For a list of the file.

        Args:
            kind: the records, a struct.
            where: the list's name, such as ``images``.
            log: is told what was mended, and what was dropped.
            readers: of the fields; those that have none are taken as they are.
            required: fields without which a record is dropped.
        """
        self.kind, self.where, self.log, self.readers, self.required = kind, where, log, readers, required
        self.lost: dict[int, int] = {}
        self._strict = {
            each.name: msgspec.json.Decoder(each.type)
            for each in msgspec.structs.fields(kind)  # type: ignore[arg-type]
        }

    def __call__(self, row: int, text: bytes) -> T | None:
        """The record of a text; None if it cannot be one."""
        try:
            given, rewritten = _fields(text)
        except BROKEN as error:
            self.log.dropped(f"{self.where}[{row}]", f"it is no object of json ({error})")
            return None
        values: dict[str, Any] = {}
        defect = None
        for field_, strict in self._strict.items():
            try:
                if field_ in given:
                    values[field_] = strict.decode(given[field_])
                    if rewritten:
                        _refuse_unknown(field_, values[field_])
                elif field_ in self.required:
                    defect = defect or (field_, "it is missing")
            except (*BROKEN, Odd):
                values.pop(field_, None)
                read = self._mended(row, field_, given[field_], values)
                defect = defect or read
        if defect is None:
            return self.kind(**values)
        self.log.dropped(f"{self.where}[{row}].{defect[0]}", defect[1])
        if isinstance(values.get("id"), int):
            self.lost.setdefault(values["id"], row)
        return None

    def _mended(self, row: int, name: str, raw: msgspec.Raw, values: dict[str, Any]) -> tuple[str, str] | None:
        """Read a field another way into ``values``; a defect if the record cannot be without it."""
        reader = self.readers.get(name, _TEXT)
        example = shown(raw)
        try:
            given = value(bytes(raw))
            if given is None and name not in self.required:
                return None
            values[name] = reader.read(given)
        except Instead as other:
            values[name] = other.value
            if other.what:
                self.log.mended(self.where, row, name, other.what, example)
        except ValueError:  # Odd among them
            if name in self.required:
                return name, f"it is {example} and not {reader.wanted}"
            self.log.mended(self.where, row, name, f"it is not {reader.wanted} ({{}}); null in the store", example)
        else:
            what = f"it is not written as {reader.wanted} ({{}}); read as such"
            self.log.mended(self.where, row, name, what, example)
        return None


def _fields(text: bytes) -> tuple[dict[str, msgspec.Raw], bool]:
    """The fields of a record, and whether its text had to be rewritten to be json."""
    try:
        return _ALL.decode(text), False
    except BROKEN:
        return _ALL.decode(readable(text)), True


def _refuse_unknown(name: str, found: Any) -> None:
    """In a record that was rewritten, what stands for something else is neither a text nor an outline."""
    if isinstance(found, str) and UNKNOWN in found:
        raise Odd
    if name == "segmentation" and NOT_FINITE.encode() in bytes(found):
        raise Odd


def shown(raw: msgspec.Raw) -> str:
    """The beginning of a json, to be read by people."""
    text = " ".join(bytes(raw)[:100].decode(errors="replace").split())
    return text if len(text) <= 40 else f"{text[:40]}..."
