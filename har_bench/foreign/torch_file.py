"""What ``torch.save`` wrote, read without torch and without running anything in it.

A checkpoint is a pickle in which each storage (a flat array that tensors are views of) is a persistent id, and the
storages' raw bytes beside it: members of a zip archive since torch 1.6, before that the rest of the file. The pickle
goes through :mod:`har_bench.foreign.pickles` with the few names of torch that are data. Tensors are views of
storages that are still empty then; no view goes beyond its storage, and the storages together not beyond the file.
"""

from __future__ import annotations

import math
import sys
import zipfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from har_bench.arrays import Anything
from har_bench.errors import Malformed, completing
from har_bench.foreign import opening, pickles
from har_bench.foreign.archive import Archive
from har_bench.foreign.budget import Budget
from har_bench.foreign.machine import Machine, Named, Names
from har_bench.foreign.names import ordered
from har_bench.foreign.opening import Content
from har_bench.foreign.settings import LEFT_OUT

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_VERSIONS = range(1, 11)
_SMALL = 1 << 10
"""Bytes that the records of version and byte order may have."""

_Order = Literal["<", ">"]
_ORDERS: dict[bytes, _Order] = {b"little": "<", b"big": ">"}
_NATIVE = "<" if sys.byteorder == "little" else ">"


def load(path: Path) -> Any:
    """What a torch checkpoint holds: nested dicts, lists, tuples, numbers, text and NumPy arrays.

    Tensors and parameters become arrays, bfloat16 as float32; those that shared a storage share memory, so a caller
    that writes to one copies it first. Bare storages become flat arrays, devices their names, and a pickled
    ``numpy.random.RandomState`` the dict that its ``set_state`` takes. Of the configurations that Hydra and Lightning
    put beside the weights nothing is read: a text stands in their place (:mod:`har_bench.foreign.settings`).

    Args:
        path: a file of ``torch.save``, in the zip format (since torch 1.6) or the one before.

    Raises:
        HarBenchError: the file is broken, no checkpoint, asks for anything but data (a whole module, say, or a sparse
            tensor; the name it asks for is given), or unfolds into more than a file of its size may.
    """
    with completing(path, "download it again"), opening.mapped(path) as content:
        checkpoint = _Checkpoint(len(content))
        if content[:4] == b"PK\x03\x04":
            return checkpoint.zipped(Archive(path))
        return checkpoint.legacy(content)


class _Element(NamedTuple):
    """The type of a storage's elements."""

    code: str
    bfloat16: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in the file, in native byte order."""
        return np.dtype(self.code)


_STORAGES = {
    "FloatStorage": _Element("f4"),
    "DoubleStorage": _Element("f8"),
    "HalfStorage": _Element("f2"),
    "BFloat16Storage": _Element("u2", bfloat16=True),
    "LongStorage": _Element("i8"),
    "IntStorage": _Element("i4"),
    "ShortStorage": _Element("i2"),
    "CharStorage": _Element("i1"),
    "ByteStorage": _Element("u1"),
    "BoolStorage": _Element("?"),
    "ComplexFloatStorage": _Element("c8"),
    "ComplexDoubleStorage": _Element("c16"),
}
_UNTYPED = _Element("u1")
_DTYPES = {"uint16": _Element("u2"), "uint32": _Element("u4"), "uint64": _Element("u8")}
"""The types whose tensors are saved with an untyped storage."""


class _Storage(NamedTuple):
    """Memory that tensors are views of: allocated, and filled when the pickle has been read."""

    array: Anything
    element: _Element


class _Checkpoint:
    """One file: its storages by key, and what its pickle may name."""

    def __init__(self, size: int) -> None:
        self.budget = Budget(size)
        self.order: _Order = "<"
        self.unclaimed = size  # bytes of the file that no storage was allocated for
        self.storages: dict[str, _Storage] = {}
        self.parts: dict[int, _Storage] = {}  # storages and parts of them, by the identities of their arrays
        self.names: Names = {
            **{("torch", name): element for name, element in (_STORAGES | _DTYPES).items()},
            ("torch", "UntypedStorage"): _UNTYPED,
            ("torch.storage", "UntypedStorage"): _UNTYPED,
            ("torch", "Size"): _size,
            ("torch", "device"): _device,
            ("torch._utils", "_rebuild_tensor"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor_2,
            ("torch._utils", "_rebuild_tensor_v3"): self._tensor_3,
            ("torch._utils", "_rebuild_parameter"): self._parameter,
            ("torch._utils", "_rebuild_parameter_with_state"): self._parameter,
            ("collections", "Counter"): _counter,
            **LEFT_OUT,
        }

    def zipped(self, archive: Archive) -> Any:
        """Read the archive: ``data.pkl``, and ``data/<key>`` for each storage, below one folder."""
        members = _members(archive)
        self.order = _byte_order(archive, members)
        value, _ = self._unpickled(bytes(archive.read(members["data.pkl"])), 0)
        for key, storage in self.storages.items():
            member = members.get(f"data/{key}")
            if member is None:
                raise Malformed(f"has no storage {key[:40]!r}")
            size = archive.members[member].file_size
            self._fill(key, storage, size, partial(archive.fill, member))
        return value

    def legacy(self, content: Content) -> Any:
        """Read the older format: pickles of a magic number, a version, sizes, the object and the keys, then the bytes.

        A storage's bytes follow the number of its elements; everything is little-endian.
        """
        magic, at = self._unpickled(content, 0)
        if type(magic) is not int or magic != _MAGIC:
            raise Malformed("is a pickle but no torch checkpoint", "give a file of torch.save")
        version, at = self._unpickled(content, at)
        sizes, at = self._unpickled(content, at)
        if type(version) is not int or version != _PROTOCOL or not isinstance(sizes, dict):
            raise Malformed("is a torch checkpoint of an unknown version", "save it with a newer torch")
        value, at = self._unpickled(content, at)
        keys, at = self._unpickled(content, at)
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise Malformed("has a malformed list of storages")
        if sorted(keys) != sorted(self.storages):
            raise Malformed("lists other storages than its tensors have")
        for key in keys:
            storage = self.storages[key]
            size = int.from_bytes(content[at : at + 8], "little") * storage.element.dtype.itemsize
            stop = at + 8 + size

            def copy(memory: memoryview, key: str = key, start: int = at + 8, stop: int = stop) -> None:
                if stop > len(content):
                    raise Malformed(f"is cut off in its storage {key[:40]!r}")
                memory[:] = content[start:stop]

            self._fill(key, storage, size, copy)
            at = stop
        return value

    def _unpickled(self, content: Content, start: int) -> tuple[Any, int]:
        return pickles.value_at(content, start, self.budget, self.names, self._storage)

    def _fill(self, key: str, storage: _Storage, size: int, read: Callable[[memoryview], None]) -> None:
        """Read a storage's bytes into its memory, in native byte order."""
        element = storage.element
        held = np.empty(storage.array.shape, element.dtype) if element.bfloat16 else storage.array
        if size != held.nbytes:
            raise Malformed(f"holds {size} bytes for storage {key[:40]!r} where its tensors need {held.nbytes}")
        read(held.view(np.uint8).data)
        if self.order != _NATIVE:
            held.byteswap(inplace=True)
        if element.bfloat16:  # the upper half of a float32
            np.left_shift(held, 16, out=storage.array.view(np.uint32), dtype=np.uint32)

    def _storage(self, _: Machine, identity: Any) -> Anything:
        """The array of a persistent id: ``("storage", type, key, device, elements[, part])``."""
        match identity:
            case ("storage", Named(stands_for=_Element() as element), str(key), _, int(elements), *rest):
                part = rest[0] if rest else None
            case _:
                raise Malformed("refers to something that is no storage")
        if key not in self.storages:
            self.storages[key] = self._allocated(element, elements)
        storage = self.storages[key]
        if storage.element != element or len(storage.array) != elements:
            raise Malformed(f"uses storage {key[:40]!r} as two types")
        match part:
            case None:
                return storage.array
            case (_, int(start), int(length)) if 0 <= start <= start + length <= elements:
                self.budget.charge(_SMALL)
                return self._known(_Storage(storage.array[start : start + length], element)).array
            case _:
                raise Malformed(f"uses a malformed part of storage {key[:40]!r}")

    def _allocated(self, element: _Element, elements: int) -> _Storage:
        size = elements * element.dtype.itemsize
        if elements < 0 or size > self.unclaimed:
            raise Malformed("declares more storage than it has bytes")
        self.unclaimed -= size
        self.budget.charge(_SMALL + 2 * size)
        return self._known(_Storage(np.empty(elements, np.float32 if element.bfloat16 else element.dtype), element))

    def _known(self, storage: _Storage) -> _Storage:
        self.parts[id(storage.array)] = storage
        return storage

    def _tensor(self, machine: Machine, storage: Any, offset: Any, size: Any, stride: Any) -> Anything:
        """A view of ``storage``, in elements; the arguments are those of torch's function of that name."""
        if id(storage) not in self.parts:
            raise Malformed("holds a tensor without a storage")
        return self._view(machine, storage, offset, size, stride)

    def _view(self, machine: Machine, flat: Anything, offset: Any, size: Any, stride: Any) -> Anything:
        numbers: Iterable[Any] = (offset, *_size(machine, size), *_size(machine, stride))
        if len(size) != len(stride) or not all(type(number) is int and number >= 0 for number in numbers):
            raise Malformed("holds a tensor whose shape is malformed")
        if 0 in size:
            return np.empty(size, flat.dtype)
        # the stride along a single element says nothing, and may be anything
        steps = [step if length > 1 else 0 for length, step in zip(size, stride, strict=True)]
        last = offset + sum((length - 1) * step for length, step in zip(size, steps, strict=True))
        if last >= len(flat):
            raise Malformed(f"holds a tensor of shape {str(size)[:60]} that goes beyond its storage")
        width = flat.itemsize
        # an element may count more than once
        self.budget.charge(max(0, math.prod(size) * width - flat.nbytes))
        strides = [step * width for step in steps]
        return np.ndarray(size, flat.dtype, flat.data, offset * width, strides)

    def _tensor_2(self, machine: Machine, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Anything:
        """As ``_tensor``; of the rest (gradient, hooks, metadata) only the metadata says anything about values."""
        if any(rest[2:]):
            raise Malformed("holds a tensor that is to be conjugated or negated")
        return self._tensor(machine, storage, offset, size, stride)

    def _tensor_3(self, machine: Machine, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Anything:
        """As ``_tensor_2``, of an untyped storage; the type comes before the metadata."""
        held = self.parts.get(id(storage))
        match rest:
            case (_, _, Named(stands_for=_Element() as element), *metadata) if held is not None:
                if held.element != _UNTYPED or held.array.nbytes % element.dtype.itemsize:
                    raise Malformed("holds a tensor whose storage has another type")
                if any(metadata):
                    raise Malformed("holds a tensor that is to be conjugated or negated")
                typed = held.array.view(element.dtype.newbyteorder(self.order))
                return self._view(machine, typed, offset, size, stride)
        raise Malformed("holds a tensor without a storage")

    def _parameter(self, _: Machine, tensor: Any, *__: Any) -> Anything:
        if not isinstance(tensor, np.ndarray) or id(tensor) in self.parts:
            raise Malformed("holds a parameter without a tensor")
        return tensor


def _members(archive: Archive) -> dict[str, str]:
    """The archive's members by their names below its folder; nothing is compressed, nothing overlaps."""
    members: dict[str, str] = {}
    left = archive.size
    for name, info in archive.members.items():
        left -= info.compress_size
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or left < 0:
            raise Malformed(f"is compressed or damaged at {name[:60]!r}", "save it again with torch.save")
        members[name.partition("/")[2]] = name
    if "constants.pkl" in members:
        raise Malformed("is a TorchScript program", "save its state_dict() with torch.save")
    if "data.pkl" not in members:
        raise Malformed("is a zip archive but no torch checkpoint", "give a file of torch.save")
    return members


def _byte_order(archive: Archive, members: dict[str, str]) -> _Order:
    """What the archive's small records say: a known version, and the byte order (until torch 2.1, none)."""

    def record(name: str, otherwise: bytes) -> bytes:
        member = members.get(name)
        if member is not None and archive.members[member].file_size > _SMALL:
            raise Malformed(f"has a {name} of {archive.members[member].file_size} bytes")
        return otherwise if member is None else bytes(archive.read(member))

    version = record("version", b"").strip()
    if not version.isdigit() or len(version) > 4 or int(version) not in _VERSIONS:
        raise Malformed("is a torch checkpoint of an unknown version", "save it with another torch")
    order = record("byteorder", b"little")
    if order not in _ORDERS:
        raise Malformed("has an unknown byte order")
    return _ORDERS[order]


def _counter(machine: Machine, counts: Any = None) -> Any:
    """A Counter as the dict that it is given; PyTorch's schedulers have some."""
    return ordered(machine) if counts is None else counts


def _size(_: Machine, lengths: Any = ()) -> tuple[Any, ...]:
    if not isinstance(lengths, tuple):
        raise Malformed("holds a tensor whose shape is malformed")
    return lengths


def _device(_: Machine, kind: Any, index: Any = None) -> str:
    if not isinstance(kind, str) or not isinstance(index, int | None):
        raise Malformed("holds a device whose name is malformed")
    return kind[:40] if index is None else f"{kind[:40]}:{index}"
