"""Object keypoint similarities on a torch device, for all pairs of many images at a time, in double precision.

One pair costs J exponentials on the device and 16 J bytes of its detection's transfer, so the more joints and the more
persons per image, the better it pays: for 17 joints little (the matching, which stays where it is, takes as long as the
similarities), for the 133 joints of COCO-WholeBody more.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from har_bench.arrays import Floats, Ints

from .similarity import EPSILON, Detections, Persons

TERMS = 1 << 20
"""Terms of similarities on the device at a time (8 MiB), each of a few arrays."""


def pair_similarities(
    persons: Persons, detections: Detections, starts: Ints, rows: Ints, sigmas: Floats, device: str
) -> Floats:
    """(P,) the similarity of each chosen detection with each person of its image, as ``similarities`` defines it.

    Args:
        persons: of S images.
        detections: of the same images.
        starts: (S + 1,) offsets of the images in ``rows``.
        rows: (K,) the chosen detections, image by image.
        sigmas: (J,) the standard deviations of the joints.
        device: as torch names it, such as ``cuda``.

    Returns:
        Pairs image by image, detection by detection, person by person.
    """

    def held(values: npt.NDArray[Any]) -> Tensor:
        return torch.tensor(values, device=device)

    images = held(persons.starts)
    image = torch.repeat_interleave(held(starts).diff())
    people = images.diff()[image]  # with each chosen detection
    chosen = torch.repeat_interleave(people)
    ends = people.cumsum(0)
    first = images[image] - (ends - people)
    who = torch.arange(len(chosen), device=device) + first[chosen]

    points, truth, labelled = held(detections.keypoints[rows]), held(persons.keypoints), held(persons.labelled)
    size = held(persons.area) + EPSILON
    low, high = held(persons.bbox).view(-1, 2, 2).unbind(1)
    low, high = (low - high)[:, None], (low + high * 2)[:, None]
    nobody = ~labelled.any(1)
    counts = torch.where(nobody, len(sigmas), labelled.sum(1))
    counted, variances = labelled | nobody[:, None], (2 * held(sigmas)) ** 2
    step = max(1, TERMS // len(sigmas))
    found = [truth.new_zeros(0)]
    for begin in range(0, len(chosen), step):
        person, place = who[begin : begin + step], points[chosen[begin : begin + step]]
        away = place - truth[person]
        alone = torch.nonzero(nobody[person]).flatten()  # the distance is to the person's enlarged box
        to, at = person[alone], place[alone]
        away[alone] = (low[to] - at).clamp(min=0) + (at - high[to]).clamp(min=0)
        x, y = away.unbind(-1)
        terms = (-((x * x + y * y) / variances / size[person, None] / 2)).exp()
        found.append(torch.where(counted[person], terms, 0.0).sum(1) / counts[person])
    return torch.cat(found).cpu().numpy()  # type: ignore[no-any-return, unused-ignore]
