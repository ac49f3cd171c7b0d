"""Which tensor of a Keras file is which of a network: rules of names, not tables.

A Keras file has a group for every layer or nested model of a network, and a network of ours says which of its parts is
which group (``groups()``). Inside a group a layer is found by its name: the path of a module of ours, joined by ``_``
and without ``norm``. Where Keras made the name by counting (``conv2d_17``, ``batch_normalization_23``), the n-th of a
kind is the n-th of ours, in the order in which both were made. Where TensorFlow had a name before, it counts on behind
it (``sepconv_l1_1``): the n-th of that name is again the n-th of ours. So do groups that Keras named by counting.

Where a group's names say nothing (``Variable_3``), the n-th tensor of a shape is the n-th of ours of that shape, in the
order of :mod:`har_bench.baselines.deephar.keras_order`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from torch import nn

from .keras_order import LAYERS, Layers, Place, Shape, in_order, says_nothing
from .layers import Network, Norm, Separable
from .soft_argmax import Frozen

_PLACES = {
    "kernel": "weight",
    "depthwise_kernel": "depthwise.weight",
    "pointwise_kernel": "pointwise.weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_FROZEN = {"depthwise_kernel": "depthwise", "pointwise_kernel": "pointwise"}

_COUNTED = re.compile(r"(.*?)_?(\d+)")
_TIMED = "td_"
"""What stands before the name of a group that is applied to every frame."""

_ACTION = re.compile(r"act(\d+)_(.*)")
"""Blocks of actions are counted over all networks of a process, and begin with any number."""

_PRUNED = ("heatmaps_fw_maps", "heatmaps_conv2", "depthmaps_conv2", "action_pred_conv3")
"""What feeds only the next block: Keras keeps it where there is one, and a file of a longer network has it."""

FileGroups = Mapping[str, Layers]
"""The shapes of a file's tensors: by group, by layer in it, and by tensor of that, such as ``moving_mean``."""


class Tensor(NamedTuple):
    """A tensor of a file, by its group, its layer and its own name."""

    group: str
    layer: str
    tensor: str


def places(file: FileGroups, model: Network) -> dict[str, Tensor]:
    """The tensors of a file by their names in the network's state; those that it has not, by their own."""
    groups = model.groups()
    paths = {module: path for path, module in model.named_modules()}
    partners = _groups(list(file), list(groups))
    found = {}
    for group, layers in file.items():
        ours = groups[partners[group]] if group in partners else ()
        told = in_order(layers, ours) if says_nothing(layers) else _by_name(layers, ours)
        for layer, tensors in layers.items():
            for tensor in tensors:
                name = _name(told.get((layer, tensor)), paths)
                if name is None and group.endswith(_PRUNED):
                    continue
                found[name or f"{group}/{layer}/{tensor}"] = Tensor(group, layer, tensor)
    return found


def _name(place: Place | None, paths: Mapping[nn.Module, str]) -> str | None:
    if place is None:
        return None
    known = _FROZEN if isinstance(place.layer, Frozen) else _PLACES
    return f"{paths[place.layer]}.{known[place.tensor]}" if place.tensor in known else None


def _by_name(layers: Layers, parts: Sequence[nn.Module]) -> dict[tuple[str, str], Place]:
    modules = _layers(layers, [pair for part in parts for pair in layers_of(part)])
    return {
        (layer, tensor): Place(modules[layer], tensor)
        for layer, tensors in layers.items()
        if layer in modules
        for tensor in tensors
    }


def _groups(theirs: Sequence[str], ours: Sequence[str]) -> dict[str, str]:
    """Ours by theirs: by name, then what was counted, in order."""
    starts = sorted({int(found[1]) for name in theirs if (found := _ACTION.fullmatch(name))})
    ranks = {number: rank for rank, number in enumerate(starts, 1)}
    plain = {}
    for name in theirs:
        counted = _ACTION.fullmatch(name)
        plain[name] = f"act{ranks[int(counted[1])]}_{counted[2]}" if counted else name.removeprefix(_TIMED)
    same = {name: short for name, short in plain.items() if short in set(ours)}
    rest = [name for name in ours if name not in same.values()]
    counted_rest = [name for name in theirs if name not in same and _COUNTED.fullmatch(name)]
    return same | (dict(zip(counted_rest, rest, strict=True)) if len(rest) == len(counted_rest) else {})


def layers_of(group: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a part by the names that Keras gave those that have one, in the order in which they were made."""
    inside = ""
    for path, module in group.named_modules():
        if inside and path.startswith(inside):
            continue
        if isinstance(module, LAYERS):
            inside = f"{path}." if path else " "
            yield "_".join(part for part in path.split(".") if part != "norm"), module
            if not path:
                return


def _layers(theirs: Layers, ours: Sequence[tuple[str, nn.Module]]) -> dict[str, nn.Module]:
    """The modules that the layers of a group are."""
    names = {name for name, _ in ours}
    waiting: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for layer, tensors in theirs.items():
        counted = _COUNTED.fullmatch(layer)
        number, base = (int(counted[2]), counted[1]) if counted else (0, layer)
        if layer in names:
            waiting[layer].append((0, layer))
        else:
            waiting[base if base in names else _kind_of(tensors)].append((number, layer))
    modules: dict[str, list[nn.Module]] = defaultdict(list)
    for name, module in ours:
        modules[name if name in waiting else _kind(module)].append(module)
    return {
        layer: module
        for bucket, numbered in waiting.items()
        for (_, layer), module in zip(sorted(numbered), modules[bucket], strict=False)
    }


def _kind_of(tensors: Mapping[str, Shape]) -> str:
    if "depthwise_kernel" in tensors:
        return "separable"
    return f"kernel of {len(tensors['kernel'])} axes" if "kernel" in tensors else "norm"


def _kind(module: nn.Module) -> str:
    if isinstance(module, Separable | Frozen):
        return "separable"
    return "norm" if isinstance(module, Norm) else f"kernel of {module.weight.ndim} axes"
