"""What a format is: which sequences of a store it can hold, and how they are written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa

if TYPE_CHECKING:
    from har_bench.exporting.people import People
    from har_bench.store import Store


Done = Callable[[int], None]
"""Is told, sequence by sequence, how many poses were written."""


class Exporter(ABC):
    """A format of somebody else's. Subclasses are dataclasses whose fields are the options of the export.

    One for any store is registered by its own name, such as ``coco``; one for a dataset's stores by the dataset's name
    before it, such as ``h36m/videopose3d``, and stands in the dataset's folder.

    Attributes:
        summary: one line for ``har-bench list``: what reads the files, and what they are called.
        loses: what of a store the format has no place for, in a line each.
        notes: what is peculiar about the files just written, in a line each.
    """

    summary: ClassVar[str]
    loses: ClassVar[tuple[str, ...]] = ()

    notes: Sequence[str] = ()

    def select(self, store: Store) -> pa.Table:
        """The rows of the store's ``sequences`` that are written; all, unless a subclass says otherwise.

        Raises:
            HarBenchError: the format cannot hold this store.
        """
        return store.sequences

    @abstractmethod
    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        """Write the files into ``out``, an empty folder, each whole or not at all.

        Args:
            store: the store.
            sequences: what :meth:`select` chose.
            out: where the files go.
            done: is told of every sequence, when it is done, how many of its poses were written.

        Raises:
            HarBenchError: a sequence lacks what the format must have.
        """


class PeopleExporter(Exporter):
    """A format that needs no store: people who were followed through a film are enough."""

    @abstractmethod
    def write_people(self, people: People, out: Path) -> int:
        """Write everybody in a film into ``out``, each file whole or not at all.

        Args:
            people: they.
            out: where the files go.

        Returns:
            How many poses were written.

        Raises:
            HarBenchError: they lack what the format must have.
        """
