"""The filters that steady a video: the one-euro filter (Casiez et al., CHI 2012) as MediaPipe sets it, and a low pass.

The filter of a person's points works in units of the person's size, so that a near person's points are not held more
still than a far one's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from har_bench.arrays import Floats


@dataclass
class OneEuro:
    """A low pass whose cutoff rises with speed: still points are held still, fast ones are followed.

    Attributes:
        least_cutoff: Hz, for a point at rest.
        beta: how much the cutoff rises with speed.
        speed_cutoff: Hz, of the low pass of the speed.
        previous: the last values as they were given; None before the first.
        filtered: the last values as they were handed out.
        speed: the smoothed speed.
    """

    least_cutoff: float
    beta: float
    speed_cutoff: float = 1.0
    previous: Floats | None = None
    filtered: Floats = field(default_factory=lambda: np.zeros(0))
    speed: Floats = field(default_factory=lambda: np.zeros(0))

    def __call__(self, values: Floats, seconds: float, scale: float = 1.0) -> Floats:
        """The next values, smoothed; the first ones pass.

        Args:
            values: any shape, always the same one.
            seconds: since the last ones.
            scale: what a speed is multiplied with: one over the object's size.
        """
        if self.previous is None:
            self.filtered, self.speed = values.copy(), np.zeros_like(values)
        else:
            speed = (values - self.previous) * scale / seconds
            self.speed = _mixed(speed, self.speed, _share(self.speed_cutoff, seconds))
            cutoff = self.least_cutoff + self.beta * np.abs(self.speed)
            self.filtered = _mixed(values, self.filtered, _share(cutoff, seconds))
        self.previous = values.copy()
        return self.filtered.copy()


@dataclass
class LowPass:
    """Keeps nine tenths of what it was.

    Attributes:
        filtered: the last values; None before the first, which pass.
    """

    share: float = 0.1
    filtered: Floats | None = None

    def __call__(self, values: Floats) -> Floats:
        """The next values, smoothed."""
        self.filtered = values.copy() if self.filtered is None else _mixed(values, self.filtered, self.share)
        return self.filtered.copy()


def _mixed(new: Floats, old: Floats, share: float | Floats) -> Floats:
    made: Floats = share * new + (1 - share) * old
    return made


def _share(cutoff: float | Floats, seconds: float) -> float | Floats:
    """How much of a new value a low pass takes, by its cutoff [Hz]."""
    return 1 / (1 + 1 / (seconds * 2 * math.pi * cutoff))


def plain(state: dict[str, Any]) -> dict[str, Any]:
    """A filter's fields as json can hold them, to the last digit."""
    return {name: _plain(each) for name, each in state.items()}


def restored(state: dict[str, Any]) -> dict[str, Any]:
    """The fields that :func:`plain` made plain."""
    return {name: np.array(each, np.float64) if isinstance(each, list) else each for name, each in state.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return plain(value)
    return value.tolist() if isinstance(value, np.ndarray) else value
