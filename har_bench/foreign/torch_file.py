"""What ``torch.save`` wrote, read without torch and without running anything in it.

A checkpoint is a pickle in which each storage (a flat array that tensors are views of) is a persistent id, and the
storages' raw bytes beside it: members of a zip archive since torch 1.6, before that the rest of the file. The pickle
goes through :func:`har_bench.foreign.pickles.load` with the few names of torch that are data. Tensors are views of
storages that are still empty then; no view goes beyond its storage, and the storages together not beyond the file.
"""

from __future__ import annotations

import math
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError, Malformed
from har_bench.foreign import pickles

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_VERSIONS = range(1, 11)
_PIECE = 1 << 20
_Order = Literal["<", ">"]
_BROKEN = (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError)
"""What a damaged archive makes ``zipfile`` raise, encryption and unknown features (NotImplementedError) included."""

_ORDERS: dict[bytes, _Order] = {b"little": "<", b"big": ">"}
_NATIVE = "<" if sys.byteorder == "little" else ">"


def load(path: Path, *, limit: int = pickles.LIMIT) -> Any:
    """What a torch checkpoint holds: nested dicts, lists, tuples, numbers, text and NumPy arrays.

    Tensors and parameters become arrays, bfloat16 as float32; those that shared a storage share memory, so a caller
    that writes to one copies it first. Bare storages become flat arrays, devices their names, and a pickled
    ``numpy.random.RandomState`` the dict that its ``set_state`` takes.

    Args:
        path: a file of ``torch.save``, in the zip format (since torch 1.6) or the one before.
        limit: how many bytes it may have and unfold into.

    Raises:
        HarBenchError: the file is broken, too large, no checkpoint, or asks for anything but data (a whole module,
            say, or a sparse tensor); the name it asks for is given.
    """
    try:
        size = path.stat().st_size
        if size > limit:
            raise HarBenchError(f"{path} has {size} bytes where {limit} are allowed; raise the limit if you trust it")
        with path.open("rb") as stream:
            checkpoint = _Checkpoint(path, size, limit)
            return checkpoint.zipped(stream) if stream.peek(4)[:4] == b"PK\x03\x04" else checkpoint.legacy(stream)
    except _BROKEN as error:
        raise HarBenchError(f"{path} cannot be read or is damaged ({error}); download it again") from error


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


class _Storage(pickles.Array):
    """A storage or, in old files, a part of one: allocated, and filled when the pickle has been read."""

    __slots__ = ("array", "element")

    def __init__(self, array: npt.NDArray[Any], element: _Element) -> None:
        super().__init__()
        self.array = array
        self.element = element

    def __setstate__(self, state: Any) -> None:
        """No honest pickle gives a storage a state."""
        raise Malformed("holds a storage whose state is malformed")

    def numpy(self) -> npt.NDArray[Any]:
        return self.array


class _Tensor(_Storage):
    """An array that is a view of a storage."""

    __slots__ = ()


class _Checkpoint:
    """One file: its storages by key, and what its pickle may name."""

    def __init__(self, path: Path, size: int, limit: int) -> None:
        self.path = path
        self.limit = limit
        self.storages: dict[str, _Storage] = {}
        self.order: _Order = "<"
        self.unclaimed = size  # bytes of the file that no storage was allocated for
        self.spare = limit - size  # bytes that may be unfolded into, beyond those of the file
        self.names: pickles.Names = {
            **{("torch", name): element for name, element in (_STORAGES | _DTYPES).items()},
            ("torch", "UntypedStorage"): _UNTYPED,
            ("torch.storage", "UntypedStorage"): _UNTYPED,
            ("torch", "Size"): _size,
            ("torch", "device"): _device,
            ("torch._utils", "_rebuild_tensor"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor_2,
            ("torch._utils", "_rebuild_tensor_v3"): self._tensor_3,
            ("torch._utils", "_rebuild_parameter"): _parameter,
            ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
            ("collections", "Counter"): dict,
        }

    def zipped(self, stream: IO[bytes]) -> Any:
        """Read the archive: ``data.pkl``, and ``data/<key>`` for each storage, below one folder."""
        with zipfile.ZipFile(stream) as archive:
            members = self._members(archive)
            self.order = self._byte_order(archive, members)
            value = self._unpickled(archive.read(members["data.pkl"]))
            for key, storage in self.storages.items():
                member = members.get(f"data/{key}")
                if member is None:
                    raise HarBenchError(f"{self.path} has no storage {key[:40]!r}; download it again")
                with archive.open(member) as content:
                    self._fill(key, storage, content, member.file_size)
        return value

    def legacy(self, stream: IO[bytes]) -> Any:
        """Read the older format: pickles of a magic number, a version, sizes, the object and the keys, then the bytes.

        A storage's bytes follow the number of its elements; everything is little-endian.
        """
        if self._unpickled(stream) != _MAGIC:
            raise HarBenchError(f"{self.path} is a pickle but no torch checkpoint; give a file of torch.save")
        if self._unpickled(stream) != _PROTOCOL or not isinstance(self._unpickled(stream), dict):
            raise HarBenchError(f"{self.path} is a torch checkpoint of an unknown version; save it with a newer torch")
        value = self._unpickled(stream)
        keys = self._unpickled(stream)
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise HarBenchError(f"{self.path} has a malformed list of storages; download it again")
        if sorted(keys) != sorted(self.storages):
            raise HarBenchError(f"{self.path} lists other storages than its tensors have; download it again")
        for key in keys:
            storage = self.storages[key]
            elements = int.from_bytes(stream.read(8), "little")
            self._fill(key, storage, stream, elements * storage.element.dtype.itemsize)
        return value

    def _unpickled(self, source: Any) -> Any:
        return pickles.load(source, limit=self.limit, name=str(self.path), names=self.names, outside=self._storage)

    def _members(self, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
        """The archive's members by their names below its folder; nothing is compressed, nothing overlaps."""
        members: dict[str, zipfile.ZipInfo] = {}
        left = self.unclaimed
        for info in archive.infolist():
            parts = PurePosixPath(info.filename).parts
            name = "/".join(parts[1:])
            if info.filename.startswith("/") or ".." in parts or "\\" in info.filename or name in members:
                raise HarBenchError(f"{self.path} has a member called {info.filename[:60]!r}; it is refused")
            left -= info.compress_size
            if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or left < 0:
                raise HarBenchError(
                    f"{self.path} is compressed or damaged at {info.filename[:60]!r}; save it again with torch.save"
                )
            members[name] = info
        if "constants.pkl" in members:
            raise HarBenchError(f"{self.path} is a TorchScript program; save its state_dict() with torch.save")
        if "data.pkl" not in members:
            raise HarBenchError(f"{self.path} is a zip archive but no torch checkpoint; give a file of torch.save")
        return members

    def _byte_order(self, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> _Order:
        """What the archive's small records say: a known version, and the byte order (until torch 2.1, none)."""
        version = archive.read(members["version"]).strip() if "version" in members else b""
        if not version.isdigit() or len(version) > 4 or int(version) not in _VERSIONS:
            raise HarBenchError(f"{self.path} is a torch checkpoint of an unknown version; save it with another torch")
        order = archive.read(members["byteorder"]) if "byteorder" in members else b"little"
        if order not in _ORDERS:
            raise HarBenchError(f"{self.path} has an unknown byte order; download it again")
        return _ORDERS[order]

    def _fill(self, key: str, storage: _Storage, stream: IO[bytes], size: int) -> None:
        """Read a storage's bytes into its memory, in native byte order."""
        element = storage.element
        held = np.empty(storage.array.shape, element.dtype) if element.bfloat16 else storage.array
        if size != held.nbytes:
            raise HarBenchError(
                f"{self.path} holds {size} bytes for storage {key[:40]!r} where its tensors need {held.nbytes};"
                " download it again"
            )
        content = held.view(np.uint8).data
        filled = 0
        while filled < size:
            read = stream.readinto(content[filled : filled + _PIECE])  # type: ignore[attr-defined]
            if not read:
                raise HarBenchError(f"{self.path} is cut off in its storage {key[:40]!r}; download it again")
            filled += read
        if self.order != _NATIVE:
            held.byteswap(inplace=True)
        if element.bfloat16:  # the upper half of a float32
            np.left_shift(held, 16, out=storage.array.view(np.uint32), dtype=np.uint32)

    def _storage(self, identity: Any) -> _Storage:
        """What stands for the storage of a persistent id: ``("storage", type, key, device, elements[, part])``."""
        match identity:
            case ("storage", pickles.Call(function=_Element() as element), str(key), _, int(elements), *rest):
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
                return storage
            case (_, int(start), int(length)) if 0 <= start <= start + length <= elements:
                return _Storage(storage.array[start : start + length], element)
            case _:
                raise Malformed(f"uses a malformed part of storage {key[:40]!r}")

    def _allocated(self, element: _Element, elements: int) -> _Storage:
        if elements < 0 or elements * element.dtype.itemsize > self.unclaimed:
            raise Malformed("declares more storage than it has bytes")
        size = elements * element.dtype.itemsize
        self.unclaimed -= size
        if element.bfloat16:
            self._spend(size)
        return _Storage(np.empty(elements, np.float32 if element.bfloat16 else element.dtype), element)

    def _spend(self, size: int) -> None:
        self.spare -= size
        if self.spare < 0:
            raise Malformed("unfolds into more than the limit allows")

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any) -> _Tensor:
        """A view of ``storage``, in elements; the arguments are those of torch's function of that name."""
        if not isinstance(storage, _Storage) or isinstance(storage, _Tensor):
            raise Malformed("holds a tensor without a storage")
        numbers: Iterable[Any] = (offset, *_size(size), *_size(stride))
        if len(size) != len(stride) or not all(type(number) is int and number >= 0 for number in numbers):
            raise Malformed("holds a tensor whose shape is malformed")
        if 0 in size:
            return _Tensor(np.empty(size, storage.array.dtype), storage.element)
        # the stride along a single element says nothing, and may be anything
        steps = [step if length > 1 else 0 for length, step in zip(size, stride, strict=True)]
        last = offset + sum((length - 1) * step for length, step in zip(size, steps, strict=True))
        if last >= len(storage.array):
            raise Malformed(f"holds a tensor of shape {str(size)[:60]} that goes beyond its storage")
        width = storage.array.itemsize
        self._spend(max(0, math.prod(size) * width - storage.array.nbytes))  # an element may count more than once
        strides = [step * width for step in steps]
        view = np.ndarray(size, storage.array.dtype, storage.array.data, offset * width, strides)
        return _Tensor(view, storage.element)

    def _tensor_2(self, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> _Tensor:
        """As ``_tensor``; of the rest (gradient, hooks, metadata) only the metadata says anything about values."""
        if any(rest[2:]):
            raise Malformed("holds a tensor that is to be conjugated or negated")
        return self._tensor(storage, offset, size, stride)

    def _tensor_3(self, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> _Tensor:
        """As ``_tensor_2``, of an untyped storage; the type comes before the metadata."""
        match storage, rest:
            case _Storage(element=_Element() as held), (_, _, pickles.Call(function=_Element() as element), *metadata):
                if held != _UNTYPED or storage.array.nbytes % element.dtype.itemsize:
                    raise Malformed("holds a tensor whose storage has another type")
                typed = _Storage(storage.array.view(element.dtype.newbyteorder(self.order)), element)
                return self._tensor_2(typed, offset, size, stride, None, None, *metadata)
        raise Malformed("holds a tensor without a storage")


def _size(lengths: Any = ()) -> tuple[Any, ...]:
    if not isinstance(lengths, tuple):
        raise Malformed("holds a tensor whose shape is malformed")
    return lengths


def _device(kind: Any, index: Any = None) -> str:
    return str(kind)[:40] if index is None else f"{str(kind)[:40]}:{int(index)}"


def _parameter(tensor: Any, *_: Any) -> _Tensor:
    if not isinstance(tensor, _Tensor):
        raise Malformed("holds a parameter without a tensor")
    return tensor
