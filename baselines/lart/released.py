"""Weights that LART's authors published, or that their code trained: which network they are of, under our roof."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from har_bench.errors import HarBenchError, HarBenchWarning
from har_bench.foreign.networks import in_words
from har_bench.training import weights
from har_bench.training.weights import State

from .network import Architecture, Layers

PREFIX, BODY_MODEL = "encoder.", "smpl."
"""Of the network's tensors in a checkpoint, and of SMPL's own, which are passed over."""

AVERAGED = re.compile(r"-EMA\.ckpt$")
"""What the moving average of the weights is called; LART's numbers are of it."""

_LAYER = re.compile(r"transformer\.layers\.(\d+)\.")


class Released(NamedTuple):
    """A checkpoint's network.

    Attributes:
        state: its tensors under the names of :class:`har_bench.baselines.lart.network.Network`.
        made: the architecture that their shapes tell.
        averaged: whether it is the moving average, by the file's name.
    """

    state: State
    made: Architecture
    averaged: bool


def released(found: weights.Checkpoint) -> Released:
    """The network of a checkpoint of Lightning's, or of a bare state dict.

    Raises:
        HarBenchError: it is another network.
    """
    path = found.path
    states = {name: plain(state) for name, state in found.models.items()}
    state = next((state for state in states.values() if "pose_shape_encoder.0.weight" in state), None)
    if state is None:
        held = next(iter(found.models.values()))
        raise HarBenchError(f"{path} is not LART's: it has {in_words(held)}; give a checkpoint of LART")
    averaged = bool(AVERAGED.search(path.name))
    sibling = path.with_name(f"{path.stem}-EMA{path.suffix}")
    if not averaged and sibling.exists():
        warnings.warn(
            f"{path.name} are the weights of the last step; LART's numbers are of their moving average, {sibling.name}",
            HarBenchWarning,
            stacklevel=2,
        )
    return Released(state, architecture_of(state, path), averaged)


def plain(state: State) -> State:
    """The network's tensors without the prefix, and without those of the SMPL body model."""
    short = {name.replace("_orig_mod.", ""): tensor for name, tensor in state.items()}
    if any(name.startswith(PREFIX) for name in short):
        return {name.removeprefix(PREFIX): tensor for name, tensor in short.items() if name.startswith(PREFIX)}
    return {name: tensor for name, tensor in short.items() if not name.startswith(BODY_MODEL)}


def architecture_of(state: State, path: Path) -> Architecture:
    """What the shapes of the tensors tell; the width of a head they do not, and it is LART's 64.

    Raises:
        HarBenchError: shapes that no network of LART's has.
    """
    made = Architecture()
    try:
        inner = state["transformer.layers.0.0.fn.to_qkv.weight"].shape[0] // 3
        if inner % made.head:
            raise HarBenchError(
                f"{path} has attention of {inner} numbers, which are no heads of {made.head}; give LART's own"
            )
        return replace(
            made,
            pose=_layers(state, "pose_shape_encoder", 2),
            joints=_layers(state, "joint_encoder", 4) if "joint_encoder.0.weight" in state else None,
            appearance=_layers(state, "apperance_encoder", 4) if "apperance_encoder.0.weight" in state else None,
            depth=1 + max(int(found[1]) for name in state if (found := _LAYER.match(name))),
            heads=inner // made.head,
            hidden=state["transformer.layers.0.1.fn.net.0.weight"].shape[0],
            actions=state["action_head_ava.0.0.weight"].shape[0],
            body="smpl_head.0.fc1.weight" in state,
        )
    except (KeyError, IndexError, ValueError) as error:
        raise HarBenchError(f"{path} lacks tensors of LART's network ({error}); download it again") from error


def _layers(state: State, name: str, last: int) -> Layers:
    between, inside = state[f"{name}.0.weight"].shape
    return Layers(inside, between, state[f"{name}.{last}.weight"].shape[0])
