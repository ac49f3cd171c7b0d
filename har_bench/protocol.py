"""What a protocol is: what is measured on what, and the named recipes by which papers measured it.

A protocol is a mergeable accumulator. The engine (:mod:`har_bench.scoring`) aligns predictions with ground truth and
hands over :class:`Batch` pairs of whole sequences; the accumulator keeps additive sums per sequence, so any split of
the work over batches, processes or machines, merged in any order, gives the same digits, and a bootstrap over
sequences is a matter of weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench import devices, registry
from har_bench.arrays import Floats
from har_bench.errors import HarBenchError
from har_bench.naming import canonical, parsed
from har_bench.results import Row

if TYPE_CHECKING:
    from har_bench.store import Store


@dataclass(frozen=True)
class Metric:
    """A number that a protocol computes.

    Attributes:
        name: as printed in tables, such as ``PCKh@0.5``.
        unit: ``%`` (0 to 100), ``mm``, ``px``.
        better: which direction is better.
        about: one line with the definition.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    about: str


@dataclass(frozen=True)
class Recipe:
    """A named published way to compute a protocol; subclasses add the degrees of freedom as fields.

    Attributes:
        name: as on the command line, such as ``hrnet``.
        about: what distinguishes it, in one sentence.
        oracle: the official tool whose digits it reproduces.
        cite: short reference of the paper or repository.
    """

    name: str
    about: str
    oracle: str
    cite: str


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


@dataclass
class SequenceSums:
    """Additive statistics per sequence: the state of an accumulator.

    ``sums[name]`` is a vector of K float64; merging is a union, and every reduction runs in the order of the names,
    so neither the order of batches nor the number of workers changes a digit.
    """

    sums: dict[str, Floats] = field(default_factory=dict)

    def add(self, sequence: str, values: npt.ArrayLike) -> None:
        """Record one sequence's sums; a sequence comes in one piece, once."""
        if sequence in self.sums:
            raise HarBenchError(f"sequence {sequence!r} was scored twice; a batch must hold whole sequences")
        self.sums[sequence] = np.asarray(values, np.float64).reshape(-1)

    def merge(self, other: SequenceSums) -> None:
        """Take over another accumulator's sequences."""
        for sequence, values in other.sums.items():
            self.add(sequence, values)

    def names(self) -> list[str]:
        """The sequences, sorted."""
        return sorted(self.sums)

    def matrix(self) -> Floats:
        """(S, K) sums in the order of :meth:`names`."""
        return np.stack([self.sums[name] for name in self.names()]) if self.sums else np.zeros((0, 0))


@dataclass(frozen=True)
class Foreign:
    """Predictions read from a foreign file.

    Attributes:
        values: what :func:`har_bench.score` takes from Python: a table in our columns, a mapping from sequence to
            array, or an array in the protocol's row order; already in our units and pixel origin.
        taken_for: what the file was taken for, as told to the user.
    """

    values: pa.Table | npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]]
    taken_for: str


@dataclass(frozen=True)
class Scores:
    """What a protocol computed: numbers, breakdowns and counts."""

    metrics: dict[str, float]
    tables: dict[str, list[Row]]
    counts: dict[str, int]


Task = Literal["pose", "keypoint-detection", "clip-classification", "temporal", "spatio-temporal"]


class Protocol(ABC):
    """A mergeable accumulator with named recipes.

    Subclasses set the class attributes, keep their state in ``self.state`` and implement :meth:`select`,
    :meth:`update`, :meth:`metrics_of` and :meth:`compute`.

    An accumulator's ``device`` is the torch device that it computes on; empty, as it is unless :meth:`use` was called,
    for NumPy and numba.

    Attributes:
        name: ``dataset/measure``, such as ``h36m/mpjpe``.
        version: raise it when the same predictions would score differently.
        dataset: the store it needs.
        task: the shape of its predictions.
        summary: one line for ``har-bench list``.
        metrics: what it computes; the first is the primary one.
        recipes: by name; the first is the default.
        options: what :class:`__init__` accepts besides the recipe: name -> (default, one line of help).
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
    options: ClassVar[Mapping[str, tuple[Any, str]]] = {}
    truth_table: ClassVar[Literal["poses", "segments", "sequences"]] = "poses"
    truth_columns: ClassVar[tuple[str, ...]]
    prediction_columns: ClassVar[tuple[str, ...]]
    optional_columns: ClassVar[tuple[str, ...]] = ()
    complete: ClassVar[bool] = False
    finite: ClassVar[bool] = True
    train_split: ClassVar[str] = "train"
    row_order: ClassVar[str | None] = None
    missing: ClassVar[float] = float("nan")

    def __init__(self, recipe: str | None = None, **options: Any) -> None:
        """Choose a recipe and its options.

        Raises:
            HarBenchError: an unknown recipe or option; the known ones are named.
        """
        chosen = recipe or next(iter(self.recipes))
        if chosen not in self.recipes:
            raise HarBenchError(f"{self.name} has no recipe {chosen!r}; it has {', '.join(self.recipes)}")
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            known = ", ".join(self.options) or "none"
            raise HarBenchError(f"{self.name} has no option {', '.join(unknown)}; its options are {known}")
        self.recipe = self.recipes[chosen]
        self.given = {name: value for name, value in sorted(options.items()) if value != self.options[name][0]}
        self.state = SequenceSums()
        self.device = ""

    def option(self, name: str) -> Any:
        """The value of an option: what was given, else its default."""
        return self.given.get(name, self.options[name][0])

    @property
    def primary(self) -> Metric:
        """The metric that ranks."""
        return self.metrics[0]

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
        """An empty accumulator of the same recipe, options and device, for another worker."""
        other = type(self)(self.recipe.name, **self.given)
        other.device = self.device
        return other

    def units(self) -> list[str]:
        """What the bootstrap resamples: the sequences scored so far, sorted."""
        return self.state.names()

    def merge(self, other: Self) -> None:
        """Take over the sequences another accumulator scored."""
        self.state.merge(other.state)

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
        return name.fresh()
    found = parsed(name)
    if recipe is not None and found.recipe not in (None, recipe):
        raise HarBenchError(f"{name} names the recipe {found.recipe!r}, and --recipe says {recipe!r}; give one of them")
    made = registry.load("protocols", found.protocol)
    return made(found.recipe or recipe, **(found.options | dict(options or {})))  # type: ignore[no-any-return]
