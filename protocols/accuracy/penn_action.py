"""Accuracy on Penn Action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from har_bench.converter import known_of

from .protocol import Accuracy, AccuracyRecipe, deephar, recipes, sliced


class PennAccuracy(Accuracy):
    """The 15 actions of Penn Action, on its 1,068 test sequences."""

    name = "penn_action/accuracy"
    summary = "action accuracy on the 1,068 test sequences of Penn Action: top-1, top-5, mean class"
    recipes: ClassVar[Mapping[str, AccuracyRecipe]] = recipes(
        deephar("deephar", 32, 1, "Luvizon et al., CVPR 2018 (clips of 16 frames, every 2nd)"),
        deephar("deephar-tpami", 48, 1, "Luvizon et al., TPAMI 2020 (clips of 8 frames, every 6th)"),
    )
    truth_columns = ("action", "n_frames", "pose")
    train_split = "standard/train"
    split = "standard/test"
    slices = ("pose",)
    tables = sliced(*slices)

    @property
    def codes(self) -> tuple[str, ...]:
        """As the label files spell the actions, in alphabetical order."""
        return tuple(known_of(self.dataset).actions)

    def class_of(self, sequences: pa.Table) -> list[int | None]:
        """By the action's name."""
        spelled = self.spellings()
        return [spelled.get(action) for action in sequences["action"].to_pylist()]

    def spellings(self) -> Mapping[str, int]:
        """As the label files spell the actions, and as the README does."""
        pairs = enumerate(known_of(self.dataset).actions.items())
        return {name: number for number, spelled in pairs for name in spelled}
