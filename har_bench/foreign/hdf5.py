"""HDF5 files from strangers: what they hold themselves is read, and nothing that lies elsewhere.

The format lets a file refer to others of the machine (external links, external storage, virtual datasets), claim any
shape without having it, and hold one text a million times. All objects are looked at when a file is opened, and their
sizes charged, before any of them is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from har_bench.arrays import Anything
from har_bench.errors import Malformed, completing
from har_bench.foreign import chunks, opening
from har_bench.foreign.budget import Budget
from har_bench.foreign.heaps import refuse_endless, refuse_long_texts
from har_bench.foreign.members import Members

_BROKEN = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, MemoryError, SystemError)
"""What h5py raises on damaged files."""

_REMEDY = "is the download complete?"
_PLAIN = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.OPAQUE)
"""Types of attributes that are copied as they are; texts of varying length are looked at before."""

_OUTSIDE = "write the numbers themselves into the file"
_OBJECT = 1 << 14
"""Opening an object takes as long as making so many bytes; a name of one that is there already takes 40 in the file."""

_CHUNK_HELD, _CHUNK_FOUND = 1 << 13, 1 << 9
"""What HDF5 keeps of each chunk of what it reads, even of those that are not in the file, and the time it takes."""

_DENSEST = 1100
"""Bytes that a byte of a compressed dataset may become: a little more than deflate can."""


class Hdf5(Members):
    """A file's datasets by their paths, such as ``poses`` or ``group/poses``."""

    def __init__(self, path: Path, names: list[str]) -> None:
        super().__init__({name: name for name in names})
        self._path = path

    def __getitem__(self, name: str) -> Anything:
        """Read one dataset: numbers, or text as ``str``.

        Raises:
            KeyError: there is none of this name.
            HarBenchError: it is damaged, or of another type.
        """
        return self.read([name])[name]

    def read(self, names: Iterable[str] | None = None) -> dict[str, Anything]:
        """Read several datasets at once, all of them by default: a file of a thousand is opened once.

        Raises:
            KeyError: there is none of a name.
            HarBenchError: as for one.
        """
        wanted = list(self._names if names is None else names)
        absent = next((name for name in wanted if name not in self._names), None)
        if absent is not None:
            raise KeyError(absent)
        found = {}
        with completing(self._path, _REMEDY), _opened(self._path) as file:
            for name in wanted:
                with completing(f"{self._path} ({name})", _REMEDY), malformed():
                    found[name] = values(h5py.Dataset(h5py.h5d.open(file.id, name.encode("utf-8", "surrogateescape"))))
        return found


def open_hdf5(path: Path) -> Hdf5:
    """Look at a file's datasets; none is read yet.

    Raises:
        HarBenchError: as :func:`open_file`.
    """
    with open_file(path) as file:
        return Hdf5(path, [name for name, _ in _datasets(file)])


def open_file(path: Path, *, whole: bool = True, attributes: Sequence[str] = ()) -> h5py.File:
    """Open an HDF5 file for reading.

    Args:
        path: the file.
        whole: whether its datasets will be read whole; their sizes, unfolded, are then bounded by the file's. Of a
            store, which is read in parts, only what compression cannot explain is refused.
        attributes: the names of those of which texts will be read; they lie in heaps, as texts of datasets do.

    Raises:
        HarBenchError: the file is missing, damaged or not HDF5, refers to other files or objects, or its datasets
            unfold into more than a file of its size may, see :mod:`har_bench.foreign.budget`.
    """
    with completing(path, _REMEDY):
        return inspected(path, whole=whole, attributes=attributes)


def inspected(path: Path, *, whole: bool, attributes: Sequence[str] = ()) -> h5py.File:
    """As :func:`open_file`, for callers that have a remedy of their own.

    Raises:
        Malformed: whatever :func:`open_file` refuses.
    """
    budget = Budget(opening.size_of(path))
    if attributes:
        refuse_endless(path)
    with malformed():
        for name in attributes:
            refuse_long_texts(path, name)
    file = _opened(path)
    try:
        _inspect(file, path, budget, whole=whole)
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def malformed() -> Iterator[None]:
    """Whatever h5py makes of a damaged file inside the block, also long after it was opened, is malformed.

    Raises:
        Malformed: whatever h5py raised.
    """
    try:
        yield
    except _BROKEN as error:
        raise Malformed(f"is damaged ({error})") from error


def attribute(holder: h5py.Group, name: str) -> Any:
    """The value of an attribute, once it is known to be plain, and to claim no more than its file has.

    Raises:
        Malformed: it is damaged, claims more, or holds what HDF5 would build from its bytes, which ends the process if
            they are damaged: sequences, structures, references.
    """
    with malformed():
        found = holder.attrs.get_id(name)
        if found.get_type().get_class() not in _PLAIN:
            raise Malformed(f"holds {found.dtype} as {name[:60]!r} where numbers or text should be")
        if math.prod(found.shape or ()) * found.get_type().get_size() > holder.file.id.get_filesize():
            raise Malformed(f"claims that its {name[:60]!r} has the shape {found.shape}")
        return holder.attrs[name]


def _inspect(file: h5py.File, path: Path, budget: Budget, *, whole: bool) -> None:
    checked = False
    with malformed():
        for name, dataset in _members(file):
            budget.charge(_OBJECT)
            if not isinstance(dataset, h5py.h5d.DatasetID):
                continue
            if not checked and chunks.varies(dataset.get_type()):
                refuse_endless(path)
                checked = True
            creation = dataset.get_create_plist()
            if creation.get_layout() == h5py.h5d.VIRTUAL:
                raise Malformed(f"has {name[:60]!r}, a virtual dataset, which lies in other files", _OUTSIDE)
            if creation.get_external_count():
                raise Malformed(f"has {name[:60]!r}, which lies outside, in another file (external storage)", _OUTSIDE)
            shape, stored = dataset.shape or (), dataset.get_storage_size()
            size = math.prod(shape) * dataset.get_type().get_size()
            if size > budget.allowed + _DENSEST * stored:
                raise Malformed(f"claims that {name[:60]!r} has the shape {shape}, but has {stored} bytes of it")
            pieces = chunks.count(dataset)
            budget.require(_CHUNK_HELD * pieces)
            if whole:
                budget.charge(_CHUNK_FOUND * pieces)
                budget.charge(size + chunks.held_text(dataset, path, budget))
                chunks.unfolds_evenly(dataset, path, budget)


def _datasets(file: h5py.File) -> Iterator[tuple[str, h5py.h5d.DatasetID]]:
    """Every dataset with its path."""
    return ((name, member) for name, member in _members(file) if isinstance(member, h5py.h5d.DatasetID))


def _members(file: h5py.File) -> Iterator[tuple[str, Any]]:
    """Every object with its path; groups are gone through once, however many names they have."""
    waiting, seen = [("", file["/"].id)], set()
    while waiting:
        prefix, group = waiting.pop()
        address = h5py.h5o.get_info(group).addr
        if address in seen:
            continue
        seen.add(address)
        links: list[tuple[bytes, int]] = []
        group.links.iterate(lambda name, info, links=links: links.append((name, info.type)), info=True)
        for link, kind in links:
            name = prefix + link.decode("utf-8", "surrogateescape")
            if kind != h5py.h5l.TYPE_HARD:
                raise Malformed(f"has {name[:60]!r}, which is a link to something else", _OUTSIDE)
            member = h5py.h5o.open(group, link)
            if isinstance(member, h5py.h5g.GroupID):
                waiting.append((f"{name}/", member))
            yield name, member


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except _BROKEN as error:
        raise Malformed(f"cannot be read as HDF5 ({error})") from error


def values(dataset: h5py.Dataset) -> Anything:
    """All of a dataset.

    Raises:
        Malformed: it holds something else than numbers or text.
    """
    dtype = dataset.dtype
    if h5py.check_string_dtype(dtype) is not None:
        return np.asarray(dataset.asstr("utf-8")[()])
    if dtype.kind not in "biufcS" or dataset.shape is None:
        raise Malformed(f"holds {dtype} where numbers or text should be", "write plain arrays")
    return np.asarray(dataset[()])
