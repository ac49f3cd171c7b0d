"""A network of a ``.tflite`` file as one torch module: any batch, any device, the same numbers to rounding.

TensorFlow Lite's tensors are (B, H, W, C); inside the module they are (B, C, H, W), inputs and outputs are as the file
has them. Steps that no wanted output needs are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from har_bench.errors import HarBenchError
from har_bench.foreign.tflite import Graph, Operator, parse

Step = Callable[..., torch.Tensor]

_ACTIVATIONS: dict[int, Callable[[torch.Tensor], torch.Tensor]] = {
    0: lambda x: x,
    1: functional.relu,
    3: functional.relu6,
}
_SAME = 0


class GraphModule(nn.Module):
    """The steps of a graph, in order.

    Args:
        graph: a network with one input.
        outputs: which of its outputs to compute, by their places in its list; all by default.

    Raises:
        HarBenchError: it computes something in a way that this module does not know.
    """

    def __init__(self, graph: Graph, outputs: Sequence[int] | None = None) -> None:
        super().__init__()
        if len(graph.inputs) != 1:
            raise HarBenchError(f"a network has {len(graph.inputs)} inputs; only those with one can be run")
        self._input = graph.inputs[0]
        self._outputs = [graph.outputs[place] for place in (outputs or range(len(graph.outputs)))]
        needed = _needed(graph, self._outputs)
        self._reads = [[number for number in step.inputs if number not in graph.constants] for step in needed]
        self._writes = [step.outputs[0] for step in needed]
        self._forget = _last_uses(self._reads, self._outputs)
        self.steps = nn.ModuleList(_module(step, graph) for step in needed)
        self.eval()

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """(B, H, W, C) -> the outputs, with the batch in front."""
        found = {self._input: images.permute(0, 3, 1, 2)}
        for step, reads, writes, forget in zip(self.steps, self._reads, self._writes, self._forget, strict=True):
            found[writes] = step(*(found[number] for number in reads))
            for number in forget:
                del found[number]
        return [_outside(found[number]) for number in self._outputs]


def load(content: bytes, name: str, outputs: Sequence[int] | None = None) -> GraphModule:
    """The network in a file's content as a module; ``name`` is what errors call it.

    Raises:
        HarBenchError: the file is damaged, or is no such network.
    """
    try:
        return GraphModule(parse(content, name), outputs)
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        raise HarBenchError(f"{name} is no network that can be run ({error}); fetch it again") from error


def count(content: bytes, name: str) -> int:
    """How many weights a file's network has."""
    return sum(each.size for each in parse(content, name).constants.values() if each.dtype.kind == "f")


def _outside(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor


def _needed(graph: Graph, outputs: Iterable[int]) -> list[Operator]:
    """The steps that lead to these outputs, in order."""
    wanted, found = set(outputs), []
    for step in reversed(graph.operators):
        if wanted & set(step.outputs):
            wanted |= set(step.inputs)
            found.append(step)
    return found[::-1]


def _last_uses(reads: Sequence[Sequence[int]], kept: Iterable[int]) -> list[list[int]]:
    """For each step, the tensors that nothing reads after it."""
    seen = set(kept)
    forget: list[list[int]] = []
    for numbers in reversed(reads):
        forget.append([number for number in dict.fromkeys(numbers) if number not in seen])
        seen |= set(numbers)
    return forget[::-1]


def _module(step: Operator, graph: Graph) -> nn.Module:
    made: dict[str, Callable[[Operator, Graph], nn.Module]] = {
        "ADD": lambda step, _: _Sum(step.options["activation"]),
        "CONCATENATION": lambda step, graph: _Concatenation(step, graph),
        "CONV_2D": _convolution,
        "DEPTHWISE_CONV_2D": _convolution,
        "DEPTH_TO_SPACE": lambda step, _: _DepthToSpace(step.options["block"]),
        "LOGISTIC": lambda *_: nn.Sigmoid(),
        "MAX_POOL_2D": _pooling,
        "PAD": lambda step, graph: _Padding(graph.constants[step.inputs[1]]),
        "RELU": lambda *_: nn.ReLU(),
        "RELU6": lambda *_: nn.ReLU6(),
        "RESHAPE": lambda step, graph: _Reshape(graph.constants[step.inputs[1]].tolist()),
        "RESIZE_BILINEAR": _resizing,
    }
    if step.name not in made:
        raise HarBenchError(f"a network computes {step.name}, which cannot be run; give one that does without")
    return made[step.name](step, graph)


class _Convolution(nn.Module):
    def __init__(self, weight: npt.NDArray[Any], bias: npt.NDArray[Any], step: Operator, groups: int) -> None:
        super().__init__()
        self.weight: torch.Tensor
        self.bias: torch.Tensor
        made = torch.tensor(np.ascontiguousarray(weight))
        # images come with their channels last, and convolutions are faster if the weights do too
        self.register_buffer("weight", made.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", torch.tensor(bias))
        options = step.options
        self._stride = options["stride_h"], options["stride_w"]
        self._dilation = options["dilation_h"], options["dilation_w"]
        self._same, self._groups = options["padding"] == _SAME, groups
        self._activation = _ACTIVATIONS[options["activation"]]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padding: tuple[int, int] = (0, 0)
        if self._same:
            (top, bottom), (left, right) = (
                _same(x.shape[2 + axis], self.weight.shape[2 + axis], self._stride[axis], self._dilation[axis])
                for axis in (0, 1)
            )
            if (top, left) == (bottom, right):
                padding = top, left
            else:
                x = functional.pad(x, (left, right, top, bottom))
        made = functional.conv2d(x, self.weight, self.bias, self._stride, padding, self._dilation, self._groups)
        return self._activation(made)


def _same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """How much TensorFlow pads before and after, so that ``ceil(size / stride)`` comes out: the smaller half first."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def _convolution(step: Operator, graph: Graph) -> nn.Module:
    weight, bias = (graph.constants[number] for number in step.inputs[1:3])
    if step.name == "CONV_2D":  # (out, h, w, in)
        return _Convolution(weight.transpose(0, 3, 1, 2), bias, step, 1)
    return _Convolution(weight.transpose(3, 0, 1, 2), bias, step, weight.shape[3] // step.options["multiplier"])


class _Sum(nn.Module):
    def __init__(self, activation: int) -> None:
        super().__init__()
        self._activation = _ACTIVATIONS[activation]

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self._activation(a + b)


class _Concatenation(nn.Module):
    def __init__(self, step: Operator, graph: Graph) -> None:
        super().__init__()
        shape, axis = graph.shapes[step.inputs[0]], step.options["axis"]
        axis %= len(shape)
        self._axis = (0, 2, 3, 1)[axis] if len(shape) == 4 else axis

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        return torch.cat(parts, self._axis)


class _DepthToSpace(nn.Module):
    """Channels become a block of pixels; TensorFlow has the channel last, ``pixel_shuffle`` first."""

    def __init__(self, block: int) -> None:
        super().__init__()
        self._block = block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, (batch, channels, height, width) = self._block, x.shape
        blocks = x.reshape(batch, n, n, channels // n**2, height, width).permute(0, 3, 4, 1, 5, 2)
        return blocks.reshape(batch, -1, height * n, width * n)


class _Padding(nn.Module):
    def __init__(self, amounts: npt.NDArray[Any]) -> None:
        super().__init__()
        (_, _), rows, columns, channels = amounts.tolist()
        self._amounts = (*columns, *rows, *channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.pad(x, self._amounts)


class _Reshape(nn.Module):
    """Into the stated shape, behind the batch."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self._shape = tuple(shape[1:])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _outside(x).reshape(x.shape[0], *self._shape)


def _pooling(step: Operator, graph: Graph) -> nn.Module:
    del graph
    options = step.options
    if options["padding"] == _SAME or options["activation"]:
        raise HarBenchError("a network pools with padding, which cannot be run; give one that does without")
    return nn.MaxPool2d((options["height"], options["width"]), (options["stride_h"], options["stride_w"]))


def _resizing(step: Operator, graph: Graph) -> nn.Module:
    if not step.options["half_pixel_centers"]:
        raise HarBenchError("a network resizes about pixels' corners, which cannot be run; give a newer file of it")
    height, width = graph.constants[step.inputs[1]].tolist()
    return nn.Upsample((height, width), mode="bilinear", align_corners=False)
