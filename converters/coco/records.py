"""The records of a file in COCO's format: what an image and an annotation may hold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa

from har_bench.schema import vector

from .mending import LIMIT

BOXES = ("face_box", "lefthand_box", "righthand_box")
VALID = ("foot_valid", "face_valid", "lefthand_valid", "righthand_valid")
PARTS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
"""Fields of COCO-WholeBody; those of PARTS hold the joints in the order of the layout."""

_Id = Annotated[int, msgspec.Meta(ge=-LIMIT, le=LIMIT)]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]
_Flag = Annotated[int, msgspec.Meta(ge=0, le=1)]
_Text = str | int | float  # exporters write 0 where they know nothing
_NULL = msgspec.Raw(b"null")
_Box = tuple[float, float, float, float]


class Image(msgspec.Struct, gc=False):
    """One of ``images``."""

    id: _Id
    file_name: Annotated[str, msgspec.Meta(min_length=1)]
    width: _Count | None = None
    height: _Count | None = None
    license: _Id | None = None
    coco_url: _Text | None = None
    flickr_url: _Text | None = None
    date_captured: _Text | None = None
    crowdIndex: float | None = None  # noqa: N815 - CrowdPose's spelling


class Annotation(msgspec.Struct, gc=False):
    """One of ``annotations``; pixels are 0-based."""

    image_id: _Id
    id: _Id | None = None
    category_id: _Id | None = None
    bbox: _Box | None = None
    keypoints: msgspec.Raw = _NULL
    num_keypoints: _Count | None = None
    area: float | None = None
    iscrowd: _Flag | None = None
    ignore: _Flag | None = None
    segmentation: msgspec.Raw = _NULL


class WholeBody(Annotation, gc=False):
    """One of COCO-WholeBody's ``annotations``."""

    foot_kpts: msgspec.Raw = _NULL
    face_kpts: msgspec.Raw = _NULL
    lefthand_kpts: msgspec.Raw = _NULL
    righthand_kpts: msgspec.Raw = _NULL
    face_box: _Box | None = None
    lefthand_box: _Box | None = None
    righthand_box: _Box | None = None
    foot_valid: bool | None = None
    face_valid: bool | None = None
    lefthand_valid: bool | None = None
    righthand_valid: bool | None = None


def fields(kind: type[msgspec.Struct], records: Sequence[msgspec.Struct]) -> dict[str, Sequence[Any]]:
    """Records as columns, by the names of their fields."""
    columns = zip(*map(msgspec.structs.astuple, records), strict=True)
    return (
        dict(zip(kind.__struct_fields__, columns, strict=True))
        if records
        else dict.fromkeys(kind.__struct_fields__, ())
    )


def boxes(values: Sequence[_Box | None]) -> pa.Array:
    """(N, 4) boxes, null where there is none."""
    absent = np.array([value is None for value in values], bool)
    found = np.zeros((len(values), 4))
    flat = chain.from_iterable(filter(None, values))
    found[~absent] = np.fromiter(flat, np.float64, 4 * (~absent).sum()).reshape(-1, 4)
    return vector(found, mask=absent)
