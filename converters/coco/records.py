"""The records of a file in COCO's format: what an image and an annotation may hold, and the joints of annotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.converter import Reject
from har_bench.foreign.json_numbers import numbers
from har_bench.schema import vector

from .layout import WHOLEBODY, Layout

BOXES = ("face_box", "lefthand_box", "righthand_box")
VALID = ("foot_valid", "face_valid", "lefthand_valid", "righthand_valid")
PARTS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
"""Fields of COCO-WholeBody; those of PARTS hold the joints in the order of the layout."""

_Id = Annotated[int, msgspec.Meta(ge=-(1 << 62), le=1 << 62)]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]
_Flag = Annotated[int, msgspec.Meta(ge=0, le=1)] | bool
_Text = str | int | float  # exporters write 0 where they know nothing
_NULL = msgspec.Raw(b"null")
_Box = tuple[float, float, float, float]


def fields(kind: type[msgspec.Struct], records: Sequence[msgspec.Struct]) -> dict[str, Sequence[Any]]:
    """Records as columns, by the names of their fields."""
    columns = zip(*map(msgspec.structs.astuple, records), strict=True)
    return (
        dict(zip(kind.__struct_fields__, columns, strict=True))
        if records
        else dict.fromkeys(kind.__struct_fields__, ())
    )


class License(msgspec.Struct):
    """One of ``licenses``."""

    id: _Id | None = None
    name: str | None = None
    url: str | None = None


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

    id: _Id
    image_id: _Id
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


@dataclass
class RejectLog:
    """Broken records of one annotation file, in the order in which they were met."""

    source: str
    entries: list[Reject] = field(default_factory=list)

    def dropped(self, locator: str, reason: str) -> None:
        """A record is not in the store."""
        self.entries.append(Reject(self.source, locator, reason, "dropped"))

    def repaired(self, locator: str, reason: str) -> None:
        """A record is in the store, mended."""
        self.entries.append(Reject(self.source, locator, reason, "repaired"))


class Joints:
    """Makes columns of the joints of one layout, and remembers what was odd about them in the whole file."""

    def __init__(self, layout: Layout, log: RejectLog) -> None:
        self.layout = layout
        self.count = len(layout.joints) if layout.joints else 0
        self.log = log
        self.placed: list[int] = []
        self.ungraded: list[int] = []

    @property
    def kind(self) -> type[Annotation]:
        """What the annotations are decoded as."""
        return WholeBody if self.layout.joints and self.layout.joints.name == WHOLEBODY else Annotation

    def columns(
        self, rows: Sequence[int], records: Sequence[Any]
    ) -> tuple[Sequence[int], Sequence[Any], dict[str, Any]]:
        """The joints of some annotations; null where one has none.

        Args:
            rows: (N,) the annotations' places in the file.
            records: (N,) the annotations.

        Returns:
            Places, annotations and columns, without the annotations whose joints are not as many as the layout's.
        """
        if not self.layout.joints:
            return rows, records, {}
        rows, records, flat, lengths = self._numbers(rows, records)
        wrong = (lengths != 3 * self.count) & (lengths > 0)
        if wrong.any():
            for at in np.flatnonzero(wrong).tolist():
                reason = f"{lengths[at]} values for its joints; {self.count} joints have {3 * self.count}"
                self.log.dropped(f"annotations[{rows[at]}].keypoints", reason)
            kept = np.flatnonzero(~wrong).tolist()
            rows, records = [rows[at] for at in kept], [records[at] for at in kept]
            flat, lengths = flat[np.repeat(~wrong, lengths)], lengths[kept]
        given = lengths > 0
        values = np.zeros((len(records), self.count, 3))
        values[given] = flat.reshape(-1, self.count, 3)
        return rows, records, self._columns(rows, values, given)

    def _numbers(
        self, rows: Sequence[int], records: Sequence[Any]
    ) -> tuple[Sequence[int], Sequence[Any], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """The values of the annotations' joints, three by three, and how many each has; without the broken ones."""
        parts = PARTS if self.layout.parts else PARTS[:1]
        try:
            flat, lengths = numbers([getattr(record, part) for record in records for part in parts])
        except msgspec.DecodeError:
            kept = [at for at, record in enumerate(records) if not self._broken(rows[at], record, parts)]
            return self._numbers([rows[at] for at in kept], [records[at] for at in kept])
        return rows, records, flat, lengths.reshape(-1, len(parts)).sum(axis=1)

    def _broken(self, row: int, record: Any, parts: Sequence[str]) -> bool:
        """Whether an annotation's joints are no numbers; then it is logged."""
        for part in parts:
            try:
                numbers([getattr(record, part)])
            except msgspec.DecodeError as error:
                what, _, where = str(error).partition(" - at `$")
                self.log.dropped(f"annotations[{row}]", f"{what} - at `$.{part}{where or '`'}")
                return True
        return False

    def _columns(
        self, rows: Sequence[int], values: npt.NDArray[np.float64], given: npt.NDArray[np.bool_]
    ) -> dict[str, Any]:
        x, y, v = values[..., 0], values[..., 1], values[..., 2]
        labelled = v > 0
        self._note(self.placed, rows, ((x != 0) | (y != 0)) & ~labelled)
        columns = {
            "keypoints": vector(np.where(labelled[..., None], values[..., :2], np.nan), mask=~given),
            "visibility": vector(np.where(labelled, np.where(v < 2, 1, 2), 0).astype(np.uint8), mask=~given),
        }
        if self.layout.graded:
            columns["v"] = vector(v, mask=~given)
        else:
            self._note(self.ungraded, rows, (v != 0) & (v != 1) & (v != 2))
        return columns

    @staticmethod
    def _note(noted: list[int], rows: Sequence[int], odd: npt.NDArray[np.bool_]) -> None:
        noted += [rows[at] for at in np.flatnonzero(odd.any(axis=1)).tolist()]

    def report(self) -> None:
        """Log what was odd, once for the file."""
        for rows, reason in (
            (self.placed, "joints with v = 0 have coordinates; they are unlabelled, and absent in the store"),
            (self.ungraded, "v of a joint is none of 0, 1, 2; it is visible from 2 on, occluded above 0, else absent"),
        ):
            if rows:
                more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
                self.log.repaired(f"annotations[{rows[0]}].keypoints{more}", reason)


def boxes(values: Sequence[_Box | None]) -> pa.Array:
    """(N, 4) boxes, null where there is none."""
    absent = np.array([value is None for value in values], bool)
    found = np.zeros((len(values), 4))
    flat = chain.from_iterable(filter(None, values))
    found[~absent] = np.fromiter(flat, np.float64, 4 * (~absent).sum()).reshape(-1, 4)
    return vector(found, mask=absent)
