"""BlazePose on images: regions by its detector or out of given boxes, and the landmarks in them.

A given box is looked at as MediaPipe would: its detector searches the square around the box, and the person whose head
is in the box gets the region. Where it finds nobody the box itself is the region, and is refined by a second look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from har_bench.arrays import Bytes, Floats
from har_bench.media.batches import Sampler
from har_bench.media.boxes import Boxes
from har_bench.media.crops import Crop, around

from . import detector, landmarks
from .detector import Detections, Region
from .landmarks import Landmarks
from .runtimes import Networks

IN_BOX = 0.2
"""The least score of a detection inside a given box: that somebody is there is known."""
AROUND_BOX = 1.6
"""Sides of the square in which the detector searches, over the box's longer side."""
MASKED_BEYOND = 1.15
"""Times the box: what lies beyond it is blackened, so that a neighbour is not taken for the person."""
WIDENED = 1.25
"""A box's region over its longer side."""


@dataclass(frozen=True)
class Eyes:
    """Both networks and what samples their crops.

    Attributes:
        networks: on some runtime.
        sampler: cuts crops.
        passes: how often a region that was made of a box is looked at.
        mask: whether to blacken what lies beyond a given box.
    """

    networks: Networks
    sampler: Sampler
    passes: int = 2
    mask: bool = True

    def search(self, images: Sequence[Bytes], crops: Sequence[Crop], threshold: float) -> list[Detections]:
        """Persons in one crop of each image."""
        if not images:
            return []
        boxes, logits = self.networks.detect(self.sampler(images, crops, "black"))
        return [
            detector.detections(box, logit, crop, threshold)
            for box, logit, crop in zip(boxes, logits, crops, strict=True)
        ]

    def search_whole(self, images: Sequence[Bytes], threshold: float) -> list[Detections]:
        """Persons in each whole image."""
        return self.search(images, [detector.whole(image.shape[1], image.shape[0]) for image in images], threshold)

    def look(self, images: Sequence[Bytes], regions: Sequence[Region]) -> list[Landmarks]:
        """The landmarks in one region of each image."""
        if not images:
            return []
        crops = [region.crop(landmarks.SIDE) for region in regions]
        return landmarks.landmarks(*self.networks.look(self.sampler(images, crops, "edge")), regions)

    def in_boxes(self, images: Sequence[Bytes], boxes: Sequence[Boxes]) -> list[Landmarks]:
        """The person in one box of each image, whoever else is there; a rough box is looked at once, as it is."""
        exact = [row for row, each in enumerate(boxes) if not each.rough[0]]
        shown, regions = list(images), [_of_box(each.box[0]) for each in boxes]
        for row in exact if self.mask else []:
            shown[row] = masked(images[row], boxes[row].box[0])
        squares = [_square(boxes[row].box[0], AROUND_BOX, detector.SIDE) for row in exact]
        again = []
        for row, found in zip(exact, self.search([shown[row] for row in exact], squares, IN_BOX), strict=True):
            own = _own(found, boxes[row].box[0])
            regions[row] = own or regions[row]
            again += [] if own else [row]
        made = self.look(shown, regions)
        for _ in range(1, self.passes):
            again = [row for row in again if made[row].size >= landmarks.SMALLEST]
            second = self.look([shown[row] for row in again], [made[row].region for row in again])
            for row, each in zip(again, second, strict=True):
                made[row] = each
        return made


def masked(image: Bytes, box: Floats) -> Bytes:
    """A copy of the image that is black beyond the somewhat widened box."""
    x, y, width, height = box
    across, down = width * (MASKED_BEYOND - 1) / 2, height * (MASKED_BEYOND - 1) / 2
    rows = slice(max(0, round(y - down)), max(0, round(y + height + down)))
    columns = slice(max(0, round(x - across)), max(0, round(x + width + across)))
    made = np.zeros_like(image)
    made[rows, columns] = image[rows, columns]
    return made


def _square(box: Floats, times: float, size: int) -> Crop:
    side = times * float(box[2:].max())
    return around((float(box[0] + box[2] / 2), float(box[1] + box[3] / 2)), (side, side), (size, size))


def _of_box(box: Floats) -> Region:
    return Region(float(box[0] + box[2] / 2), float(box[1] + box[3] / 2), WIDENED * float(box[2:].max()), 0.0)


def _own(found: Detections, box: Floats) -> Region | None:
    """The region of the surest detection whose centre is in the box."""
    centres = found.box[:, :2] + found.box[:, 2:] / 2 - box[:2]
    inside = np.flatnonzero(((centres >= 0) & (centres <= box[2:])).all(axis=1))
    if not len(inside):
        return None
    points = found.points[inside[0]]
    return detector.region(points[detector.HIPS], points[detector.CIRCLE])
