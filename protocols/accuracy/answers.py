"""The classes that predictions name: from scores of one clip or several, or from labels by name or by number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats, Ints
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch

from .scores import Combination, combine, ranks

NOTHING = -1
"""The predicted class of a sequence without a usable prediction."""

SCORES = "scores"
BY_NAME = "labels, by name"
BY_NUMBER = "labels, by number from 0"


class Answers(NamedTuple):
    """What was predicted for S sequences.

    Attributes:
        predicted: (S,) classes from 0; :data:`NOTHING` where there is none.
        rank: (S,) how many classes are before the true one; a wrong label puts it behind all of them.
        read_as: how the predictions were read; empty when there were none.
    """

    predicted: Ints
    rank: Ints
    read_as: str


def answers(
    predictions: Batch, true: Ints, classes: int, spellings: Mapping[str, int], how: Combination | None, protocol: str
) -> Answers:
    """The predicted class of every sequence, and the rank of the true one; scores are preferred to labels.

    Args:
        predictions: rows with ``scores`` (N, C) or ``label`` (N,), text or numbers from 0, and optionally ``clip``.
        true: (S,) true classes, from 0.
        classes: C.
        spellings: the classes by every name that a label may have.
        how: how several rows of a sequence become one; None accepts one row only.
        protocol: what messages call the way of scoring.

    Raises:
        HarBenchError: scores of another number of classes, negative ones in a product, several rows where one is
            wanted, a clip that comes twice, or an unknown label.
    """
    if not len(predictions):
        return Answers(np.full(len(true), NOTHING), np.full(len(true), classes), "")
    if "scores" in predictions.columns:
        combined = _combined(predictions, classes, how, protocol)
        usable = np.isfinite(combined).all(axis=1)
        combined[~usable] = 0
        predicted = np.where(usable, combined.argmax(axis=1), NOTHING)
        return Answers(predicted, np.where(usable, ranks(combined, true), classes), SCORES)
    if "label" not in predictions.columns:
        raise HarBenchError(f"the predictions have neither scores nor label, and {protocol} needs one of the two")
    by_name = predictions["label"].dtype.kind in "OUS"
    predicted = _labels(predictions, classes, spellings if by_name else None, protocol)
    return Answers(predicted, np.where(predicted == true, 0, classes), BY_NAME if by_name else BY_NUMBER)


def _combined(predictions: Batch, classes: int, how: Combination | None, protocol: str) -> Floats:
    """(S, C) scores, NaN where there are none or one is not finite."""
    scores, starts = _rows(predictions["scores"], predictions.starts, classes, protocol)
    counts = np.diff(starts)
    if how is None and counts.max() > 1:
        name = predictions.names()[int(np.argmax(counts > 1))]
        raise HarBenchError(
            f"{name} has {counts.max()} rows of scores, and {protocol} takes one; score with multi-clip"
        )
    negative = (scores < 0).any(axis=1)
    if how == "product" and negative.any():
        name = predictions.names()[_owner(starts, int(np.argmax(negative)))]
        raise HarBenchError(
            f"{name} has negative scores, and {protocol} multiplies probabilities; apply a softmax, or score with "
            "multi-clip and combine=mean"
        )
    _refuse_twice(predictions)
    return combine(scores, starts, how or "mean")


def _rows(scores: npt.NDArray[Any], starts: Ints, classes: int, protocol: str) -> tuple[Floats, Ints]:
    """(N, C) scores and the offsets of their rows; a vector per sequence, as a mapping gives it, is one row."""
    if scores.ndim == 1 and np.isin(np.diff(starts), (0, classes)).all():
        scores, starts = scores.reshape(-1, classes), starts // classes
    if scores.ndim != 2 or scores.shape[1] != classes:
        found = scores.shape[1] if scores.ndim == 2 else f"shape {scores.shape[1:]}"
        raise HarBenchError(f"the predictions have scores of {found} classes a row, and {protocol} has {classes}")
    return scores.astype(np.float64), starts


def _refuse_twice(predictions: Batch) -> None:
    """The same clip of a sequence must not come twice, where clips are told apart.

    Raises:
        HarBenchError: it does.
    """
    if "clip" not in predictions.columns:
        return
    for name, rows in predictions.slices():
        clips = predictions["clip"][rows].tolist()
        if len(set(clips)) < len(clips):
            twice = next(clip for clip in clips if clips.count(clip) > 1)
            raise HarBenchError(f"{name} has the clip {twice!r} twice; keep one of the two rows")


def _labels(predictions: Batch, classes: int, spellings: Mapping[str, int] | None, protocol: str) -> Ints:
    """(S,) classes of labels, by name where there are spellings, else by number."""
    values, counts = predictions["label"], np.diff(predictions.starts)
    if counts.max() > 1:
        name = predictions.names()[int(np.argmax(counts > 1))]
        raise HarBenchError(f"{name} has {counts.max()} labels; give one, or the scores of every clip")
    if values.dtype.kind == "b":
        raise HarBenchError(f"the labels are true and false, and {protocol} has {classes} classes; give their numbers")
    there = np.ones(len(values), bool)
    if spellings is not None:
        numbers = np.array([_class_of(str(value), spellings, classes) for value in values], np.int64)
    else:
        there = np.isfinite(values)  # the engine lets others pass only where they count as errors
        whole = there & (values == np.floor(values)) & (values >= 0) & (values < classes)
        numbers = np.where(whole, values, NOTHING).astype(np.int64)
    unknown = there & (numbers == NOTHING)
    if unknown.any():
        first = int(np.argmax(unknown))
        name = predictions.names()[_owner(predictions.starts, first)]
        raise HarBenchError(
            f"{name} has the label {str(values[first])!r}, which is no class of {protocol}; give a class by its name, "
            f"or by its number from 0 to {classes - 1}"
        )
    predicted = np.full(len(counts), NOTHING)
    predicted[counts == 1] = numbers
    return predicted


def _class_of(label: str, spellings: Mapping[str, int], classes: int) -> int:
    """By its name, or by its number in digits."""
    number = int(label) if label.isdecimal() and len(label) < 10 else NOTHING
    return spellings.get(label, number if number < classes else NOTHING)


def _owner(starts: Ints, row: int) -> int:
    """Which sequence a row belongs to."""
    return int(np.searchsorted(starts, row, "right")) - 1
