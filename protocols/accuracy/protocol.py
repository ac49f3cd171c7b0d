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
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Floats, Ints
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Foreign, Metric, Protocol, Recipe, Scores
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
        combination="product",
        span=span,
        every=every,
    )


def _recipes(*more: AccuracyRecipe) -> Mapping[str, AccuracyRecipe]:
    return MappingProxyType({recipe.name: recipe for recipe in (SINGLE_CLIP, MULTI_CLIP, *more)})


class Accuracy(Protocol):
    """Accuracy over the sequences of one split; a subclass says which split, and which classes there are.

    A sequence's sums are no sums but its record: true class, predicted class, how many classes are before the true
    one, and whether it was given away as correct. Classes count from 0.

    Attributes:
        split: the sequences that are scored.
        codes: the classes in their order; a store may have longer names for them.
        ordering: the columns of ``sequences`` by which the field's programs number the test set.
        slices: columns of ``sequences`` by whose values top-1 is broken down.
    """

    version = "1"
    task = "clip-classification"
    metrics = (
        Metric("top-1", "%", "higher", "sequences whose class has the highest score; the first class wins a tie"),
        Metric("top-5", "%", "higher", "sequences whose class is among the five of highest scores"),
        Metric("mean class", "%", "higher", "the plain mean of the classes' own top-1"),
    )
    options: ClassVar[Mapping[str, tuple[Any, str]]] = MappingProxyType(
        {
            "combine": ("product", "how several clips become one: product of probabilities, or mean of scores"),
            "mean_over": (
                "true",
                "the classes of mean class: true, those with sequences; seen, also those only predicted, at 0 % as in "
                "mmaction2; all",
            ),
        }
    )
    truth_table = "sequences"
    prediction_columns = ()
    optional_columns = ("scores", "label", "clip")
    complete = True

    split: ClassVar[str]
    codes: ClassVar[tuple[str, ...]]
    ordering: ClassVar[tuple[str, ...]] = ("sequence",)
    slices: ClassVar[tuple[str, ...]]

    recipe: AccuracyRecipe
    _records: Ints | None = None

    def __init__(self, recipe: str | None = None, **options: Any) -> None:
        """Choose a recipe and its options.

        Raises:
            HarBenchError: an unknown recipe or option, or a value that its option cannot take.
        """
        super().__init__(recipe, **options)
        for name, known in (("combine", ("product", "mean")), ("mean_over", ("true", "seen", "all"))):
            if self.option(name) not in known:
                raise HarBenchError(f"{self.name} cannot read {name}={self.option(name)!r}; write {' or '.join(known)}")
        if "combine" in self.given and self.recipe.name != MULTI_CLIP.name:
            raise HarBenchError(f"{self.name}:{self.recipe.name} combines in its own way; combine is of multi-clip")
        self.names: dict[int, str] = {}
        self.labels: dict[str, tuple[str, ...]] = {}
        self.read_as: set[str] = set()

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

    def fresh(self) -> Self:
        """An empty accumulator of the same recipe and options, for another worker, which knows the same names."""
        made = super().fresh()
        made.names = dict(self.names)
        return made

    def merge(self, other: Self) -> None:
        """Take over the sequences another accumulator scored."""
        super().merge(other)
        self.names |= other.names
        self.labels |= other.labels
        self.read_as |= other.read_as

    def read_foreign(self, path: Path, store: Store) -> Foreign | None:
        """Score pickles {name: scores}, lists of scores or ``.npy`` with a name list beside, csv of name and label."""
        return read_scores(path, store.sequences["sequence"].to_pylist(), lambda: self.order(store.sequences))

    def select(self, sequences: pa.Table) -> pa.Table:
        """The sequences of the split; the names of all classes are noted.

        Raises:
            HarBenchError: there are none.
        """
        self._learn(sequences)
        chosen = [self.split in (splits or ()) for splits in sequences["splits"].to_pylist()]
        if not any(chosen):
            raise HarBenchError(f"{self.name} has nothing to score: no sequence of the store is in {self.split}")
        return sequences.filter(pa.array(chosen, pa.bool_()))

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Note the rank of the true class of whole sequences.

        Raises:
            HarBenchError: scores of another number of classes, several clips for a recipe of one, a clip that comes
                twice, an unknown label, or a sequence whose class the store does not know.
        """
        true = self._true(truth.sequences)
        self._learn(truth.sequences)
        how = self.recipe.combination and self.option("combine")
        predicted, rank, read_as = answers(predictions, true, self.classes, self.spellings(), how, self.canonical)
        if read_as:
            self.read_as.add(read_as)
        kept = -(-truth.sequences["n_frames"].to_numpy() // self.recipe.every)
        given = kept < self.recipe.span
        predicted, rank = np.where(given, true, predicted), np.where(given, 0, rank)
        labels = zip(*(truth.sequences[column].to_pylist() for column in self.slices), strict=True)
        for name, record, label in zip(
            truth.names(), np.stack([true, predicted, rank, given], axis=1), labels, strict=True
        ):
            self.state.add(name, record)
            self.labels[name] = tuple(_text(value) for value in label)

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """The metrics when sequence i of :meth:`units` counts ``weights[i]`` times; no top-5 of mere labels."""
        true, predicted, rank, _ = self._columns()
        weights = np.ones(len(true)) if weights is None else weights
        total = float(weights.sum())
        hits = {f"top-{k}": 100 * float(weights[rank < k].sum()) for k in self._depths()}
        found = {name: value / total if total else nan for name, value in hits.items()}
        over = self.option("mean_over")
        return found | {"mean class": mean_class_accuracy(true, predicted, self.classes, over=over, weights=weights)}

    def compute(self) -> Scores:
        """The metrics, and tables by class, of confusions, of slices, and of how the predictions were read."""
        true, predicted, rank, given = self._columns()
        tables: dict[str, list[Row]] = {
            "class": self._per_class(true, predicted, rank),
            "confusion": self._confusion(true, predicted),
            **{
                column: _shares(column, [self.labels[name][place] for name in self.units()], rank == 0)
                for place, column in enumerate(self.slices)
            },
            "read_as": [{"predictions": text} for text in sorted(self.read_as)],
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
        return (1, 5) if all(text == SCORES for text in self.read_as) else (1,)

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

    def _columns(self) -> Ints:
        """(4, S) records, column by column; sequences are only ever added, so their number tells if these are old."""
        if self._records is None or self._records.shape[1] != len(self.state.sums):
            self._records = np.ascontiguousarray(self.state.matrix().reshape(-1, 4).T, np.int64)
        return self._records

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


PENN_ACTIONS = {
    "baseball_pitch": "baseball_pitch",
    "baseball_swing": "baseball_swing",
    "bench_press": "bench_press",
    "bowl": "bowling",
    "clean_and_jerk": "clean_and_jerk",
    "golf_swing": "golf_swing",
    "jump_rope": "jump_rope",
    "jumping_jacks": "jumping_jacks",
    "pullup": "pull_ups",
    "pushup": "push_ups",
    "situp": "sit_ups",
    "squat": "squats",
    "strum_guitar": "strumming_guitar",
    "tennis_forehand": "tennis_forehand",
    "tennis_serve": "tennis_serve",
}
"""Penn Action's classes in alphabetical order, from 0: as the label files spell them, and as the README does."""


class PennAccuracy(Accuracy):
    """The 15 actions of Penn Action, on its 1,068 test sequences."""

    name = "penn_action/accuracy"
    dataset = "penn_action"
    summary = "action accuracy on the 1,068 test sequences of Penn Action: top-1, top-5, mean class"
    recipes: ClassVar[Mapping[str, AccuracyRecipe]] = _recipes(
        deephar("deephar", 32, 1, "Luvizon et al., CVPR 2018 (clips of 16 frames, every 2nd)"),
        deephar("deephar-tpami", 48, 1, "Luvizon et al., TPAMI 2020 (clips of 8 frames, every 6th)"),
    )
    truth_columns = ("action", "n_frames", "pose")
    train_split = "standard/train"
    split = "standard/test"
    codes = tuple(PENN_ACTIONS)
    slices = ("pose",)

    def class_of(self, sequences: pa.Table) -> list[int | None]:
        """By the action's name."""
        spelled = self.spellings()
        return [spelled.get(action) for action in sequences["action"].to_pylist()]

    def spellings(self) -> Mapping[str, int]:
        """Both spellings of the dataset."""
        pairs = enumerate(PENN_ACTIONS.items())
        return {name: number for number, spelled in pairs for name in spelled}


NTU_CODES = tuple(f"A{number:03}" for number in range(1, 121))
"""NTU RGB+D's classes as the names of its sequences have them."""


class _NTU(Accuracy):
    """NTU RGB+D, whose store numbers the classes."""

    recipes: ClassVar[Mapping[str, AccuracyRecipe]] = _recipes(
        deephar("deephar", 32, 2, "Luvizon et al., TPAMI 2020 (clips of 8 frames, every 4th of every 2nd)")
    )
    truth_columns = ("action", "label", "n_frames", "subject", "camera", "setup")
    slices = ("subject", "camera", "setup")

    def class_of(self, sequences: pa.Table) -> list[int | None]:
        """By the A of the name, less 1."""
        return [None if label is None else label - 1 for label in sequences["label"].to_pylist()]

    def spellings(self) -> Mapping[str, int]:
        """A001 and so on, and the names of the classes that the store has."""
        named = {action: number for number, action in self.names.items()}
        return {code: number for number, code in enumerate(self.codes)} | named


class NTU60XSub(_NTU):
    """The 20 test subjects of NTU RGB+D 60."""

    name = "ntu60/xsub"
    dataset = "ntu60"
    summary = "cross-subject accuracy of NTU RGB+D 60: 16,487 sequences, 60 classes"
    split, train_split, codes = "xsub/test", "xsub/train", NTU_CODES[:60]
    ordering = ("subject", "sequence")


class NTU60XView(_NTU):
    """The test camera of NTU RGB+D 60."""

    name = "ntu60/xview"
    dataset = "ntu60"
    summary = "cross-view accuracy of NTU RGB+D 60: 18,932 sequences, 60 classes"
    split, train_split, codes = "xview/test", "xview/train", NTU_CODES[:60]


class NTU120XSub(_NTU):
    """The 53 test subjects of NTU RGB+D 120."""

    name = "ntu120/xsub"
    dataset = "ntu120"
    summary = "cross-subject accuracy of NTU RGB+D 120: 50,919 sequences, 120 classes"
    split, train_split, codes = "xsub/test", "xsub/train", NTU_CODES[:120]
    ordering = ("subject", "sequence")


class NTU120XSet(_NTU):
    """The odd setups of NTU RGB+D 120."""

    name = "ntu120/xset"
    dataset = "ntu120"
    summary = "cross-setup accuracy of NTU RGB+D 120: 59,477 sequences, 120 classes"
    split, train_split, codes = "xset/test", "xset/train", NTU_CODES[:120]
