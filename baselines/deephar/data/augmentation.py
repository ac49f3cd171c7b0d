"""How the original varies its training pictures: lists of values of which one is drawn, for each of its datasets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from har_bench.arrays import Singles


class Variation(NamedTuple):
    """How one crop is made.

    Attributes:
        degrees: by which the picture is turned, counter-clockwise.
        scale: how much larger the window is.
        shift: of the window, in its units.
        flip: whether it is mirrored.
        power: of each channel's values from 0 to 1.
    """

    degrees: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    flip: bool = False
    power: tuple[float, float, float] = (1.0, 1.0, 1.0)


PLAIN = Variation()
"""What is seen in evaluation."""

POWERS = tuple(round(0.90 + 0.02 * step, 2) for step in range(11))


@dataclass(frozen=True)
class Augmentation:
    """What may be drawn; a clip is varied as one.

    Attributes:
        angles: [degrees].
        scales: of the window.
        across: shifts to the right.
        down: shifts downwards.
        flips: whether mirrored.
        powers: of each channel.
        steps: of a clip: one frame in so many.
        step: the one for evaluation.
    """

    angles: tuple[float, ...] = (0.0,)
    scales: tuple[float, ...] = (1.0,)
    across: tuple[float, ...] = (0.0,)
    down: tuple[float, ...] = (0.0,)
    flips: tuple[bool, ...] = (False, True)
    powers: tuple[float, ...] = POWERS
    steps: tuple[int, ...] = (1,)
    step: int = 1

    def draw(self, random: np.random.Generator) -> Variation:
        """One variation."""
        degrees, scale, x, y, flip = (
            float(random.choice(values)) for values in (self.angles, self.scales, self.across, self.down, self.flips)
        )
        red, green, blue = (float(random.choice(self.powers)) for _ in range(3))
        return Variation(degrees, scale, (x, y), bool(flip), (red, green, blue))

    def drawn_step(self, random: np.random.Generator) -> int:
        """One step of a clip."""
        return int(random.choice(self.steps))


NONE = Augmentation(flips=(False,), powers=(1.0,))


def _every(step: int, most: int) -> tuple[float, ...]:
    """From -``most`` to ``most``."""
    return tuple(map(float, range(-most, most + 1, step)))


AUGMENTATIONS: Mapping[str, Augmentation] = MappingProxyType(
    {
        "mpii": Augmentation(angles=_every(5, 40), scales=(0.7, 1.0, 1.3)),
        "h36m": Augmentation(_every(5, 10), (0.8, 1.0, 1.2), _every(5, 20), _every(1, 4)),
        "penn": Augmentation(_every(5, 40), (0.7, 1.0, 1.3, 2.0), _every(5, 40), _every(5, 10)),
        "penn-clips": Augmentation(
            _every(5, 30), (0.7, 1.0, 1.3), _every(5, 40), _every(5, 10), steps=(4, 6, 8), step=6
        ),
        "penn-merge": Augmentation(
            _every(5, 30), (0.7, 1.0, 1.3), _every(5, 40), _every(5, 10), steps=(1, 2, 3), step=2
        ),
        "ntu": Augmentation(_every(5, 10), (0.7, 1.0, 1.3, 2.0), _every(5, 40), _every(5, 10)),
        "ntu-clips": Augmentation(
            scales=(0.7, 1.0, 1.3), across=_every(5, 40), down=_every(5, 10), steps=(3, 4, 5), step=4
        ),
        "none": NONE,
    }
)
"""By name; frames of Penn Action and NTU are varied otherwise than their clips. The steps of penn-merge, the clips of
2018, are ours, about the one that they were evaluated with.

The original also draws a part of Human3.6M's pictures to hide, and then does not hide it; nothing is hidden here.
"""


def coloured(pixels: Singles, power: tuple[float, float, float]) -> Singles:
    """(..., 3) values from 0 to 1, each channel to its power."""
    return pixels if power == PLAIN.power else np.power(pixels, np.array(power, np.float32))
