"""Weights that LART's authors published, or that their code trained: which network they are of, under our roof."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from har_bench.errors import HarBenchError, HarBenchWarning, listed
from har_bench.foreign.networks import in_words
from har_bench.protocol import Protocol
from har_bench.training import weights
from har_bench.training.weights import State

from .clips import LABELS
from .heads import BodyHead
from .network import HIERA, MVIT, NAME, Architecture, Layers, Network

PREFIX, BODY_MODEL, BODY = "encoder.", "smpl.", "smpl_head.0."
"""Of the network's tensors in a checkpoint, of SMPL's own, which are passed over, and of the head of bodies."""

WRAPPINGS = ("_orig_mod.", "module.")
"""What compiling and training on several GPUs put into names, wherever the network was wrapped."""

ACTING = (
    *("mask_token", "pos_embedding", "transformer.", "pose_shape_encoder.", "joint_encoder.", "apperance_encoder."),
    "action_head_ava.",
)
"""The beginnings of the names of what tells actions; all else may be absent, or another's."""

AVERAGED = re.compile(r"-EMA\.ckpt$")
"""What the moving average of the weights is called; LART's numbers are of it."""

_AVERAGE = "ema"
"""In the name of a moving average that a file has beside the last weights."""

ENCODERS = {"pose": ("pose_shape_encoder", 2), "joints": ("joint_encoder", 4), "appearance": ("apperance_encoder", 4)}
"""What the encoders of a token's parts are called, and their last layer."""

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
    if found.training:
        raise HarBenchError(f"{path} is for going on with a training; give weights that --save wrote")
    states = {name: plain(state) for name, state in found.models.items()}
    states = {name: state for name, state in states.items() if "pose_shape_encoder.0.weight" in state}
    name = next((name for name in states if _AVERAGE in name.lower()), next(iter(states), None))
    if name is None:
        held = next(iter(found.models.values()))
        raise HarBenchError(f"{path} is not LART's: it has {in_words(held)}; give a checkpoint of LART")
    averaged = bool(AVERAGED.search(path.name)) or _AVERAGE in name.lower()
    sibling = path.with_name(f"{path.stem}-EMA{path.suffix}")
    if not averaged and sibling.exists():
        warnings.warn(
            f"{path.name} are the weights of the last step; LART's numbers are of their moving average, {sibling.name}",
            HarBenchWarning,
            stacklevel=2,
        )
    return Released(states[name], architecture_of(states[name], path), averaged)


def plain(state: State) -> State:
    """The network's tensors without the prefix, and without those of the SMPL body model."""
    short = dict(state)
    for wrapping in WRAPPINGS:
        short = {name.replace(wrapping, ""): tensor for name, tensor in short.items()}
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
        layers: dict[str, Any] = {
            part: _layers(state, *where) if f"{where[0]}.0.weight" in state else None
            for part, where in ENCODERS.items()
        }
        there = [part for part in layers.values() if part is not None]
        tokens = state["mask_token"].shape[0]
        if tokens != sum(part.outside for part in there):
            raise HarBenchError(
                f"{path} has encoders for {'+'.join(str(part.outside) for part in there)} of a token's {tokens} "
                "numbers; it lacks one, so download it again"
            )
        return replace(
            made,
            **layers,
            depth=1 + max(int(found[1]) for name in state if (found := _LAYER.match(name))),
            heads=inner // made.head,
            hidden=state["transformer.layers.0.1.fn.net.0.weight"].shape[0],
            actions=state["action_head_ava.0.0.weight"].shape[0],
            body=all(f"{BODY}{name}" in state for name in BodyHead(1).state_dict()),
        )
    except (KeyError, IndexError, ValueError) as error:
        raise HarBenchError(f"{path} lacks tensors of LART's network ({error}); download it again") from error


def _layers(state: State, name: str, last: int) -> Layers:
    between, inside = state[f"{name}.0.weight"].shape
    return Layers(inside, between, state[f"{name}.{last}.weight"].shape[0])


def completed(state: State, network: Network, source: str) -> State:
    """A checkpoint's tensors as a network takes them, whatever heads the file has besides, or lacks.

    What tells no actions stays as the network has it where the file has none, or one of another size; what the network
    does not have is passed over. A warning names both.

    Args:
        state: the checkpoint's.
        network: that is to be filled.
        source: what the warning calls the file.
    """
    own = network.state_dict()
    fits = {
        name: tensor
        for name, tensor in state.items()
        if name.startswith(ACTING) or (name in own and tensor.shape == tuple(own[name].shape))
    }
    lacking = {name: own[name].numpy() for name in own if name not in fits and not name.startswith(ACTING)}
    told = []
    if not network.made.body or any(name.startswith(BODY) for name in lacking):
        told.append("has no SMPL head, whose parameters are licensed: actions are told, and no bodies")
    anew = parts(name for name in lacking if not name.startswith(BODY) and name != "pe")
    if anew:
        told.append(f"lacks {listed(anew)}, which tell no actions and stay as new")
    besides = parts(name for name in state if name not in fits and not name.startswith(BODY))
    if besides:
        told.append(f"has {listed(besides)}, which LART's network lacks or has in another size: passed over")
    if told:
        warnings.warn(f"{source} {'; it '.join(told)}", HarBenchWarning, stacklevel=2)
    return {**lacking, **fits}


def parts(names: Iterable[str]) -> list[str]:
    """The parts of a network that tensors are of.

    >>> parts(["conv_en.weight", "conv_en.bias", "pe"])
    ['conv_en', 'pe']
    """
    return list(dict.fromkeys(name.partition(".")[0] for name in names))


def configuration(made: Architecture) -> str:
    """Which of LART's configurations a network is of, in words.

    >>> configuration(Architecture())
    "Hiera's configuration (poses, joints, features of 2048 numbers)"
    """
    seen = ["poses", *(["joints"] if made.joints else [])]
    if made.appearance is None:
        return f"the configuration of {listed(seen)} alone"
    whose = {HIERA: "Hiera's", MVIT: "MViT's"}.get(made.appearance.inside, "another")
    return f"{whose} configuration ({listed([*seen, f'features of {made.appearance.inside} numbers'])})"


def told_by(made: Architecture, protocol: Protocol) -> tuple[int, ...]:
    """The numbers of the actions of published weights: AVA's 60 that are scored, or all 80; empty of others."""
    known = tuple(range(1, LABELS + 1)) if made.actions == LABELS else tuple(getattr(protocol.recipe, "classes", ()))
    return known if len(known) == made.actions else ()


def own(found: weights.Checkpoint) -> tuple[Architecture, tuple[int, ...]]:
    """The network of a file that our training saved, and the numbers of its actions.

    Raises:
        HarBenchError: it is of another baseline, or does not say what it is.
    """
    options = found.options
    if options.get("baseline") != "LART" or NAME not in found.models:
        raise HarBenchError(f"{found.path} holds weights of {options.get('baseline')}; name that baseline")
    try:
        missing = {"mean", "deviation", "frames", "people"} - options.keys()
        if missing:
            raise KeyError(min(missing))
        return msgspec.convert(options["made"], Architecture), tuple(map(int, options["actions"]))
    except (KeyError, TypeError, ValueError) as error:
        raise HarBenchError(f"{found.path} does not say what it was trained on ({error}); save it again") from error
