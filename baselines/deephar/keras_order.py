"""Which tensor of a Keras file is which, where the names in its group say nothing: the order in which Keras writes.

A nested model's tensors come as its layers are listed: first those that are trained, then those that are not;
TensorFlow's own Keras writes all of a layer together. Layers are listed by how far they are from the output, so that of
two branches the longer one begins first; a module whose parts were not made in this order says it as ``LISTED``.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from torch import nn

from .layers import Norm, Separable
from .soft_argmax import Frozen, Kernel

Shape = tuple[int, ...]
Layers = Mapping[str, Mapping[str, Shape]]
"""The shapes of a group's tensors, by layer and by name."""

LAYERS = (Separable, Frozen, Kernel, Norm, nn.Conv2d, nn.ConvTranspose2d)
"""The modules that are one layer of Keras each."""
TRAINED = ("kernel", "depthwise_kernel", "pointwise_kernel", "gamma", "beta")
STATISTICS = ("moving_mean", "moving_variance")


class Place(NamedTuple):
    """A tensor of a layer, by the name that Keras has for it."""

    layer: nn.Module
    tensor: str


def says_nothing(layers: Layers) -> bool:
    """Whether no tensor of a group has a name that Keras has for one."""
    return not any(tensor in (*TRAINED, *STATISTICS) for tensors in layers.values() for tensor in tensors)


def in_order(layers: Layers, parts: Iterable[nn.Module]) -> dict[tuple[str, str], Place]:
    """The tensors of a group by layer and name: the n-th of a shape is our n-th of it, and others are left out."""
    theirs = [(layer, tensor, shape) for layer, tensors in layers.items() for tensor, shape in tensors.items()]
    ours = [each for part in parts for each in _listed(part)]
    last = max((at for at, (_, _, shape) in enumerate(theirs) if len(shape) > 1), default=len(theirs))
    norms = sum(isinstance(each, Norm) for each in ours)
    waiting: dict[Shape, deque[Place]] = defaultdict(deque)
    for place, shape in _written(ours, together=len(theirs) - last - 1 < 2 * norms):
        waiting[shape].append(place)
    return {(layer, tensor): waiting[shape].popleft() for layer, tensor, shape in theirs if waiting[shape]}


def _listed(part: nn.Module) -> Iterator[nn.Module]:
    """The layers of a module as Keras lists them."""
    if isinstance(part, LAYERS):
        yield part
        return
    for name in getattr(part, "LISTED", None) or [name for name, _ in part.named_children()]:
        yield from _listed(part.get_submodule(name))


def _written(ours: Sequence[nn.Module], *, together: bool) -> list[tuple[Place, Shape]]:
    """The tensors of layers in the order in which they are written, with their shapes in the file."""
    found = [(Place(layer, tensor), shape) for layer in ours for tensor, shape in _tensors(layer)]
    return found if together else sorted(found, key=lambda pair: pair[0].tensor in STATISTICS)


def _tensors(layer: nn.Module) -> Iterator[tuple[str, Shape]]:
    if isinstance(layer, Norm):
        factor = ("gamma",) if "weight" in layer.state_dict() else ()
        yield from ((name, (layer.num_features,)) for name in (*factor, "beta", *STATISTICS))
    elif isinstance(layer, Separable | Frozen):
        kernels = list(layer.state_dict().values())
        yield "depthwise_kernel", tuple(kernels[0].permute(2, 3, 0, 1).shape)
        yield "pointwise_kernel", tuple(kernels[1].permute(2, 3, 1, 0).shape)
    else:
        (kernel,) = layer.state_dict().values()
        yield "kernel", (*kernel.shape[2:], kernel.shape[1], kernel.shape[0])
