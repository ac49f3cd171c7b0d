"""What lies in an HDF5 dataset's bytes, looked at before HDF5 itself allocates whatever they ask for.

The layouts are those of the HDF5 File Format Specification, version 3: a text of varying length is an element of 16
bytes, its length and its place in a heap; a chunk is what its filters made of so many elements.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from har_bench.errors import Malformed
from har_bench.foreign import opening
from har_bench.foreign.budget import Budget

_REFERENCE = 16
"""Bytes of a text's place in a dataset: length (4), address (8), index (4)."""

_TEXT = 100
"""What Python makes of a text besides its letters [bytes]."""

_DEFLATE, _SHUFFLE, _LZF = 1, 2, 32000
_DENSEST = {_DEFLATE: 1032, _LZF: 88}
"""Bytes that a byte may become, by filter."""


def held_text(dataset: h5py.h5d.DatasetID, path: Path, budget: Budget) -> int:
    """How many bytes the elements of varying length come to; 0 for a dataset of any other type.

    Raises:
        Malformed: a structure holds such elements, or they are stored in a way that does not tell their lengths.
    """
    kind = dataset.get_type()
    if not varies(kind):
        return 0
    if kind.get_class() not in (h5py.h5t.STRING, h5py.h5t.VLEN):
        raise Malformed("has a structure with parts of varying length", "write plain arrays")
    width = 1 if kind.get_class() == h5py.h5t.STRING else kind.get_super().get_size()
    return sum(_TEXT * len(lengths) + width * int(lengths.sum()) for lengths in _lengths(dataset, path, budget))


def varies(kind: Any) -> bool:
    """Whether the elements of a type are of varying length, so that they lie in a heap."""
    if kind.get_class() == h5py.h5t.STRING:
        return bool(kind.is_variable_str())
    return bool(kind.detect_class(h5py.h5t.VLEN))


def _lengths(dataset: h5py.h5d.DatasetID, path: Path, budget: Budget) -> Iterator[npt.NDArray[np.uint64]]:
    """The lengths of the elements that are in the file, in pieces."""
    creation = dataset.get_create_plist()
    layout = creation.get_layout()
    with opening.opened(path) as stream:
        if layout == h5py.h5d.CONTIGUOUS and (offset := dataset.get_offset()) is not None:
            stream.seek(offset)
            yield _of_references(stream.read(_REFERENCE * math.prod(dataset.shape)))
        elif layout == h5py.h5d.CHUNKED:
            size = _REFERENCE * math.prod(creation.get_chunk())
            for info in _stored(dataset):
                stream.seek(info.byte_offset)
                yield _of_references(_unfiltered(creation, info, stream.read(info.size), size, budget))
        elif layout == h5py.h5d.COMPACT:  # at most 64 KiB, in the header
            whole = h5py.Dataset(dataset)
            for place in np.ndindex(dataset.shape):
                yield np.array([len(whole[place])], np.uint64)


def _of_references(raw: bytes) -> npt.NDArray[np.uint64]:
    return np.frombuffer(raw, "<u4", len(raw) // _REFERENCE * 4)[::4].astype(np.uint64)


def _stored(dataset: h5py.h5d.DatasetID) -> list[Any]:
    """The chunks of a dataset that are in the file."""
    found: list[Any] = []
    dataset.chunk_iter(found.append)
    return found


def _filters(creation: Any) -> list[int]:
    return [creation.get_filter(number)[0] for number in range(creation.get_nfilters())]


def _unfiltered(creation: Any, info: Any, raw: bytes, size: int, budget: Budget) -> bytes:
    """A chunk's references, of ``size`` bytes; HDF5 filters no texts but with what packs whole bytes."""
    budget.require(size)
    for number, name in reversed(list(enumerate(_filters(creation)))):
        if info.filter_mask >> number & 1:
            continue
        if name == _DEFLATE:
            raw = _inflated(raw, size)
        elif name == _SHUFFLE:
            whole = len(raw) // _REFERENCE * _REFERENCE
            raw = np.frombuffer(raw[:whole], np.uint8).reshape(_REFERENCE, -1).T.tobytes()
        else:
            raise Malformed("has text that is packed in another way than gzip's", "write it with gzip, or plain")
    return raw


def _inflated(raw: bytes, size: int) -> bytes:
    try:
        found = zlib.decompressobj().decompress(raw, size + 1)
    except zlib.error as error:
        raise Malformed(f"is damaged in a chunk ({error})") from error
    if len(found) > size:
        raise Malformed("has a chunk that unfolds into more than its size")
    return found


def count(dataset: h5py.h5d.DatasetID) -> int:
    """Into how many chunks a dataset is cut, whether they are in the file or not; 0 where it is whole."""
    creation = dataset.get_create_plist()
    if creation.get_layout() != h5py.h5d.CHUNKED:
        return 0
    return math.prod(-(-length // side) for length, side in zip(dataset.shape, creation.get_chunk(), strict=True))


def unfolds_evenly(dataset: h5py.h5d.DatasetID, path: Path, budget: Budget) -> None:
    """Refuse chunks that are larger than the file explains, or that unfold into more than a chunk.

    HDF5 goes on unfolding a chunk for as long as there is more of it.

    Raises:
        Malformed: there is such a chunk.
    """
    creation = dataset.get_create_plist()
    if creation.get_layout() != h5py.h5d.CHUNKED:
        return
    size = math.prod(creation.get_chunk()) * dataset.get_type().get_size()
    budget.require(size)
    filters = _filters(creation)
    densest = max((_DENSEST.get(name, 1) for name in filters), default=0)
    for info in _stored(dataset) if filters else ():
        if info.size > size + size // 50 + 4096:
            raise Malformed("has a chunk that is larger than what it holds")
        if info.size * densest > budget.allowed:
            _unfold_one(filters, info, path, size, budget)


def _unfold_one(filters: list[int], info: Any, path: Path, size: int, budget: Budget) -> None:
    """Unfold a chunk as far as its size, to see whether that is all of it."""
    if _LZF in filters:
        budget.require(info.size * _DENSEST[_LZF])
    if _DEFLATE in filters and not info.filter_mask >> filters.index(_DEFLATE) & 1:
        with opening.opened(path) as stream:
            stream.seek(info.byte_offset)
            _inflated(stream.read(info.size), size + _REFERENCE)
