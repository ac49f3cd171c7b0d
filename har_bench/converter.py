"""What a dataset's converter is: where the raw files are (``discover``), and what is in them (``read``).

The engine (:mod:`har_bench.converting`) does everything else: processes, progress, hashing, journal, writing, counting.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa

from har_bench import registry
from har_bench.errors import HarBenchError, listed
from har_bench.schema import CAMERAS, REJECTS, table
from har_bench.skeletons import Skeleton, skeleton

if TYPE_CHECKING:
    from har_bench.store import Store


@dataclass(frozen=True)
class Shard:
    """An independent unit of work: it becomes one part file of ``poses`` and one of ``segments``.

    Attributes:
        key: names the shard in the journal and in messages; shards are written in the order ``discover`` gives them,
            which must be the order of their sequences' names.
        sources: every raw file that ``read`` opens for this shard.
        payload: whatever ``read`` needs besides, small and picklable.
    """

    key: str
    sources: tuple[Path, ...]
    payload: Any = None


@dataclass(frozen=True)
class Reject:
    """A raw record that could not be used as it is.

    Attributes:
        source: the raw file, as a path under the raw root.
        locator: where in that file: a line, an index, a field; one that ends with `` and 3 more`` stands for four.
        reason: what is wrong with it.
        action: what became of it: ``dropped`` (it is not in the store) or ``repaired`` (it is, mended).
    """

    source: str
    locator: str
    reason: str
    action: Literal["dropped", "repaired"]


def nothing_kept(path: str | Path, records: str, rejects: Sequence[Reject]) -> HarBenchError:
    """The error of a file that has records of a kind, none of which could be used: how many, and why not the first.

    Args:
        path: the file.
        records: the kind, in the plural.
        rejects: what became of them, the first one first; at least one.
    """
    first = rejects[0]
    return HarBenchError(
        f"{path}: none of its {len(rejects)} {records} can be used (the first, {first.locator}: {first.reason}); "
        "mend the file, or download it again"
    )


@dataclass
class Tables:
    """What one shard holds. ``sequences`` is required, the others may be absent.

    Cameras may be repeated by every shard that uses them; the store keeps each once.
    """

    sequences: pa.Table
    poses: pa.Table | None = None
    segments: pa.Table | None = None
    cameras: pa.Table = field(default_factory=lambda: CAMERAS.empty_table())
    rejects: list[Reject] = field(default_factory=list)

    def rejects_table(self) -> pa.Table:
        """The rejects as Arrow rows."""
        names = REJECTS.names
        return table({name: [getattr(reject, name) for reject in self.rejects] for name in names}, REJECTS)


@dataclass(frozen=True)
class Check:
    """A published count beside the one found; a difference is reported, never hidden.

    Attributes:
        what: what was counted, and where the published figure comes from.
        expected: the published figure.
        found: the figure in this store.
    """

    what: str
    expected: int
    found: int

    @property
    def ok(self) -> bool:
        """Whether the store holds what was published."""
        return self.expected == self.found


def without(names: Sequence[str]) -> str:
    """What the text of a :class:`Check` says of those that are not there; nothing where all are."""
    return f"; missing: {listed(names)}" if names else ""


class Converter(ABC):
    """A dataset's raw layout. Subclasses are dataclasses whose fields are the options of the conversion.

    Attributes:
        dataset: the dataset's name, such as ``h36m``, and the first half of its protocols' names.
        version: version of this converter; raise it when the same raw files would give another store.
        summary: one line for ``har-bench list``.
        raw: what the raw folder must hold, in one sentence, shown by ``har-bench info`` and in errors.
        skeletons: layouts of the store's joints, the first being the store's own: names that har_bench knows, or
            skeletons of the dataset's own.
        citation: BibTeX key or short reference of the dataset.
        licence: the dataset's terms, in one sentence.
        notes: facts about this conversion that a reader of the store must know (shifts, mirrored names).
        actions: the dataset's classes in their published order, as its store spells them, and each as others do.
        cameras: those that published lists of detections have, in the order of the lists; empty for all, sorted.
        spellings: words of sequences' names that others still use, and the store's.
    """

    dataset: ClassVar[str]
    version: ClassVar[str]
    summary: ClassVar[str]
    raw: ClassVar[str]
    skeletons: ClassVar[tuple[str | Skeleton, ...]] = ()
    citation: ClassVar[str]
    licence: ClassVar[str]
    notes: ClassVar[tuple[str, ...]] = ()
    actions: ClassVar[Mapping[str, str]] = MappingProxyType({})
    cameras: ClassVar[tuple[str, ...]] = ()
    spellings: ClassVar[Mapping[str, str]] = MappingProxyType({})

    @classmethod
    def respelled(cls, name: str) -> str:
        """A sequence's name, or a part of it, in the store's own spelling."""
        for theirs, ours in cls.spellings.items():
            name = name.replace(theirs, ours)
        return name

    @abstractmethod
    def discover(self, raw: Path) -> Sequence[Shard]:
        """The shards of a raw download, in the order of their sequences' names.

        Raises:
            HarBenchError: ``raw`` is not this dataset; the sentence names what was expected and where.
        """

    @abstractmethod
    def read(self, shard: Shard) -> Tables:
        """Everything the shard's files hold. Runs in a worker process.

        Raises:
            HarBenchError: a file that is not what its name says; a broken record inside is a :class:`Reject` instead.
        """

    def layouts(self) -> Sequence[Skeleton]:
        """The layouts of ``skeletons``, unless the raw files that ``discover`` found bring joints of their own."""
        return [each if isinstance(each, Skeleton) else skeleton(each) for each in self.skeletons]

    def check(self, store: Store) -> list[Check]:
        """Published counts against a finished store; none unless a converter knows some."""
        del store
        return []

    @classmethod
    def sample(cls, out: Path, *, seed: int = 0) -> None:
        """Write a tiny synthetic dataset in the official raw layout, quirks included, under ``out``."""
        raise NotImplementedError(f"{cls.__name__} has no sample writer")


def known_of(dataset: str) -> type[Converter]:
    """A dataset's converter, for what it declares of the dataset; one that declares nothing where there is none.

    So that those who read stores need no table of datasets.
    """
    try:
        found: type[Converter] = registry.load("converters", dataset)
    except HarBenchError:  # a stranger's package that is not here; its stores are read without it
        return Converter
    return found
