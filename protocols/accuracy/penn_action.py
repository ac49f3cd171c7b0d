"""Accuracy on Penn Action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pyarrow as pa

from .protocol import Accuracy, AccuracyRecipe, deephar, recipes, sliced

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
    recipes: ClassVar[Mapping[str, AccuracyRecipe]] = recipes(
        deephar("deephar", 32, 1, "Luvizon et al., CVPR 2018 (clips of 16 frames, every 2nd)"),
        deephar("deephar-tpami", 48, 1, "Luvizon et al., TPAMI 2020 (clips of 8 frames, every 6th)"),
    )
    truth_columns = ("action", "n_frames", "pose")
    train_split = "standard/train"
    split = "standard/test"
    codes = tuple(PENN_ACTIONS)
    slices = ("pose",)
    tables = sliced(*slices)

    def class_of(self, sequences: pa.Table) -> list[int | None]:
        """By the action's name."""
        spelled = self.spellings()
        return [spelled.get(action) for action in sequences["action"].to_pylist()]

    def spellings(self) -> Mapping[str, int]:
        """Both spellings of the dataset."""
        pairs = enumerate(PENN_ACTIONS.items())
        return {name: number for number, spelled in pairs for name in spelled}
