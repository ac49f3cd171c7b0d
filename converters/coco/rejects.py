"""What of an annotation file could not be used as it is: what was dropped one by one, what was repaired by its kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from har_bench.converter import Reject


@dataclass
class _Kind:
    """Records of which the same was repaired."""

    locator: str
    reason: str
    count: int = 0

    def reject(self, source: str) -> Reject:
        more = f" and {self.count - 1} more" if self.count > 1 else ""
        return Reject(source, self.locator + more, self.reason, "repaired")


@dataclass
class RejectLog:
    """Broken records of one annotation file, in the order in which they were met.

    A program that writes one field oddly writes it so in every record: what is repaired alike is one entry, with the
    place of the first and the number of the others. What is dropped has an entry for each record.

    Attributes:
        source: the file, as a path under the raw root.
    """

    source: str
    _entries: list[Reject | _Kind] = field(default_factory=list)
    _kinds: dict[tuple[str, str, str], _Kind] = field(default_factory=dict)

    def dropped(self, locator: str, reason: str) -> None:
        """A record is not in the store."""
        self._entries.append(Reject(self.source, locator, reason, "dropped"))

    def repaired(self, locator: str, reason: str) -> None:
        """A record is in the store, mended."""
        self._entries.append(Reject(self.source, locator, reason, "repaired"))

    def mended(self, where: str, row: int, name: str, what: str, example: str = "") -> None:
        """A field of a record is in the store, mended, perhaps in many records alike.

        Args:
            where: the list, such as ``annotations``.
            row: the record's place in it.
            name: the field.
            what: was wrong with it, in the same words for all such records.
            example: is shown of the first one.
        """
        kind = self._kinds.get((where, name, what))
        if kind is None:
            reason = what.replace("{}", example, 1)
            kind = self._kinds[where, name, what] = _Kind(f"{where}[{row}].{name}", reason)
            self._entries.append(kind)
        kind.count += 1

    def left_out(self, locator: str, reason: str, count: int) -> None:
        """Records are not in the store because the user said so."""
        more = f" and {count - 1} more" if count > 1 else ""
        self._entries.append(Reject(self.source, locator + more, reason, "dropped"))

    def first(self, where: str, action: Literal["dropped", "repaired"] = "dropped") -> Reject | None:
        """The first entry of a list of the file."""
        return next((each for each in self.rejects() if each.action == action and each.locator.startswith(where)), None)

    def rejects(self) -> list[Reject]:
        """All entries."""
        return [each.reject(self.source) if isinstance(each, _Kind) else each for each in self._entries]
