"""The weights that a training begins with: published ones or ours, of the same actions or of others."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from har_bench import remote
from har_bench.errors import HarBenchError, HarBenchWarning
from har_bench.protocol import Protocol
from har_bench.training import weights
from har_bench.training.weights import State

from .network import NAME, Network
from .released import completed, configuration, own, released, told_by

HEAD = ("action_head_ava.0.0.weight", "action_head_ava.0.0.bias")


def begin(network: Network, place: str, actions: Sequence[int], protocol: Protocol) -> bool:
    """Fill a network with weights; whether the head of bodies is among them.

    Args:
        network: changed.
        place: path or URL of the weights.
        actions: the numbers of those that the network tells.
        protocol: says which actions published weights know.

    Raises:
        HarBenchError: they are of another network.
    """
    found = weights.read(remote.fetch(place))
    if found.options:
        made, known = own(found)
        state = found.models[NAME]
    else:
        theirs = released(found)
        made, known, state = theirs.made, told_by(theirs.made, protocol), theirs.state
    mine = network.made
    if replace(made, dropout=mine.dropout, drop_path=mine.drop_path, actions=mine.actions, body=True) != mine:
        raise HarBenchError(
            f"{place} is of {configuration(made)}, {made.depth} layers of {made.width} numbers, and the options make "
            f"{configuration(mine)}, {mine.depth} of {mine.width}; give those of the weights (parts, widths, between, "
            "depth, heads, head, hidden)"
        )
    state = state if found.options else completed(state, network, place)
    weights.fill(network, retold(state, known, network, actions, place), place)
    return made.body


def retold(state: State, known: Sequence[int], network: Network, wanted: Sequence[int], source: str) -> State:
    """A checkpoint's tensors with a head for other actions: those that it knows keep theirs, the rest begin anew.

    Args:
        state: the checkpoint's.
        known: the numbers of its actions; empty where nobody says which they are.
        network: that is to be filled; its head is where new actions begin.
        wanted: the numbers of its actions.
        source: what the warning calls the file.
    """
    if tuple(known) == tuple(wanted):
        return state
    own = network.state_dict()
    shared = [action for action in wanted if action in known]
    into, out = [wanted.index(action) for action in shared], [known.index(action) for action in shared]
    made = dict(state)
    for name in HEAD:
        head = np.array(own[name].numpy())
        if head.shape[1:] == state[name].shape[1:]:
            head[into] = np.asarray(state[name], np.float32)[out]
        made[name] = head
    count = len(wanted) - len(shared)
    if count:
        warnings.warn(
            f"{source} does not know {count} of the {len(wanted)} actions; their rows of the head begin anew",
            HarBenchWarning,
            stacklevel=2,
        )
    return made
