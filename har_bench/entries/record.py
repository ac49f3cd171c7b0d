"""The record of a re-score: ``rescored.toml``, which binds a result, its predictions, its store and its card together.

It is what makes an entry "verified". Its hashes tell a file that was changed by hand; who changes all of them together,
the record among them, is found out by scoring again (``har-bench leaderboard verify FOLDER --stores STORES``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from har_bench import results
from har_bench.entries import plain_toml
from har_bench.entries.card import Card
from har_bench.entries.outcomes import Finding
from har_bench.results import Result

RECORD = "rescored.toml"


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was scored again, and found equal.

    Attributes:
        scored: the canonical name of the way.
        version: the protocol's.
        store: its fingerprint.
        predictions: the fingerprint of the file that was scored.
        kept: that file's name in the folder; empty where it is elsewhere.
        result: the seal of the result.
        card: the blake3 of the card.
        har_bench: the version that scored.
        seal: the blake3 of everything above.
    """

    scored: str
    version: str
    store: str
    predictions: str
    kept: str = ""
    result: str
    card: str
    har_bench: str
    seal: str = ""

    def to_toml(self) -> str:
        """The file's text, sealed."""
        return plain_toml.dumps(msgspec.to_builtins(msgspec.structs.replace(self, seal=self.own_seal)))

    @property
    def own_seal(self) -> str:
        """The blake3 of what the record says."""
        return results.seal(msgspec.to_builtins(self))

    def findings(self, result: Result, card: Card) -> Iterator[Finding]:
        """What of a result and a card is not what was scored again."""
        found = result.fingerprints
        if self.seal != self.own_seal:
            yield Finding("edited after scoring", f"{RECORD} was changed after it was written")
        if self.store != found.get("store"):
            yield Finding("other store", f"it was scored again on another store (blake3 {self.store[:16]}…)")
        if self.predictions != found.get("predictions"):
            yield Finding(
                "fingerprint differs", f"other predictions (blake3 {self.predictions[:16]}…) were scored again"
            )
        for what, mine, theirs in (
            ("as", self.scored, result.canonical),
            ("by version", self.version, result.version),
        ):
            if mine != theirs:
                yield Finding("edited after scoring", f"it was scored again {what} {mine} and says {theirs}")
        if self.result != results.seal(msgspec.json.decode(msgspec.json.encode(result))):
            yield Finding("edited after scoring", "its result is not the one that was scored again")
        if self.card != card.digest:
            yield Finding("edited after scoring", "entry.toml was changed since it was scored again")


def made(result: Result, card: Card, kept: str, version: str) -> Record:
    """The record of a result that was just scored again."""
    return Record(
        scored=result.canonical,
        version=result.version,
        store=result.fingerprints["store"],
        predictions=result.fingerprints["predictions"],
        kept=kept,
        result=results.seal(msgspec.json.decode(msgspec.json.encode(result))),
        card=card.digest,
        har_bench=version,
    )


def read(path: Path) -> Record:
    """Read a ``rescored.toml``.

    Raises:
        ResultError: it is damaged.
    """
    return plain_toml.read(path, Record)
