"""What people say of an entry: ``entry.toml``, written by ``har-bench leaderboard add`` beside the result."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import msgspec
from blake3 import blake3

from har_bench.entries import plain_toml
from har_bench.entries.outcomes import ResultError
from har_bench.entries.said import Said

CARD = "entry.toml"


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The predictions' file, where it is not in the folder.

    Attributes:
        blake3: of its bytes.
        url: where to get it.
    """

    blake3: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Card(Said):
    """What is said of an entry, and where its predictions are.

    Attributes:
        predictions: where they are, if not beside the result.
    """

    predictions: Kept | None = None

    @property
    def digest(self) -> str:
        """The blake3 of what it says; how the file is laid out does not matter."""
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        return blake3(msgspec.json.encode(said)).hexdigest()

    @property
    def title(self) -> str:
        """The name with the setting."""
        return f"{self.name} ({self.setting})" if self.setting else self.name

    def to_toml(self) -> str:
        """The file's text."""
        return plain_toml.dumps(msgspec.to_builtins(self))


def read(path: Path) -> Card:
    """Read an ``entry.toml``.

    Raises:
        ResultError: it is damaged, or says what no card says.
    """
    card = plain_toml.read(path, Card)
    if not card.name:
        raise ResultError("unreadable", f"{path} cannot be read (it has no name); add the result again")
    return card
