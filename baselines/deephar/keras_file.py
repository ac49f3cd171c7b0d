"""The files that Keras writes (``save_weights``, ``save``), of any age, read without Keras.

Of ``.h5`` files the root, or its group ``model_weights``, names its layers in ``layer_names``, and each layer its
tensors in ``weight_names``; attributes that grew too long are cut into ``layer_names0``, ``layer_names1``, and so on.
Those of Keras 3 are another kind, see :mod:`har_bench.baselines.deephar.keras_three`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from har_bench.errors import Malformed, completing
from har_bench.foreign import opening
from har_bench.foreign.budget import Budget
from har_bench.foreign.hdf5 import attribute, malformed, open_file
from har_bench.training import weights

from . import keras_three
from .keras_names import FileGroups, Tensor, places
from .layers import Network

_REMEDY = "give what Keras wrote with save_weights, or with save"
_WHOLE = "model_weights"
_LAYERS, _WEIGHTS = "layer_names", "weight_names"
_LAYER = 1 << 14
"""Looking for a layer takes as long as making so many bytes; a list may name one again and again."""

HDF5 = b"\x89HDF\r\n\x1a\n"


class KerasFile:
    """The tensors of a file, by group, layer and name.

    Raises:
        HarBenchError: it is missing, damaged, or none of Keras.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._arrays: dict[Tensor, npt.NDArray[Any]] = {}
        groups: dict[str, dict[str, dict[str, tuple[int, ...]]]] = {}
        with completing(path, _REMEDY), _plain(path) as (inside, called), _opened(inside) as file, malformed():
            for name, array in _tensors(file, called, Budget(opening.size_of(inside))):
                self._arrays[name] = array
                layers = groups.setdefault(name.group, {})
                layers.setdefault(name.layer, {})[name.tensor] = array.shape
        self.groups: FileGroups = groups

    def state(self, model: Network) -> weights.State:
        """The tensors by their names in the network's state, laid out as torch has them; others keep their own."""
        named = places(self.groups, model)
        return {
            name: laid_out(self._arrays[tensor], depthwise=name.endswith(("depthwise", "depthwise.weight")))
            for name, tensor in named.items()
        }


def load(model: Network, path: Path) -> None:
    """Fill a network from a file.

    Raises:
        HarBenchError: the file cannot be read, or is of another network: what differs.
    """
    weights.fill(model, KerasFile(path).state(model), str(path))


def laid_out(array: npt.NDArray[Any], *, depthwise: bool) -> npt.NDArray[Any]:
    """A kernel's axes as torch has them: out, in, then the window; of a depthwise one channel, 1, and the window."""
    if array.ndim < 2:
        return array
    axes = range(array.ndim)
    first = axes[-2:] if depthwise else axes[:-3:-1]
    return np.ascontiguousarray(array.transpose(*first, *axes[:-2]))


def is_keras(path: Path) -> bool:
    """Whether a file is one that Keras may have written: HDF5, or a ``.keras`` archive.

    Raises:
        Malformed: it cannot be read.
    """
    with opening.mapped(path) as content:
        hdf5 = content[: len(HDF5)] == HDF5
    return hdf5 or keras_three.is_archive(path)


def _opened(path: Path) -> h5py.File:
    return open_file(path, attributes=(_LAYERS, _WEIGHTS, keras_three.NAME))


@contextmanager
def _plain(path: Path) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """The HDF5 file for the block, unpacked where it is in an archive, and what that says its layers are called."""
    if not keras_three.is_archive(path):
        yield path, {}
        return
    with keras_three.unpacked(path) as found:
        yield found


def _tensors(file: h5py.File, called: Mapping[str, str], budget: Budget) -> Iterator[tuple[Tensor, npt.NDArray[Any]]]:
    root = file.get(_WHOLE, file)
    names = _texts(root, _LAYERS)
    if names is None and "layers" in file:
        yield from keras_three.tensors(file, called, budget)
        return
    if names is None:
        raise Malformed("is no file of a Keras network (it has no layer_names)")
    for group in names:
        if group not in root:
            raise Malformed(f"names the layer {group!r} and has no group for it", "is the download complete?")
        budget.charge(_LAYER)
        for name in _texts(root[group], _WEIGHTS) or []:
            if name not in root[group]:
                raise Malformed(f"names the tensor {group}/{name} and has none", "is the download complete?")
            layer, _, tensor = name.rpartition("/")
            key = Tensor(group, layer.rpartition("/")[2] or group, tensor.partition(":")[0])
            if not isinstance(root[group][name], h5py.Dataset):
                raise Malformed(f"has a group for the tensor {group}/{name}")
            yield key, keras_three.paid(root[group][name], budget)


def _texts(group: h5py.Group, name: str) -> list[str] | None:
    """A list of texts among a group's attributes, whole or in pieces."""
    attributes = group.attrs
    pieces = [attribute(group, name)] if name in attributes else []
    while f"{name}{len(pieces)}" in attributes and name not in attributes:
        pieces.append(attribute(group, f"{name}{len(pieces)}"))
    if not pieces:
        return None
    return [
        text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for each in pieces for text in each
    ]
