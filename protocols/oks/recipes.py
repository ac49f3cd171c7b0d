"""The published ways of scoring keypoints by object keypoint similarity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from har_bench.protocol import Recipe

ALL, MEDIUM, LARGE = (0.0, 1e10), (32.0**2, 96.0**2), (96.0**2, 1e10)


@dataclass(frozen=True)
class OKSRecipe(Recipe):
    """One tool's way of scoring keypoints.

    Attributes:
        layout: the joints whose sigmas count where neither the store nor the user has others.
        areas: the ranges of areas, px^2, both ends inside, by the suffix of their AP and AR; the first is everybody.
        box_area: what share of the box a person's area is; None takes the annotated area.
        max_detections: how many of an image count, the highest scores first.
        seen_only: whether a detection without any positive keypoint score is left out.
        crowding: bounds of ``crowd_index`` between the images of AP_easy, AP_medium and AP_hard, where told apart.
        parts: which joints the parts are that can be scored alone, the first and last ahead; the first one is default.
        recount: whether a person counts by the labelled joints of the part, and not by ``num_keypoints``.
        extent: how many joints, from the first on, the area of a detection without box is the extent of; None: all.
    """

    layout: str = "coco17"
    areas: Mapping[str, tuple[float, float]] = field(default_factory=lambda: {"": ALL, "m": MEDIUM, "l": LARGE})
    box_area: float | None = None
    max_detections: int = 20
    seen_only: bool = False
    crowding: tuple[float, float] | None = None
    parts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    recount: bool = False
    extent: int | None = None


def _in_turn(whole: str, sizes: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """The first joint of each part and the one behind its last; the whole is a part too."""
    ends = list(accumulate(sizes.values(), initial=0))
    return {whole: (0, ends[-1]), **dict(zip(sizes, pairwise(ends), strict=True))}


RECIPES = (
    OKSRecipe(
        name="official",
        about="COCO: annotated areas, medium and large persons apart, the 20 best detections of an image",
        oracle="pycocotools 2.0.11, COCOeval(iouType='keypoints')",
        cite="Lin et al., ECCV 2014",
    ),
    OKSRecipe(
        name="crowdpose",
        about="CrowdPose: a person's area is 0.53 of the box; easy, medium and hard images by their crowding",
        oracle="xtcocotools 1.14.3, COCOeval(iouType='keypoints_crowd', use_area=False)",
        cite="Li et al., CVPR 2019",
        layout="crowdpose14",
        areas={"": ALL},
        box_area=0.53,
        seen_only=True,
        crowding=(0.1, 0.8),
    ),
    OKSRecipe(
        name="wholebody",
        about="COCO-WholeBody: 133 joints, or one part of them; a person counts if a joint of the part is labelled",
        oracle="xtcocotools 1.14.3, COCOeval(iouType='keypoints_wholebody', or _body, _foot, _face, _lefthand …)",
        cite="Jin et al., ECCV 2020",
        layout="coco-wholebody133",
        seen_only=True,
        parts=_in_turn("wholebody", {"body": 17, "foot": 6, "face": 68, "lefthand": 21, "righthand": 21}),
        recount=True,
        extent=17,
    ),
)
