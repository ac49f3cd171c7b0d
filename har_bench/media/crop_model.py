"""Models that see one crop for each person's box: everything but the network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from har_bench import devices
from har_bench.arrays import Bytes, Floats
from har_bench.media.batches import Sampler
from har_bench.media.boxes import Boxes, whole
from har_bench.media.crops import Crop, of_box
from har_bench.media.pixel_model import PixelModel
from har_bench.media.poses import Poses
from har_bench.media.samplers import Border
from har_bench.skeletons import skeleton

if TYPE_CHECKING:
    import torch


class Seen(NamedTuple):
    """What a network says of B crops, as NumPy arrays.

    Attributes:
        points: (B, J, 2) px of the crop.
        scores: (B, J) how sure it is of each point.
    """

    points: Floats
    scores: Floats


@dataclass
class CropModel(PixelModel):
    """A network on crops of one size."""

    size: ClassVar[tuple[int, int]] = (256, 256)
    """Width and height of the crop [px]."""
    margin: ClassVar[float] = 1.25
    """How much larger than the person's box it is."""
    border: ClassVar[Border] = "black"
    """What lies outside the image."""

    @abstractmethod
    def estimate(self, crops: torch.Tensor) -> Seen:
        """Points in crops (B, h, w, 3), RGB uint8, which may be in pinned memory or on the device already."""

    def crop(self, box: Floats) -> Crop:
        """The crop of a person's box (4,); with the crop's shape and some margin."""
        return of_box(box.tolist(), self.size, margin=self.margin)

    def look(self, images: Sequence[Bytes], boxes: Sequence[Boxes] | None) -> list[Poses]:
        """One crop for each box, in batches; points are mapped back, and sides exchanged where a crop was mirrored."""
        if boxes is None:
            return self.look(images, [whole(image) for image in images])
        owners = [image for image, each in zip(images, boxes, strict=True) for _ in each.box]
        crops = [self.crop(box) for each in boxes for box in each.box]
        points, scores = self._estimated(owners, crops)
        made, start = [], 0
        for each in boxes:
            part = slice(start, start + len(each.box))
            start = part.stop
            made.append(Poses(points[part], scores[part], scores[part].mean(axis=1), each.box))
        return made

    def _estimated(self, images: Sequence[Bytes], crops: Sequence[Crop]) -> tuple[Floats, Floats]:
        """(N, J, 2) points of the images [px] and (N, J) scores."""
        bones = skeleton(self.layout)
        points, scores = np.empty((len(crops), len(bones), 2)), np.empty((len(crops), len(bones)))
        for start in range(0, len(crops), self.batch):
            part = slice(start, start + self.batch)
            seen = self.estimate(self._sampler(images[part], crops[part], self.border))
            for row, crop in enumerate(crops[part]):
                order = bones.flip if crop.flipped else np.arange(len(bones))
                points[start + row] = crop.to_image(seen.points[row][order])
                scores[start + row] = seen.scores[row][order]
        return points, scores

    @cached_property
    def _sampler(self) -> Sampler:
        return Sampler(devices.chosen(self.device), workers=self.workers, on_device=self.crop_on_device)
