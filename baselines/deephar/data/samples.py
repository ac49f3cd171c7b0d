"""Samples: people in pictures, and the crops with poses and actions that networks learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from har_bench.arrays import Bytes, Floats, Ints, Singles
from har_bench.errors import HarBenchError
from har_bench.media.crops import Crop
from har_bench.media.of_store import Shot
from har_bench.media.samplers import pillow_rotate_crop

from .augmentation import PLAIN, Variation, coloured
from .boxes import DEPTH_MM, Rule, Window, inside, of_box, union

ABSENT = -1e9
"""What a coordinate that nobody knows is, as the losses take it."""
NO_ACTION = -1


@dataclass(frozen=True)
class Sample:
    """A person in a picture, or in those of a sequence.

    Attributes:
        pictures: where each frame's is: a file, or a store's.
        points: (T, J, 2) px, or (T, J, 3) px, px, mm before the camera; NaN where absent.
        rule: what part of the pictures is looked at.
        action: its class, from 0; -1 where there is none.
        boxes: (T, 4) x, y, w, h [px] of somebody's, which are then looked at; NaN where a frame has none.
    """

    pictures: tuple[Path | Shot, ...]
    points: Floats
    rule: Rule
    action: int = NO_ACTION
    boxes: Floats | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    def window(self, frames: Ints, scale: float = 1.0) -> Window:
        """What is looked at in a clip of it.

        Raises:
            HarBenchError: it has neither joints nor a box.
        """
        if self.boxes is None:
            seen = np.isfinite(self.points[frames]).any()
            return self.rule(self.points[frames] if seen else self.points, scale)
        there = self.boxes[frames][np.isfinite(self.boxes[frames]).all(axis=1)]
        if not len(there):
            raise HarBenchError(f"{self.pictures[0]} and what follows have no box; detect them again")
        return of_box(union(there), scale)


class Item(NamedTuple):
    """What a network sees and should say.

    Attributes:
        pixels: (T, h, w, 3) from -1 to 1.
        pose: (T, J, D + 1) from 0 to 1 in the crop, and 1 for joints in it, else 0; -1e9 where a coordinate is unknown.
        action: its class, or -1.
        crop: the map to the crop's pixels.
    """

    pixels: Singles
    pose: Floats
    action: int
    crop: Crop


class Target(NamedTuple):
    """The joints a network gives.

    Attributes:
        flip: (J,) the joint on the other side of each.
        dims: 2 or 3 numbers a joint.
        size: (width, height) of its pictures [px].
    """

    flip: Ints
    dims: int
    size: tuple[int, int]

    @property
    def joints(self) -> int:
        """How many."""
        return len(self.flip)


def item(sample: Sample, pictures: Sequence[Bytes], frames: Ints, target: Target, variation: Variation = PLAIN) -> Item:
    """Cut a clip out of its pictures, and map its points.

    Args:
        sample: what is known of it.
        pictures: (H, W, 3) RGB of each of ``frames``.
        frames: (T,) which of the sample's frames.
        target: the network's joints and pictures.
        variation: how the crop is made.
    """
    points = sample.points[frames]
    window = sample.window(frames, variation.scale).moved(variation.shift)
    cut, crop = [], None
    for picture in pictures:
        pixels, crop = pillow_rotate_crop(
            picture, window.centre, window.sides, target.size, degrees=variation.degrees, flip=variation.flip
        )
        cut.append(pixels)
    assert crop is not None  # noqa: S101 - a clip has a frame
    return Item(as_input(np.stack(cut), variation), posed(points, crop, target, variation.scale), sample.action, crop)


def as_input(pixels: Bytes, variation: Variation = PLAIN) -> Singles:
    """Grey levels as networks see them: (..., 3) from -1 to 1."""
    values: Singles = pixels.astype(np.float32) / np.float32(255)
    return (coloured(values, variation.power) - np.float32(0.5)) * np.float32(2)


def posed(points: Floats, crop: Crop, target: Target, scale: float = 1.0) -> Floats:
    """Points of pictures as a network's pose, see :class:`Item`.

    Args:
        points: (T, J, 2 or 3) as those of a sample; joint 0 is the root, about which depths are told. Joints that the
            target has besides are absent.
        crop: of the pictures.
        target: the joints.
        scale: of the window, and of what z from 0 to 1 stands for.
    """
    made = np.full((len(points), target.joints, target.dims + 1), ABSENT)
    known = slice(min(points.shape[1], target.joints))
    order = target.flip if crop.flipped else np.arange(target.joints)
    made[:, known, :2] = np.nan_to_num(crop.to_crop(points[:, known, :2]) / target.size, nan=ABSENT)
    if target.dims > 2 and points.shape[2] > 2:
        made[:, known, 2] = _depths(points[:, known, 2], scale)
    made = made[:, order]
    seen = inside(made)
    made[..., -1] = seen
    made[..., :-1][~seen] = ABSENT
    return made


def _depths(depths: Floats, scale: float) -> Floats:
    """(T, J) mm -> about the root of the first frame, from 0 to 1 for a metre before to a metre behind it."""
    z: Floats = (depths - depths[0, 0]) / (2 * DEPTH_MM * scale) + 0.5
    return np.nan_to_num(z, nan=ABSENT)
