"""Tiny networks in TensorFlow Lite's format, laid out here byte by byte, without any library of theirs."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
TYPES = {"float32": 0, "float16": 1, "int32": 2}
CODES = {
    "ADD": 0, "CONCATENATION": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "DEPTH_TO_SPACE": 5, "DEQUANTIZE": 6,
    "LOGISTIC": 14, "MAX_POOL_2D": 17, "RESHAPE": 22, "RESIZE_BILINEAR": 23, "PAD": 34, "TANH": 28, "DENSIFY": 124,
}  # fmt: skip
OPTIONS = {
    "CONV_2D": 1, "DEPTHWISE_CONV_2D": 2, "MAX_POOL_2D": 5, "CONCATENATION": 10, "ADD": 11, "RESHAPE": 17,
    "PAD": 22, "RESIZE_BILINEAR": 15, "DEPTH_TO_SPACE": 94,
}  # fmt: skip
"""Numbers in the union ``BuiltinOptions``."""


@dataclass
class Table:
    """A FlatBuffer table: per slot a packed number, a list of tables, a vector's (count, bytes), or a table."""

    slots: Mapping[int, Any]


def number(kind: str, value: int) -> bytes:
    return struct.pack("<" + kind, value)


def vector(array: Array) -> tuple[int, bytes]:
    return len(array.reshape(-1)), np.ascontiguousarray(array).tobytes()


def ints(values: Sequence[int]) -> tuple[int, bytes]:
    return vector(np.array(values, np.int32))


def flatbuffer(root: Table) -> bytes:
    """The file: header, then each table after its list of offsets, and what it points to behind it."""
    out = bytearray(8)
    out[4:8] = b"TFL3"
    struct.pack_into("<I", out, 0, _write(out, root))
    return bytes(out)


def _write(out: bytearray, table: Table) -> int:
    count = max(table.slots, default=-1) + 1
    sizes = {slot: (4 if not isinstance(value, bytes) else len(value)) for slot, value in table.slots.items()}
    _align(out, 4)
    offsets, place = {}, 4
    for slot in table.slots:
        offsets[slot], place = place, place + 4 * -(-sizes[slot] // 4)
    head = len(out)
    out += struct.pack("<HH", 4 + 2 * count, place)
    out += b"".join(struct.pack("<H", offsets.get(slot, 0)) for slot in range(count))
    _align(out, 4)
    here = len(out)
    out += bytes(place)
    struct.pack_into("<i", out, here, here - head)
    for slot, value in table.slots.items():
        at = here + offsets[slot]
        if isinstance(value, bytes):
            out[at : at + len(value)] = value
        else:
            struct.pack_into("<I", out, at, _write_behind(out, value) - at)
    return here


def _write_behind(out: bytearray, value: Any) -> int:
    if isinstance(value, Table):
        return _write(out, value)
    _align(out, 16, 4)
    here = len(out)
    if isinstance(value, tuple):
        out += struct.pack("<I", value[0]) + value[1]
        return here
    out += struct.pack("<I", len(value)) + bytes(4 * len(value))
    for place, each in enumerate(value):
        at = here + 4 + 4 * place
        struct.pack_into("<I", out, at, _write(out, each) - at)
    return here


def _align(out: bytearray, to: int, ahead: int = 0) -> None:
    out += bytes(-(len(out) + ahead) % to)


@dataclass
class Net:
    """A network in the making; tensors are numbers, in the order in which they were added."""

    tensors: list[Table] = field(default_factory=list)
    buffers: list[Table] = field(default_factory=lambda: [Table({})])
    steps: list[Table] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    def tensor(self, shape: Sequence[int], kind: str = "float32", data: Array | None = None, sparse: Any = None) -> int:
        """A tensor, constant where there is data."""
        if data is not None:
            self.buffers.append(Table({0: (data.nbytes, np.ascontiguousarray(data).tobytes())}))
        slots: dict[int, Any] = {
            0: ints(shape),
            1: number("b", TYPES[kind]),
            2: number("I", len(self.buffers) - 1 if data is not None else 0),
            3: (1, b"t\0"),
        }
        if sparse is not None:
            slots[6] = sparse
        self.tensors.append(Table(slots))
        return len(self.tensors) - 1

    def constant(self, data: Array) -> int:
        """A constant tensor as it is."""
        return self.tensor(data.shape, str(data.dtype), data)

    def sparse(self, dense: Array) -> int:
        """A constant of which only what is not zero is stored: all dimensions dense but the last one, compressed."""
        rows = dense.reshape(-1, dense.shape[-1])
        places = [np.flatnonzero(row) for row in rows]
        segments = np.cumsum([0, *map(len, places)]).astype(np.uint16)
        indices = np.concatenate(places).astype(np.uint8)
        dimensions = [Table({0: number("b", 0), 1: number("i", size)}) for size in dense.shape[:-1]]
        last = {0: number("b", 1), 2: number("B", 2), 3: Table({0: vector(segments)})}
        dimensions.append(Table(last | {4: number("B", 3), 5: Table({0: vector(indices)})}))
        about = Table({0: ints(range(dense.ndim)), 2: dimensions})
        return self.tensor(dense.shape, str(dense.dtype), rows[rows != 0], about)

    def step(
        self, name: str, inputs: Sequence[int], shape: Sequence[int], options: Mapping[int, bytes] | None = None
    ) -> int:
        """An operator; returns its output."""
        if name not in self.codes:
            self.codes.append(name)
        made = self.tensor(shape)
        slots: dict[int, Any] = {0: number("I", self.codes.index(name)), 1: ints(inputs), 2: ints([made])}
        if options is not None:
            slots |= {3: number("B", OPTIONS[name]), 4: Table(options)}
        self.steps.append(Table(slots))
        return made

    def file(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The whole file."""
        codes = [
            Table({0: number("b", CODES[name]), 2: number("i", 1), 3: number("i", CODES[name])}) for name in self.codes
        ]
        graph = Table({0: self.tensors, 1: ints(inputs), 2: ints(outputs), 3: self.steps})
        return flatbuffer(Table({0: number("I", 3), 1: codes, 2: [graph], 4: self.buffers}))


def conv(padding: int, stride: int, activation: int = 0) -> dict[int, bytes]:
    """Options of a convolution: 0 same, 1 valid."""
    return {0: number("b", padding), 1: number("i", stride), 2: number("i", stride), 3: number("b", activation)}


def depthwise(padding: int, stride: int, activation: int = 0) -> dict[int, bytes]:
    """Options of a depthwise convolution."""
    return conv(padding, stride) | {3: number("i", 1), 4: number("b", activation)}


def everything(seed: int = 0) -> bytes:
    """A network of every kind of step, with half and sparse weights: (1, 8, 8, 3) -> (1, 48), (1, 16, 16, 4)."""
    random = np.random.default_rng(seed)

    def weights(*shape: int) -> Array:
        return random.normal(size=shape).astype(np.float32)

    net = Net()
    image = net.tensor((1, 8, 8, 3))
    half = net.step("DEQUANTIZE", [net.constant(weights(6, 3, 3, 3).astype(np.float16))], (6, 3, 3, 3))
    a = net.step("CONV_2D", [image, half, net.constant(weights(6))], (1, 4, 4, 6), conv(0, 2, 3))
    b = net.step(
        "DEPTHWISE_CONV_2D",
        [a, net.constant(weights(1, 3, 3, 6)), net.constant(weights(6))],
        (1, 4, 4, 6),
        depthwise(0, 1, 1),
    )
    c = net.step("ADD", [a, b], (1, 4, 4, 6), {0: number("b", 1)})
    d = net.step("PAD", [c, net.constant(np.array([[0, 0], [0, 0], [0, 0], [0, 2]], np.int32))], (1, 4, 4, 8), {})
    thin = weights(16, 1, 1, 8) * (random.uniform(size=(16, 1, 1, 8)) < 0.4)
    dense = net.step("DENSIFY", [net.sparse(thin.astype(np.float16))], (16, 1, 1, 8))
    whole = net.step("DEQUANTIZE", [dense], (16, 1, 1, 8))
    e = net.step("CONV_2D", [d, whole, net.constant(weights(16))], (1, 4, 4, 16), conv(1, 1))
    f = net.step("DEPTH_TO_SPACE", [e], (1, 8, 8, 4), {0: number("i", 2)})
    size = net.constant(np.array([16, 16], np.int32))
    g = net.step("RESIZE_BILINEAR", [f, size], (1, 16, 16, 4), {3: number("b", 1)})
    pool = {0: number("b", 1), **{slot: number("i", 2) for slot in (1, 2, 3, 4)}}
    h = net.step("MAX_POOL_2D", [c], (1, 2, 2, 6), pool)
    flat = [
        net.step("RESHAPE", [part, net.constant(np.array([1, -1], np.int32))], (1, length), {})
        for part, length in ((h, 24), (net.step("LOGISTIC", [h], (1, 2, 2, 6)), 24))
    ]
    joined = net.step("CONCATENATION", flat, (1, 48), {0: number("i", 1)})
    return net.file([image], [joined, g])
