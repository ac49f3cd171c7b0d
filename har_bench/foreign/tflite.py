"""Networks in TensorFlow Lite's files (``.tflite``): what they compute, and their weights as NumPy arrays.

A file is a FlatBuffer (https://flatbuffers.dev/internals) of the schema ``tensorflow/compiler/mlir/lite/schema``. Only
offsets inside the file are followed, and nothing is run. Weights in half precision and sparse ones (``DEQUANTIZE``,
``DENSIFY``) come back dense and in single precision, so that a reader of the graph meets neither.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError

LIMIT = 1 << 28
"""Numbers that the weights of a file may unfold into, together; the largest pose network has 14 million."""

_IDENTIFIER = b"TFL3"

_TYPES: Mapping[int, type] = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64, 9: np.int8}
"""``TensorType``: those that weights and shapes are stored in."""

_OPERATORS: Mapping[int, str] = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 5: "DEPTH_TO_SPACE",
    6: "DEQUANTIZE", 14: "LOGISTIC", 17: "MAX_POOL_2D", 19: "RELU", 21: "RELU6", 22: "RESHAPE", 23: "RESIZE_BILINEAR",
    34: "PAD", 124: "DENSIFY",
}  # fmt: skip
"""``BuiltinOperator``: those of convolutional pose networks."""

_CONVOLUTION = {"padding": 0, "stride_w": 1, "stride_h": 2, "activation": 3, "dilation_w": 4, "dilation_h": 5}
_POOLING = {"padding": 0, "stride_w": 1, "stride_h": 2, "width": 3, "height": 4, "activation": 5}
_OPTIONS: Mapping[str, Mapping[str, int]] = {
    "ADD": {"activation": 0},
    "AVERAGE_POOL_2D": _POOLING,
    "CONCATENATION": {"axis": 0, "activation": 1},
    "CONV_2D": _CONVOLUTION,
    "DEPTHWISE_CONV_2D": {
        "padding": 0, "stride_w": 1, "stride_h": 2, "multiplier": 3, "activation": 4, "dilation_w": 5, "dilation_h": 6
    },
    "DEPTH_TO_SPACE": {"block": 0},
    "MAX_POOL_2D": _POOLING,
    "RESIZE_BILINEAR": {"align_corners": 2, "half_pixel_centers": 3},
}  # fmt: skip
"""Where in an operator's table its options stand."""
_BYTES = frozenset({"padding", "activation", "align_corners", "half_pixel_centers"})
"""Options of one byte; the others have four."""
_ONE_UNLESS_SAID = frozenset({"dilation_w", "dilation_h"})
_DENSE = 0
_INDEX_TYPES: Mapping[int, type] = {1: np.int32, 2: np.uint16, 3: np.uint8}
"""``SparseIndexVector``."""


@dataclass(frozen=True)
class Operator:
    """One step of a network.

    Attributes:
        name: as TensorFlow Lite calls it, such as ``CONV_2D``.
        inputs: numbers of the tensors it reads; -1 for one that is left out.
        outputs: numbers of the tensors it makes.
        options: by name; ``activation`` is 0 none, 1 ReLU, 3 ReLU6, and ``padding`` 0 same, 1 valid.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int]


@dataclass(frozen=True)
class Graph:
    """A network as a list of steps over numbered tensors.

    Attributes:
        inputs: numbers of the tensors that the user gives.
        outputs: numbers of the tensors that the network makes of them.
        shapes: of every tensor, as the file states it: batch, height, width, channels.
        operators: in the order of computation.
        constants: weights and shapes by the tensor's number; floating-point ones are float32.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    operators: tuple[Operator, ...]
    constants: Mapping[int, npt.NDArray[Any]]


class _MalformedError(Exception):
    """The bytes are no such file; the message completes "is no network that can be read (…)"."""


def parse(content: bytes, name: str) -> Graph:
    """The network in a file's content; ``name`` is what errors call it.

    Raises:
        HarBenchError: it is damaged, or holds what convolutional networks do not.
    """
    try:
        return _graph(content)
    except (_MalformedError, struct.error, ValueError, OverflowError) as error:
        raise HarBenchError(f"{name} is no .tflite network that can be read ({error}); fetch it again") from error


class _Table:
    """A FlatBuffer table: fields are found through its list of offsets, and absent ones have a default."""

    def __init__(self, content: bytes, position: int) -> None:
        self._content, self._position = content, position
        self._offsets = position - self._number("<i", position)
        self._count = (self._number("<H", self._offsets) - 4) // 2

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """A number, by the letter that :mod:`struct` has for its type."""
        place = self._place(field)
        return self._number("<" + kind, place) if place else default

    def array(self, field: int, kind: type) -> npt.NDArray[Any]:
        """A vector of numbers; an absent one is empty."""
        first, length = self._vector(field)
        size = np.dtype(kind).itemsize
        if length * size > len(self._content) - first:
            raise _MalformedError(f"a vector of {length} numbers goes beyond the end")
        return np.frombuffer(self._content, np.dtype(kind).newbyteorder("<"), length, first)

    def table(self, field: int) -> _Table | None:
        """The table that a field points to."""
        place = self._place(field)
        return _Table(self._content, place + self._number("<I", place)) if place else None

    def tables(self, field: int) -> list[_Table]:
        """A vector of tables."""
        first, length = self._vector(field)
        if 4 * length > len(self._content) - first:
            raise _MalformedError(f"a vector of {length} tables goes beyond the end")
        places = range(first, first + 4 * length, 4)
        return [_Table(self._content, place + self._number("<I", place)) for place in places]

    def _vector(self, field: int) -> tuple[int, int]:
        """Where its elements begin, and how many there are."""
        place = self._place(field)
        if not place:
            return 0, 0
        place += self._number("<I", place)
        return place + 4, self._number("<I", place)

    def _place(self, field: int) -> int:
        offset = self._number("<H", self._offsets + 4 + 2 * field) if field < self._count else 0
        return self._position + offset if offset else 0

    def _number(self, kind: str, place: int) -> int:
        if place < 0:  # struct would count from the end
            raise _MalformedError("an offset points before the beginning")
        return int(struct.unpack_from(kind, self._content, place)[0])


def _graph(content: bytes) -> Graph:
    if content[4:8] != _IDENTIFIER:
        raise _MalformedError("it does not begin as one")
    model = _Table(content, struct.unpack_from("<I", content)[0])
    parts = model.tables(2)
    if len(parts) != 1:
        raise _MalformedError(f"it has {len(parts)} networks and not one")
    names = [_operator_name(code) for code in model.tables(1)]
    tensors, buffers = parts[0].tables(0), model.tables(4)
    shapes = tuple(tuple(tensor.array(0, np.int32).tolist()) for tensor in tensors)
    constants = _Constants(tensors, shapes, buffers)
    steps = []
    for table in parts[0].tables(3):
        step = _operator(table, names, len(tensors))
        if step.name == "DENSIFY":
            constants.densify(*step.inputs, *step.outputs)
        elif step.name == "DEQUANTIZE":
            constants.widen(*step.inputs, *step.outputs)
        else:
            steps.append(step)
    read = dict.fromkeys(number for step in steps for number in step.inputs)
    for number in read:
        constants.decode(number)
    inputs, outputs = (tuple(parts[0].array(field, np.int32).tolist()) for field in (1, 2))
    _check(inputs + outputs, len(tensors))
    kept = {number: constants.found[number] for number in read if number in constants.found}
    return Graph(inputs, outputs, shapes, tuple(steps), kept)


def _operator_name(code: _Table) -> str:
    number = max(code.number(0, "b"), code.number(3, "i"))
    if number not in _OPERATORS:
        raise _MalformedError(f"it computes operator {number}, which no pose network has")
    return _OPERATORS[number]


def _operator(table: _Table, names: list[str], tensors: int) -> Operator:
    number = table.number(0, "I")
    if number >= len(names):
        raise _MalformedError(f"a step is of kind {number} of {len(names)}")
    name, found = names[number], table.table(4)
    inputs, outputs = (tuple(table.array(field, np.int32).tolist()) for field in (1, 2))
    _check(inputs + outputs, tensors)
    if name in ("DENSIFY", "DEQUANTIZE") and (len(inputs), len(outputs)) != (1, 1):
        raise _MalformedError(f"{name} has {len(inputs)} inputs and {len(outputs)} outputs")
    options = {
        option: found.number(slot, "b" if option in _BYTES else "i", int(option in _ONE_UNLESS_SAID)) if found else 0
        for option, slot in _OPTIONS.get(name, {}).items()
    }
    return Operator(name, inputs, outputs, options)


def _check(numbers: tuple[int, ...], tensors: int) -> None:
    wrong = [number for number in numbers if not -1 <= number < tensors]
    if wrong:
        raise _MalformedError(f"it speaks of tensor {wrong[0]} of {tensors}")


class _Constants:
    """The tensors whose values stand in the file, decoded when they are asked for."""

    def __init__(self, tensors: list[_Table], shapes: tuple[tuple[int, ...], ...], buffers: list[_Table]) -> None:
        self._tensors, self._shapes, self._buffers = tensors, shapes, buffers
        self._left = LIMIT
        self.found: dict[int, npt.NDArray[Any]] = {}

    def decode(self, number: int) -> None:
        """Take the values of a tensor that has some and is not sparse."""
        if number >= 0 and number not in self.found:
            values = self._values(number)
            if len(values):
                self.found[number] = self._shaped(values, number)

    def widen(self, source: int, target: int) -> None:
        """A constant in half precision as one in single precision."""
        self.decode(source)
        if source not in self.found or self.found[source].dtype.kind != "f":
            raise _MalformedError(f"tensor {source} is no weights in half precision")
        self.found[target] = self.found[source].astype(np.float32)

    def densify(self, source: int, target: int) -> None:
        """A sparse constant as a dense one."""
        sparsity = self._tensors[source].table(6)
        if sparsity is None:
            raise _MalformedError(f"tensor {source} is not sparse")
        shape = self._shapes[source]
        if sparsity.array(0, np.int32).tolist() != list(range(len(shape))) or len(sparsity.array(1, np.int32)):
            raise _MalformedError(f"tensor {source} is stored in blocks")
        self._spend(shape)
        values = self._values(source)
        dense = np.zeros(math.prod(shape), values.dtype)
        places = _places(sparsity, shape)
        if len(places) != len(values) or (len(places) and int(places.max()) >= len(dense)):
            raise _MalformedError(f"tensor {source} has {len(values)} values for {len(places)} places")
        dense[places] = values
        self.found[target] = dense.reshape(shape)

    def _values(self, number: int) -> npt.NDArray[Any]:
        tensor = self._tensors[number]
        kind, buffer = tensor.number(1, "b"), tensor.number(2, "I")
        if buffer >= len(self._buffers):
            raise _MalformedError(f"tensor {number} is in buffer {buffer} of {len(self._buffers)}")
        raw = self._buffers[buffer].array(0, np.uint8)
        if not len(raw):
            return raw
        if kind not in _TYPES:
            raise _MalformedError(f"tensor {number} is of type {kind}")
        return np.frombuffer(raw.tobytes(), np.dtype(_TYPES[kind]).newbyteorder("<")).astype(_TYPES[kind])

    def _shaped(self, values: npt.NDArray[Any], number: int) -> npt.NDArray[Any]:
        shape = self._shapes[number]
        self._spend(shape)
        if len(values) != math.prod(shape):
            raise _MalformedError(f"tensor {number} has {len(values)} values for the shape {shape}")
        return values.reshape(shape)

    def _spend(self, shape: tuple[int, ...]) -> None:
        if min(shape, default=1) < 0:
            raise _MalformedError(f"a constant has the shape {shape}")
        self._left -= math.prod(shape)
        if self._left < 0:
            raise _MalformedError(f"its weights unfold into more than {LIMIT} numbers")


def _places(sparsity: _Table, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Where in the dense array the values go, in order: dimension by dimension, each dense or compressed (CSR)."""
    dimensions = sparsity.tables(2)
    if len(dimensions) != len(shape):
        raise _MalformedError(f"a sparse tensor of shape {shape} describes {len(dimensions)} dimensions")
    places = np.zeros(1, np.int64)
    for dimension, size in zip(dimensions, shape, strict=True):
        if dimension.number(0, "b") == _DENSE:
            places = (places[:, None] * size + np.arange(size)).reshape(-1)
            continue
        segments, indices = _indices(dimension, 2), _indices(dimension, 4)
        lengths = np.diff(segments)
        fits = len(lengths) == len(places) and not (lengths < 0).any()
        if not fits or segments[0] != 0 or segments[-1] != len(indices) or (indices >= size).any():
            raise _MalformedError(f"a sparse tensor of shape {shape} has segments that do not fit")
        places = np.repeat(places, lengths) * size + indices
    return places


def _indices(dimension: _Table, field: int) -> npt.NDArray[np.int64]:
    kind, found = dimension.number(field, "B"), dimension.table(field + 1)
    if kind not in _INDEX_TYPES or found is None:
        raise _MalformedError("a sparse tensor lacks its indices")
    values = found.array(0, _INDEX_TYPES[kind]).astype(np.int64)
    if (not len(values) and field == 2) or (values < 0).any():
        raise _MalformedError("a sparse tensor has no or negative segments")
    return values
