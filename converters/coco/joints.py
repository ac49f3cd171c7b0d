"""The joints of annotations as columns of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from har_bench.arrays import Bools, Floats, Ints
from har_bench.foreign.json_numbers import numbers
from har_bench.schema import vector

from .layout import WHOLEBODY, Layout
from .mending import Odd
from .points import points
from .records import PARTS, Annotation, WholeBody
from .rejects import RejectLog

SIZES = np.array((17, 6, 68, 21, 21))
"""How many joints the fields of PARTS have."""

PAIRS = "joints have no v; they are visible in the store, and absent at (0, 0)"
PLACED = "joints with v = 0 have coordinates; they are unlabelled, and absent in the store"
UNKNOWN = "joints have a number that is null or not finite; they are absent in the store"
UNGRADED = "v of a joint is none of 0, 1, 2; it is visible from 2 on, occluded above 0, else absent"
TEXTS = "numbers are written as texts or flags; read as numbers"
ABSENT = "it is null or empty; its joints are absent"


class Joints:
    """Makes columns of the joints of one layout, and says what was odd about them."""

    def __init__(self, layout: Layout, log: RejectLog) -> None:
        self.layout = layout
        self.count = len(layout.joints) if layout.joints else 0
        self.log = log

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
        wrong = (lengths != 0) & (lengths != self.layout.width * self.count)
        if wrong.any():
            rows, records, flat, lengths = self._fitting(rows, records, flat, lengths, wrong)
        if self.layout.width == 2:
            flat, lengths = self._seen(rows, flat, lengths)
        given = lengths > 0
        values = np.zeros((len(records), self.count, 3))
        values[given] = flat.reshape(-1, self.count, 3)
        return rows, records, self._columns(rows, values, given)

    def _numbers(
        self, rows: Sequence[int], records: Sequence[Any]
    ) -> tuple[Sequence[int], Sequence[Any], Floats, Ints]:
        """The values of the annotations' joints, three by three, and how many each has; without the broken ones."""
        parts = PARTS if self.layout.parts else PARTS[:1]
        texts = [getattr(record, part) for record in records for part in parts]
        try:
            flat, lengths = numbers(texts)
        except msgspec.DecodeError:
            read = [self._read(row, record, parts) for row, record in zip(rows, records, strict=True)]
            kept = [at for at, lists in enumerate(read) if lists is not None]
            rows, records = [rows[at] for at in kept], [records[at] for at in kept]
            lists = [one for found in read if found is not None for one in found]
            flat = np.concatenate([*lists, np.zeros(0)])
            lengths = np.array([len(one) for one in lists], np.int64)
        lengths = lengths.reshape(-1, len(parts))
        if self.layout.parts:
            flat, lengths = self._completed(rows, flat, lengths)
        return rows, records, flat, lengths.sum(axis=1)

    def _read(self, row: int, record: Any, parts: Sequence[str]) -> list[Floats] | None:
        """The values of an annotation's joints, list by list; None if they cannot be read, which is logged."""
        found = []
        for part in parts:
            text = getattr(record, part)
            try:
                found.append(numbers([text])[0])
                continue
            except msgspec.DecodeError:
                pass
            try:
                given = points(text)
            except Odd as error:
                self.log.dropped(f"annotations[{row}].{part}", str(error))
                return None
            if given.texts:
                self.log.mended("annotations", row, part, TEXTS)
            found.append(np.array(given.values, float))
        return found

    def _completed(self, rows: Sequence[int], flat: Floats, lengths: Ints) -> tuple[Floats, Ints]:
        """(N, 5) lengths in which no part lacks that others of the annotation have; it is filled with absent joints."""
        lacking = (lengths == 0) & ((lengths == 0) | (lengths == 3 * SIZES)).all(axis=1, keepdims=True)
        lacking &= lengths.any(axis=1, keepdims=True)
        if not lacking.any():
            return flat, lengths
        for at, part in np.argwhere(lacking).tolist():
            self.log.mended("annotations", rows[at], PARTS[part], ABSENT)
        whole = np.where(lacking, 3 * SIZES, lengths)
        filled = np.zeros(whole.sum())
        filled[np.repeat(~lacking.ravel(), whole.ravel())] = flat
        return filled, whole

    def _fitting(
        self, rows: Sequence[int], records: Sequence[Any], flat: Floats, lengths: Ints, wrong: Bools
    ) -> tuple[Sequence[int], Sequence[Any], Floats, Ints]:
        """The annotations that do not have a wrong number of values, and their values."""
        for at in np.flatnonzero(wrong).tolist():
            expected = f"{self.count} joints have {self.layout.width * self.count}"
            self.log.dropped(f"annotations[{rows[at]}].keypoints", f"{lengths[at]} values for its joints; {expected}")
        kept = np.flatnonzero(~wrong).tolist()
        rows, records = [rows[at] for at in kept], [records[at] for at in kept]
        return rows, records, flat[np.repeat(~wrong, lengths)], lengths[kept]

    def _seen(self, rows: Sequence[int], flat: Floats, lengths: Ints) -> tuple[Floats, Ints]:
        """Values three by three of values two by two: whatever has a place is visible."""
        for at in np.flatnonzero(lengths).tolist():
            self.log.mended("annotations", rows[at], "keypoints", PAIRS)
        places = flat.reshape(-1, 2)
        seen = np.where(places.any(axis=1), 2.0, 0.0)  # NaN counts as any
        return np.column_stack([places, seen]).ravel(), lengths // 2 * 3

    def _columns(self, rows: Sequence[int], values: Floats, given: Bools) -> dict[str, Any]:
        """The columns of (N, J, 3) values, of which the rows that are not ``given`` are null."""
        x, y, v = values[..., 0], values[..., 1], values[..., 2]
        finite = np.isfinite(x) & np.isfinite(y) & np.isfinite(v)
        labelled = finite & (v > 0)
        self._note(rows, finite & ~labelled & ((x != 0) | (y != 0)), PLACED)
        self._note(rows, ~finite, UNKNOWN)
        columns = {
            "keypoints": vector(np.where(labelled[..., None], values[..., :2], np.nan), mask=~given),
            "visibility": vector(np.where(labelled, np.where(v < 2, 1, 2), 0).astype(np.uint8), mask=~given),
        }
        if self.layout.graded:
            columns["v"] = vector(v, mask=~given)
        else:
            self._note(rows, finite & (v != 0) & (v != 1) & (v != 2), UNGRADED)
        return columns

    def _note(self, rows: Sequence[int], odd: Bools, what: str) -> None:
        for at in np.flatnonzero(odd.any(axis=1)).tolist():
            self.log.mended("annotations", rows[at], "keypoints", what)
