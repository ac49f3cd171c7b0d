"""The files of Keras 3: ``.weights.h5``, and ``.keras``, an archive of such a file and of the model's configuration.

A layer's tensors are numbered in ``…/vars``, below ``layers/CLASS``, ``layers/CLASS_1`` and so on, a model's layers
below the model. What a layer is called stands beside its tensors in files of late versions (3.8 and 3.11 write it, 3.4
does not), in a ``.keras`` file always in the configuration.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy.typing as npt

from har_bench.errors import Malformed
from har_bench.files import write_whole
from har_bench.foreign import json_file, opening
from har_bench.foreign.archive import Archive
from har_bench.foreign.budget import Budget
from har_bench.foreign.hdf5 import attribute, values

from .keras_names import Tensor

MEMBER, CONFIGURATION = "model.weights.h5", "config.json"
NAME = "name"
"""The attribute that says what a layer is called."""

_INSIDE = ("layers", "layer")
"""Where a model keeps its layers, and a layer that is applied to every frame the one that it applies."""
_VARIABLES = "vars"
_NAMELESS = (
    "does not say what its layers are called, as early versions of Keras 3 do not",
    "save the whole model as .keras, or the weights with a newer Keras",
)
_TENSOR = 1 << 12
"""Opening a tensor takes as long as making so many bytes."""

_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
_SEPARABLE = ("depthwise_kernel", "pointwise_kernel")
_PIECE = re.compile(r"(\d+)")


def is_archive(path: Path) -> bool:
    """Whether a file is a ``.keras`` file.

    Raises:
        Malformed: it cannot be read.
    """
    with opening.mapped(path) as content:
        return content[:2] == b"PK" and content.find(MEMBER.encode()) >= 0


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """The HDF5 file that a ``.keras`` file holds, for the block, and what its layers are called by their places.

    Raises:
        Malformed: it is no such archive, or damaged.
    """
    archive = Archive(path)
    budget = Budget(archive.size)
    for name in (MEMBER, CONFIGURATION):
        if name not in archive.members:
            raise Malformed(f"holds no {name}")
        budget.charge(archive.members[name].file_size)
    names: dict[str, str] = {}
    _name(json_file.decode(bytes(archive.read(CONFIGURATION)), what="a model's configuration"), "", names)
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / MEMBER
        write_whole(inside, bytes(archive.read(MEMBER)))
        yield inside, names


def _name(config: Any, place: str, names: dict[str, str]) -> None:
    """What the layers of a configuration are called, by their places: classes are counted in every model anew."""
    held = config.get("config") if isinstance(config, dict) else None
    if not isinstance(held, dict):
        return
    names[place] = str(held.get(NAME, ""))
    if isinstance(held.get("layer"), dict):
        _name(held["layer"], f"{place}/layer", names)
    counted = Counter[str]()
    layers = held.get("layers")
    for layer in layers if isinstance(layers, list) else ():
        called = _snake(str(layer.get("class_name", ""))) if isinstance(layer, dict) else ""
        number = counted[called]
        counted[called] += 1
        _name(layer, f"{place}/layers/{called}_{number}" if number else f"{place}/layers/{called}", names)


def _snake(name: str) -> str:
    """As Keras calls a class in a file.

    >>> _snake("SeparableConv2D"), _snake("ReLU")
    ('separable_conv2d', 're_lu')
    """
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))).lower()


def tensors(file: h5py.File, names: Mapping[str, str], budget: Budget) -> Iterator[tuple[Tensor, npt.NDArray[Any]]]:
    """All tensors, in the order in which the layers are numbered; those of what optimised the model are left out.

    Args:
        file: as ``save_weights`` of Keras 3 writes it.
        names: what layers are called by their places, from a configuration; the file says it itself without.
        budget: of the file.

    Raises:
        Malformed: neither says it, or the tensors come to more than a file of its size may hold.
    """
    places: dict[str, list[int]] = {}

    def visit(path: str, found: object) -> None:
        place, _, number = path.rpartition(f"/{_VARIABLES}/")
        if isinstance(found, h5py.Dataset) and place.startswith(f"{_INSIDE[0]}/") and number.isdigit():
            places.setdefault(place, []).append(int(number))

    file.visititems(visit)
    for place in sorted(places, key=_counted):
        called = [_called(file, each, names) for each in _above(place)]
        arrays = [paid(file[f"{place}/{_VARIABLES}/{number}"], budget) for number in sorted(places[place])]
        for name, array in zip(_told(arrays), arrays, strict=True):
            yield Tensor(called[0], called[-1], name), array


def paid(dataset: h5py.Dataset, budget: Budget) -> npt.NDArray[Any]:
    """A tensor, once it is paid for: many names may lead to one.

    Raises:
        Malformed: all together are more than a file of its size may hold.
    """
    budget.charge(_TENSOR + dataset.nbytes)
    return values(dataset)


def _counted(place: str) -> list[tuple[str, int]]:
    """A key by which ``conv2d_10`` comes after ``conv2d_9``."""
    pieces = _PIECE.split(place)
    return [(text, int(number)) for text, number in zip(pieces[::2], [*pieces[1::2], "0"], strict=True)]


def _above(place: str) -> Iterator[str]:
    """The places of all layers around one, the outermost first, and of the innermost."""
    parts = place.split("/")
    for count, part in enumerate(parts, 1):
        if part != _INSIDE[0]:
            yield "/".join(parts[:count])


def _called(file: h5py.File, place: str, names: Mapping[str, str]) -> str:
    if name := names.get(f"/{place}"):
        return name
    held = file.get(f"{place}/{_VARIABLES}")
    if held is None or NAME not in held.attrs:
        raise Malformed(*_NAMELESS)
    return str(attribute(held, NAME))


def _told(arrays: Sequence[npt.NDArray[Any]]) -> Sequence[str]:
    """What a layer's tensors are, by how many there are and of which kind; their numbers, if that tells nothing."""
    if len(arrays) == 1 and arrays[0].ndim > 1:
        return ("kernel",)
    if all(array.ndim == 1 for array in arrays) and len(arrays) in (3, 4):
        return _NORM[-len(arrays) :]
    return _SEPARABLE if [array.ndim for array in arrays] == [4, 4] else [str(at) for at in range(len(arrays))]
