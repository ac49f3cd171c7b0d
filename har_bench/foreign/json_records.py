"""Records of a json file, field by field: what identifies a record must be read, anything else may be null.

A whole struct that is decoded at once loses a person for a misspelt licence; here each field is decoded alone, unless
all of them are as they should be.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec

from har_bench.raw import file_name, stays_inside


class MalformedError(Exception):
    """What is wrong with a record: the end of a sentence that names file and record, for whoever reports it."""


class Record:
    """One json object.

    Attributes:
        flaws: name and reason of each field that is null, or mended, for what is wrong with it.
    """

    def __init__(self, json: bytes | msgspec.Raw, usual: type[msgspec.Struct] | None = None) -> None:
        """Decode the fields of a usual record, or the names of another one's.

        Args:
            json: the object.
            usual: the fields that nearly all records have, of the kinds as which they will be asked for; so these are
                decoded together, which takes a third of the time.

        Raises:
            msgspec.MsgspecError: it is no json object.
        """
        self.flaws: list[tuple[str, str]] = []
        self._json = json
        try:
            self._known = msgspec.structs.asdict(msgspec.json.decode(json, type=usual)) if usual else {}
        except msgspec.DecodeError:
            self._known = {}
        if not self._known:
            self.fields  # noqa: B018 - whatever is no object, is none now

    @cached_property
    def fields(self) -> dict[str, msgspec.Raw]:
        """The json of each field."""
        return msgspec.json.decode(self._json, type=dict[str, msgspec.Raw])

    def needed(self, name: str, kind: Any) -> Any:
        """A field without which the record is nothing, as ``kind``.

        Raises:
            MalformedError: it is not there, or something else.
        """
        if name in self._known:
            return self._known[name]
        if name not in self.fields:
            raise MalformedError(f"it has no {name}")
        try:
            return msgspec.json.decode(self.fields[name], type=kind)
        except msgspec.ValidationError as error:
            raise MalformedError(f"its {name} cannot be read ({error})") from error

    def optional(self, name: str, kind: Any) -> Any:
        """A field as ``kind``; None where it is absent, null, or something else, which is a flaw."""
        if name in self._known:
            return self._known[name]
        raw = bytes(self.fields.get(name, b"null"))
        try:
            return None if raw == b"null" else msgspec.json.decode(raw, type=kind)
        except msgspec.ValidationError as error:
            self.flaws.append((name, f"it cannot be read ({error}); it is null"))
            return None

    def expected(self, name: str, kind: Any) -> Any:
        """An optional field that every honest record has: its absence is a flaw, too."""
        before = len(self.flaws)
        value = self.optional(name, kind)
        if value is None and len(self.flaws) == before:
            self.flaws.append((name, "it is not there; it is null"))
        return value

    def path(self, name: str, text: str | None) -> str | None:
        """A path as it is, or its last part where it leads out of its folder, which is a flaw."""
        if text is None or stays_inside(text):
            return text
        self.flaws.append((name, f"{text[:80]!r} leads out of its folder; the last part is kept"))
        return file_name(text)

    def kept(self, name: str) -> str | None:
        """The json of a field; None where it says nothing."""
        text = bytes(self.fields.get(name, b"null")).decode()
        return None if text in ("[]", "null", "{}") else text
