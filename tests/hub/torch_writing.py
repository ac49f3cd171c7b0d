"""Files of torch as it writes them, without torch: today's zip and the older stream."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from har_bench.foreign import torch_file

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SIZES = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
TYPES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16",
}


@dataclass(frozen=True)
class Name:
    """Pickles as a global of torch, which need not be here."""

    module: str
    name: str

    def __call__(self) -> None:
        """A pickle's calls are of what is callable."""


@dataclass
class Storage:
    """Pickles as a persistent id; ``content`` goes beside the pickle."""

    kind: str
    content: bytes
    elements: int
    key: str
    device: str = "cpu"
    part: tuple[Any, ...] = ()
    module: str = "torch"

    def identity(self) -> tuple[Any, ...]:
        return ("storage", named(self.module, self.kind), self.key, self.device, self.elements, *self.part)


@dataclass(eq=False)
class Call:
    """Pickles as a call."""

    function: Any
    arguments: tuple[Any, ...]
    state: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.function, self.arguments) if self.state is None else (self.function, self.arguments, self.state)


NAMES: dict[tuple[str, str], Name] = {}


def named(module: str, name: str) -> Name:
    """One object per name, so that the pickle's memo finds it."""
    return NAMES.setdefault((module, name), Name(module, name))


class Saver(pickle._Pickler):  # type: ignore[name-defined]
    """The pickler of ``torch.save``: protocol 2, storages outside."""

    dispatch = pickle._Pickler.dispatch.copy()  # type: ignore[attr-defined]

    def __init__(self) -> None:
        self.stream = io.BytesIO()
        self.storages: dict[str, Storage] = {}
        super().__init__(self.stream, 2)

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, Storage):
            self.storages[value.key] = value
            return value.identity()
        return None

    def save_name(self, value: Name) -> None:
        self.write(f"c{value.module}\n{value.name}\n".encode())
        self.memoize(value)

    dispatch[Name] = save_name


def pickled(value: Any) -> tuple[bytes, dict[str, Storage]]:
    saver = Saver()
    saver.dump(value)
    return saver.stream.getvalue(), saver.storages


def zipped(
    value: Any,
    *,
    order: bytes | None = b"little",
    changes: dict[str, bytes | None] | None = None,
    method: int = zipfile.ZIP_STORED,
) -> bytes:
    """A file of torch 2; ``changes`` are to its members, by their names below the folder."""
    code, storages = pickled(value)
    members: dict[str, bytes | None] = {"data.pkl": code, ".format_version": b"1", ".storage_alignment": b"64"}
    members["byteorder"] = order
    members |= {f"data/{key}": storage.content for key, storage in storages.items()}
    members |= {"version": b"3\n", ".data/serialization_id": b"0" * 40} | (changes or {})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            if content is not None:
                info = zipfile.ZipInfo(name if name.startswith(("/", "..")) else f"model/{name}")
                info.compress_type = method
                info.extra = b"FB\x04\x00ZZZZ"  # torch aligns storages with such fields
                archive.writestr(info, content)
    return stream.getvalue()


def legacy(value: Any, *, keys: Any = None, head: Any = MAGIC, version: Any = PROTOCOL) -> bytes:
    """A file of torch 0.4 to 1.5."""
    code, storages = pickled(value)
    found = b"".join(pickle.dumps(part, 2) for part in (head, version, SIZES)) + code
    found += pickle.dumps(sorted(storages) if keys is None else keys, 2)
    for key in sorted(storages):
        found += struct.pack("<q", storages[key].elements) + storages[key].content
    return found


FORMATS: dict[str, Callable[..., bytes]] = {"zip": zipped, "legacy": legacy}


def storage(array: Any, kind: str = "FloatStorage", key: str = "0", **other: Any) -> Storage:
    flat = np.asarray(array, TYPES[kind]).ravel()
    return Storage(kind, flat.tobytes(), flat.size, key, **other)


def tensor(held: Any, size: Any, stride: Any, offset: Any = 0, *more: Any) -> Call:
    return Call(named("torch._utils", "_rebuild_tensor_v2"), (held, offset, size, stride, False, OrderedDict(), *more))


def vector(values: Any, kind: str = "FloatStorage", key: str = "0") -> Call:
    held = storage(values, kind, key)
    return tensor(held, (held.elements,), (1,))


def parameter(inner: Any) -> Call:
    return Call(named("torch._utils", "_rebuild_parameter"), (inner, True, OrderedDict()))


def typed(held: Any, dtype: str, size: Any, stride: Any) -> Call:
    arguments = held, 0, size, stride, False, OrderedDict(), named("torch", dtype)
    return Call(named("torch._utils", "_rebuild_tensor_v3"), arguments)


def read(data: bytes, folder: Path) -> Any:
    path = folder / "model.pt"
    path.write_bytes(data)
    return torch_file.load(path)


STATE = np.random.RandomState(5).get_state(legacy=True)
RANDOM = {
    "NumPy 1.16": Call(named("numpy.random", "__RandomState_ctor"), (), STATE),
    "NumPy 1.17": Call(
        named("numpy.random._pickle", "__randomstate_ctor"),
        ("MT19937",),
        np.random.RandomState(5).get_state(legacy=False),
    ),
    "here": np.random.RandomState(5),
}
