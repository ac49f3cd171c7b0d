"""Accuracy on NTU RGB+D: four ways of splitting its sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from .protocol import Accuracy, AccuracyRecipe, deephar, recipes, sliced

NTU_CODES = tuple(f"A{number:03}" for number in range(1, 121))
"""NTU RGB+D's classes as the names of its sequences have them."""


class _NTU(Accuracy):
    """NTU RGB+D, whose store numbers the classes."""

    recipes: ClassVar[Mapping[str, AccuracyRecipe]] = recipes(
        deephar("deephar", 32, 2, "Luvizon et al., TPAMI 2020 (clips of 8 frames, every 4th of every 2nd)")
    )
    truth_columns = ("action", "label", "n_frames", "subject", "camera", "setup")
    slices = ("subject", "camera", "setup")
    tables = sliced(*slices)

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
    summary = "cross-subject accuracy of NTU RGB+D 60: 16,487 sequences, 60 classes"
    split, train_split, codes = "xsub/test", "xsub/train", NTU_CODES[:60]
    ordering = ("subject", "sequence")


class NTU60XView(_NTU):
    """The test camera of NTU RGB+D 60."""

    name = "ntu60/xview"
    summary = "cross-view accuracy of NTU RGB+D 60: 18,932 sequences, 60 classes"
    split, train_split, codes = "xview/test", "xview/train", NTU_CODES[:60]


class NTU120XSub(_NTU):
    """The 53 test subjects of NTU RGB+D 120."""

    name = "ntu120/xsub"
    summary = "cross-subject accuracy of NTU RGB+D 120: 50,919 sequences, 120 classes"
    split, train_split, codes = "xsub/test", "xsub/train", NTU_CODES[:120]
    ordering = ("subject", "sequence")


class NTU120XSet(_NTU):
    """The odd setups of NTU RGB+D 120."""

    name = "ntu120/xset"
    summary = "cross-setup accuracy of NTU RGB+D 120: 59,477 sequences, 120 classes"
    split, train_split, codes = "xset/test", "xset/train", NTU_CODES[:120]
