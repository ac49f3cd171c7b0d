"""What people say of an entry: ``entry.toml``, written by ``har-bench leaderboard add`` beside the result."""

from __future__ import annotations

from pathlib import Path

import msgspec
from blake3 import blake3

from har_bench.entries import plain_toml

CARD = "entry.toml"


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The predictions' file, where it is not in the folder.

    Attributes:
        blake3: of its bytes.
        url: where to get it.
    """

    blake3: str
    url: str


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who made an entry, with what, and how; an empty field says that nobody said.

    Attributes:
        name: of the method, as the leaderboard prints it.
        setting: what tells it from other entries of the same name, such as ``seed 1``.
        who: its authors.
        paper: where it is described: a URL or a reference.
        year: of publication.
        input: where its 2D keypoints come from, such as ``CPN``, or what else it was given.
        frames: how many it sees at once.
        extra_data: what it was trained on besides the dataset's training split; ``none`` for nothing.
        causal: whether it looks at no later frame.
        code: where it is.
        licence: of the code or the weights.
        command: what made the predictions.
        predictions: where they are, if not beside the result.
    """

    name: str
    setting: str = ""
    who: str = ""
    paper: str = ""
    year: int | None = None
    input: str = ""
    frames: int | None = None
    extra_data: str = ""
    causal: bool | None = None
    code: str = ""
    licence: str = ""
    command: str = ""
    predictions: Kept | None = None

    @property
    def digest(self) -> str:
        """The blake3 of what it says; how the file is laid out does not matter."""
        return blake3(msgspec.json.encode(self, order="deterministic")).hexdigest()

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
    return plain_toml.read(path, Card)
