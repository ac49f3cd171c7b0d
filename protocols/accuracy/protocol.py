"""Clip classification: the accuracy of Penn Action and of NTU RGB+D 60 and 120, over one clip or several.

Every test sequence is one sample. The plain functions work on arrays alone; what the field's programs do differently
(one clip, the product or the mean of several, deephar's gift to short sequences) is an :class:`AccuracyRecipe`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import ClassVar, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Floats, Ints
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Foreign, Options, Protocol, Records, Scores, of_split, option
from har_bench.protocol.clues import Clue, Clues, Note, counted
from har_bench.protocol.declarations import Along, Facts, Groups, Metric, Recipe, Table, by_name
from har_bench.results import Row
from har_bench.store import Store

from .answers import NOTHING, SCORES, answers
from .files import read_scores
from .scores import Combination, mean_class_accuracy


@dataclass(frozen=True)
class AccuracyRecipe(Recipe):
    """What programs do differently.

    Attributes:
        combination: how several rows of a sequence become one; None takes one row only.
        span: frames that a clip reaches over; a shorter sequence is counted as correct, whatever is predicted.
        every: of so many frames of a sequence, the program keeps one before it cuts clips.
    """

    combination: Combination | None = None
    span: int = 0
    every: int = 1


SINGLE_CLIP = AccuracyRecipe(
    "single-clip",
    about="one row of scores, or one label, per sequence",
    oracle="argmax over the test sequences: CTR-GCN, STTFormer, pyskl and mmaction2 (top_k_accuracy)",
    cite="Shahroudy et al., CVPR 2016",
)
MULTI_CLIP = AccuracyRecipe(
    "multi-clip",
    about="several clips, flipped or not, per sequence: the product of their probabilities, or their mean",
    oracle="deephar's product without its gift to short sequences; combine=mean is mmaction2's average_clips",
    cite="Luvizon et al., CVPR 2018",
    combination="product",
)


def deephar(name: str, span: int, every: int, cite: str) -> AccuracyRecipe:
    """The multi-clip evaluation of deephar, with the quirk that its numbers have."""
    return AccuracyRecipe(
        name,
        about=f"multi-clip with deephar's defect: a sequence that keeps fewer than {span} frames counts as correct",
        oracle="dluvizon/deephar, eval_multiclip_dataset, for one prediction block (its own report is the best)",
        cite=cite,
        inflates=f"a sequence that keeps fewer than {span} frames counts as right, whatever is predicted",
        combination="product",
        span=span,
        every=every,
    )


def recipes(*more: AccuracyRecipe) -> Mapping[str, AccuracyRecipe]:
    """The recipes that every accuracy has, and its own."""
    return by_name(SINGLE_CLIP, MULTI_CLIP, *more)


NOTES: Mapping[str, Note] = {
    "from one": Note(
        "most predicted classes are the true one plus 1: are the labels counted from 1 (1-based), or is there a column "
        "of background? classes count from 0 here",
        least=0.5,
    ),
    "last": Note(
        "most true classes have the lowest score of all: are the numbers losses or distances? the better class has the "
        "higher score",
        least=0.5,
    ),
    "equal": Note(
        "most rows have the same score for every class, and the first class wins: are they scores?", least=0.5
    ),
    "behind": Note("most predicted classes are the true one minus 1: are the labels shifted by one class?", least=0.5),
}

TOP = {f"top-{k}": Along("top", k) for k in (1, 5)}


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a sequence; no cycles are looked for in tens of thousands of them.

    Attributes:
        true: its class.
        predicted: the class of the highest score, or :data:`.answers.NOTHING`.
        rank: how many classes are before the true one.
        given: 1 where it is counted as correct whatever is predicted.
        labels: its values of the columns to slice by.
        read_as: how its predictions were read.
    """

    true: int
    predicted: int
    rank: int
    given: int
    labels: tuple[str, ...]
    read_as: str


@dataclass(frozen=True)
class AccuracyOptions(Options):
    """What of the rule can be chosen."""

    combine: Literal["product", "mean"] = option(
        "product", "how several clips become one: product of probabilities, or mean of scores"
    )
    mean_over: Literal["true", "seen", "all"] = option(
        "true",
        "the classes of mean class: true, those with sequences; seen, also those only predicted, at 0 % as in "
        "mmaction2; all",
    )


def sliced(*slices: str) -> tuple[Table, ...]:
    """The tables of an accuracy that is also broken down by some columns of ``sequences``."""
    return (
        Groups("class", measure="top-1", along=TOP),
        Facts("confusion"),
        *(Groups(name) for name in slices),
        Facts("read_as"),
        Groups("length"),
    )


def _equal(predictions: Batch) -> Clue:
    """Rows of scores that prefer no class."""
    scores = predictions.columns.get("scores", np.zeros(0))
    return counted(scores.min(axis=1) == scores.max(axis=1)) if scores.ndim == 2 and scores.size else Clue(0, 0)


class Accuracy(Protocol):
    """Accuracy over the sequences of one split; a subclass says which split, and which classes there are.

    Classes count from 0.

    Attributes:
        split: the sequences that are scored.
        ordering: the columns of ``sequences`` by which the field's programs number the test set.
        slices: columns of ``sequences`` by whose values top-1 is broken down.
    """

    version = "1"
    metrics = (
        Metric(
            *("top-1", "%", "higher", "sequences whose class has the highest score; the first class wins a tie"),
            along=TOP["top-1"],
        ),
        Metric("top-5", "%", "higher", "sequences whose class is among the five of highest scores", TOP["top-5"]),
        Metric("mean class", "%", "higher", "the plain mean of the classes' own top-1"),
    )
    notes = NOTES
    option_type = AccuracyOptions
    task = "clip-classification"
    truth_table = "sequences"
    prediction_columns = ()
    optional_columns = ("scores", "label", "clip")
    complete = True

    split: ClassVar[str]
    ordering: ClassVar[tuple[str, ...]] = ("sequence",)
    slices: ClassVar[tuple[str, ...]]

    recipe: AccuracyRecipe
    options: AccuracyOptions
    state: Records[Answer]

    def configure(self) -> None:
        """See that the recipe leaves open how clips are combined, where that was chosen.

        Raises:
            HarBenchError: it does not.
        """
        if "combine" in self.given and self.recipe.name != MULTI_CLIP.name:
            raise HarBenchError(f"{self.name}:{self.recipe.name} combines in its own way; combine is of multi-clip")
        self.names: dict[int, str] = {}

    @property
    @abstractmethod
    def codes(self) -> tuple[str, ...]:
        """The classes in their order; a store may have longer names for them."""

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.codes)

    @abstractmethod
    def class_of(self, sequences: pa.Table) -> list[int | None]:
        """The class of every row of ``sequences``, from 0; None where the store does not know it."""

    @abstractmethod
    def spellings(self) -> Mapping[str, int]:
        """The classes by every name that a predicted label may have."""

    def order(self, sequences: pa.Table) -> list[str]:
        """The test sequences in the order in which the field's programs number them."""
        by = [(column, "ascending") for column in self.ordering]
        return self.select(sequences).sort_by(by)["sequence"].to_pylist()  # type: ignore[no-any-return]

    def read_foreign(self, path: Path, store: Store) -> Foreign | None:
        """Pickles, json or npz {name: scores}, lists or ``.npy`` with a name list beside, csv of name and label."""
        return read_scores(path, store.sequences["sequence"].to_pylist(), lambda: self.order(store.sequences))

    def select(self, sequences: pa.Table) -> pa.Table:
        """The sequences of the split.

        Raises:
            HarBenchError: there are none.
        """
        return of_split(sequences, self.split, self.canonical)

    def prepare(self, store: Store) -> None:
        """Note the names of all classes."""
        self._learn(store.sequences)

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Note the rank of the true class of whole sequences.

        Raises:
            HarBenchError: scores of another number of classes, several clips for a recipe of one, a clip that comes
                twice, an unknown label, or a sequence whose class the store does not know.
        """
        true = self._true(truth.sequences)
        self._learn(truth.sequences)
        how = self.recipe.combination and self.options.combine
        predicted, rank, read_as = answers(predictions, true, self.classes, self.spellings(), how, self.canonical)
        kept = -(-truth.sequences["n_frames"].to_numpy() // self.recipe.every)
        given = kept < self.recipe.span
        predicted, rank = np.where(given, true, predicted), np.where(given, 0, rank)
        labels = zip(*(truth.sequences[column].to_pylist() for column in self.slices), strict=True)
        records = zip(*(each.tolist() for each in (true, predicted, rank, given.astype(np.int64))), strict=True)
        for name, label, (first, second, place, free) in zip(truth.names(), labels, records, strict=True):
            self.state.add(name, Answer(first, second, place, free, tuple(_text(value) for value in label), read_as))

    def clues(self, truth: Batch, predictions: Batch) -> Clues:
        """Whether the predicted classes are the true ones moved by one, or the scores are none."""
        found = [self.state[name] for name in truth.names()]
        answered = np.array([answer.predicted != NOTHING and not answer.given for answer in found], bool)
        moved = np.array([answer.predicted - answer.true for answer in found], np.int64)
        return {
            "from one": counted(moved == 1, answered),
            "behind": counted(moved == -1, answered),
            "last": counted(np.array([answer.rank for answer in found]) == self.classes - 1, answered),
            "equal": _equal(predictions),
        }

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """The metrics when sequence i of :meth:`units` counts ``weights[i]`` times; no top-5 of mere labels."""
        true, predicted, rank, _ = self.state.derived(columns)
        weights = np.ones(len(true)) if weights is None else weights
        total = float(weights.sum())
        hits = {f"top-{k}": 100 * float(weights[rank < k].sum()) for k in self._depths()}
        found = {name: value / total if total else nan for name, value in hits.items()}
        over = self.options.mean_over
        return found | {"mean class": mean_class_accuracy(true, predicted, self.classes, over=over, weights=weights)}

    def compute(self) -> Scores:
        """The metrics, and tables by class, of confusions, of slices, and of how the predictions were read."""
        true, predicted, rank, given = self.state.derived(columns)
        labels = [answer.labels for answer in self.state.values()]
        tables: dict[str, list[Row]] = {
            "class": self._per_class(true, predicted, rank),
            "confusion": self._confusion(true, predicted),
            **{
                column: _shares(column, [label[place] for label in labels], rank == 0)
                for place, column in enumerate(self.slices)
            },
            "read_as": [{"predictions": text} for text in self.state.derived(readings)],
        }
        counts = {"sequences": len(true), "without_prediction": int((predicted == NOTHING).sum())}
        if self.recipe.span:
            limit = f"{self.recipe.span} frames"
            values = [f"below {limit}: counted as correct" if free else f"at least {limit}" for free in given]
            tables["length"] = _shares("length", values, rank == 0)
            counts["given_as_correct"] = int(given.sum())
        return Scores(self.metrics_of(), tables, counts)

    def _depths(self) -> tuple[int, ...]:
        """The k of top-k; labels, unlike scores, say nothing of a second choice."""
        return (1, 5) if all(text == SCORES for text in self.state.derived(readings)) else (1,)

    def _learn(self, sequences: pa.Table) -> None:
        pairs = zip(self.class_of(sequences), sequences["action"].to_pylist(), strict=True)
        self.names.update({number: action for number, action in pairs if number is not None})

    def _true(self, sequences: pa.Table) -> Ints:
        found = self.class_of(sequences)
        if None in found:
            name = sequences["sequence"][found.index(None)].as_py()
            raise HarBenchError(
                f"the store knows no class of {name}, so {self.name} cannot score it; mend the raw file"
            )
        return np.array(found, np.int64)

    def _per_class(self, true: Ints, predicted: Ints, rank: Ints) -> list[Row]:
        count = np.bincount(true, minlength=self.classes)
        guessed = np.bincount(predicted[predicted != NOTHING], minlength=self.classes)
        hits = {f"top-{k}": np.bincount(true[rank < k], minlength=self.classes) for k in self._depths()}
        return [
            {
                "class": self._name(number),
                "number": number,
                "sequences": int(count[number]),
                "predicted": int(guessed[number]),
                **{
                    name: 100 * float(hit[number]) / count[number] if count[number] else None
                    for name, hit in hits.items()
                },
            }
            for number in np.flatnonzero(count + guessed).tolist()
        ]

    def _confusion(self, true: Ints, predicted: Ints) -> list[Row]:
        """The pairs that occur, by class number; a sequence without a prediction has null."""
        pairs, counts = np.unique(np.stack([true, predicted], axis=1), axis=0, return_counts=True)
        return [
            {
                "true": self._name(first),
                "predicted": None if second == NOTHING else self._name(second),
                "count": count,
            }
            for (first, second), count in zip(pairs.tolist(), counts.tolist(), strict=True)
        ]

    def _name(self, number: int) -> str:
        return self.names.get(number, self.codes[number])


def columns(records: Records[Answer]) -> Ints:
    """(4, S): true class, predicted class, classes before the true one, given away as correct."""
    rows = [(answer.true, answer.predicted, answer.rank, answer.given) for answer in records.values()]
    return np.ascontiguousarray(np.array(rows, np.int64).reshape(-1, 4).T)


def readings(records: Records[Answer]) -> list[str]:
    """The distinct ways in which predictions were read, sorted."""
    return sorted({answer.read_as for answer in records.values()} - {""})


def _text(value: str | int | None) -> str:
    """A slice's name; numbers are padded, so that they sort as such."""
    return f"{value:03}" if isinstance(value, int) else value or ""


def _shares(column: str, values: Sequence[str], correct: npt.NDArray[np.bool_]) -> list[Row]:
    """A row of top-1 for every distinct value of the sequences."""
    groups, index = np.unique(np.array(values, str), return_inverse=True)
    count, hits = np.bincount(index), np.bincount(index[correct], minlength=len(groups))
    return [
        {column: group, "sequences": total, "top-1": 100 * hit / total}
        for group, total, hit in zip(groups.tolist(), count.tolist(), hits.tolist(), strict=True)
    ]
