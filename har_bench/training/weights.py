"""Weights: files of named tensors, ours and published ones, and models filled from them with what differs named.

We write safetensors, one tensor ``<model>/<name>`` each, with the model's options as JSON beside them. Published files
are what ``torch.save`` wrote; they are read by :mod:`har_bench.foreign.torch_file`, which runs nothing in them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from har_bench import remote
from har_bench.errors import HarBenchError, completing, listed
from har_bench.files import destination, write_whole
from har_bench.foreign import opening, torch_file
from har_bench.storing import fingerprint

if TYPE_CHECKING:
    from torch import nn

State = Mapping[str, npt.NDArray[Any]]

_COUNTER = "num_batches_tracked"
_STATISTICS = ("running_mean", "running_var", _COUNTER)
_PREFIXES = ("module.", "_orig_mod.", "model.")
"""What training on several GPUs, compiling, and Lightning put before every name."""

_ALONE = ("state_dict", "model_state_dict", "model", "net", "network", "model_state", "weights")
"""What a checkpoint calls the only model that it has."""

_TRAINING = "har_bench"
_NAMED = 3


def told_by(begun_with: str) -> str:
    """What tells a training that began with the weights at a path or URL from others; nothing where there are none."""
    return fingerprint.of_file(remote.fetch(begun_with)) if begun_with else ""


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds.

    Attributes:
        path: the file.
        models: state dicts by the model's name; a bare state dict's name is empty.
        options: what :func:`write` was given; empty for published files.
        extra: the numbers and texts that published files have beside their models, such as ``epoch`` and ``lr``.
        training: the options of the training that left this checkpoint of ours; empty for others.
    """

    path: Path
    models: Mapping[str, State]
    options: Mapping[str, Any]
    extra: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)


def read(path: Path) -> Checkpoint:
    """Read weights of :func:`write`, or of ``torch.save``; what a file is, its content tells and not its name.

    Raises:
        HarBenchError: the file is neither, is damaged, asks to run code, or holds no weights.
    """
    with completing(path, "give a file of weights"), opening.mapped(path) as content:
        head = content[:9]
    if head[8:] != b"{" and not head.startswith((b"PK", b"\x80")):
        raise HarBenchError(f"{path} is no file of weights; give .safetensors, or what torch.save wrote")
    # safetensors: the length of the header in eight bytes, then the header, a JSON object
    checkpoint = _safetensors(path) if head[8:] == b"{" else _published(path)
    if not checkpoint.models:
        raise HarBenchError(f"{path} holds no weights of a model; give a file with a state dict in it")
    return checkpoint


def write(path: Path, models: Mapping[str, nn.Module], options: Mapping[str, Any]) -> None:
    """Write the weights of ``models`` by name, and ``options`` (plain data) with them, whole or not at all."""
    tensors = {
        f"{model}/{name}": tensor.detach().cpu().numpy()
        for model, module in models.items()
        for name, tensor in module.state_dict().items()
    }
    write_whole(destination(path), save(tensors, metadata={"options": json.dumps(dict(options))}))


def fill(model: nn.Module, state: State, source: str) -> None:
    """Copy a state dict into ``model``; ``source`` is what the error calls it.

    Prefixes of models that were trained on several GPUs or compiled are left out, and ``num_batches_tracked``, which
    old files lack, may be absent.

    Raises:
        HarBenchError: names or shapes differ: which, and how many parameters are where how many are needed; or numbers
            are not finite.
    """
    import torch

    needed = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    state = plain(state, needed)
    found = {name: array.shape for name, array in state.items()}
    differences = (
        _some("lacks", (name for name in needed if name not in found and not name.endswith(_COUNTER))),
        _some("has besides", (name for name in found if name not in needed)),
        _some(
            "has other shapes for",
            (
                f"{name} {shape} where {needed[name]} is needed"
                for name, shape in found.items()
                if needed.get(name, shape) != shape
            ),
        ),
    )
    if any(differences):
        counts = _parameters(found), _parameters(needed)
        told = "" if counts[0] == counts[1] else f" ({counts[0]:,} parameters where it needs {counts[1]:,})"
        raise HarBenchError(
            f"{source} does not fit the model{told}: it {'; it '.join(filter(None, differences))}; "
            "give the options that the weights were made with"
        )
    broken = [name for name, array in state.items() if not np.isfinite(array).all()]
    if broken:
        raise HarBenchError(
            f"{source} has numbers in {listed(broken, _NAMED)} that are not finite: a training that diverged, or a "
            "damaged file; give other weights"
        )
    model.load_state_dict({name: torch.tensor(array) for name, array in state.items()}, strict=False)


def plain(state: State, needed: Container[str] = ()) -> State:
    """A state dict without the prefixes that all of its names have, or that are among those of ``needed``."""
    names = {name: name.replace("_orig_mod.", "") for name in state}
    if all(name in needed for name in state) or len(set(names.values())) < len(state):
        return state
    while not any(short in needed for short in names.values()):
        prefix = next((each for each in _PREFIXES if _all_begin(names.values(), each)), None)
        if prefix is None:
            break
        names = {name: short.removeprefix(prefix) for name, short in names.items()}
    return {short: state[name] for name, short in names.items()}


def _all_begin(names: Collection[str], prefix: str) -> bool:
    return bool(names) and all(name.startswith(prefix) for name in names)


def count(model: nn.Module) -> int:
    """How many numbers of ``model`` training changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _safetensors(path: Path) -> Checkpoint:
    models: dict[str, dict[str, npt.NDArray[Any]]] = {}
    try:
        with safe_open(path, "numpy") as file:
            options = json.loads((file.metadata() or {}).get("options", "{}"))
            for key in file.offset_keys():
                model, _, name = key.rpartition("/")
                models.setdefault(model, {})[name] = file.get_tensor(key)
    except (SafetensorError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise HarBenchError(f"{path} is damaged or has tensors that NumPy lacks ({error}); write it again") from error
    if not isinstance(options, dict):
        raise HarBenchError(f"{path} has options that are no mapping; write it again")
    return Checkpoint(path, models if options else {name: plain(state) for name, state in models.items()}, options, {})


def _published(path: Path) -> Checkpoint:
    """State dicts are found by what they hold: a file is one, or a mapping with some among its entries."""
    held = torch_file.load(path)
    entries = held if isinstance(held, dict) else {}
    models = {"": entries} if _is_state(held) else {name: each for name, each in entries.items() if _is_state(each)}
    extra = {name: each for name, each in entries.items() if isinstance(each, str | int | float)}
    ours = entries.get(_TRAINING)
    if isinstance(ours, dict) and isinstance(ours.get("identity"), dict) and "state_dict" in models:
        return Checkpoint(path, _by_model(models["state_dict"]), {}, {}, ours["identity"])
    models = {name: plain(state) for name, state in models.items()}
    if len(models) == 1 and next(iter(models)) in _ALONE:
        models = {"": next(iter(models.values()))}
    return Checkpoint(path, models, {}, extra)


def _by_model(state: State) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """The models of a training of ours: names are ``model.``, the model's own, and the tensor's."""
    models: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for name, array in plain(state).items():
        model, _, tensor = name.partition(".")
        models.setdefault(model, {})[tensor] = array
    return models


def _is_state(value: Any) -> bool:
    """Whether this is a state dict: tensors by name, and nothing else."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(name, str) and isinstance(each, np.ndarray) for name, each in value.items())
    )


def _parameters(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(prod(shape) for name, shape in shapes.items() if not name.endswith(_STATISTICS))


def _some(verb: str, names: Iterable[str]) -> str:
    """The first few names after the verb, and how many more; nothing without names."""
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return f"{verb} {', '.join(listed[:_NAMED])}{more}" if listed else ""
