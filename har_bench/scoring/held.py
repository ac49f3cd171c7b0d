"""Predictions in memory, whatever they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from har_bench.arrays import Anything, Ints
from har_bench.scoring.columns import Columns


class Predictions:
    """Predictions held in memory, in one piece per sequence.

    Attributes:
        taken_for: what they were taken for, as told to the user.
        fingerprint: blake3 of the file, or of the values when they came from Python.
        called: what messages call them.
        notes: what was left out or looks odd in the file, in a line each.
        members: of an ensemble, the blake3 of each of its files by what results call it.
    """

    called: str = "the predictions"
    notes: tuple[str, ...] = ()
    members: Mapping[str, str] = MappingProxyType({})

    def __init__(self, pieces: Mapping[str, Columns], taken_for: str, digest: str) -> None:
        self._pieces = pieces
        self.taken_for = taken_for
        self.fingerprint = digest

    @property
    def scattered(self) -> bool:
        """Whether rows of other sequences stood between those of one."""
        return bool(getattr(self._pieces, "scattered", False))

    def names(self) -> Iterable[str]:
        """The sequences that have rows."""
        return self._pieces.keys()

    def __len__(self) -> int:
        """The number of rows."""
        return sum(len(next(iter(piece.values()))) for piece in self._pieces.values() if piece)

    def of(self, sequence: str) -> Columns | None:
        """One sequence's rows, in the order of the file; None when it has none."""
        return self._pieces.get(sequence)


class RowPredictions(Predictions):
    """One array for everything, in the protocol's row order; the engine deals out its rows."""

    def __init__(self, array: Anything, name: str, taken_for: str, digest: str) -> None:
        super().__init__({}, taken_for, digest)
        self.array, self.name = array, name

    def __len__(self) -> int:
        return len(self.array)

    def take(self, rows: Ints) -> Columns:
        """The rows with these numbers."""
        return {self.name: self.array[rows]}
