"""What a model must do so that `har-bench classify` can show it films."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from har_bench.arrays import Bytes, Floats
from har_bench.baseline import Baseline


class Acts(NamedTuple):
    """What a model says of N clips.

    Attributes:
        scores: (N, C) probabilities of the classes.
        boxes: (N, 4) x, y, w, h [px] of whom it looked at.
    """

    scores: Floats
    boxes: Floats


class Actor(Baseline):
    """A model that tells the actions of clips of pictures."""

    @property
    @abstractmethod
    def labels_of(self) -> str:
        """The protocol whose classes it tells apart, such as ``penn_action/accuracy``; empty where it does not know."""

    @abstractmethod
    def clip(self) -> tuple[int, int]:
        """How many frames it sees of a clip, and one in how many of the film.

        Raises:
            HarBenchError: its weights tell no actions.
        """

    @abstractmethod
    def act(self, clips: Sequence[Sequence[Bytes]]) -> Acts:
        """The actions of some clips, of pictures (H, W, 3) each."""
