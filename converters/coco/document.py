"""COCO's annotation json, record by record: a large file in little memory, and one broken record spoils no other.

One pass over the bytes finds where the root's lists and their records lie; records are decoded in batches.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.arrays import kernel
from har_bench.errors import HarBenchError, completing
from har_bench.foreign import json_file, opening

BATCH = 512
"""Records decoded at once; larger batches leave the processor's caches, and wake the garbage collector too often."""

T = TypeVar("T")


class Batch(NamedTuple, Generic[T]):
    """Some consecutive records of a list.

    Attributes:
        rows: the 0-based places of ``records`` in the list.
        records: those that could be decoded.
        broken: place and defect of those that could not.
    """

    rows: Sequence[int]
    records: list[T]
    broken: list[tuple[int, str]]


class Document:
    """A json file whose root is an object of lists of objects; what is in it is decoded when it is asked for.

    Attributes:
        path: the file.
        members: the keys of the root whose values are lists or objects (none if the root is a list itself), and which
            of them each is.
    """

    def __init__(self, path: Path) -> None:
        """Index a ``.json``, ``.json.gz`` or ``.json.xz``.

        Raises:
            HarBenchError: the file cannot be read, or its brackets do not match: it is cut, damaged or no json.
        """
        self.path = path
        self._text = _content(path)
        text = np.frombuffer(self._text, np.uint8)
        places = np.empty(len(text) // 128 + 64, np.int64)
        count, stop = _brackets(text, places)
        if count > len(places):
            places = np.empty(count, np.int64)
            count, stop = _brackets(text, places)
        places = places[:count]
        if not count or stop < 0 or self._text[: int(places[0])].strip() or self._text[stop:].strip():
            raise HarBenchError(f"{path} is cut, damaged or no json; download it again")
        opening = np.isin(text[places], (ord("["), ord("{")))
        depth = np.cumsum(np.where(opening, 1, -1)) + ~opening
        self._spans = places[depth == 2].reshape(-1, 2)
        self._records = places[depth == 3].reshape(-1, 2)
        self.members = self._root(int(places[0]), stop)

    def _root(self, start: int, stop: int) -> dict[str, int]:
        """Which span each key of the root has, if its value is a list or an object; empty if the root is a list."""
        if self._text[start : start + 1] == b"[":
            return {}
        pieces, after = [], start
        for number, (first, last) in enumerate(self._spans.tolist()):
            pieces.append(self._text[after:first] + b'{"span":%d}' % number)
            after = last + 1
        root = b"".join([*pieces, self._text[after:stop]])
        try:
            members = msgspec.json.decode(root, type=dict[str, Any])
        except json_file.BROKEN as error:
            raise HarBenchError(f"{self.path} is cut, damaged or no json ({error}); download it again") from error
        return {key: value["span"] for key, value in members.items() if isinstance(value, dict)}

    def value(self, key: str, kind: type[T]) -> T:
        """The value of a key of the root.

        Raises:
            HarBenchError: it is not of this kind.
        """
        first, last = self._spans[self.members[key]].tolist()
        try:
            return msgspec.json.decode(self._text[first : last + 1], type=kind)
        except json_file.BROKEN as error:
            raise HarBenchError(f"{key!r} of {self.path} is not as COCO defines it ({error}); mend the file") from error

    def records(self, key: str, kind: type[T]) -> Iterator[Batch[T]]:
        """The objects of the list under a key of the root, in their order.

        Raises:
            HarBenchError: the value is no list.
        """
        first, last = self._spans[self.members[key]].tolist()
        if self._text[first : first + 1] + self._text[last : last + 1] != b"[]":
            raise HarBenchError(f"{key!r} of {self.path} is not a list, as COCO defines it; mend the file")
        spans = self._records[slice(*np.searchsorted(self._records[:, 0], (first, last)))]
        strays = self._strays(first, last, spans)
        if strays:
            yield Batch([], [], strays)
        text = memoryview(self._text)
        whole, single = msgspec.json.Decoder(list[kind]), msgspec.json.Decoder(kind)  # type: ignore[valid-type]
        for begin in range(0, len(spans), BATCH):
            some = spans[begin : begin + BATCH]
            rows = range(begin, begin + len(some))
            try:
                records = whole.decode(b"".join((b"[", text[int(some[0, 0]) : int(some[-1, 1]) + 1], b"]")))
            except json_file.BROKEN:
                yield self._one_by_one(rows, some.tolist(), single)
            else:
                yield Batch(rows, records, [])

    def _strays(self, first: int, last: int, spans: npt.NDArray[np.int64]) -> list[tuple[int, str]]:
        """What stands before a record, or behind the last one, and is not the comma that belongs there."""
        starts, stops = np.append(spans[:, 0], last), np.append(first, spans[:, 1]) + 1
        text = np.frombuffer(self._text, np.uint8)
        comma = (text[stops] == ord(",")) & (
            (starts - stops == 1) | ((starts - stops == 2) & (text[stops + 1] == ord(" ")))
        )
        comma[[0, -1]] = False
        found = []
        for row in np.flatnonzero(~comma).tolist():
            between = self._text[int(stops[row]) : int(starts[row])].strip()
            if between != (b"," if 0 < row < len(spans) else b""):
                found.append(
                    (row, f"before this place stands {between[:40]!r} instead of one comma between two objects")
                )
        return found

    def _one_by_one(self, rows: range, spans: list[list[int]], decoder: msgspec.json.Decoder[T]) -> Batch[T]:
        decoded: dict[int, T] = {}
        broken = []
        for row, (first, last) in zip(rows, spans, strict=True):
            try:
                decoded[row] = decoder.decode(self._text[first : last + 1])
            except json_file.BROKEN as error:
                broken.append((row, str(error)))
        return Batch(list(decoded), list(decoded.values()), broken)


def _content(path: Path) -> bytes | mmap.mmap:
    """A file's bytes, unpacked; a plain file is mapped and not read."""
    if path.suffix in (".gz", ".xz"):
        return json_file.text(path)
    with completing(path, "download it again"):
        opening.size_of(path)
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@kernel
def _brackets(text, places):  # type: ignore[no-untyped-def]
    """Where the brackets of the three outermost levels are.

    Args:
        text: (N,) bytes of a json.
        places: (M,) int64 that gets the brackets' places, as many as it can hold.

    Returns:
        How many there are, and where the root ends; -1 if it does not.
    """
    depth = count = at = 0
    while at < len(text):
        byte = text[at]
        at += 1
        if byte < 64 and byte != 34:  # digits, commas, blanks: most of the file
            continue
        if byte == 34:
            while at < len(text) and text[at] != 34:
                at += 2 if text[at] == 92 else 1
            at += 1
        elif byte in (91, 93, 123, 125):
            opening = byte in (91, 123)
            depth += opening
            if 0 < depth <= 3:
                if count < len(places):
                    places[count] = at - 1
                count += 1
            depth -= not opening
            if depth <= 0:
                return count, at if depth == 0 else -1
    return count, -1
