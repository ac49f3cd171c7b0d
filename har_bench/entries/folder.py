"""A folder of entries, ``<dataset>/<protocol>/<name>/``, and what can be told of one without any store."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from har_bench.entries import card as cards
from har_bench.entries import record as records
from har_bench.entries.card import CARD, Card
from har_bench.entries.outcomes import Finding
from har_bench.entries.record import RECORD, Record
from har_bench.registry import installed
from har_bench.results import Result
from har_bench.storing import fingerprint

RESULT = "result.json"
LONGEST = 80


@dataclass(frozen=True)
class Entry:
    """A result that has a card beside it.

    Attributes:
        folder: holds both.
        result: what was scored.
        card: what is said of it.
        record: of the re-score; None where there was none.
    """

    folder: Path
    result: Result
    card: Card
    record: Record | None

    @property
    def predictions(self) -> Path | None:
        """The file of predictions in the folder, if it is there."""
        name = self.record.kept if self.record else ""
        path = self.folder / Path(name or "predictions.parquet").name
        return path if path.is_file() else None

    def findings(self) -> Iterator[Finding]:
        """What is wrong with it, as far as its own files tell."""
        if self.record:
            yield from self.record.findings(self.result, self.card)
        if self.predictions and fingerprint.of_file(self.predictions) != self.result.fingerprints.get("predictions"):
            name = self.predictions.name
            yield Finding("fingerprint differs", f"{name} is not the file that was scored, or damaged")

    @property
    def verified(self) -> bool:
        """Whether a re-score is recorded, by the version of the protocol that is installed, and nothing is wrong.

        Predictions that were kept and are gone leave nothing to verify.
        """
        if self.record is None or (self.record.kept and self.predictions is None):
            return False
        protocol = installed("protocols", self.result.protocol)
        return protocol is not None and protocol.version == self.record.version and not any(self.findings())


def opened(path: Path, result: Result) -> Entry | None:
    """The entry of a result file; None for a result that lies alone.

    Raises:
        ResultError: its card or its record is damaged.
    """
    folder = path.parent
    if path.name != RESULT or not (folder / CARD).is_file():
        return None
    record = records.read(folder / RECORD) if (folder / RECORD).is_file() else None
    return Entry(folder, result, cards.read(folder / CARD), record)


def place_of(result: Result, card: Card) -> Path:
    """Where an entry lies under the folder of all: the recipe is part of its name unless it is the default one.

    >>> place_of(result, Card(name="PoseFormer", setting="81 frames"))  # doctest: +SKIP
    PosixPath('h36m/mpjpe/poseformer-81-frames')
    """
    dataset, _, measure = result.protocol.partition("/")
    protocol = installed("protocols", result.protocol)
    usual = protocol is not None and next(iter(protocol.recipes)) == result.recipe and not result.options
    way = "" if usual else result.canonical.partition(":")[2]
    return Path(_plain(dataset), _plain(measure), _plain(f"{card.name} {card.setting} {way}"))


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold())[:LONGEST].strip("-") or "entry"


def twins(entries: Iterable[Entry]) -> dict[Path, Finding]:
    """The entries whose name and setting another one has under the same way of scoring, by their folders.

    The first one, in the order given, keeps the name.
    """
    known: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        result, card = entry.result, entry.card
        way = (result.canonical, result.version, result.fingerprints.get("store", ""))
        known[*way, card.name.casefold(), card.setting.casefold()].append(entry)
    return {
        other.folder: Finding("duplicate name", f"{first.folder.name} has its name and setting")
        for first, *others in known.values()
        for other in others
    }
