"""What a protocol is: what is measured on what, and the named recipes by which papers measured it.

A protocol is a mergeable accumulator. The engine (:mod:`har_bench.scoring`) aligns predictions with ground truth and
hands over :class:`Batch` pairs of whole sequences; the accumulator keeps one record per sequence, so any split of the
work over batches, processes or machines, merged in any order, gives the same digits, and a bootstrap over sequences
is a matter of weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench import devices, registry
from har_bench.arrays import Floats
from har_bench.entries.outcomes import Finding
from har_bench.errors import HarBenchError, listed, unknown
from har_bench.naming import canonical, parsed
from har_bench.options import given, read
from har_bench.protocol import identities
from har_bench.protocol.clues import Clues, Note
from har_bench.protocol.declarations import Metric, Recipe, Table
from har_bench.protocol.records import Records
from har_bench.results import Reading, Result, Row

if TYPE_CHECKING:
    from har_bench.store import Store


@dataclass(frozen=True)
class Batch:
    """Rows of whole sequences, as NumPy columns.

    Attributes:
        sequences: one row per sequence of the batch: the store's ``sequences`` columns.
        starts: (S + 1,) row offsets; the rows of sequence i are ``starts[i]:starts[i + 1]``.
        columns: arrays whose first axis is the row; vectors have their own shape, such as (N, J, 3).
    """

    sequences: pa.Table
    starts: npt.NDArray[np.int64]
    columns: Mapping[str, npt.NDArray[Any]]

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.columns[name]

    def __len__(self) -> int:
        return int(self.starts[-1])

    def names(self) -> list[str]:
        """The sequences' names, in order."""
        return self.sequences["sequence"].to_pylist()  # type: ignore[no-any-return]

    def slices(self) -> Iterator[tuple[str, slice]]:
        """Each sequence's name and rows."""
        for name, start, stop in zip(self.names(), self.starts[:-1], self.starts[1:], strict=True):
            yield name, slice(int(start), int(stop))


@dataclass(frozen=True)
class Foreign:
    """Predictions read from a foreign file.

    Attributes:
        values: what :func:`har_bench.score` takes from Python: a table in our columns, a mapping from sequence to
            array, or an array in the protocol's row order; already in our units and pixel origin.
        taken_for: what the file was taken for, as told to the user.
        notes: what was left out or looks odd, in a line each.
    """

    values: pa.Table | npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]]
    taken_for: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scores:
    """What a protocol computed: numbers, breakdowns and counts."""

    metrics: dict[str, float]
    tables: dict[str, list[Row]]
    counts: dict[str, int]


@dataclass(frozen=True)
class Options:
    """What can be chosen besides the recipe: nothing, unless a protocol's own declares fields."""


Task = Literal["pose", "keypoint-detection", "clip-classification", "temporal", "spatio-temporal"]


class Protocol(ABC):
    """A mergeable accumulator with named recipes.

    Subclasses set the class attributes, keep their state in ``self.state`` (and further :class:`Records`, where one
    is not enough) and implement :meth:`select`, :meth:`update`, :meth:`metrics_of` and :meth:`compute`. What follows
    from the choice of recipe and options alone is derived in :meth:`configure`.

    An accumulator's ``device`` is the torch device that it computes on; empty, as it is unless :meth:`use` was called,
    for NumPy and numba.

    Attributes:
        name: ``dataset/measure``, such as ``h36m/mpjpe``.
        version: raise it when the same predictions would score differently.
        dataset: the store it needs; the first half of its name unless it says otherwise.
        task: the shape of its predictions.
        summary: one line for ``har-bench list``.
        metrics: what it computes; the first is the primary one.
        recipes: by name; the first is the default.
        tables: what the tables are that :meth:`compute` makes.
        chain: metrics of which each is at most sqrt(J) times the next, J being the rows of the table ``joint``.
        ignores_truth: whether some truth may be neither right nor wrong to find (crowds, persons without labels).
        option_type: what can be chosen besides the recipe.
        notes: what is said when a clue of :meth:`clues` is found, by its name.
        truth_table: where the ground truth is; the pose task always takes it from ``poses``.
        truth_columns: the columns of that table that :meth:`update` reads.
        prediction_columns: the columns that predictions must have.
        optional_columns: columns that are handed over when the predictions have them (not for the pose task).
        complete: whether every sequence must have predictions (not for the pose task, whose rows all must).
        finite: whether NaN and infinity in predictions are refused before scoring.
        train_split: the split of the store that baselines learn from.
        row_order: a column of ``poses`` that numbers the scored rows in a published order, if the field has one: an
            array of predictions without keys is taken to be in this order.
        missing: what a coordinate of a missing or non-finite prediction counts as under ``--missing count-as-error``.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    dataset: ClassVar[str]
    task: ClassVar[Task]
    summary: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    recipes: ClassVar[Mapping[str, Recipe]]
    tables: ClassVar[tuple[Table, ...]] = ()
    chain: ClassVar[tuple[str, ...]] = ()
    ignores_truth: ClassVar[bool] = False
    option_type: ClassVar[type[Options]] = Options
    notes: ClassVar[Mapping[str, Note]] = {}
    truth_table: ClassVar[Literal["poses", "segments", "sequences"]] = "poses"
    truth_columns: tuple[str, ...]
    prediction_columns: ClassVar[tuple[str, ...]]
    optional_columns: ClassVar[tuple[str, ...]] = ()
    complete: ClassVar[bool] = False
    finite: bool = True
    train_split: ClassVar[str] = "train"
    row_order: ClassVar[str | None] = None
    missing: ClassVar[float] = float("nan")

    recipe: Any
    options: Any
    state: Records[Any]

    def __init_subclass__(cls, **words: Any) -> None:
        super().__init_subclass__(**words)
        if "name" in vars(cls) and "dataset" not in vars(cls):
            cls.dataset = cls.name.partition("/")[0]

    def __init__(self, recipe: str | None = None, options: Mapping[str, Any] | None = None) -> None:
        """Choose a recipe and its options; values may be texts, as a command line gives them.

        An option of the name of a field of the recipe takes that field's place.

        Raises:
            HarBenchError: an unknown recipe or option, or a value that its option cannot take.
        """
        chosen = recipe or next(iter(self.recipes))
        if chosen not in self.recipes:
            raise unknown(f"recipe of {self.name}", chosen, self.recipes)
        published = self.recipes[chosen]
        self.options = self.option_type(**read(self.option_type, options or {}, self.name))
        named = given(self.options)
        fields = {name: getattr(self.options, name) for name in named if hasattr(published, name)}
        self.recipe = replace(published, **fields) if fields else published
        as_published = {name for name, value in fields.items() if value == getattr(published, name)}
        self.given = {name: value for name, value in named.items() if name not in as_published}
        self.state = Records()
        self.device = ""
        self.configure()

    def configure(self) -> None:  # noqa: B027 - most have nothing to derive
        """Derive from the recipe and the options, which were just chosen, what the protocol needs of them.

        Raises:
            HarBenchError: they do not go together.
        """

    @property
    def primary(self) -> Metric:
        """The metric that ranks."""
        return self.metrics[0]

    def readings(self, tables: Mapping[str, Sequence[Row]]) -> dict[str, Reading]:
        """What the tables are that :meth:`compute` made, for those who read the result.

        Raises:
            HarBenchError: one of them is not declared in ``tables``.
        """
        declared = {table.title: table for table in self.tables}
        found = {}
        for title, rows in tables.items():
            if title not in declared:
                raise HarBenchError(
                    f"{self.name} makes a table {title!r} that it does not declare; add it to its tables"
                )
            found[title] = declared[title].reading(rows, self.primary.name)
        return found

    def refuse_others(self, store: Store) -> None:
        """See that a store is of the protocol's dataset.

        Raises:
            HarBenchError: it is of another one.
        """
        if store.dataset != self.dataset:
            raise HarBenchError(
                f"{self.name} needs a {self.dataset} store and {store.path} is one of {store.dataset}; "
                f"`har-bench list protocols` names those of {store.dataset}"
            )

    @classmethod
    def contradictions(cls, result: Result) -> list[Finding]:
        """What a result of this protocol says against itself; see :mod:`har_bench.protocol.identities`."""
        return identities.findings(result, cls)

    @property
    def skeletons(self) -> tuple[str, ...]:
        """Joint layouts accepted in predictions, told apart by their number of joints; truth comes in the first."""
        return ()

    @property
    def has_torch_path(self) -> bool:
        """Whether :meth:`use` is possible."""
        return False

    def use(self, device: str) -> None:
        """Compute on a torch device, such as ``cuda``, from now on; by default everything is NumPy's and numba's.

        Numbers differ by rounding only, less than one in a million.

        Raises:
            HarBenchError: this recipe has no torch path, torch is not installed, or it has no such device.
        """
        if not self.has_torch_path:
            raise HarBenchError(f"{self.canonical} has no torch path; score it without a device")
        devices.chosen(device, double=True)
        self.device = device

    def read_foreign(self, path: Path, store: Store) -> Foreign | None:
        """Predictions in one of this field's own file formats; None when ``path`` is not one of them.

        Args:
            path: a file or folder.
            store: the store they will be scored on, for formats that do not name sequences as it does.

        Raises:
            HarBenchError: the file is one of them but damaged.
        """
        del path, store
        return None

    @property
    def canonical(self) -> str:
        """The printable name of this exact way of scoring, such as ``h36m/mpjpe:videopose3d,every=64``."""
        return canonical(self.name, self.recipe.name, self.given)

    def fresh(self) -> Self:
        """An empty accumulator of the same recipe, options and device, which knows what this one was prepared for."""
        other = copy(self)
        for name, records in self._records():
            setattr(other, name, type(records)())
        return other

    def units(self) -> list[str]:
        """What the bootstrap resamples: the sequences scored so far, sorted."""
        return self.state.names()

    def merge(self, other: Self) -> None:
        """Take over the sequences another accumulator scored."""
        for name, records in self._records():
            records.merge(getattr(other, name))

    def _records(self) -> list[tuple[str, Records[Any]]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Records)]

    def for_joints(self, joints: int, skeleton: str | None) -> Self:
        """This way of scoring, or the same with the option that predictions of so many joints need.

        Args:
            joints: how many each prediction has.
            skeleton: what the user calls their layout, if anything.
        """
        del joints, skeleton
        return self

    def prepare(self, store: Store) -> None:
        """Look up what scoring needs to know of the store besides its rows, such as the sigmas of its joints.

        It is called on every accumulator before its first :meth:`update`.
        """
        del store

    @abstractmethod
    def select(self, sequences: pa.Table) -> pa.Table:
        """The rows of the store's ``sequences`` that this recipe scores (split, cameras, damaged ones left out)."""

    def keep(self, sequences: pa.Table, rows: pa.Table) -> pa.ChunkedArray | None:
        """Which ground-truth rows of the selected sequences are scored, as booleans; None means all of them.

        Args:
            sequences: the selected sequences.
            rows: key columns and ``truth_columns`` of some of their poses.
        """
        del sequences, rows
        return None

    @abstractmethod
    def update(self, truth: Batch, predictions: Batch) -> None:
        """Score whole sequences, the same ones in both batches.

        For the pose task, row i of both is the same person in the same frame; for the others each batch has its own
        ``starts``, and a sequence may have no row in either.
        """

    def clues(self, truth: Batch, predictions: Batch) -> Clues:
        """What looks wrong in the predictions of a batch, counted; see :mod:`har_bench.protocol.clues`."""
        del truth, predictions
        return {}

    def remarks(self) -> list[str]:
        """What a reader must know of this way of scoring, or of everything scored so far, in a line each."""
        return []

    @abstractmethod
    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """The metrics when sequence i of :meth:`units` counts ``weights[i]`` times (once each by default)."""

    @abstractmethod
    def compute(self) -> Scores:
        """Metrics, breakdowns and counts of everything scored so far."""


def make_protocol(
    name: str | Protocol, recipe: str | None = None, options: Mapping[str, Any] | None = None
) -> Protocol:
    """A protocol from its name, or from its canonical name ``dataset/measure:recipe,option=value``.

    Raises:
        HarBenchError: an unknown protocol, recipe or option, or a recipe given twice.
    """
    if isinstance(name, Protocol):
        if recipe or options:
            raise HarBenchError(f"{name.canonical} is chosen already; give the recipe and options to its class")
        return name.fresh()
    if not isinstance(name, str):
        raise HarBenchError(f"a protocol cannot be a {type(name).__name__}; give its name, such as h36m/mpjpe")
    if not isinstance(options or {}, Mapping):
        raise HarBenchError(
            f"the options of {name} are a {type(options).__name__}; give a mapping such as {{'every': 64}}"
        )
    found = parsed(name)
    if recipe is not None and found.recipe not in (None, recipe):
        raise HarBenchError(f"{name} names the recipe {found.recipe!r}, and --recipe says {recipe!r}; give one of them")
    made = registry.load("protocols", found.protocol)
    if not (isinstance(made, type) and issubclass(made, Protocol)):
        raise HarBenchError(f"{found.protocol} is no protocol; name a class that is a har_bench.protocol.Protocol")
    return made(found.recipe or recipe, found.options | dict(options or {}))


def of_split(sequences: pa.Table, split: str | Callable[[str], bool], whose: str) -> pa.Table:
    """The rows of a store's ``sequences`` that are in a split.

    Args:
        sequences: of a store.
        split: its name, or what tells whether a name is meant.
        whose: who asks, such as ``h36m/mpjpe:videopose3d``, for the message.

    Raises:
        HarBenchError: there is none; the splits that there are are named.
    """
    meant = split if callable(split) else split.__eq__
    every = [splits or () for splits in sequences["splits"].to_pylist()]
    inside = [any(map(meant, splits)) for splits in every]
    if not any(inside):
        there = listed(sorted({name for splits in every for name in splits}))
        wanted = "of its split" if callable(split) else f"in {split}"
        raise HarBenchError(
            f"{whose} has nothing to score: no sequence of the store is {wanted}; its splits are {there}, so convert "
            "what is missing or choose one of them"
        )
    return sequences.filter(pa.array(inside, pa.bool_()))
