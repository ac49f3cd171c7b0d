"""COCO's annotation json, record by record: a large file in little memory, and one broken record spoils no other.

One pass over the bytes finds where the root's lists and their records lie; records are decoded in batches.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.arrays import Bytes, Ints, kernel
from har_bench.errors import HarBenchError, completing
from har_bench.foreign import json_file, opening
from har_bench.foreign.json_file import BROKEN

from .readable import readable, unmarked, utf8, value

BATCH = 512
"""Records decoded at once; larger batches leave the processor's caches, and wake the garbage collector too often."""

PACKED = {
    b"PK\x03\x04": "zip archive",
    b"PK\x05\x06": "zip archive",
    b"\x1f\x8b": "gzip file",
    b"\xfd7zXZ\x00": "xz file",
    b"BZh": "bzip2 file",
    b"7z\xbc\xaf\x27\x1c": "7z archive",
    b"Rar!": "rar archive",
}
"""What a file is that begins with these bytes."""

TAR = b"ustar", 257
"""What a tar archive has, and where."""

_BLANKS = 1 << 20
"""No json has more of them ahead."""

_LETTERS, _QUOTES, _ONES, _SIGNS = (np.uint64(byte * 0x0101_0101_0101_0101) for byte in (0xC0, 0x22, 0x01, 0x80))
"""A byte in every place of a word: the bits that digits, commas and blanks have not, a quotation mark, 1, the sign."""

T = TypeVar("T")


class Batch(NamedTuple, Generic[T]):
    """Some consecutive records of a list.

    Attributes:
        rows: the 0-based places of ``records`` in the list.
        records: those that could be decoded, or mended.
        broken: place and defect of those that could not, unless a mender said so.
        found: how many there are, the broken ones too.
    """

    rows: Sequence[int]
    records: list[T]
    broken: list[tuple[int, str]]
    found: int


Mend = Callable[[int, bytes], T | None]
"""Makes a record of a text that could not be decoded, given its place; None if it cannot, and has said so."""


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
            HarBenchError: the file cannot be read, or its brackets do not match: it is cut, damaged or no json; or it
                is an archive.
        """
        self.path = path
        self._text = _content(path)
        text = np.frombuffer(self._text, np.uint8)
        places = np.empty(len(text) // 128 + 64, np.int64)
        words = np.frombuffer(self._text, np.uint64, len(text) // 8)
        count, stop = _brackets(text, words, places)
        if count > len(places):
            places = np.empty(count, np.int64)
            count, stop = _brackets(text, words, places)
        places = places[:count]
        self._refuse_others(int(places[0]) if count else len(text), stop)
        opening = np.isin(text[places], (ord("["), ord("{")))
        depth = np.cumsum(np.where(opening, 1, -1)) + ~opening
        self._spans = places[depth == 2].reshape(-1, 2)
        self._records = places[depth == 3].reshape(-1, 2)
        self.members = self._root(int(places[0]), stop)

    def _refuse_others(self, start: int, stop: int) -> None:
        """A text that does not begin with a bracket, or does not end with the one that closes it.

        Raises:
            HarBenchError: it is such a text.
        """
        before = unmarked(self._text[: min(start, _BLANKS)]).strip()
        if before:
            shown = before[:40].decode(errors="replace")
            raise HarBenchError(f"{self.path} is no json, it begins with {shown!r}; choose another file")
        if start == len(self._text):
            raise HarBenchError(f"{self.path} is empty; download it again")
        if stop < 0 or start > _BLANKS or self._text[stop:].strip():
            raise HarBenchError(f"{self.path} is cut, damaged or no json; download it again")

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
            members = value(root)
        except ValueError as error:
            raise HarBenchError(f"{self.path} is cut, damaged or no json ({error}); download it again") from error
        found = {key: span["span"] for key, span in members.items() if isinstance(span, dict)}
        if len(found) < len(self._spans):
            raise HarBenchError(f"{self.path} has a key twice, and which of both counts is not known; take one away")
        return found

    def lists(self, key: str) -> bool:
        """Whether there is anything in the list under a key of the root."""
        first, last = self._spans[self.members[key]].tolist()
        start, stop = np.searchsorted(self._records[:, 0], (first, last)).tolist()
        return bool(start < stop or self._text[first + 1 : last].strip())

    def value(self, key: str) -> Any:
        """The value of a key of the root; None if the key is absent, or has neither a list nor an object.

        Raises:
            HarBenchError: it is no json.
        """
        if key not in self.members:
            return None
        first, last = self._spans[self.members[key]].tolist()
        try:
            return value(self._text[first : last + 1])
        except ValueError as error:
            raise HarBenchError(f"{key!r} of {self.path} is no json ({error}); mend the file") from error

    def records(self, key: str, kind: type[T], mend: Mend[T] | None = None) -> Iterator[Batch[T]]:
        """The objects of the list under a key of the root, in their order.

        Args:
            key: of the root.
            kind: what they are decoded as.
            mend: is asked for each one that is not of that kind; without it, words that are not finite are mended.

        Raises:
            HarBenchError: the value is no list.
        """
        first, last = self._spans[self.members[key]].tolist()
        if self._text[first : first + 1] + self._text[last : last + 1] != b"[]":
            raise HarBenchError(f"{key!r} of {self.path} is not a list, as COCO defines it; mend the file")
        spans = self._records[slice(*np.searchsorted(self._records[:, 0], (first, last)))]
        strays = self._strays(first, last, spans)
        if strays:
            yield Batch([], [], strays, len(strays))
        text = memoryview(self._text)
        whole, single = msgspec.json.Decoder(list[kind]), msgspec.json.Decoder(kind)  # type: ignore[valid-type]
        for begin in range(0, len(spans), BATCH):
            some = spans[begin : begin + BATCH]
            rows = range(begin, begin + len(some))
            try:
                records = whole.decode(b"".join((b"[", text[int(some[0, 0]) : int(some[-1, 1]) + 1], b"]")))
            except BROKEN:
                yield self._one_by_one(rows, some.tolist(), single, mend)
            else:
                yield Batch(rows, records, [], len(some))

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

    def _one_by_one(
        self, rows: range, spans: list[list[int]], decoder: msgspec.json.Decoder[T], mend: Mend[T] | None
    ) -> Batch[T]:
        decoded: dict[int, T] = {}
        broken = []
        for row, (first, last) in zip(rows, spans, strict=True):
            text = self._text[first : last + 1]
            try:
                decoded[row] = decoder.decode(text)
            except BROKEN:
                try:
                    record = mend(row, text) if mend else decoder.decode(readable(text))
                except BROKEN as error:
                    broken.append((row, str(error)))
                else:
                    if record is not None:
                        decoded[row] = record
        return Batch(list(decoded), list(decoded.values()), broken, len(spans))


def _content(path: Path) -> bytes | mmap.mmap:
    """A file's bytes in UTF-8, unpacked; a plain file in UTF-8 is mapped and not read."""
    content = _bytes(path)
    what = next((what for mark, what in PACKED.items() if content[: len(mark)] == mark), None)
    if content[TAR[1] : TAR[1] + len(TAR[0])] == TAR[0]:
        what = "tar archive"
    if what:
        raise HarBenchError(f"{path} is a {what} and no json; unpack it, and convert what comes out")
    return utf8(path, content)


def _bytes(path: Path) -> bytes | mmap.mmap:
    """A file's bytes, unpacked; a plain file is mapped and not read."""
    if path.suffix in (".gz", ".xz"):
        return json_file.text(path, counted=False)
    with completing(path, "download it again"):
        opening.size_of(path)
        with opening.opened(path) as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@kernel
def _behind_numbers(words: npt.NDArray[np.uint64], at: int) -> int:
    """From ``at`` on, the first place whose word holds a letter, a bracket or a quotation mark, or that begins none."""
    while at & 7 == 0 and at >> 3 < len(words):
        word = words[at >> 3]
        quoted = word ^ _QUOTES  # a byte of it is 0 where there is one, and so borrows from the bit above it
        if word & _LETTERS or (quoted - _ONES) & ~quoted & _SIGNS:
            return at
        at += 8
    return at


@kernel
def _brackets(text: Bytes, words: npt.NDArray[np.uint64], places: Ints) -> tuple[int, int]:
    """Where the brackets of the three outermost levels are.

    Args:
        text: (N,) bytes of a json.
        words: (N // 8,) the same, eight at a time.
        places: (M,) int64 that gets the brackets' places, as many as it can hold.

    Returns:
        How many there are, and where the root ends; -1 if it does not.
    """
    depth = count = at = 0
    while at < len(text):
        byte = text[at]
        at += 1
        if byte < 64 and byte != 34:  # digits, commas, blanks: most of the file
            at = _behind_numbers(words, at)
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
